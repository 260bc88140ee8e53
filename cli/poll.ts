import { setTimeout as sleep } from "node:timers/promises";

/** How often it is looked, in milliseconds. */
const PAUSE = 1_500;

/**
 * Looks until something is found.
 *
 * @param timeout in seconds
 * @param meanwhile is done after each look that found nothing
 * @returns undefined where the time was over before
 */
export async function poll<T>(
  timeout: number,
  look: () => Promise<T | undefined>,
  meanwhile: () => void | Promise<void>,
): Promise<T | undefined> {
  const deadline = Date.now() + timeout * 1_000;
  for (;;) {
    const found = await look();
    if (found !== undefined || Date.now() >= deadline) return found;
    await meanwhile();
    await sleep(Math.min(PAUSE, Math.max(0, deadline - Date.now())));
  }
}
