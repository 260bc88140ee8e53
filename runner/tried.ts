import {
  failedEvent,
  failedFilesIn,
  failedStatementIn,
  isAroundFile,
  isOfBookkeeping,
  migrationsByFile,
  NO_RESULT,
  STATES,
  unwrittenVersion,
  versionIn,
} from "../records/flyway";
import { type FlywayError, type FlywayInfo, fileName, fileOf, keyOf } from "../records/record";
import { byFlywayOrder } from "../records/upload";
import type { FailedFile } from "./landed";

export interface TriedInput {
  readonly error: FlywayError;
  /** As Flyway tells them after the failure; null where it cannot. */
  readonly info: FlywayInfo | null;
  readonly location: string;
  /** Keys of the bucket. */
  readonly keys: readonly string[];
  /** Of them, those that the runs before do not know to be applied as they are. */
  readonly unapplied: readonly string[];
  /** The scripts in Flyway's history before, as keys; undefined where it could not be looked at. */
  readonly scripts: readonly string[] | undefined;
}

/** The file that ran when Flyway failed, and whether its history has that. */
export interface TriedFile {
  readonly file: FailedFile;
  readonly isRecorded: boolean;
}

/** Callbacks that run before a file; all others for each file, and those for errors, run in the midst of it, or after it. */
const BEFORE_A_FILE = "beforeEachMigrate";

/**
 * The file that ran, or may have run, when Flyway failed: by the error, and else by the order of the files, for what is before it is
 * in the history. When in doubt whether a file ran, it did; undefined where none can have.
 */
export function triedFile(input: TriedInput): TriedFile | undefined {
  const { error, info, location, keys } = input;
  const event = failedEvent(error);
  const failed = failedStatementIn(error);
  if (event !== BEFORE_A_FILE && isAroundFile(event)) {
    const behind = failedFilesIn(info).at(-1);
    return behind === undefined ? unrecorded(nextFile(input)) : triedAs(behind, true);
  }
  // A message of the server's, which a script may make, can look as if it named one
  if (failed && keys.includes(keyOf(location, failed.file))) {
    const state = migrationsByFile(info).get(failed.file)?.state ?? "";
    const isRecorded = event !== undefined || STATES[state] === "failed";
    return { file: failed, isRecorded };
  }
  if (failed || event) return undefined;
  const mayHaveRun = isOfBookkeeping(error) || error.errorCode === NO_RESULT;
  return mayHaveRun ? unrecorded(nextFile(input)) : undefined;
}

function unrecorded(file: string | undefined): TriedFile | undefined {
  return file === undefined ? undefined : triedAs(file, false);
}

function triedAs(file: string, isRecorded: boolean): TriedFile {
  return { file: { file, line: null, statement: null }, isRecorded };
}

/** The file whose turn it was, as a path. */
function nextFile(input: TriedInput): string | undefined {
  const { error, location } = input;
  const untried = untriedFiles(input);
  const version = unwrittenVersion(error);
  const left = untried.filter((file) => isLeft(keyOf(location, file), input));
  // Of a file without a version, it is said that its version is null
  const isIt = (file: string) =>
    version !== undefined && versionIn(fileName(file)) === (version ?? undefined);
  const named = left.find(isIt) ?? untried.find(isIt);
  const next = left[0];
  return named ?? next ?? untried[0];
}

/** Whether it was to be run, by what was known before: a version never again, a repeatable file when it is other than it was. */
function isLeft(key: string, { unapplied, scripts }: TriedInput): boolean {
  const isVersion = versionIn(fileName(key)) !== undefined;
  return isVersion && scripts ? !scripts.includes(key) : unapplied.includes(key);
}

/** The files that the history does not have, in the order in which Flyway tries them. */
function untriedFiles(input: TriedInput): string[] {
  const { info, location, keys } = input;
  if (info?.migrations) {
    const newest = migrationsByFile(info); // an edited repeatable file is there once as it was, and once as it is
    return info.migrations
      .filter((migration) => migration.filepath && newest.get(migration.filepath) === migration)
      .filter(({ state }) => STATES[state] === "untried")
      .map(({ filepath }) => filepath);
  }
  return keys
    .filter((key) => /^[VR]/.test(fileName(key)) && isLeft(key, input))
    .sort(byFlywayOrder)
    .map((key) => fileOf(location, key));
}
