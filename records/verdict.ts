import { failureOf } from "./failures";
import type { FlywayError, HalfApplied, RunRecord, SeenObject } from "./record";

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

/**
 * A verdict with its reason: what a person should read, empty where there is nothing to say. Where something is to be
 * done, the last line says so and begins with `To do: `.
 */
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

/** What Flyway says when it has looked at the files and will not begin. */
const REFUSALS = /^(VALIDATE_ERROR|DUPLICATE_\w+)$/;
const REFUSAL_MESSAGE = /^Invalid SQL filenames found/;

/** What Flyway says of a callback that fails. It leaves nothing in the history, so there is nothing to repair. */
const CALLBACK = /^Error while executing \w+ callback: /;

/** What to do about what Flyway says of the content; the first that matches. Flyway's own advice would hide an edit or a deletion. */
const REMEDIES: readonly (readonly [said: RegExp, remedy: string])[] = [
  [
    /Detected failed migration|Detected failed repeatable/,
    "correct the file that failed, so that it does not repeat what is in the schema already, upload it, and have the host repair (docs/verdicts.md)",
  ],
  [/checksum mismatch/, "upload its former content again, and the change as a new version"],
  [
    /applied migration not resolved locally/,
    "upload the file that is applied but missing from the bucket again",
  ],
  [
    /resolved migration not applied to database/,
    "give it a version above the newest that is applied, or set out_of_order for this database",
  ],
  [
    /Invalid SQL filenames found|naming convention/i,
    "upload it again as V<version>__<description>.sql or R__<description>.sql, and delete the misnamed one",
  ],
  [/Found more than one/, "delete one of them, or upload it again under a version of its own"],
  [CALLBACK, "correct the callback and upload it; the next run tries everything again"],
  [
    /^\s*((Script|Migration) [^\n]* failed|Failed to execute script [^\n]*)\n/, // up to 11, and from 11.9 on
    "look at what of it is in the schema, correct it so that it does not repeat that, upload it, and have the host repair (docs/verdicts.md)",
  ],
  [/^held back: /, "nothing with this file: it is tried again once that is mended"],
];

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
  const ordered = [...records].sort(byRun);
  const seen = new Map<string, Judgement>();
  const applied = new Set<string>();
  const failed = new Set<string>();
  for (const record of ordered) {
    const before = { applied: new Set(applied), failed: new Set(failed) };
    for (const object of record.objects) {
      const known = seen.get(id(object));
      if (known?.verdict !== "applied" && known?.verdict !== "already-applied") {
        const judgement = withInterruption(record, object, judge(record, object, before, known));
        seen.set(id(object), { commandId: record.commandId, ...judgement });
      }
      const verdict = seen.get(id(object))?.verdict;
      if (verdict === "failed") failed.add(object.key);
      else if (verdict?.endsWith("applied")) applied.add(object.key);
    }
  }
  const result = new Map<UploadedVersion, Judgement>();
  for (const version of versions) {
    if (version.isDeleteMarker || !version.key.toLowerCase().endsWith(".sql")) continue;
    if (version.key.startsWith(".flyway/")) {
      result.set(version, {
        verdict: "refused",
        message: "no migration is looked for below .flyway/\nTo do: upload it outside of that folder",
      });
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

/**
 * Runs of a bucket follow one another and are numbered. Two hosts that ran at the same time, one of them replaced,
 * may have given a number twice; only then do their clocks decide.
 */
function byRun(a: RunRecord, b: RunRecord): number {
  const order = ({ finishedAt, startedAt, commandId }: RunRecord) =>
    `${finishedAt} ${startedAt} ${commandId}`;
  return a.number - b.number || order(a).localeCompare(order(b));
}

/** Whether a run looked at the bucket when this newer version, or its deletion, was what it held. */
function sawInstead(record: RunRecord, newer: UploadedVersion): boolean {
  if (!newer.isDeleteMarker) return record.objects.some((object) => id(object) === id(newer));
  const looked = record.newestChange !== null && seconds(record.newestChange) >= seconds(newer.lastModified);
  return looked && !record.objects.some(({ key }) => key === newer.key);
}

/** The AWS CLI and S3's notifications tell S3's times by the second or by the millisecond. */
function seconds(time: string): number {
  return Math.floor(Date.parse(time) / 1000);
}

/** Adds that a run before this one was killed where it may have been that one's doing. */
function withInterruption(record: RunRecord, object: SeenObject, judgement: Judgement): Judgement {
  const [first] = record.interrupted ?? [];
  const killed = record.interrupted?.at(-1);
  if (!first || !killed || judgement.commandId !== undefined) return judgement;
  const { verdict, message } = judgement;
  const state = stateOf(record, object);
  const isItsDoing =
    verdict === "failed" ||
    (verdict === "already-applied" && (state?.installedOnUTC ?? "") >= first.startedAt);
  if (!isItsDoing) return judgement;
  const note =
    "A run before this one was killed (cancelled, out of time, or its host went down) and left no record: " +
    `command ${killed.commandId}, begun ${killed.startedAt}.`;
  const lines = message.trimEnd().split("\n").filter(Boolean);
  const toDo = lines.findLastIndex((line) => line.startsWith("To do: "));
  lines.splice(toDo < 0 ? lines.length : toDo, 0, note);
  return { ...judgement, message: lines.join("\n") };
}

/** What Flyway's info says of an object that a run saw. */
function stateOf({ flyway: { info }, location }: RunRecord, { key }: SeenObject) {
  return info?.migrations?.filter(({ filepath }) => filepath === `${location}/${key}`).at(-1);
}

/** What one run says of one object that it saw, given the keys of what was applied and what failed before it. */
function judge(
  record: RunRecord,
  object: SeenObject,
  before: { readonly applied: ReadonlySet<string>; readonly failed: ReadonlySet<string> },
  known?: Judgement,
): Judgement {
  const { migrate, validate } = record.flyway;
  const own = record.refused.find(({ key }) => key === object.key);
  if (own) return { verdict: "refused", message: `${own.message}\nTo do: ${own.remedy}` };

  const file = `${record.location}/${object.key}`;
  const name = object.key.slice(object.key.lastIndexOf("/") + 1);
  const error = migrate?.error?.message ?? record.reason ?? "";
  const refusal =
    REFUSALS.test(migrate?.error?.errorCode ?? "") ||
    REFUSAL_MESSAGE.test(error) ||
    (migrate === null && record.refused.length > 0);
  const invalid = validate?.invalidMigrations?.find(
    ({ filepath, errorDetails }) => filepath === file && !errorDetails.errorCode.endsWith("_NOT_APPLIED"),
  )?.errorDetails.errorMessage;
  const state = stateOf(record, object);
  const refused = (message: string): Judgement => ({
    verdict: "refused",
    message: withRemedy(message, migrate?.error),
  });

  if (
    state?.state === "Failed" ||
    (error && !refusal && mentions(error.split("\nStatement", 1)[0] as string, name))
  ) {
    const landed = record.halfApplied?.key === object.key ? record.halfApplied : null;
    if (!refusal) {
      const message = landed ? failure(error, landed, migrate?.error) : withRemedy(error, migrate?.error);
      return { verdict: "failed", message };
    }
    // Half applied, it stands in the way of every run to come, the corrected file's too.
    if (known?.verdict === "failed") return known;
    // Unless a run was killed and left no word of its failure: then this is the first.
    if (landed && !before.failed.has(object.key)) {
      return { verdict: "failed", message: failure(invalid ?? error, landed, migrate?.error) };
    }
    return refused(invalid ?? error);
  }
  if (invalid) return refused(invalid);
  if (migrate?.migrations?.some(({ filepath }) => filepath === file))
    return { verdict: "applied", message: "" };
  if (state && /^(Success|Out of Order|Baseline)$/.test(state.state)) {
    // Under Flyway 7 a run that fails does not list what it applied: then the history's own time tells.
    const unlisted = migrate !== null && migrate.migrations === undefined && !before.applied.has(object.key);
    const since = record.databaseTime ?? record.startedAt;
    const now = unlisted && (state.installedOnUTC ?? "") >= since;
    return { verdict: now ? "applied" : "already-applied", message: "" };
  }
  if (migrate && !migrate.error) {
    if (state) return { verdict: "refused", message: `Flyway left it ${state.state}` };
    // Whatever else Flyway passes over, the host has refused
    return { verdict: "applied", message: "a callback, in force from this run on" };
  }
  if (state) return refused(state.state === "Ignored" ? error : `held back: ${error}`);
  if (refusal) return refused(mentions(error, name) ? error : `held back: ${error}`);
  return { verdict: "failed", message: withRemedy(error, migrate?.error) };
}

/** @param error what Flyway says, if the message is of it: what needs a person is known by its code */
function withRemedy(message: string, error?: FlywayError): string {
  const failure = error?.message === message ? failureOf(error) : undefined;
  const remedy = failure?.remedy ?? REMEDIES.find(([said]) => said.test(message))?.[1];
  return remedy ? `${message.trimEnd()}\nTo do: ${remedy}` : message;
}

/** A migration's failure, with what it has left in the schema and the way out. */
function failure(message: string, landed: HalfApplied, error?: FlywayError): string {
  const { key, changes, applied, moreChanges } = landed;
  const isThere = [1050, 1060, 1061].includes(error?.sqlErrorCode ?? 0); // a table, a column, an index
  const others = applied.length > 0 ? ` (${applied.join(", ")} went well before it)` : "";
  const lines = [message.trim()];
  if (changes === null) lines.push(`What of ${key} is in the schema is not known: look at its tables.`);
  else if (changes.length > 0) {
    const added = new Set(
      changes.filter(({ kind, before }) => kind === "table" && before === null).map(({ name }) => name),
    );
    // Where other files were applied, the table may be theirs, and only the column ours
    const telling = changes.filter(
      ({ kind, name }) =>
        kind === "table" || applied.length > 0 || !added.has(name.slice(0, name.lastIndexOf("."))),
    );
    lines.push(`Of ${key}, this is in the schema already${others}:`);
    for (const { kind, name, before, after, shared } of telling) {
      const what =
        before === null ? "added" : after === null ? "removed" : `changed from ${before} to ${after}`;
      lines.push(`- ${kind} ${name} ${what}${shared ? ", by this file or one that went well" : ""}`);
    }
    if (moreChanges > 0) lines.push(`- and ${moreChanges} changes more`);
  } else if (isThere) {
    lines.push(
      "What it makes is there already: a run before this one may have been ended in the middle of it.",
    );
  } else {
    lines.push(`No table, column or index is other than before ${key}${others}; rows may be.`);
  }
  const [what, next] = CALLBACK.test(message)
    ? ["the callback", "upload it; the next run tries everything again"]
    : ["it", "upload it, and have the host repair (docs/verdicts.md)"];
  const how = changes?.length === 0 && !isThere ? "" : ", so that it does not repeat what is there";
  lines.push(`To do: correct ${what}${how}, ${next}`);
  return lines.join("\n");
}

/** Whether a message names a file, and not just one whose name ends alike. */
function mentions(message: string, name: string): boolean {
  const at = message.indexOf(name);
  return at >= 0 && !/[\w-]/.test(message.charAt(at - 1)) && !/[\w-]/.test(message.charAt(at + name.length));
}
