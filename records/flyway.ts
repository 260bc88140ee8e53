import type { FlywayError, FlywayInfo, FlywayMigrate, FlywayRepair, FlywayValidate } from "./record";
import { mayHavePassword, withoutPasswords, withoutValues } from "./work";

/*
 * Flyway's own words: what its releases 7 to 13 say, in codes, messages and states.
 */

/** A result of Flyway's, of whichever command. */
export type FlywayResult = FlywayValidate &
  FlywayRepair & {
    readonly migrations?: readonly (NonNullable<FlywayMigrate["migrations"]>[number] &
      NonNullable<FlywayInfo["migrations"]>[number])[];
    readonly error?: FlywayError;
  };

/** What `info` says of one migration. */
export type InfoMigration = NonNullable<FlywayInfo["migrations"]>[number];

/** What Flyway says when it has looked at the files and will not begin, or not begin with the one that it names. */
const REFUSAL_CODES = /^(VALIDATE_ERROR|DUPLICATE_\w+)$/;
const REFUSAL_MESSAGE =
  /^(Invalid SQL filenames found|Found more than (one|1)|Unable to parse statement in |Unable to calculate checksum of )/;

/** Whether an error means that Flyway looked at the files and did not try what it names. */
export function isRefusal(error: Partial<FlywayError>): boolean {
  return REFUSAL_CODES.test(error.errorCode ?? "") || REFUSAL_MESSAGE.test(error.message ?? "");
}

const BOOKKEEPING =
  /^(Unable to (insert row for version|lock table|commit transaction|rollback transaction|restore |determine the current schema)|Error while retrieving the list of applied migrations|Error setting current schema)/;

/**
 * Whether an error is of Flyway's own work around a file, so that one has run that is not in its history, or may have. The words are
 * those of flyway-core 7.7.3 to 12.5.0.
 */
export function isOfBookkeeping({ message }: FlywayError): boolean {
  return BOOKKEEPING.test(message);
}

/** Whether it is of the lock that Flyway takes on its history behind a file, and on a cluster before it too. */
export function isOfHistoryLock({ message }: FlywayError): boolean {
  return message.startsWith("Unable to lock table");
}

/** The version of the file that ran, where Flyway could not write that down; null for a repeatable one, undefined for any other error. */
export function unwrittenVersion({ message }: FlywayError): string | null | undefined {
  const version = /^Unable to insert row for version '([^']*)'/.exec(message)?.[1];
  return version === "null" ? null : version;
}

/** The event of a callback that failed: `afterMigrate`; undefined for any other error. It leaves nothing in the history. */
export function failedEvent({ message }: Pick<FlywayError, "message">): string | undefined {
  return /^Error while executing (\w+) callback: /.exec(message)?.[1];
}

/** Advice of Flyway's that does not hold here: there is no such command, or it would hide an edit or a deletion. */
const ADVICE = [
  /\n?(Either revert the changes|Please remove any half-completed|If you removed this migration|To ignore this migration|To fix this error|Need more flexibility|Please ensure you have configured the correct file encoding|Run Flyway with -X)[^\n]*/g,
  /\n?Validate failed: Migrations have failed validation/g,
  / See https?:\S+ for more information\./g,
  / *Check your configuration!/g,
];

/**
 * What Flyway says of a failure, for a person: what is wrong first, with its codes, then the line; without paths of the host,
 * the number of the connection, advice that does not hold here, and the statement.
 *
 * @param location the folder that holds the bucket's content
 */
export function textOfError(error: Pick<FlywayError, "message">, location: string): string {
  const plain = ADVICE.reduce(
    (text, advice) => text.replace(advice, ""),
    error.message.replace(/\r\n/g, "\n"),
  )
    .replaceAll(`${location}/`, "")
    .replace(/\(conn=\d+\) /g, "")
    .trim();
  const parts =
    /^([^\n]*)\n-+\nSQL State +: ([^\n]*)\nError Code +: ([^\n]*)\nMessage +: ([\s\S]*?)(?:\nLocation +: [\s\S]*?\nLine +: (\d+)\n[\s\S]*)?$/.exec(
      plain,
    );
  if (!parts) return plain;
  const [, title = "", state, code, message = "", line] = parts;
  const what = message.trim();
  const where = line === undefined ? "" : ` at line ${line}`;
  return `${title.endsWith(what) ? title : `${title}${where}: ${what}`} (error ${code}, SQL state ${state})`;
}

/** Where a statement stood that failed. */
export interface FailedStatement {
  /** Path on the host. */
  readonly file: string;
  /** Where in the file the statement begins, from 1. */
  readonly line: number;
  readonly statement: string;
}

/** Where an error says that a statement stood; the path is there twice, and a name may have anything in it. */
const LOCATIONS = [
  /\nLocation +: (.+) \(\1\)\nLine +: (\d+)\nStatement +: ([\s\S]*)/s,
  /\nLocation +: ([^\n]+) \([^\n]*\)\nLine +: (\d+)\nStatement +: ([\s\S]*)/,
];

/** The statement of a script that an error is of; undefined for any other error. */
export function failedStatementIn(error: FlywayError): FailedStatement | undefined {
  const match = LOCATIONS.map((location) => location.exec(error.message)).find((found) => found !== null);
  if (!match) return undefined;
  const [, file, line, statement] = match as unknown as [string, string, string, string];
  return { file, line: Number(line), statement: statement.replace(/\n+$/, "") };
}

/** Whether an error is of a script in the bucket, not of Flyway's own work. */
export function isOfScript({ message }: FlywayError): boolean {
  return /\nLocation +: /.test(message);
}

/**
 * Whether an error is Flyway's word on the content, so that the same content would have it again: not where the
 * connection, the JVM or the lock by which Flyways keep out of one another's way let it down.
 */
export function isOnContent(error: FlywayError): boolean {
  if (/MySQL named lock/.test(error.message)) return false;
  return !["DB_CONNECTION", NO_RESULT].includes(error.errorCode) || isOfScript(error);
}

/** Whether an error is of a statement that waited for a lock in vain: https://mariadb.com/kb/en/e1205/ */
export function isLockTimeout({ sqlErrorCode }: FlywayError): boolean {
  return sqlErrorCode === 1205;
}

/** Whether a statement is none that the server understands, so that nothing of it was done: https://mariadb.com/kb/en/e1064/ */
export function isSyntaxError({ sqlErrorCode }: Pick<FlywayError, "sqlErrorCode">): boolean {
  return sqlErrorCode === 1064;
}

/** Whether a statement runs others: one of those may be what the server cannot read, behind some that it did. */
export function runsOthers(statement: string): boolean {
  return /\b(CALL|EXECUTE|BEGIN)\b/i.test(statement);
}

/** Whether Flyway had no connection at all, and so did nothing. */
export function isWithoutConnection({ message }: FlywayError): boolean {
  return message.includes("Unable to obtain connection");
}

/** The error code of what ended without a result that can be read: also Flyway's own for what it has no other. */
export const NO_RESULT = "FAULT";

/** What a state says of the file that has it. */
export type StateMeaning =
  /** The database has its content. */
  | "applied"
  /** The database has its content by something else. */
  | "covered"
  /** It has not been tried. */
  | "untried"
  | "failed"
  /** There is no such file any more, or not in this edition of Flyway. */
  | "foreign";

/**
 * All states that `info` tells: MigrationState in flyway-core 7.7.3, 8.5.13, 9.22.3, 10.22.0, 11.8.2 and 12.5.0. A repeatable file
 * has an entry for each time that it was applied; the last is what counts.
 */
export const STATES: Readonly<Record<string, StateMeaning>> = {
  Success: "applied",
  "Out of Order": "applied",
  Baseline: "applied",
  Superseded: "applied",
  "Below Baseline": "covered",
  "Ignored (Baseline)": "covered",
  Pending: "untried",
  Outdated: "untried",
  Ignored: "untried",
  "Above Target": "untried",
  Failed: "failed",
  "Failed (Missing)": "failed",
  "Failed (Future)": "failed",
  Missing: "foreign",
  Future: "foreign",
  Deleted: "foreign",
  Undone: "foreign",
  Available: "foreign",
};

/** What `info` says of each file, by its path. */
export function migrationsByFile(info: FlywayInfo | null): Map<string, InfoMigration> {
  return new Map(info?.migrations?.map((migration) => [migration.filepath, migration]));
}

/** The paths of the files that have failed, in the order of Flyway's history. */
export function failedFilesIn(info: FlywayInfo | null): string[] {
  const failed = (info?.migrations ?? []).filter(({ state }) => STATES[state] === "failed");
  return failed.map(({ filepath }) => filepath).filter((filepath) => filepath !== "");
}

/** Whether Flyway's history has a file, or covers it, as far as `info` says. */
export function isInHistory(info: FlywayInfo | null, file: string): boolean {
  const { state = "" } = migrationsByFile(info).get(file) ?? {};
  return ["applied", "covered", "failed"].includes(STATES[state] ?? "");
}

/** The states of an applied migration whose file is not there. */
export function isMissingState(state: string): boolean {
  return state === "Missing" || state === "Failed (Missing)";
}

/** Findings of `validate` that a repair would not hide: what failed, and what is yet to be applied. */
export function isLeftByRepair(errorCode: string): boolean {
  return /^FAILED_|^OUTDATED_|_NOT_APPLIED$/.test(errorCode);
}

/**
 * The moment at which Flyway runs a file of that name, `afterMigrate`; undefined for what is no callback.
 * https://documentation.red-gate.com/fd/callback-events-277579314.html
 */
export function eventOf(name: string): string | undefined {
  return /^((?:before|after)(?:Each)?[A-Z][A-Za-z]*|createSchema)(?:__.*)?[.]sql$/.exec(name)?.[1];
}

export function isCallback(name: string): boolean {
  return eventOf(name) !== undefined;
}

/** Whether a callback runs on the connection of a file, with it or behind its failure. */
export function isAroundFile(event: string | undefined): boolean {
  return event !== undefined && /EachMigrate|Error$/.test(event);
}

/** Whether no run here is to come to an event: of Flyway's other commands, and of `info`, which each run asks for itself. */
export function isUnusedEvent(event: string): boolean {
  return /^(before|after)(Each)?(Clean|Undo|Info)/.test(event);
}

/** The version in a file's name, as `info` has it; undefined for a repeatable one. */
export function versionIn(name: string): string | undefined {
  return /^[VB](\d+(?:[._]\d+)*)(?:__|[.]sql$)/.exec(name)?.[1]?.replaceAll("_", ".");
}

/** How much of a text in a result is kept, in characters. */
const TEXT_LENGTH = 8_000;

/** Java's own, of no use to a reader. */
const STACK_MEMBERS = ["stackTrace", "cause", "exception"];

/**
 * Reads what Flyway prints for `-outputType=json`, and gives it one shape, whichever release it is of: where one of several
 * commands failed, it is the result of that; an error has the two codes that some releases have in its message
 * alone.
 *
 * @param commands what it was started with
 * @returns a result for each command, or the failure of one; undefined for what is neither
 */
export function parseResult(
  output: string,
  commands: readonly string[],
): { readonly results: readonly FlywayResult[]; readonly error?: FlywayError } | undefined {
  let whole: FlywayResult & { individualResults?: FlywayResult[]; operation?: string; success?: boolean };
  try {
    whole = JSON.parse(output, (name, value) => {
      if (STACK_MEMBERS.includes(name)) return undefined;
      if (typeof value === "string" && value.length > TEXT_LENGTH) return `${value.slice(0, TEXT_LENGTH)}…`;
      return value;
    });
  } catch {
    return undefined;
  }
  if (typeof whole !== "object" || whole === null) return undefined;
  const results: (typeof whole)[] = whole.individualResults ?? [whole];
  const failed = results.find(({ error }) => error) ?? (whole.error ? whole : undefined);
  if (failed?.error) {
    const error = withCodes(failed.error);
    return { results: [{ ...failed, error }], error };
  }
  const operations = results.filter(({ success }) => success !== false).map(({ operation }) => operation);
  if (operations.join(" ") !== commands.join(" ")) return undefined;
  return { results };
}

/** A message that ends in what Flyway could not read; a placeholder has a name, and no value. */
const UNREADABLE =
  /^(Unable to parse statement in [\s\S]*? at line \d+ col \d+\.)(?!\s*No value provided)([\s\S]*)/;

/**
 * A failure's message without passwords, be they in its statement or in what the server quotes of it. Paths have none, whatever a file
 * is called.
 */
function withoutSecrets(message: string): string {
  const [, title, unread] = UNREADABLE.exec(message) ?? [];
  if (title !== undefined && unread !== undefined) return title + withoutPasswords(unread);
  const [before = "", ...rest] = message.split(/(?=\nStatement +: )/);
  const statement = rest.join("");
  const parts = before.split(/(?=\n(?:Message|Location) +: )/);
  const said = parts.find((part) => part.startsWith("\nMessage")) ?? (parts[0] as string);
  const isInStatement = mayHavePassword(statement);
  if (!isInStatement && !mayHavePassword(said)) return message;
  // Where the server alone says that a value is one, it may be any of them
  const shown = isInStatement ? withoutPasswords(statement) : withoutValues(statement);
  const safe = withoutQuotes(said, shown);
  // Some releases say in the first line too what the server says
  const words = said.replace(/^\nMessage +: /, "");
  return (
    parts
      .map((part) => (part === said ? safe : part.replaceAll(words, () => withoutQuotes(words, shown))))
      .join("") + shown
  );
}

/** Words of the server's own in its quotes: `Unknown column 'x' in 'field list'`. */
const CLAUSES =
  "field list where on order having clause group statement select insert into values update delete set";

/** A message whose quotes have nothing but the name of what is there, or is missed. */
const OF_NAME = /^(\nMessage +: )?(Table|View|Field|Column|Key column) '[\w$.]+' [\w\u2019 ]+$/;

/** The end of a message that names where a value was to go, or where the server was. */
const PLACE = /(?: for (?:key|column) (?:'[\w$.]+'|[\w$.`]+))?(?: at (?:line|row) \d+)?$/;

/**
 * A message of the server's without what it quotes, unless that is a name, or only has words of a text. Where a value has a quote in
 * it, or the message is cut, nobody can tell where it ends: all to the end is left out, but for the place.
 */
function withoutQuotes(given: string, text: string): string {
  const message = given.replaceAll("n't", "n\u2019t"); // that is no quote
  if (OF_NAME.test(message)) return given;
  const place = PLACE.exec(message) as RegExpExecArray;
  const said = message.slice(0, place.index);
  const words = new Set(`${CLAUSES} ${text}`.toLowerCase().match(/[\w$]+/g));
  const isWords = (quoted: string) =>
    /^'[\w$. ]+'$/.test(quoted) &&
    (quoted.toLowerCase().match(/[\w$]+/g) ?? []).every((word) => words.has(word));
  const quoted = said.match(/'[^']*('|$)/g) ?? [];
  if (quoted.every(isWords) && !/\b(entry|value:?) '/.test(said)) return given;
  return `${said.slice(0, said.indexOf("'"))}'…'${place[0]}`.replaceAll("n\u2019t", "n't");
}

function withCodes(given: FlywayError): FlywayError {
  const error = { ...given, message: withoutSecrets(given.message ?? "") };
  const line = (name: string) => new RegExp(`\\n${name} +: ([^\\n]+)`).exec(`\n${error.message}`)?.[1];
  const code = line("Error Code");
  return {
    ...error,
    errorCode: error.errorCode ?? "ERROR",
    sqlState: error.sqlState ?? line("SQL State") ?? null,
    sqlErrorCode: error.sqlErrorCode ?? (code === undefined ? null : Number(code)),
  };
}
