/** Ends a run, with the reason that its record gives. Anything else that is thrown is a fault of the runner's. */
export class Failure extends Error {}

/** What an error says, and what is behind it. */
export function messageOf(error: unknown): string {
  const { message = String(error), cause } = (error ?? {}) as Partial<Error>;
  return cause === undefined ? message : `${message}: ${messageOf(cause)}`;
}

/** A step of a run; where it fails, so does the run, with these words. The cause goes into the log. */
export async function orFail<T>(
  step: Promise<T>,
  words: string,
  complain: (line: string) => void,
): Promise<T> {
  try {
    return await step;
  } catch (error) {
    if (error instanceof Failure) throw error;
    complain(messageOf(error));
    throw new Failure(words);
  }
}
