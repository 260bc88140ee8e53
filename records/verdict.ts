import type { RunRecord, SeenObject } from "./record";

/**
 * What became of one uploaded version of an object.
 *
 * | verdict | meaning |
 * | --- | --- |
 * | `applied` | a run applied it |
 * | `already-applied` | the database has had its content since before |
 * | `refused` | it was not tried: its name, version or content, or a file before it, stands against it |
 * | `failed` | it was tried and failed, or the run that should have tried it did |
 * | `superseded` | it was overwritten or deleted before a run saw it |
 * | `pending` | no run has seen it yet |
 */
export type Verdict = "applied" | "already-applied" | "refused" | "failed" | "superseded" | "pending";

/** A verdict with its reason: what a person should read, empty where there is nothing to say. */
export interface Judgement {
  readonly verdict: Verdict;
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

/** Flyway's callbacks: run at an event, never listed by `info`. https://documentation.red-gate.com/fd/callback-concept-184127466.html */
const CALLBACK = /^((before|after)(Each)?[A-Z][A-Za-z]*|createSchema)(__.*)?\.sql$/;

/** What Flyway says when it has looked at the files and will not begin. */
const REFUSALS = /^(VALIDATE_ERROR|DUPLICATE_\w+)$/;
const REFUSAL_MESSAGE = /^Invalid SQL filenames found/;

/**
 * The verdict of each version of each `.sql` object, from the run records alone. What is once
 * applied stays applied; any other verdict is the newest run's.
 *
 * @param versions a bucket's versions, newest first within a key
 * @param records the bucket's run records, in any order
 */
export function verdicts(
  versions: readonly UploadedVersion[],
  records: readonly RunRecord[],
): Map<UploadedVersion, Judgement> {
  const ordered = [...records].sort((a, b) => order(a).localeCompare(order(b)));
  const seen = new Map<string, Judgement>();
  const appliedKeys = new Set<string>();
  for (const record of ordered) {
    for (const object of record.objects) {
      const known = seen.get(id(object));
      if (known?.verdict === "applied" || known?.verdict === "already-applied") continue;
      const judgement = judge(record, object, appliedKeys.has(object.key), known);
      seen.set(id(object), { commandId: record.commandId, ...judgement });
    }
    for (const object of record.objects) {
      if (seen.get(id(object))?.verdict.endsWith("applied")) appliedKeys.add(object.key);
    }
  }
  const result = new Map<UploadedVersion, Judgement>();
  for (const version of versions) {
    if (version.isDeleteMarker || !version.key.toLowerCase().endsWith(".sql")) continue;
    if (version.key.startsWith(".flyway/")) {
      result.set(version, { verdict: "refused", message: "no migration is looked for below .flyway/" });
      continue;
    }
    const judged = seen.get(id(version));
    const newer = versions
      .slice(0, versions.indexOf(version))
      .filter(({ key }) => key === version.key)
      .find((other) => ordered.some((record) => sawInstead(record, other)));
    const superseded: Judgement | undefined = newer && {
      verdict: "superseded",
      message: newer.isDeleteMarker ? "deleted before a run saw it" : "overwritten before a run saw it",
    };
    result.set(version, judged ?? superseded ?? { verdict: "pending", message: "" });
  }
  return result;
}

/** A bucket's objects from before it was versioned all have the version id "null". */
function id({ key, versionId }: { readonly key: string; readonly versionId: string }): string {
  return `${versionId}/${key}`;
}

/** Runs of a bucket follow one another; their records' times are whole seconds. */
function order({ finishedAt, startedAt, commandId }: RunRecord): string {
  return `${finishedAt} ${startedAt} ${commandId}`;
}

/** Whether a run looked at the bucket when this newer version, or its deletion, was what it held. */
function sawInstead(record: RunRecord, newer: UploadedVersion): boolean {
  if (!newer.isDeleteMarker) return record.objects.some((object) => id(object) === id(newer));
  return record.startedAt > newer.lastModified && !record.objects.some(({ key }) => key === newer.key);
}

/** What one run says of one object that it saw. */
function judge(record: RunRecord, object: SeenObject, appliedBefore: boolean, known?: Judgement): Judgement {
  const { migrate, info, validate } = record.flyway;
  const file = `${record.location}/${object.key}`;
  const name = object.key.slice(object.key.lastIndexOf("/") + 1);
  const error = migrate?.error?.message ?? record.reason ?? "";
  const refusal = REFUSALS.test(migrate?.error?.errorCode ?? "") || REFUSAL_MESSAGE.test(error);
  const invalid = validate?.invalidMigrations?.find(
    ({ filepath, errorDetails }) => filepath === file && !errorDetails.errorCode.endsWith("_NOT_APPLIED"),
  )?.errorDetails.errorMessage;
  const state = info?.migrations?.filter(({ filepath }) => filepath === file).at(-1);

  if (
    state?.state === "Failed" ||
    (error && !refusal && mentions(error.split("\nStatement", 1)[0] as string, name))
  ) {
    if (!refusal) return { verdict: "failed", message: error };
    // Half applied, it stands in the way of every run to come, the corrected file's too.
    return known?.verdict === "failed" ? known : { verdict: "refused", message: invalid ?? error };
  }
  if (invalid) return { verdict: "refused", message: invalid };
  if (migrate?.migrations?.some(({ filepath }) => filepath === file))
    return { verdict: "applied", message: "" };
  if (state && /^(Success|Out of Order|Baseline)$/.test(state.state)) {
    // Under Flyway 7 a run that fails does not list what it applied: then the history's own time tells.
    const now = record.exitCode !== 0 && !appliedBefore && (state.installedOnUTC ?? "") >= record.startedAt;
    return { verdict: now ? "applied" : "already-applied", message: "" };
  }
  if (record.exitCode === 0) {
    if (CALLBACK.test(name)) return { verdict: "applied", message: "a callback, in force from this run on" };
    return {
      verdict: "refused",
      message: state
        ? `Flyway left it ${state.state}`
        : `Flyway takes no notice of ${name}: a migration is named V<version>__<description>.sql or R__<description>.sql`,
    };
  }
  if (state) {
    const outOfOrder = state.state === "Ignored";
    return { verdict: "refused", message: outOfOrder ? error : `held back: ${error}` };
  }
  if (refusal) return { verdict: "refused", message: mentions(error, name) ? error : `held back: ${error}` };
  return { verdict: "failed", message: error };
}

/** Whether a message names a file, and not just one whose name ends alike. */
function mentions(message: string, name: string): boolean {
  const at = message.indexOf(name);
  return at >= 0 && !/[\w-]/.test(message.charAt(at - 1)) && !/[\w-]/.test(message.charAt(at + name.length));
}
