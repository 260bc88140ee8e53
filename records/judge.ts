import { failureOf } from "./failures";
import type { RunEnd } from "./fault";
import { isAppliedState, isCallbackFailure, isLockTimeout, isRefusal } from "./flyway";
import {
  type FlywayError,
  fileName,
  fileOf,
  type HalfApplied,
  type JudgedObject,
  type Refusal,
  type RunRecord,
  type SeenObject,
  type Verdict,
} from "./record";
import { holderLines } from "./work";

/** What a run knows when it ends, as far as the verdicts follow from it. */
export interface EndedRun
  extends Pick<
    RunRecord,
    | "startedAt"
    | "location"
    | "reason"
    | "interrupted"
    | "databaseTime"
    | "halfApplied"
    | "takenOut"
    | "lockHolders"
    | "timedOutAfter"
    | "flyway"
  > {
  readonly objects: readonly SeenObject[];
  /** The objects that the host itself refused. */
  readonly refused: readonly Refusal[];
}

/** What is known of a bucket's objects from its runs before. */
export interface Known {
  /** As the last of them judged. */
  readonly objects: readonly JudgedObject[];
  /** Keys of files that have failed, and have not been applied since. */
  readonly failed: readonly string[];
  /** How the last of them ended; undefined where it is not known, as where a former runner has kept this. */
  readonly end?: RunEnd;
}

export const NOTHING_KNOWN: Known = { objects: [], failed: [] };

/** What is known after a run. */
export function knownAfter(known: Known, objects: readonly JudgedObject[], end?: RunEnd): Known {
  const failed = new Set(known.failed);
  for (const { key, verdict } of objects) {
    if (verdict === "failed") failed.add(key);
    else if (isApplied(verdict)) failed.delete(key);
  }
  return { objects, failed: [...failed], end };
}

export function isApplied(verdict: Verdict): boolean {
  return verdict === "applied" || verdict === "already-applied";
}

/** A verdict with its reason. */
type Judgement = Pick<JudgedObject, "verdict" | "message" | "remedy">;

/**
 * What to do about what Flyway says of the content; the first that matches. Flyway's own advice would hide an edit or a
 * deletion.
 */
const REMEDIES: readonly (readonly [message: RegExp, remedy: string])[] = [
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
  [
    /^Error while executing \w+ callback: /,
    "correct the callback and upload it; the next run tries everything again",
  ],
  [
    /^\s*((Script|Migration) [^\n]* failed|Failed to execute script [^\n]*)\n/, // up to 11, and from 11.9 on
    "look at what of it is in the schema, correct it so that it does not repeat that, upload it, and have the host repair (docs/verdicts.md)",
  ],
  [/^held back: /, "nothing with this file: it is tried again once that is mended"],
];

/** The verdict of each object that a run saw, from what Flyway said, and from what is known from the runs before. */
export function judge(run: EndedRun, known: Known): JudgedObject[] {
  const { migrate, validate, info } = run.flyway;
  const error = migrate?.error?.message ?? run.reason ?? "";
  const facts: Facts = {
    run,
    error,
    heading: error.split("\nStatement", 1)[0] as string,
    isRefused:
      isRefusal({ errorCode: migrate?.error?.errorCode, message: error }) ||
      (migrate === null && run.refused.length > 0),
    refused: new Map(run.refused.map((refusal) => [refusal.key, refusal])),
    states: new Map(info?.migrations?.map((migration) => [migration.filepath, migration])),
    invalid: new Map(
      validate?.invalidMigrations
        ?.filter(({ errorDetails }) => !errorDetails.errorCode.endsWith("_NOT_APPLIED"))
        .toReversed()
        .map(({ filepath, errorDetails }) => [filepath, errorDetails.errorMessage]),
    ),
    migrated: new Set(migrate?.migrations?.map(({ filepath }) => filepath)),
    known: new Map(known.objects.map((object) => [object.key, object])),
    failed: new Set(known.failed),
  };
  return run.objects.map((object) => ({ ...object, ...judgeObject(facts, object) }));
}

/** A run, by what is looked up in it. */
interface Facts {
  readonly run: EndedRun;
  /** Why it ended; empty where it ended well. */
  readonly error: string;
  /** The error without the statement that failed. */
  readonly heading: string;
  /** Whether nothing of the content was tried. */
  readonly isRefused: boolean;
  readonly refused: ReadonlyMap<string, Refusal>;
  readonly states: ReadonlyMap<string, { readonly state: string; readonly installedOnUTC?: string }>;
  readonly invalid: ReadonlyMap<string, string>;
  readonly migrated: ReadonlySet<string>;
  readonly known: ReadonlyMap<string, JudgedObject>;
  readonly failed: ReadonlySet<string>;
}

function judgeObject(facts: Facts, object: SeenObject): Judgement {
  const { run, error, heading, isRefused } = facts;
  const { migrate } = run.flyway;
  const refusal = facts.refused.get(object.key);
  if (refusal) return { verdict: "refused", message: refusal.message, remedy: refusal.remedy };

  const file = fileOf(run.location, object.key);
  const name = fileName(object.key);
  const invalid = facts.invalid.get(file);
  const state = facts.states.get(file);
  const before = facts.known.get(object.key);
  const former = before?.versionId === object.versionId ? before : undefined;

  if (state?.state === "Failed" || (error && !isRefused && mentions(heading, name))) {
    const landed = run.halfApplied?.key === object.key ? run.halfApplied : null;
    if (run.takenOut === object.key) return lockedOut(facts);
    if (!isRefused) {
      const failed = landed
        ? failure(withWait(facts), landed, migrate?.error)
        : withRemedy("failed", error, migrate?.error);
      return withInterruption(facts, file, run.timedOutAfter === null ? failed : withMoreTime(failed));
    }
    // Half applied, it stands in the way of every run to come, the corrected file's too.
    if (former?.verdict === "failed") {
      return { verdict: "failed", message: former.message, remedy: former.remedy };
    }
    // Unless a run was killed and left no word of its failure: then this is the first.
    if (landed && !facts.failed.has(object.key)) {
      return withInterruption(facts, file, failure(invalid ?? error, landed, migrate?.error));
    }
    return withRemedy("refused", invalid ?? error, migrate?.error);
  }
  if (invalid) return withRemedy("refused", invalid, migrate?.error);
  if (facts.migrated.has(file)) return { verdict: "applied", message: "", remedy: null };
  if (state && isAppliedState(state.state)) {
    // Under Flyway 7 a run that fails does not list what it applied: then the history's own time tells.
    const isUnlisted =
      migrate !== null && migrate.migrations === undefined && !(before && isApplied(before.verdict));
    const isNew = isUnlisted && (state.installedOnUTC ?? "") >= (run.databaseTime ?? run.startedAt);
    return withInterruption(facts, file, {
      verdict: isNew ? "applied" : "already-applied",
      message: "",
      remedy: null,
    });
  }
  if (migrate && !migrate.error) {
    if (state) return { verdict: "refused", message: `Flyway left it ${state.state}`, remedy: null };
    // Whatever else Flyway passes over, the host has refused
    return { verdict: "applied", message: "a callback, in force from this run on", remedy: null };
  }
  if (state) {
    return withRemedy("refused", state.state === "Ignored" ? error : `held back: ${error}`, migrate?.error);
  }
  // Flyway could not say where it stands, so it stands where it did
  if (former && isApplied(former.verdict) && !mentions(error, name)) {
    return { verdict: "already-applied", message: "", remedy: null };
  }
  if (isRefused) {
    return withRemedy("refused", mentions(error, name) ? error : `held back: ${error}`, migrate?.error);
  }
  return withInterruption(facts, file, withRemedy("failed", error, migrate?.error));
}

/** A file that waited for a lock in vain, and of which nothing landed. */
function lockedOut(facts: Facts): Judgement {
  return {
    verdict: "failed",
    message: `${withWait(facts)}\nNothing of it is in the schema, and Flyway's history does not have it as failed any more.`,
    remedy:
      "have whoever holds the lock commit or end; nothing with the file: the next run tries it again, at the latest that of the reconcile",
  };
}

/** The error, with what Flyway does not know of it: who held a lock, and that the migration was ended for its time. */
function withWait({ error, run }: Facts): string {
  const migrateError = run.flyway.migrate?.error;
  const lines = [error.trim()];
  if (migrateError && isLockTimeout(migrateError)) {
    lines.push(...holderLines(run.lockHolders, "was"));
  }
  if (run.timedOutAfter !== null) {
    lines.push(
      `It was ended: the migration took longer than ${run.timedOutAfter} s, the migration_timeout of this database.`,
    );
  }
  return lines.join("\n");
}

function withMoreTime({ verdict, message, remedy }: Judgement): Judgement {
  const time = "raise the migration_timeout of this database, or have the file do less";
  return { verdict, message, remedy: remedy === null ? time : `${time}; ${remedy}` };
}

/** Adds that a run before this one was killed where it may have been that one's doing. */
function withInterruption({ run, states }: Facts, file: string, judgement: Judgement): Judgement {
  const [first] = run.interrupted;
  const killed = run.interrupted.at(-1);
  if (!first || !killed) return judgement;
  const isItsDoing =
    judgement.verdict === "failed" ||
    (judgement.verdict === "already-applied" && (states.get(file)?.installedOnUTC ?? "") >= first.startedAt);
  if (!isItsDoing) return judgement;
  const note =
    "A run before this one was killed (cancelled, out of time, or its host went down) and left no record: " +
    `command ${killed.commandId}, begun ${killed.startedAt}.`;
  return { ...judgement, message: [judgement.message.trimEnd(), note].filter(Boolean).join("\n") };
}

/** @param error what Flyway says, if the message is of it: what needs a person is known by its code */
function withRemedy(verdict: Verdict, message: string, error?: FlywayError): Judgement {
  const failure = error?.message === message ? failureOf(error) : undefined;
  const remedy = failure?.remedy ?? REMEDIES.find(([pattern]) => pattern.test(message))?.[1] ?? null;
  return { verdict, message: remedy === null ? message : message.trimEnd(), remedy };
}

/** A migration's failure, with what it has left in the schema and the way out. */
function failure(message: string, landed: HalfApplied, error?: FlywayError): Judgement {
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
  const [what, next] = isCallbackFailure(message)
    ? ["the callback", "upload it; the next run tries everything again"]
    : ["it", "upload it, and have the host repair (docs/verdicts.md)"];
  const how = changes?.length === 0 && !isThere ? "" : ", so that it does not repeat what is there";
  return { verdict: "failed", message: lines.join("\n"), remedy: `correct ${what}${how}, ${next}` };
}

/** Whether a message names a file, and not just one whose name ends alike. */
function mentions(message: string, name: string): boolean {
  const at = message.indexOf(name);
  return at >= 0 && !/[\w-]/.test(message.charAt(at - 1)) && !/[\w-]/.test(message.charAt(at + name.length));
}
