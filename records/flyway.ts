import type { FlywayError, FlywayInfo, FlywayMigrate, FlywayRepair, FlywayValidate } from "./record";

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

/** What Flyway says when it has looked at the files and will not begin. */
const REFUSAL_CODES = /^(VALIDATE_ERROR|DUPLICATE_\w+)$/;
const REFUSAL_MESSAGE = /^Invalid SQL filenames found/;

/** Whether an error means that Flyway looked at the files and tried none of them. */
export function isRefusal(error: Partial<FlywayError>): boolean {
  return REFUSAL_CODES.test(error.errorCode ?? "") || REFUSAL_MESSAGE.test(error.message ?? "");
}

/** Whether a message is of a callback that failed. It leaves nothing in the history, so there is nothing to repair. */
export function isCallbackFailure(message: string): boolean {
  return /^Error while executing \w+ callback: /.test(message);
}

/** Where a statement stood that failed. */
export interface FailedStatement {
  /** Path on the host. */
  readonly file: string;
  /** Where in the file the statement begins, from 1. */
  readonly line: number;
  readonly statement: string;
}

/** The statement of a script that an error is of; undefined for any other error. */
export function failedStatementIn(error: FlywayError): FailedStatement | undefined {
  const match = /\nLocation +: ([^\n]+) \([^\n]*\)\nLine +: (\d+)\nStatement +: ([\s\S]*)/.exec(
    error.message,
  );
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

/** Whether Flyway had no connection at all, and so did nothing. */
export function isWithoutConnection({ message }: FlywayError): boolean {
  return message.includes("Unable to obtain connection");
}

/** The error code of what ended without a result that can be read: also Flyway's own for what it has no other. */
export const NO_RESULT = "FAULT";

/** The states of what is in the database as it is in the bucket. */
const APPLIED_STATES = /^(Success|Out of Order|Baseline)$/;

export function isAppliedState(state: string): boolean {
  return APPLIED_STATES.test(state);
}

/** The states of what has not been tried. */
const UNTRIED_STATES = /^(Pending|Ignored|Outdated)$/;

export function isUntriedState(state: string): boolean {
  return UNTRIED_STATES.test(state);
}

export function isFailedState(state: string): boolean {
  return state.startsWith("Failed");
}

/** Findings of `validate` that a repair would not hide: what failed, and what is yet to be applied. */
export function isLeftByRepair(errorCode: string): boolean {
  return /^FAILED_|^OUTDATED_|_NOT_APPLIED$/.test(errorCode);
}

/** Names of files that Flyway runs at a moment of its own: https://documentation.red-gate.com/fd/callback-events-277579314.html */
export function isCallback(name: string): boolean {
  return /^((before|after)(Each)?[A-Z][A-Za-z]*|createSchema)(__.*)?[.]sql$/.test(name);
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

function withCodes(error: FlywayError): FlywayError {
  const line = (name: string) => new RegExp(`\\n${name} +: ([^\\n]+)`).exec(`\n${error.message ?? ""}`)?.[1];
  const code = line("Error Code");
  return {
    ...error,
    message: error.message ?? "",
    errorCode: error.errorCode ?? "ERROR",
    sqlState: error.sqlState ?? line("SQL State") ?? null,
    sqlErrorCode: error.sqlErrorCode ?? (code === undefined ? null : Number(code)),
  };
}
