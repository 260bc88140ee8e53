import type { LockHolder } from "./work";

/**
 * What a run says of one object.
 *
 * | verdict | meaning |
 * | --- | --- |
 * | `applied` | the run applied it |
 * | `already-applied` | the database has had its content since before |
 * | `refused` | it was not tried: its name, version or content, or a file before it, stands against it |
 * | `failed` | it was tried and failed, or the run that should have tried it did |
 */
export type Verdict = "applied" | "already-applied" | "refused" | "failed";

/** The verdict of an upload, over all runs. */
export type OverallVerdict = Verdict | "superseded" | "pending";

/**
 * What a run was asked for.
 *
 * | operation | what is done |
 * | --- | --- |
 * | `migrate` | the bucket's content is migrated |
 * | `repair` | before that, failed migrations are taken out of Flyway's history |
 * | `baseline` | before that, Flyway's history, in which nothing is applied, is made anew at `baseline_version` |
 * | `validate` | nothing is migrated: `flyway.validate` compares the history with the bucket; `objects` are as runs before judged them |
 */
export const OPERATIONS = ["migrate", "repair", "baseline", "validate"] as const;

export type Operation = (typeof OPERATIONS)[number];

/**
 * The run record: what a run leaves in its bucket, as
 * `.flyway/runs/<number, 8 digits>-<end of the run>-<command id>.json`. Written by the runner, described for others by
 * record.schema.json. Whoever reads it needs no knowledge of Flyway: `jq '.objects[] | {key, verdict, message}'`.
 */
export interface RunRecord {
  readonly recordVersion: 2;
  /**
   * One more than that of the newest record that the host knew of, its own or the bucket's. Runs of a bucket are in
   * its order, whatever the clocks of hosts say.
   */
  readonly number: number;
  /** Run Command's id; its output in CloudWatch stands under it. */
  readonly commandId: string;
  readonly bucket: string;
  readonly schema: string;
  /** The host's instance id. */
  readonly host: string;
  readonly flywayVersion: string;
  readonly flywayConf: string;
  readonly operation: Operation;
  /** ISO 8601, UTC, by the host's clock; so is `finishedAt`. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** The folder on the host that held the bucket's content: an object's file is `<location>/<key>`. */
  readonly location: string;
  /** 0 if the database is now what the bucket holds, and what was asked for was done; of `validate`, if nothing was found. */
  readonly exitCode: number;
  /** How often Flyway was started to migrate: more than once where the database was not ready. */
  readonly attempts: number;
  /** Why the run ended without a result of Flyway's, or which applied files are missing from the bucket; null where nothing is. */
  readonly reason: string | null;
  /** Why the repair, or the baseline, that was asked for was not done; null where it was, or none was asked for. */
  readonly repairRefused: string | null;
  /** Whether the run before failed by the same: nobody needs to hear of it again. False in a record of a former host's. */
  readonly isRepetition: boolean;
  /**
   * The runs of this bucket since the last record of this host that began and left none, oldest first, at most 20: they
   * were killed, because the command was cancelled, took too long or its host went down.
   */
  readonly interrupted: readonly InterruptedRun[];
  /** When the bucket last changed before the run looked, deletions included, by S3's clock; null for an empty one. */
  readonly newestChange: string | null;
  /** Exactly the `.sql` objects that the run saw in the bucket, by key, and what it says of each. */
  readonly objects: readonly JudgedObject[];
  /** When the migration began, by the database's clock; null where the database was not reached. */
  readonly databaseTime: string | null;
  /** What a migration that failed has left in the schema; null where none failed. */
  readonly halfApplied: HalfApplied | null;
  /**
   * Key of the file that waited for a lock in vain, and of which nothing landed: its failed migration was taken out of Flyway's
   * history, and the next run tries it again. Null where there is none.
   */
  readonly takenOut: string | null;
  /** Who held the lock that a statement waited for in vain; none where none did, or the server does not tell. */
  readonly lockHolders: readonly LockHolder[];
  /**
   * The file that ran, while Flyway could not write that into its history: with this content it is not tried again unless a repair is
   * asked for. Null where there is none.
   */
  readonly unrecorded: Pick<SeenObject, "key" | "eTag"> | null;
  /** The time in seconds after which the migration was ended, by its migration_timeout; null where it was not. */
  readonly timedOutAfter: number | null;
  /** Flyway's own JSON, without Java's stack traces; null where it was not reached. */
  readonly flyway: {
    readonly migrate: FlywayMigrate | null;
    readonly info: FlywayInfo | null;
    readonly validate: FlywayValidate | null;
    readonly repair: FlywayRepair | null;
  };
}

export interface InterruptedRun {
  /** As the record's; the same where the agent repeats a command that was under way when its host was rebooted. */
  readonly commandId: string;
  /** ISO 8601, UTC, by the host's clock. */
  readonly startedAt: string;
}

export interface SeenObject {
  readonly key: string;
  readonly versionId: string;
  readonly eTag: string;
  /** Bytes. */
  readonly size: number;
  readonly lastModified: string;
}

export interface JudgedObject extends SeenObject {
  readonly verdict: Verdict;
  /** The reason, for a person; empty where there is nothing to say. */
  readonly message: string;
  /** What to do about it; null where nothing is, or it is not known. */
  readonly remedy: string | null;
}

/** What the host itself refuses of a bucket. */
export interface Refusal {
  readonly key: string;
  readonly message: string;
  /** What to do about it. */
  readonly remedy: string;
  /**
   * Whether nothing is migrated while it stands.
   * @default false: it is left aside
   */
  readonly holdsBack?: boolean;
}

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
    | "unrecorded"
    | "lockHolders"
    | "timedOutAfter"
    | "flyway"
  > {
  readonly objects: readonly SeenObject[];
  /** The objects that the host itself refused. */
  readonly refused: readonly Refusal[];
  /** The scripts in Flyway's history before it, as keys; none where the schema could not be looked at. */
  readonly scripts: readonly string[];
}

/** What a failed migration has left in the schema: MySQL cannot take DDL back. */
export interface HalfApplied {
  /** Of the file that failed. */
  readonly key: string;
  /** Where in the file the failed statement begins; null where a run was killed and left no word. */
  readonly line: number | null;
  /** The failed statement, its first 2,000 characters; null as `line`. */
  readonly statement: string | null;
  /** Keys of other files that were applied since the schema was looked at. */
  readonly applied: readonly string[];
  /**
   * What is other than before: at most 200 changes; where other files were applied, only what the failed one can have done.
   * Null where the schema could not be looked at.
   */
  readonly changes: readonly SchemaChange[] | null;
  /** How many changes more there are. */
  readonly moreChanges: number;
  /**
   * Names of other schemas that the file names up to that statement: what it did in there is not known. Older records do not
   * have it.
   */
  readonly otherSchemas?: readonly string[];
}

export interface SchemaChange {
  /** `routine`: a procedure or a function; `schema`: one of the server's schemas, as a whole. */
  readonly kind:
    | "table"
    | "column"
    | "index"
    | "view"
    | "routine"
    | "trigger"
    | "event"
    | "foreign key"
    | "check"
    | "schema";
  /** `table.column`, `table.index`, `table.foreign key`, `table.check`; else the name alone. */
  readonly name: string;
  /**
   * How it is: a table's engine, collation, comment and partitions, a column's type, collation and comment, an index's columns, a
   * schema's collation, the definition of any other. At most 200 characters, though compared as a whole: a long one may look the
   * same as `after`. Null: it was not there.
   */
  readonly before: string | null;
  /** As `before`; null: it is gone. */
  readonly after: string | null;
  /** Whether it may be the doing of a file of `applied`. */
  readonly shared: boolean;
}

/** What `flyway migrate` says, as far as it is read here. A run that fails may have nothing but `error`. */
export interface FlywayMigrate {
  readonly migrations?: readonly { readonly filepath: string; readonly executionTime: number }[];
  readonly error?: FlywayError;
}

/** What `flyway info` says: each migration, resolved or applied, and its state. */
export interface FlywayInfo {
  readonly migrations?: readonly {
    readonly filepath: string;
    readonly state: string;
    readonly installedOnUTC?: string;
    /** Empty or null for what has none. */
    readonly version?: string | null;
    readonly description?: string | null;
    /** `SQL`, `SQL_BASELINE`, `BASELINE`, `SCHEMA`. */
    readonly type?: string | null;
  }[];
}

/** What `flyway validate` says after a run has failed. */
export interface FlywayValidate {
  readonly invalidMigrations?: readonly {
    readonly filepath: string;
    readonly errorDetails: { readonly errorCode: string; readonly errorMessage: string };
  }[];
  readonly error?: FlywayError;
}

/** What `flyway repair` says. */
export interface FlywayRepair {
  readonly repairActions?: readonly string[];
  readonly error?: FlywayError;
}

/** Why Flyway failed. Where a release of it has the two codes in its message alone, the host takes them from there. */
export interface FlywayError {
  readonly errorCode: string;
  readonly message: string;
  readonly sqlState?: string | null;
  /** The server's; 0 or -1 for an error of the driver's own. */
  readonly sqlErrorCode?: number | null;
}

/** A bucket's objects from before it was versioned all have the version id "null". */
export function versionOf({ key, versionId }: Pick<SeenObject, "key" | "versionId">): string {
  return `${versionId}/${key}`;
}

/** The file of an object, in the folder that holds the bucket's content. */
export function fileOf(location: string, key: string): string {
  return `${location}/${key}`;
}

/** The key of an object, by its file. */
export function keyOf(location: string, file: string): string {
  return file.slice(location.length + 1);
}

/** The last part of a key, or of a path. */
export function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** What is the host's in a bucket. No migration is looked for below it. */
export const FLYWAY_FOLDER = ".flyway/";

/** Where the run records of a bucket are. Records end in `.json`, so that no notification matches. */
export const RECORD_PREFIX = ".flyway/runs/";
