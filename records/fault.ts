import { isOnContent, textOfError } from "./flyway";
import { type JudgedObject, type RunRecord, versionOf } from "./record";
import { isHeldBack, lineOf } from "./text";

/** A run that was no success, as far as it says by what. */
type FailedRun = Pick<RunRecord, "objects" | "reason" | "halfApplied" | "flyway" | "location">;

/** How a run ended. */
export interface RunEnd {
  /** As the record's. */
  readonly exitCode: number;
  /** Why, where that is no file's doing; null where it is, or there is nothing to say. */
  readonly reason: string | null;
}

export function endOf(run: FailedRun & Pick<RunRecord, "exitCode">): RunEnd {
  return { exitCode: run.exitCode, reason: ownReasonOf(run) };
}

/** The files that a run failed by: not those that one of them holds back, nor those that an outage kept from being tried. */
export function filesAtFault(run: FailedRun): JudgedObject[] {
  const isTried = ownReasonOf(run) === null;
  return run.objects.filter((object) => isRefused(object) || (isTried && object.verdict === "failed"));
}

/** Why a run failed where that is no file's doing, as when the database could not be reached; null where it is one's. */
export function ownReasonOf({ objects, reason, halfApplied, flyway, location }: FailedRun): string | null {
  const error = flyway.migrate?.error;
  const words = reason ?? (error ? textOfError(error, location) : null);
  if (words === null || halfApplied !== null) return null;
  const refused = objects.filter(isRefused);
  const isOfFiles =
    reason === null && error
      ? isOnContent(error) && (refused.length > 0 || objects.some(({ verdict }) => verdict === "failed"))
      : refused.some((object) => words.includes(lineOf(object)));
  return isOfFiles ? null : words;
}

function isRefused({ verdict, message }: JudgedObject): boolean {
  return verdict === "refused" && !isHeldBack(message);
}

/**
 * Whether a run failed by nothing but what the run before it failed by: the same versions of the same files, in the same
 * words. A person who has asked for more than a migration hears of its end, and so does everybody after a run that was killed.
 *
 * @param former what the runs before have left; without an end where that is not known
 */
export function isRepetition(
  run: FailedRun & Pick<RunRecord, "exitCode" | "operation" | "interrupted">,
  former: { readonly objects: readonly JudgedObject[]; readonly end?: RunEnd },
): boolean {
  const { end } = former;
  const isFirst = end === undefined || end.exitCode === 0 || run.interrupted.length > 0;
  if (run.exitCode === 0 || isFirst || run.operation !== "migrate") return false;
  const reason = ownReasonOf(run);
  const files = filesAtFault(run);
  if (reason !== null ? lasting(reason) !== lasting(end.reason ?? "") : files.length === 0) return false;
  const known = new Map(former.objects.map((object) => [versionOf(object), object]));
  return files.every((file) => {
    const before = known.get(versionOf(file));
    return before?.verdict === file.verdict && lasting(before.message) === lasting(file.message);
  });
}

/** A message without what differs each time: a connection's number, and who holds a lock. */
function lasting(message: string): string {
  return message
    .replace(/\(conn=\d+\)/g, "")
    .replace(/^(The|By whom the) lock (was|may have been) held .*/gm, "");
}
