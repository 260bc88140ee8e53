import { isApplied } from "./judge";
import { FLYWAY_FOLDER, type OverallVerdict, type RunRecord, type Verdict, versionOf } from "./record";
import { textOf } from "./text";
import { isUpload } from "./upload";

/**
 * The verdict of one uploaded version of an object, over all runs of its bucket. The message is what a person should read,
 * empty where there is nothing to say. Where something is to be done, the last line says so and begins with `To do: `.
 */
export interface Judgement {
  readonly verdict: OverallVerdict;
  readonly message: string;
  /** The run that brought it about; undefined where none did. */
  readonly commandId?: string;
}

/** A version of an object, as a bucket's listing has it. */
export interface UploadedVersion {
  readonly key: string;
  readonly versionId: string;
  readonly lastModified: string;
  readonly isDeleteMarker: boolean;
}

/**
 * The verdict of each version of each upload, from the run records alone. What is once applied stays applied; any
 * other verdict is the newest run's. What no run saw is `superseded` where one saw a newer version, or its deletion, and else
 * `pending`.
 *
 * @param versions a bucket's versions, newest first within a key
 * @param records the bucket's run records, in any order
 */
export function verdicts(
  versions: readonly UploadedVersion[],
  records: readonly RunRecord[],
): Map<UploadedVersion, Judgement> {
  const runs = [...records].sort(byRun);
  const judged = new Map<string, Judgement>();
  for (const { objects, commandId } of runs) {
    for (const object of objects) {
      const known = judged.get(versionOf(object));
      const message = textOf(object);
      const isKept = known && (isApplied(known.verdict) || isSame(known, object.verdict, message));
      if (!isKept) judged.set(versionOf(object), { verdict: object.verdict, message, commandId });
    }
  }
  const result = new Map<UploadedVersion, Judgement>();
  /** Of the key at hand, the verdict that a newer version brings about. */
  let superseded: Judgement | undefined;
  let key: string | undefined;
  for (const version of versions) {
    if (version.key !== key) superseded = undefined;
    key = version.key;
    if (!version.isDeleteMarker && isUpload(version.key)) {
      result.set(version, judgementOf(version, judged) ?? superseded ?? { verdict: "pending", message: "" });
    }
    if (superseded === undefined && isKnown(version, judged, runs)) {
      const how = version.isDeleteMarker ? "deleted" : "overwritten";
      superseded = { verdict: "superseded", message: `${how} before a run saw it` };
    }
  }
  return result;
}

function judgementOf(
  version: UploadedVersion,
  judged: ReadonlyMap<string, Judgement>,
): Judgement | undefined {
  if (!version.key.startsWith(FLYWAY_FOLDER)) return judged.get(versionOf(version));
  const message = `no migration is looked for below ${FLYWAY_FOLDER}`;
  return { verdict: "refused", message: textOf({ message, remedy: "upload it outside of that folder" }) };
}

function isSame(known: Judgement, verdict: Verdict, message: string): boolean {
  return known.verdict === verdict && known.message === message;
}

/**
 * Runs of a bucket follow one another and are numbered. Two hosts that ran at the same time, one of them replaced,
 * may have given a number twice; only then do their clocks decide.
 */
function byRun(a: RunRecord, b: RunRecord): number {
  const order = ({ finishedAt, startedAt, commandId }: RunRecord) =>
    `${finishedAt} ${startedAt} ${commandId}`;
  return a.number - b.number || order(a).localeCompare(order(b));
}

/** Whether a run saw a version, or that it was deleted. */
function isKnown(
  version: UploadedVersion,
  judged: ReadonlyMap<string, Judgement>,
  runs: readonly RunRecord[],
): boolean {
  if (!version.isDeleteMarker) return judged.has(versionOf(version));
  return runs.some(({ newestChange, objects }) => {
    const isAfter = newestChange !== null && seconds(newestChange) >= seconds(version.lastModified);
    return isAfter && !objects.some(({ key }) => key === version.key);
  });
}

/** The AWS CLI and S3's notifications tell S3's times by the second or by the millisecond. */
function seconds(time: string): number {
  return Math.floor(Date.parse(time) / 1000);
}
