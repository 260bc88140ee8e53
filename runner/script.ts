import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { decode } from "../deployment/decode";
import type { Encoding } from "../deployment/mapping";
import { type Flaw, flawOfText, notIn, Scanner, type ScriptFlaw } from "../records/script";

/** What is at most this large is read at once, in bytes: a stream of its own costs more. */
const WHOLE = 65_536;

/**
 * What is wrong with a script.
 *
 * @param size of the file, in bytes
 * @returns undefined where nothing is wrong
 */
export async function flawOf(file: string, size: number, encoding: Encoding): Promise<Flaw | undefined> {
  try {
    if (size <= WHOLE || encoding !== "UTF-8") {
      return plain(flawOfText(decode(await readFile(file), encoding)));
    }
    const scanner = new Scanner();
    const decoder = new TextDecoder("utf-8", { fatal: true });
    for await (const chunk of createReadStream(file)) scanner.read(decoder.decode(chunk, { stream: true }));
    scanner.read(decoder.decode());
    return plain(scanner.end());
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return notIn(encoding);
  }
}

/** What a run's record has of it. */
function plain(flaw: ScriptFlaw | undefined): Flaw | undefined {
  return flaw && { message: flaw.message, remedy: flaw.remedy };
}
