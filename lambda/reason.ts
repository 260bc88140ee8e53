import { failureOf } from "../records/failures";
import { filesAtFault, ownReasonOf } from "../records/fault";
import type { JudgedObject, RunRecord } from "../records/record";
import { textOf } from "../records/text";
import { withoutFolders } from "./output";

/** How long a reason is in a message at most, in characters; the record and the log have it all. */
export const REASON_LENGTH = 4_000;

/** How many reasons a message has: each can then say its error. */
const REASONS = 5;

/** How long the names are that a reason begins with, in characters: there may be many files, of a kilobyte each. */
const HEADING_LENGTH = 250;

/** How many are named of what there may be many of. */
const NAMES = 20;

/** One of the reasons for which runs failed. */
export interface Reason extends Pick<JudgedObject, "message" | "remedy"> {
  /** What it is of; stands before the message. */
  readonly heading: string;
}

/** What a record gives as the reasons for the run's end: an operation that was refused, what is no file's doing, the files. */
export function reasonsIn(record: RunRecord): Reason[] {
  const { operation, repairRefused, flyway } = record;
  const reasons: Reason[] = [];
  if (repairRefused !== null) {
    reasons.push({ heading: `The ${operation} was refused: `, message: repairRefused, remedy: null });
  }
  const message = ownReasonOf(record);
  if (message !== null) {
    const error = flyway.migrate?.error;
    reasons.push({ heading: "", message, remedy: (error && failureOf(error)?.remedy) ?? null });
  }
  const files = new Map<string, JudgedObject[]>();
  for (const file of filesAtFault(record)) {
    const text = textOf(file);
    files.set(text, [...(files.get(text) ?? []), file]);
  }
  for (const alike of files.values()) {
    const { message, remedy } = alike[0] as JudgedObject;
    reasons.push({ heading: `${list(alike.map(({ key }) => key))}:\n`, message, remedy });
  }
  return reasons.map((reason) => ({ ...reason, message: withoutFolders(reason.message).trim() }));
}

/** The reasons as one text of bounded length. Each has its beginning and its remedy: what is cut is the end of the longest. */
export function textOfReasons(reasons: readonly Reason[]): string {
  const shown = reasons
    .slice(0, REASONS)
    .map((reason) => ({ ...reason, heading: cut(reason.heading, HEADING_LENGTH) }));
  const lengths = shares(
    shown.map(({ heading, ...reason }) => (heading + textOf(reason)).length),
    REASON_LENGTH - 2 * shown.length,
  );
  const texts = shown.map(({ heading, message, remedy }, index) => {
    const rest = (heading + textOf({ message: "", remedy })).length;
    const left = Math.max(0, (lengths[index] as number) - rest);
    return heading + textOf({ message: cut(message, left), remedy });
  });
  const more = reasons.length - shown.length;
  return [...texts, ...(more > 0 ? [`and ${more} reasons more, which the run record has`] : [])].join("\n\n");
}

/** A text of at most so many characters; one that is longer ends in an ellipsis, and a line feed after it stays. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const end = text.endsWith("\n") ? "…\n" : "…";
  return text.slice(0, Math.max(0, length - end.length)).replace(/[\ud800-\udbff]$/, "") + end;
}

/** Each name once, the first of many. */
export function list(names: readonly string[]): string {
  const all = [...new Set(names)];
  const more = all.length > NAMES ? `, and ${all.length - NAMES} more` : "";
  return all.slice(0, NAMES).join(", ") + more;
}

/** Divides a length among texts: what a short one does not need is the others'. */
function shares(lengths: readonly number[], whole: number): number[] {
  const shared: number[] = [];
  let left = whole;
  const ascending = lengths.map((length, index) => ({ length, index })).sort((a, b) => a.length - b.length);
  ascending.forEach(({ length, index }, done) => {
    const share = Math.min(length, Math.floor(left / (lengths.length - done)));
    shared[index] = share;
    left -= share;
  });
  return shared;
}
