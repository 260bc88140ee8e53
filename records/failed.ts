import { failureOf } from "./failures";
import { failedEvent, failedStatementIn, isLockTimeout, textOfError } from "./flyway";
import type { EndedRun, FlywayError, HalfApplied, JudgedObject, SchemaChange } from "./record";
import { holderLines } from "./work";

/** A verdict with its reason. */
export type Judgement = Pick<JudgedObject, "verdict" | "message" | "remedy">;

/** How much of a statement a message has, in characters. */
const STATEMENT_LENGTH = 500;

/** The server's codes for a table, a column, an index that is there already. */
const THERE_ALREADY = [1050, 1060, 1061];

export const LOOK_AT_LOG = "look at the log of the run, and mend what it names";

const REPAIR = "upload it, and have the host repair (docs/verdicts.md)";

/** A file that failed: what is wrong, what of it is in the schema, its statement, and the way out. */
export function failedFile(run: EndedRun, key: string): Judgement {
  const error = run.flyway.migrate?.error;
  const landed = run.halfApplied?.key === key ? run.halfApplied : null;
  const isUnrecorded = run.unrecorded === key;
  const lines = [isUnrecorded ? unrecordedLine(run, key) : errorLine(run)];
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
  if (isThere) lines.push(thereAlready(run));
  else if (landed) lines.push(...landedLines(landed));
  const text = landed?.statement ?? (error && failedStatementIn(error)?.statement);
  const statement = text ? [statementLine(text)] : [];
  const time =
    run.timedOutAfter === null
      ? []
      : ["raise the migration_timeout of this database, or have the file do less"];
  const remedy = [...time, remedyOf(run, key, landed, isThere)].join("; ");
  return { verdict: "failed", message: [...lines, ...statement].join("\n"), remedy };
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

function unrecordedLine(run: EndedRun, key: string): string {
  const error = run.flyway.migrate?.error;
  const isScript = error && failedStatementIn(error) !== undefined && failedEvent(error) === undefined;
  const words = isScript ? "and Flyway could not write that" : "but Flyway could not write that";
  const what = isScript ? `${errorLine(run)}\n${key} failed,` : `${key} ran,`;
  return `${what} ${words} into its history${isScript ? "." : `: ${errorLine(run)}`}`;
}

/** What is there already was there before, by the history that the schema has. */
function thereAlready({ flyway }: EndedRun): string {
  const isFirst = flyway.info?.migrations?.every(
    ({ state, type }) => state !== "Success" || type === "SCHEMA",
  );
  const isBaselined = flyway.info?.migrations?.some(({ type }) => type === "BASELINE");
  return isFirst && isBaselined
    ? "What it makes was there before the first migration of this schema."
    : "What it makes is there already: a run before this one may have been ended in the middle of it.";
}

function landedLines({ key, changes, applied, moreChanges }: HalfApplied): string[] {
  const others = applied.length > 0 ? ` (${applied.join(", ")} went well before it)` : "";
  if (changes === null) return [`What of ${key} is in the schema is not known: look at its tables.`];
  if (changes.length === 0) {
    return [`Nothing that the schema is made of is other than before ${key}${others}; rows may be.`];
  }
  const added = new Set(
    changes.filter(({ kind, before }) => kind === "table" && before === null).map(({ name }) => name),
  );
  // Where other files were applied, the table may be theirs, and only the column ours
  const telling = changes.filter(
    ({ kind, name }) =>
      kind === "table" || applied.length > 0 || !added.has(name.slice(0, name.lastIndexOf("."))),
  );
  return [
    `Of ${key}, this is in the schema already${others}:`,
    ...telling.map(changeLine),
    ...(moreChanges > 0 ? [`- and ${moreChanges} changes more`] : []),
  ];
}

function changeLine({ kind, name, before, after, shared }: SchemaChange): string {
  const what = before === null ? "added" : after === null ? "removed" : `changed from ${before} to ${after}`;
  return `- ${kind} ${name} ${what}${shared ? ", by this file or one that went well" : ""}`;
}

function statementLine(statement: string): string {
  const text = statement.slice(0, STATEMENT_LENGTH);
  return `Statement: ${text}${text.length < statement.length ? "…" : ""}`;
}

function remedyOf(run: EndedRun, key: string, landed: HalfApplied | null, isThere: boolean): string {
  const error = run.flyway.migrate?.error as FlywayError;
  const how =
    landed === null
      ? "look at what of it is in the schema, and correct"
      : landed.changes?.length === 0 && !isThere
        ? "correct"
        : undefined;
  if (run.unrecorded === key) {
    return `correct it, so that it does not repeat what is there, and upload it: this version is not tried again, unless the host repairs (docs/verdicts.md)`;
  }
  if (isThere && thereAlready(run).includes("before the first")) {
    return `where the schema is to be taken over as it is, drop its table flyway_schema_history, which has nothing in it but this failure, and set baseline_version of this database to the version that the schema is at; else correct it, ${REPAIR}`;
  }
  const event = error && failedEvent(error);
  const file = event === undefined ? "it" : "the callback";
  const next = event === undefined ? REPAIR : "upload it; the next run tries everything again";
  if (landed === null) return `${how} ${file} so that it does not repeat that, ${next}`;
  return how === undefined
    ? `correct ${file}, so that it does not repeat what is there, ${next}`
    : `correct ${file}, ${next}`;
}
