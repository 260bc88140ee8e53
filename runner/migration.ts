import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { decode } from "../deployment/decode";
import { failureOf } from "../records/failures";
import {
  eventOf,
  type FlywayResult,
  failedEvent,
  failedFilesIn,
  failedStatementIn,
  isAroundFile,
  isInHistory,
  isLeftByRepair,
  isLockTimeout,
  isOfBookkeeping,
  isOfHistoryLock,
  isOnContent,
  isRefusal,
  isWithoutConnection,
  NO_RESULT,
  STATES,
} from "../records/flyway";
import {
  type FlywayError,
  fileName,
  fileOf,
  type HalfApplied,
  keyOf,
  type Operation,
  type Refusal,
  type SeenObject,
} from "../records/record";
import { lineOf } from "../records/text";
import type { Credentials } from "./credentials";
import type { Look, UnwritableNames } from "./database";
import { messageOf } from "./failure";
import { firstStatement, isAllOrNothing, withoutUnread } from "./first";
import {
  type Files,
  flawedFiles,
  ignoredFiles,
  namesBeyondAscii,
  refusedByHistory,
  untriedOnly,
  unwritableFiles,
} from "./flaws";
import type { Answer } from "./flyway";
import { type FailedFile, landed, othersApplied, type Reading } from "./landed";
import type { Log } from "./log";
import { triedFile } from "./tried";

/** What became of a bucket's content in a run. */
export type Outcome =
  /** The database is what the bucket holds. */
  | { readonly kind: "migrated" }
  /** What is left of it was not tried: its names, versions or content stand against it. */
  | { readonly kind: "refused"; readonly reason: string | null }
  /**
   * A file, or the run before, failed, and has left this in the schema; null where nothing is known to be of it. `unrecorded` is the
   * key of a file that ran and that Flyway's history does not have; null where there is none.
   */
  | { readonly kind: "failed"; readonly landed: HalfApplied | null; readonly unrecorded: string | null }
  /** A file waited for a lock in vain; nothing of it landed, and its failed row is out of Flyway's history. The next run tries again. */
  | { readonly kind: "locked"; readonly key: string }
  /** It was not judged: the database, AWS or the host let the run down. The next run tries again. */
  | { readonly kind: "unreachable" };

/** What Flyway said, by command; null where it was not started. */
export interface Results {
  readonly migrate: FlywayResult | null;
  readonly info: FlywayResult | null;
  readonly validate: FlywayResult | null;
  readonly repair: FlywayResult | null;
}

export interface Migration {
  readonly outcome: Outcome;
  readonly results: Results;
  /** The files of the bucket that are refused here, and not by Flyway. */
  readonly refused: readonly Refusal[];
  /** How often it was tried to migrate. */
  readonly attempts: number;
  /** As the record's. */
  readonly repairRefused: string | null;
  /** What the schema was before; undefined where it could not be looked at. */
  readonly before: Look | undefined;
}

/** What a migration needs of the world. */
export interface MigrationSteps {
  /** Who logs in, read for each attempt: a rotated secret may be the former one for a minute. */
  credentials(): Promise<Credentials>;
  flyway(commands: readonly string[], credentials: Credentials): Promise<Answer>;
  /** Undefined where the schema cannot be looked at. */
  look(credentials: Credentials): Promise<Look | undefined>;
  /** Those of some keys that Flyway's history cannot hold; undefined where that cannot be asked. */
  unwritableNames(keys: readonly string[], credentials: Credentials): Promise<UnwritableNames | undefined>;
  /** Keeps what the schema is before the migration, for the case that this run is killed. */
  remember(before: Look): void;
  /** Whether all tables of the server take back what a statement wrote that failed. */
  takesBack(credentials: Credentials): Promise<boolean>;
  /** Takes a file's failed row out of Flyway's history; whether that could be done. */
  takeOutFailed(key: string, credentials: Credentials): Promise<boolean>;
  /** Removes Flyway's history if nothing is applied in it; the scripts that are, or undefined where that cannot be done. */
  removeUnappliedHistory(credentials: Credentials): Promise<readonly string[] | undefined>;
  /** Whether the migration took longer than it may: then it is not tried again. */
  isOverLimit(): boolean;
}

export interface MigrationInput extends Files, Reading {
  readonly operation: Operation;
  readonly schema: string;
  readonly flywayVersion: string;
  readonly objects: readonly SeenObject[];
  /** Keys of files that were applied, as far as it is known. */
  readonly applied: readonly string[];
  /** Whether no baseline_version is set. */
  readonly isBaselinedByDefault: boolean;
  /** What a run that was killed before saw of the schema. */
  readonly former: Look | undefined;
  /** Key of a file that has run, as it is, and that Flyway's history does not have: it is not tried again but for a repair. */
  readonly unrecorded: string | null;
  readonly retrySeconds: number;
  readonly log: Log;
}

/** The most attempts, and how long it is waited before each but the first, in milliseconds. */
const ATTEMPTS = 60;
const PAUSE = 5_000;

/** Brings a database to a copy of its bucket; a database that is resuming, failing over or rotating its password is given time. */
export async function migrate(input: MigrationInput, steps: MigrationSteps): Promise<Migration> {
  const { operation, location, log } = input;
  const flawed = await flawedFiles(input);
  let unusualNames = namesBeyondAscii(input);
  const deadline = Date.now() + input.retrySeconds * 1_000;
  const refused: Refusal[] = [];
  const results: { -readonly [command in keyof Results]: Results[command] } = {
    migrate: null,
    info: null,
    validate: null,
    repair: null,
  };
  let before = input.former;
  let isTouched = false;
  /** Whether what is done before the migration is done, or refused. */
  let isPrepared = false;
  let repairRefused: string | null = null;
  let attempts = 0;
  let credentials: Credentials;
  const end = (outcome: Outcome): Migration => ({
    outcome,
    results,
    refused,
    attempts,
    repairRefused,
    before,
  });
  /** Starts Flyway and keeps what it says. */
  const flyway = async (commands: readonly (keyof Results)[]): Promise<FlywayError | undefined> => {
    const answer = await steps.flyway(commands, credentials);
    commands.forEach((command, index) => {
      const result = answer.results[index];
      if (result) results[command] = result;
    });
    return answer.error;
  };
  const refuse = (reason: string): void => {
    repairRefused = reason;
    log.complain(`${operation.toUpperCase()} REFUSED: ${reason}`);
    isPrepared = true;
  };
  const baseline = async (): Promise<FlywayError | undefined> => {
    const error = await flyway(["info"]);
    if (error) return error;
    const reason = reasonAgainstBaseline(before, input.isBaselinedByDefault);
    const applied = reason === null ? await steps.removeUnappliedHistory(credentials) : [];
    if (reason !== null) refuse(reason);
    else if (!applied) refuse("Flyway's history cannot be removed: look at the log of the run");
    else if (applied.length > 0) {
      refuse(
        `Flyway's history has what is applied, which would be forgotten: ${applied.slice(0, 5).join(", ")}`,
      );
    } else if (before) {
      log.say(`making Flyway's history of schema ${input.schema} anew`);
      before = { ...before, scripts: [] };
      steps.remember(before);
      isPrepared = true;
    }
    return undefined;
  };
  const repair = async (): Promise<FlywayError | undefined> => {
    const error = (await flyway(["info"])) ?? (await validateError());
    if (error) return error;
    const isFailed = results.info?.migrations?.some(({ state }) => STATES[state] === "failed") ?? false;
    if (input.unrecorded !== null) log.say(`trying ${input.unrecorded} again`);
    isPrepared = input.unrecorded !== null && !isFailed; // nothing of it is in the history
    if (isPrepared) return undefined;
    const reason = reasonAgainstRepair(isFailed, results.validate);
    if (reason !== null) {
      refuse(reason);
      return undefined;
    }
    log.say(`repairing Flyway's history of schema ${input.schema}`);
    const taken = failedFilesIn(results.info).map((file) => keyOf(location, file));
    const failure = await flyway(["repair"]);
    isPrepared = failure === undefined;
    if (isPrepared && before) {
      before = { ...before, scripts: before.scripts.filter((script) => !taken.includes(script)) };
      steps.remember(before);
    }
    return failure;
  };
  /** Validate answers what it finds without an error; but from some release on it fails too. */
  const validateError = async () => {
    const error = await flyway(["validate"]);
    return results.validate?.invalidMigrations ? undefined : error;
  };
  const attempt = async (): Promise<FlywayError | undefined> => {
    const prepare = operation === "repair" ? repair : operation === "baseline" ? baseline : undefined;
    if (prepare && !isPrepared) {
      const error = await prepare();
      results.info = results.validate = null; // they are of before the migration
      if (error) return error;
    }
    const unwritable =
      unusualNames.length > 0 ? await steps.unwritableNames(unusualNames, credentials) : undefined;
    if (unwritable) {
      flawed.push(...unwritableFiles(unwritable));
      unusualNames = [];
    }
    if (flawed.length > 0) {
      const error = await flyway(["info"]);
      if (error && !isRefusal(error)) return error; // of such files, it may be one
      refused.push(...untriedOnly(flawed, results.info, location, before?.scripts ?? []));
      if (refused.length > 0) return undefined;
    }
    return flyway(["migrate", "info"]);
  };

  log.say(`migrating schema ${input.schema} with Flyway ${input.flywayVersion}`);
  for (;;) {
    attempts++;
    credentials = await steps.credentials();
    if (before === undefined && !isTouched) {
      before = await steps.look(credentials);
      if (before) steps.remember(before);
    }
    if (input.unrecorded !== null && operation !== "repair") {
      await flyway(["info"]);
      const unrecorded = stillUnrecorded();
      if (unrecorded !== null) {
        if (operation === "baseline") refuse(`${unrecorded} has run, and would run again: mend that first`);
        refused.push(...ignoredFiles(input.objects, results.info, location));
        return end({ kind: "failed", landed: null, unrecorded });
      }
    }
    const beginsAnew = before && input.isBaselinedByDefault && refusedByHistory(before, input);
    if (beginsAnew) {
      refused.push(...beginsAnew);
      return end({ kind: "refused", reason: null });
    }
    const error = await attempt();
    if (refused.length > 0) return end({ kind: "refused", reason: reasonOf(refused) });
    if (!error) {
      refused.push(...ignoredFiles(input.objects, results.info, location));
      return end({ kind: "migrated" });
    }
    results.migrate ??= { error };
    const passes = isPassing(error);
    const mayHaveRun = isOfBookkeeping(error);
    const isTimeLeft = !steps.isOverLimit() && Date.now() < deadline && attempts < ATTEMPTS;
    if (passes && !mayHaveRun && isTimeLeft) {
      isTouched ||= !isWithoutConnection(error); // from here on, a look would see what this run did
      log.complain(`the database is not ready, trying again: ${firstPart(error.message)}`);
      results.migrate = null;
      await sleep(PAUSE);
      continue;
    }
    if (passes && !mayHaveRun) {
      log.complain(`gave up after ${attempts} attempts`);
      if (!isWithoutConnection(error)) await flyway(["info"]); // what it has applied, for the record
      return end({ kind: "unreachable" });
    }
    results.info = null;
    // What stands where, for the record
    while (isPassing(await flyway(["info"])) && Date.now() < deadline) await sleep(PAUSE);
    await flyway(["validate"]);
    refused.push(...ignoredFiles(input.objects, results.info, location));
    const after = await steps.look(credentials);
    const isKilled = input.former !== undefined;
    const tried = triedFile({
      ...{ error, location, info: results.info, scripts: before?.scripts },
      keys: input.objects.map(({ key }) => key),
      unapplied: input.unapplied.map(({ key }) => key),
    });
    const failed = tried?.file ?? (isKilled ? failedBefore(input, results.info) : undefined);
    const unrecorded = tried && !tried.isRecorded ? keyOf(location, tried.file.file) : null;
    const others = failed ? othersApplied(results.info, { file: failed.file, location }, before) : [];
    const halfApplied = failed && (await landed({ ...input, failed, before, after, others, isKilled }));
    if (!isOnContent(error) && unrecorded === null) return end({ kind: "unreachable" });
    const hasNoTrace = halfApplied?.changes?.length === 0;
    const isOfCallback = failedEvent(error) !== undefined;
    const isGuess = passes || isOfCallback || isOfHistoryLock(error) || error.errorCode === NO_RESULT;
    if (isGuess && unrecorded !== null && hasNoTrace && (await isTakenBack(unrecorded, error, credentials))) {
      if (isOfCallback) return end({ kind: "failed", landed: null, unrecorded: stillUnrecorded() });
      if (!passes || !isTimeLeft) return end({ kind: "unreachable" });
      log.complain(`nothing of ${unrecorded} is left, trying again: ${firstPart(error.message)}`);
      await sleep(PAUSE);
      results.migrate = results.validate = null;
      refused.length = 0;
      continue;
    }
    const isFirstTry = !isKilled && !isTouched; // else an earlier one may have done more than is in the history
    if (hasNoTrace && isFirstTry && isLockTimeout(error) && unrecorded === null) {
      const { key } = halfApplied;
      const isUndone = await nothingLanded(error, credentials);
      if (isUndone && (await steps.takeOutFailed(key, credentials))) return end({ kind: "locked", key });
    }
    return end(
      isRefusal(error) && !halfApplied
        ? { kind: "refused", reason: null }
        : { kind: "failed", landed: halfApplied ?? null, unrecorded: unrecorded ?? stillUnrecorded() },
    );
  }

  /** The file that ran before, unless Flyway's history has it by now. */
  function stillUnrecorded(): string | null {
    if (input.unrecorded === null) return null;
    return isInHistory(results.info, fileOf(location, input.unrecorded)) ? null : input.unrecorded;
  }

  /** Whether the file of a statement that failed cannot have done anything. */
  async function nothingLanded(error: FlywayError, credentials: Credentials): Promise<boolean> {
    const failed = failedStatementIn(error);
    if (!failed) return false;
    const kind = await tell(failed.file, (sql) => firstStatement(sql, failed, input.placeholderPrefix));
    return kind === "definition" || (kind === "rows" && (await steps.takesBack(credentials)));
  }

  /** Whether the server has taken back all that a file wrote, and the callbacks around it, if nothing of it is in the schema. */
  async function isTakenBack(key: string, error: FlywayError, credentials: Credentials): Promise<boolean> {
    const callbacks = input.objects
      .map(({ key }) => key)
      .filter((key) => isAroundFile(eventOf(fileName(key))));
    const scripts: string[] = [];
    for (const each of [key, ...callbacks]) {
      const sql = await tell(fileOf(location, each), (sql) => sql);
      if (sql === undefined) return false;
      scripts.push(withoutUnread(sql, error));
    }
    return isAllOrNothing(scripts, input.placeholderPrefix) && (await steps.takesBack(credentials));
  }

  /** What is told of a file by its SQL; undefined where it cannot be, be it for its size. */
  async function tell<T>(file: string, of: (sql: string) => T): Promise<T | undefined> {
    try {
      return of(decode(await readFile(file), input.encoding));
    } catch (error) {
      log.complain(`${keyOf(location, file)} cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  }
}

function isPassing(error: FlywayError | undefined): boolean {
  return (error && failureOf(error)?.passes) ?? false;
}

/** Why a bucket is refused, of all its files that are. */
export function reasonOf(refused: readonly Refusal[]): string {
  return `nothing was migrated: ${refused.map(lineOf).join("\n")}`;
}

function firstPart(message: string): string {
  return (message.split("\n---")[0] as string).replace(/^\n+/, "");
}

/** The file that a run which was killed has left as failed, without a word of it. */
function failedBefore(
  { objects, location }: MigrationInput,
  info: FlywayResult | null,
): FailedFile | undefined {
  const file = failedFilesIn(info).at(-1);
  if (file === undefined || !objects.some(({ key }) => fileOf(location, key) === file)) return undefined;
  return { file, line: null, statement: null };
}

/** Without a version, or tables, Flyway would run all files. */
function reasonAgainstBaseline(look: Look | undefined, isBaselinedByDefault: boolean): string | null {
  if (isBaselinedByDefault) {
    return "baseline_version of this database is not set: set it to the version that the schema is at";
  }
  if (!look) return "the schema cannot be looked at";
  const hasTables = look.parts.some(({ kind }) => kind === "table");
  return hasTables ? null : "the schema has no tables: there is nothing to take over";
}

/** Flyway's repair also takes edited and deleted files for the truth, so it is done only where there are none. */
function reasonAgainstRepair(isFailed: boolean, validate: FlywayResult | null): string | null {
  if (!isFailed) {
    return "there is nothing to repair: Flyway has no failed migration in its history";
  }
  const findings = (validate?.invalidMigrations ?? [])
    .filter(({ errorDetails }) => !isLeftByRepair(errorDetails.errorCode))
    .map(({ errorDetails }) => errorDetails.errorMessage);
  const all = [...(validate?.error ? [validate.error.message] : []), ...findings];
  return all.length > 0 ? `a repair would hide this: ${all.join("; ")}` : null;
}
