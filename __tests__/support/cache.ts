import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../../local/machine/downloads";

/**
 * A folder of the cache, filled by the first who needs it. Each fills one of its own and links to it once it is whole, so
 * that several at once, or one that is killed, do no harm.
 *
 * @param isWhole whether all is there
 * @throws what filling it met, where nobody else has done it meanwhile
 */
export async function cachedFolder(
  name: string,
  isWhole: (folder: string) => boolean,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const link = join(cacheFolder(), name);
  if (isWhole(link)) return link;
  const folder = `${link}-${randomUUID()}`;
  try {
    mkdirSync(folder, { recursive: true });
    await fill(folder);
    if (!isWhole(link)) rmSync(link, { recursive: true, force: true });
    symlinkSync(folder, link);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    if (!isWhole(link)) throw error;
  }
  return link;
}
