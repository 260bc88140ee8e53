import { versionIn } from "../records/findings";
import {
  bookkeepingOf,
  failedEvent,
  failedStatementIn,
  NO_RESULT,
  STATES,
  unwrittenVersion,
} from "../records/flyway";
import { type FlywayError, type FlywayInfo, fileName, keyOf } from "../records/record";
import type { FailedFile } from "./landed";

export interface TriedInput {
  readonly error: FlywayError;
  /** As Flyway tells them after the failure; null where it cannot. */
  readonly info: FlywayInfo | null;
  readonly location: string;
  /** Keys of the bucket. */
  readonly keys: readonly string[];
  /** The scripts in Flyway's history before, as keys. */
  readonly scripts: readonly string[];
}

/** The file that ran when Flyway failed, and whether its history has that. */
export interface TriedFile {
  readonly file: FailedFile;
  readonly isRecorded: boolean;
}

/** Callbacks that run before a file: all others for each file run in the midst of it, or after it. */
const BEFORE_A_FILE = "beforeEachMigrate";

/**
 * The file that ran, or may have run, when Flyway failed: by the error, and else by the order of the files, for what is before it is
 * in the history. When in doubt whether a file ran, it did; undefined where none can have.
 *
 * @param isTouched whether something is other than before in the schema; undefined where that is not known
 */
export function triedFile(input: TriedInput, isTouched: boolean | undefined): TriedFile | undefined {
  const { error, info, location, keys } = input;
  const event = failedEvent(error);
  const failed = failedStatementIn(error);
  if (event?.includes("Each") && event !== BEFORE_A_FILE) return unrecorded(nextFile(input));
  // A message of the server's, which a script may make, can look as if it named one
  if (failed && keys.includes(keyOf(location, failed.file))) {
    const state = info?.migrations?.findLast(({ filepath }) => filepath === failed.file)?.state;
    const isRecorded = event !== undefined || STATES[state ?? ""] === "failed";
    return { file: failed, isRecorded };
  }
  if (failed || event) return undefined;
  const bookkeeping = bookkeepingOf(error);
  const mayHaveRun =
    bookkeeping === "after" ||
    (bookkeeping === "perhaps" && (isTouched !== false || !mayPass(error))) ||
    (error.errorCode === NO_RESULT && isTouched === true);
  return mayHaveRun ? unrecorded(nextFile(input)) : undefined;
}

/** An error that comes and goes, such as of a connection, and takes back what was not committed. */
function mayPass({ sqlState }: FlywayError): boolean {
  return /^(08|40)/.test(sqlState ?? "");
}

function unrecorded(file: string | undefined): TriedFile | undefined {
  return file === undefined ? undefined : { file: { file, line: null, statement: null }, isRecorded: false };
}

/** The file whose turn it was, as a path. */
function nextFile({ error, info, location, scripts }: TriedInput): string | undefined {
  const untried = (info?.migrations ?? []).filter(
    ({ state, filepath }) => STATES[state] === "untried" && filepath,
  );
  const version = unwrittenVersion(error);
  const named = untried.find(
    ({ filepath }) => version !== undefined && versionIn(fileName(filepath)) === version,
  );
  const next = untried.find(({ filepath }) => !scripts.includes(keyOf(location, filepath)));
  return (named ?? next ?? untried[0])?.filepath;
}
