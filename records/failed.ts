import { causeOf, failureOf } from "./failures";
import { eventOf, failedEvent, failedStatementIn, isLockTimeout, textOfError } from "./flyway";
import { type EndedRun, fileName, type HalfApplied, type JudgedObject, type SchemaChange } from "./record";
import { holderLines } from "./work";

/** A verdict with its reason. */
export type Judgement = Pick<JudgedObject, "verdict" | "message" | "remedy">;

/** How much of a statement a message has, in characters. */
const STATEMENT_LENGTH = 500;

/** The server's codes for a table, a column, an index that is there already. */
const THERE_ALREADY = [1050, 1060, 1061];

export const LOOK_AT_LOG = "look at the log of the run, and mend what it names";

const HAVE_REPAIRED = "and have the host repair (docs/verdicts.md)";

const REPAIR = `upload it, ${HAVE_REPAIRED}`;

/** What to do about a file that stands as failed since a run before. */
export const FAILED_BEFORE = `correct the file that failed, so that it does not repeat what is in the schema already, ${REPAIR}`;

/** What to do about a file that ran and is not in Flyway's history. */
const NOT_TRIED_AGAIN =
  "correct it, so that it does not repeat what is there, and upload it: as it is, it is not tried again, unless the host repairs (docs/verdicts.md)";

/** A file that failed: what is wrong, what of it is in the schema, its statement, and the way out. */
export function failedFile(run: EndedRun, key: string): Judgement {
  const error = run.flyway.migrate?.error;
  const landed = run.halfApplied?.key === key ? run.halfApplied : null;
  const lines = [firstLine(run, key)];
  if (error && isLockTimeout(error)) lines.push(...holderLines(run.lockHolders, "was"));
  if (run.timedOutAfter !== null) {
    lines.push(
      `It was ended: the migration took longer than ${run.timedOutAfter} s, the migration_timeout of this database.`,
    );
  }
  if (run.takenOut === key) {
    lines.push("Nothing of it is in the schema, and Flyway's history does not have it as failed any more.");
    return {
      verdict: "failed",
      message: lines.join("\n"),
      remedy:
        "have whoever holds the lock commit or end; nothing with the file: the next run tries it again, at the latest that of the reconcile",
    };
  }
  const isThere = landed?.changes?.length === 0 && THERE_ALREADY.includes(error?.sqlErrorCode ?? 0);
  if (isThere) {
    lines.push(
      wasThereBefore(run)
        ? "What it makes was there before the first migration of this schema."
        : `What it makes is there already: from elsewhere, or ${isRepaired(run) ? "its try before has left it" : "a run before this one was ended in the middle of it"}.`,
    );
  }
  if (landed && !isThere) lines.push(...landedLines(landed));
  const text = landed ? landed.statement : error && failedStatementIn(error)?.statement;
  const statement = text ? [statementLine(text)] : [];
  const time =
    run.timedOutAfter === null
      ? []
      : ["raise the migration_timeout of this database, or have the file do less"];
  const remedy = [...time, remedyOf(run, key, landed, isThere)].join("; ");
  return { verdict: "failed", message: [...lines, ...statement].join("\n"), remedy };
}

/** A file that ran in a former run, of whose words nothing is left. */
export function ranBefore(key: string): Judgement {
  return {
    verdict: "failed",
    message: `${key} has run, and is not in Flyway's history.`,
    remedy: NOT_TRIED_AGAIN,
  };
}

/** What went wrong with the database, its host or the way to it, for every file that it concerns. */
export function letDown(run: EndedRun): Judgement {
  const error = run.flyway.migrate?.error;
  const remedy = error ? (failureOf(error)?.remedy ?? LOOK_AT_LOG) : null;
  return { verdict: "failed", message: errorLine(run), remedy };
}

/** Flyway's error, or why the run ended without one. */
export function errorLine({ flyway, reason, location }: EndedRun): string {
  const error = flyway.migrate?.error;
  return error ? textOfError(error, location) : (reason ?? "").trimEnd();
}

/** What went wrong with a file of which Flyway does not say that, or whose failure it could not write down. */
function firstLine(run: EndedRun, key: string): string {
  const event = callbackBehind(run, key);
  const isUnrecorded = run.unrecorded?.key === key;
  if (event !== undefined) {
    return isUnrecorded
      ? `${key} ran, but Flyway did not write that into its history: its ${event} callback failed.`
      : `${key} failed, but Flyway does not say by what: its ${event} callback failed too.`;
  }
  if (!isUnrecorded) return errorLine(run);
  const error = run.flyway.migrate?.error;
  return error && failedStatementIn(error)
    ? `${errorLine(run)}\n${key} is not in Flyway's history.`
    : `${key} ran, but Flyway could not write that into its history: ${errorLine(run)}`;
}

/** The event of the callback that failed behind a file; undefined where none did, or the file is that callback. */
function callbackBehind(run: EndedRun, key: string): string | undefined {
  const error = run.flyway.migrate?.error;
  const event = error && failedEvent(error);
  return event !== undefined && eventOf(fileName(key)) !== event ? event : undefined;
}

/** Whether a schema had what a file makes before its first migration, by its history. */
function wasThereBefore(run: EndedRun): boolean {
  const isFirst = !isRepaired(run) && (run.scripts.length === 0 || isFirstMigration(run));
  return isFirst && (run.flyway.info?.migrations ?? []).some(({ type }) => type === "BASELINE");
}

/** Whether a file that failed before was taken out of Flyway's history, and tried again. */
function isRepaired({ flyway }: EndedRun): boolean {
  return flyway.repair !== null && flyway.repair.error === undefined;
}

/** Whether no file is in Flyway's history but the one that failed. */
function isFirstMigration({ flyway }: EndedRun): boolean {
  return (flyway.info?.migrations ?? []).every(({ state, type }) => state !== "Success" || type === "SCHEMA");
}

function landedLines({ key, changes, applied, moreChanges, otherSchemas = [] }: HalfApplied): string[] {
  const others = applied.length > 0 ? ` (${applied.join(", ")} went well before it)` : "";
  const elsewhere =
    otherSchemas.length > 0
      ? [`What it did in other schemas (${otherSchemas.join(", ")}) is not known: look at them.`]
      : [];
  if (changes === null) {
    return [`What of ${key} is in the schema is not known: look at what it makes and changes.`, ...elsewhere];
  }
  if (changes.length === 0) {
    return [
      `Nothing that the schema is made of is other than before ${key}${others}; rows may be.`,
      ...elsewhere,
    ];
  }
  const added = new Set(
    changes.filter(({ kind, before }) => kind === "table" && before === null).map(({ name }) => name),
  );
  // Where other files were applied, the table may be theirs, and only the column ours
  const telling = changes.filter(
    ({ name }) =>
      applied.length > 0 || !name.includes(".") || !added.has(name.slice(0, name.lastIndexOf("."))),
  );
  return [
    `Of ${key}, this is in the schema already${others}:`,
    ...telling.map(changeLine),
    ...(moreChanges > 0 ? [`- and ${moreChanges} changes more`] : []),
    ...elsewhere,
  ];
}

/** What is told of as a whole: its definition may be long. */
const DEFINED = ["view", "routine", "trigger", "event"];

function changeLine({ kind, name, before, after, shared }: SchemaChange): string {
  const change =
    DEFINED.includes(kind) || before === after ? "redefined" : `changed from ${before} to ${after}`;
  const what = before === null ? "added" : after === null ? "removed" : change;
  return `- ${kind} ${name} ${what}${shared ? ", by this file or one that went well" : ""}`;
}

function statementLine(statement: string): string {
  const text = statement.slice(0, STATEMENT_LENGTH);
  return `Statement: ${text}${text.length < statement.length ? "…" : ""}`;
}

/** What to do about a file that failed; first what the server has against it, whatever is in it. */
function remedyOf(run: EndedRun, key: string, landed: HalfApplied | null, isThere: boolean): string {
  const { migrate } = run.flyway;
  const event = migrate?.error && failedEvent(migrate.error);
  const behind = callbackBehind(run, key);
  if (run.unrecorded?.key === key) {
    return behind === undefined
      ? NOT_TRIED_AGAIN
      : "correct the callback; then take back what of this file is there and have the host repair (docs/verdicts.md), or upload this file so that it does not repeat that";
  }
  if (behind !== undefined) {
    return `correct both, this file so that it does not repeat what is there, upload them, ${HAVE_REPAIRED}`;
  }
  if (event !== undefined) return "correct the callback and upload it; the next run tries everything again";
  const cause = migrate?.error && causeOf(migrate.error);
  return [...(cause === undefined ? [] : [cause]), correction(run, landed, isThere)].join("; ");
}

function correction(run: EndedRun, landed: HalfApplied | null, isThere: boolean): string {
  if (isThere && wasThereBefore(run)) {
    const version = "set baseline_version of this database to the version that the schema is at";
    const way = isFirstMigration(run)
      ? `${version}, and have the host baseline it (docs/verdicts.md)`
      : `take back what ${landed?.applied.join(", ")} did, drop its table flyway_schema_history, and ${version}`;
    return `where the schema is to be taken over as it is, ${way}; else correct it, ${REPAIR}`;
  }
  if (landed === null)
    return `look at what of it is in the schema, correct it so that it does not repeat that, ${REPAIR}`;
  const how = landed.changes?.length === 0 && !isThere ? "" : ", so that it does not repeat what is there";
  return `correct it${how}, ${REPAIR}`;
}
