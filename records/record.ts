/**
 * The run record: what a run of the host script leaves in its bucket, as
 * `.flyway/runs/<end of the run>-<command id>.json`. Written by assets/flyway-migrate.sh.
 */
export interface RunRecord {
  readonly recordVersion: 1;
  /** Run Command's id; its output in CloudWatch stands under it. */
  readonly commandId: string;
  readonly bucket: string;
  readonly schema: string;
  /** The host's instance id. */
  readonly host: string;
  readonly flywayVersion: string;
  readonly flywayConf: string;
  /** ISO 8601, UTC, by the host's clock; so is `finishedAt`. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** The folder on the host that held the bucket's content: an object's file is `<location>/<key>`. */
  readonly location: string;
  /** 0 if the database is now what the bucket holds. */
  readonly exitCode: number;
  /** Why the run ended without a result of Flyway's; null where there is one. */
  readonly reason: string | null;
  /** Exactly what the run saw in the bucket, by key. */
  readonly objects: readonly SeenObject[];
  /** Flyway's own JSON, without Java's stack traces; null where it was not reached. */
  readonly flyway: {
    readonly migrate: FlywayMigrate | null;
    readonly info: FlywayInfo | null;
    readonly validate: FlywayValidate | null;
  };
}

export interface SeenObject {
  readonly key: string;
  readonly versionId: string;
  readonly eTag: string;
  /** Bytes. */
  readonly size: number;
  readonly lastModified: string;
}

/** What `flyway migrate` says, as far as it is read here. A run that fails may have nothing but `error`. */
export interface FlywayMigrate {
  readonly migrations?: readonly { readonly filepath: string; readonly executionTime: number }[];
  readonly error?: { readonly errorCode: string; readonly message: string };
}

/** What `flyway info` says: each migration, resolved or applied, and its state. */
export interface FlywayInfo {
  readonly migrations?: readonly {
    readonly filepath: string;
    readonly state: string;
    readonly installedOnUTC?: string;
  }[];
}

/** What `flyway validate` says after a run has failed. */
export interface FlywayValidate {
  readonly invalidMigrations?: readonly {
    readonly filepath: string;
    readonly errorDetails: { readonly errorCode: string; readonly errorMessage: string };
  }[];
}

/** Where the run records of a bucket are. Records end in `.json`, so that no notification matches. */
export const RECORD_PREFIX = ".flyway/runs/";

/** Reads a record; undefined for what is none, since whoever may upload may also write below the prefix. */
export function parseRecord(text: string): RunRecord | undefined {
  try {
    const record = JSON.parse(text) as Partial<RunRecord> | null;
    const whole = record?.recordVersion === 1 && Array.isArray(record.objects) && record.flyway !== undefined;
    return whole ? (record as RunRecord) : undefined;
  } catch {
    return undefined;
  }
}
