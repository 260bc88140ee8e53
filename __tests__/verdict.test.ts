import { describe, expect, it } from "vitest";
import { STATES } from "../records/flyway";
import { judge, knownAfter, NOTHING_KNOWN, unrecordedIn } from "../records/judge";
import type {
  EndedRun,
  FlywayError,
  FlywayInfo,
  FlywayMigrate,
  FlywayValidate,
  HalfApplied,
  RunRecord,
  SchemaChange,
} from "../records/record";
import { type Judgement, type UploadedVersion, verdicts as verdictsOfRecords } from "../records/verdict";
import type { LockHolder } from "../records/work";

const LOCATION = "/opt/flyway/work/users1/sql";
const path = (key: string) => `${LOCATION}/${key}`;

/** 2026-01-01, so many seconds after noon, UTC. */
const time = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, seconds)).toISOString();
const second = (seconds: number) => time(seconds).replace(".000Z", "Z");

/** A version of an object, written `key@version`. */
function split(object: string): { key: string; versionId: string } {
  const at = object.lastIndexOf("@");
  return { key: object.slice(0, at), versionId: object.slice(at + 1) };
}

/** A bucket's listing, newest first within a key; a version that begins with `x` is a delete marker. */
function listing(...objects: string[]): UploadedVersion[] {
  return objects.map((object, index) => {
    const { key, versionId } = split(object);
    return { key, versionId, lastModified: time(-index), isDeleteMarker: versionId.startsWith("x") };
  });
}

interface Run {
  /** When it began, in seconds. @default 10 */
  readonly at?: number;
  /** How long it took, in seconds. @default 5 */
  readonly took?: number;
  readonly saw: readonly string[];
  readonly exitCode?: number;
  readonly reason?: string;
  readonly migrate?: FlywayMigrate;
  readonly info?: FlywayInfo;
  readonly validate?: FlywayValidate;
  readonly id?: string;
  /** @default `at` */
  readonly number?: number;
  /** Key to message and remedy. */
  readonly refused?: Readonly<Record<string, readonly [message: string, remedy: string]>>;
  /** Whether nothing is migrated while those stand. @default false */
  readonly holdsBack?: boolean;
  readonly halfApplied?: HalfApplied;
  readonly takenOut?: string;
  readonly unrecorded?: string;
  /** The scripts in Flyway's history before. @default none */
  readonly scripts?: readonly string[];
  readonly lockHolders?: readonly LockHolder[];
  readonly timedOutAfter?: number;
  readonly databaseTime?: string;
  /** When runs that were killed had begun, in seconds. @default none */
  readonly interrupted?: readonly number[];
}

/** A run that has ended, and what its record says beside verdicts. */
type TestRun = EndedRun & Omit<RunRecord, "objects">;

function run(given: Run): TestRun {
  const { at = 10, took = 5, saw, exitCode = 0, reason, migrate, info, validate, id } = given;
  return {
    recordVersion: 2,
    number: given.number ?? at,
    commandId: id ?? `c-${at}`,
    bucket: "users1",
    schema: "Users",
    host: "i-0123456789abcdef0",
    flywayVersion: "11.8.2",
    flywayConf: "test_flyway.conf",
    operation: "migrate",
    startedAt: second(at),
    finishedAt: second(at + took),
    location: LOCATION,
    exitCode,
    attempts: 1,
    reason: reason ?? null,
    repairRefused: null,
    isRepetition: false,
    interrupted: (given.interrupted ?? []).map((at) => ({ commandId: `k-${at}`, startedAt: second(at) })),
    newestChange: time(at),
    objects: saw.map((object) => ({ ...split(object), eTag: "e", size: 1, lastModified: time(0) })),
    refused: Object.entries(given.refused ?? {}).map(([key, [message, remedy]]) => ({
      ...{ key, message, remedy },
      holdsBack: given.holdsBack,
    })),
    databaseTime: given.databaseTime ?? null,
    halfApplied: given.halfApplied ?? null,
    takenOut: given.takenOut ?? null,
    unrecorded: given.unrecorded ? { key: given.unrecorded, eTag: "e" } : null,
    scripts: given.scripts ?? [],
    lockHolders: given.lockHolders ?? [],
    timedOutAfter: given.timedOutAfter ?? null,
    flyway: { migrate: migrate ?? null, info: info ?? null, validate: validate ?? null, repair: null },
  };
}

/** The records of runs, each judged by a host that remembers those before it. */
function recordsOf(runs: readonly TestRun[]): RunRecord[] {
  let known = NOTHING_KNOWN;
  const inOrder = [...runs].sort((a, b) => a.number - b.number || a.finishedAt.localeCompare(b.finishedAt));
  const records = new Map<unknown, RunRecord>();
  for (const ended of inOrder) {
    const objects = judge(ended, known);
    known = knownAfter(known, { objects, unrecorded: ended.unrecorded });
    const { refused: _, scripts: __, ...rest } = ended;
    records.set(ended, { ...rest, objects });
  }
  return runs.map((ended) => records.get(ended) as RunRecord);
}

function verdicts(
  versions: readonly UploadedVersion[],
  runs: readonly TestRun[],
): Map<UploadedVersion, Judgement> {
  return verdictsOfRecords(versions, recordsOf(runs));
}

/** What `migrate` says when it has done its work. */
function migrated(...keys: string[]): FlywayMigrate {
  const migrations = keys.map((key) => ({
    category: key.startsWith("R") ? "Repeatable" : "Versioned",
    version: /^V(.+?)__/.exec(key)?.[1] ?? "",
    description: "create table persons",
    type: "SQL",
    filepath: path(key),
    executionTime: 5,
  }));
  return {
    operation: "migrate",
    migrations,
    migrationsExecuted: keys.length,
    success: true,
    warnings: [],
  } as FlywayMigrate;
}

/** What `migrate` says when it has failed; the host has taken the codes from the message. */
function error(errorCode: string, message: string, ...applied: string[]): FlywayMigrate {
  const line = (name: string) => new RegExp(`^${name} +: (.+)$`, "m").exec(message)?.[1];
  const code = line("Error Code");
  const codes = {
    sqlState: line("SQL State") ?? null,
    sqlErrorCode: code === undefined ? null : Number(code),
  };
  return {
    ...migrated(...applied),
    success: false,
    error: { errorCode, message, ...codes },
  } as FlywayMigrate;
}

/** What `info` says, written `key: state`, and the row that creating the schema left. */
function info(states: Record<string, string>, installedOn = 12): FlywayInfo {
  const migrations = Object.entries(states).map(([key, state]) => ({
    filepath: path(key),
    state,
    installedOnUTC: /^(Pending|Ignored)$/.test(state) ? "" : second(installedOn),
  }));
  return { migrations: [{ filepath: "", state: "Success", installedOnUTC: second(0) }, ...migrations] };
}

function invalid(...entries: [key: string, errorCode: string, errorMessage: string][]): FlywayValidate {
  return {
    invalidMigrations: entries.map(([key, errorCode, errorMessage]) => ({
      filepath: path(key),
      errorDetails: { errorCode, errorMessage },
    })),
  };
}

/** Flyway's message for a script that failed. */
function scriptFailed(key: string, statement = "CREATE TABLE bad bad"): string {
  return `Script ${key.split("/").at(-1)} failed
-------------------------
SQL State  : 42000
Error Code : 1064
Message    : (conn=9) You have an error in your SQL syntax
Location   : ${path(key)} (${path(key)})
Line       : 1
Statement  : ${statement}
`;
}

/** What is made of it for a person. */
const said = (key: string) =>
  `Script ${key} failed at line 1: You have an error in your SQL syntax (error 1064, SQL state 42000)`;

const WAITS = "nothing with this file: it is tried again once that is mended";

const CHECKSUM =
  "Migration checksum mismatch for migration version 1\n-> Applied to database : 1\n-> Resolved locally    : 2";
const VALIDATE_FAILED = "Validate failed: Migrations have failed validation\n";
const UNREACHABLE = error("DB_CONNECTION", "Unable to obtain connection from database: Connection refused");

/** A message with what Flyway, or the host, says, and a remedy behind it. */
const withRemedy = (said: string, remedy: string) =>
  expect.stringMatching(
    new RegExp(`^${said.trimEnd().replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\n(.*\n)*To do: .*${remedy}`),
  );

/** The verdict of one version. */
function verdictOf(object: string, versions: UploadedVersion[], ...records: TestRun[]): Judgement {
  return verdicts(versions, records).get(
    versions.find((version) => version.versionId === split(object).versionId) as UploadedVersion,
  ) as Judgement;
}

/** Every verdict, version to verdict. */
function all(versions: UploadedVersion[], ...records: TestRun[]): Record<string, string> {
  return Object.fromEntries(
    [...verdicts(versions, records)].map(([{ versionId }, { verdict }]) => [versionId, verdict]),
  );
}

/** The first upload and its run: V1 is applied. */
const first = run({
  saw: ["V1__a.sql@a1"],
  migrate: migrated("V1__a.sql"),
  info: info({ "V1__a.sql": "Success" }),
});

describe("applied", () => {
  it("is what the run migrated, with the run's command", () => {
    expect(verdictOf("V1__a.sql@a1", listing("V1__a.sql@a1"), first)).toEqual({
      verdict: "applied",
      message: "",
      commandId: "c-10",
    });
  });

  it("is each of several files of one run", () => {
    const keys = ["V1__a.sql", "V2__b.sql", "release 2/V3__c+d Ä.sql", "R__v.sql"];
    const objects = keys.map((key, index) => `${key}@v${index}`);
    const record = run({ saw: objects, migrate: migrated(...keys) });
    expect(all(listing(...objects), record)).toEqual({
      v0: "applied",
      v1: "applied",
      v2: "applied",
      v3: "applied",
    });
  });

  it("stays over every later run that fails", () => {
    const later = [
      run({ at: 20, saw: ["V1__a.sql@a1"], exitCode: 1, migrate: UNREACHABLE }),
      run({ at: 30, saw: ["V1__a.sql@a1"], exitCode: 1, reason: "cannot list the bucket" }),
      run({
        at: 40,
        saw: ["V1__a.sql@a1", "V2__b.sql@b1"],
        exitCode: 1,
        migrate: error("FAILED_VERSIONED_MIGRATION", scriptFailed("V2__b.sql")),
        info: info({ "V1__a.sql": "Success", "V2__b.sql": "Failed" }),
      }),
    ];
    const versions = listing("V2__b.sql@b1", "V1__a.sql@a1");
    expect(verdictOf("V1__a.sql@a1", versions, first, ...later)).toMatchObject({
      verdict: "applied",
      commandId: "c-10",
    });
  });

  it("stays when a later run sees that it is there", () => {
    const later = run({
      at: 20,
      saw: ["V1__a.sql@a1"],
      migrate: migrated(),
      info: info({ "V1__a.sql": "Success" }),
    });
    expect(verdictOf("V1__a.sql@a1", listing("V1__a.sql@a1"), first, later).verdict).toBe("applied");
  });

  it("stays when the object is deleted or overwritten later", () => {
    const deleted = listing("V1__a.sql@x1", "V1__a.sql@a1");
    expect(verdictOf("V1__a.sql@a1", deleted, first, run({ at: 20, saw: [] })).verdict).toBe("applied");
  });

  it("is what went before the file that failed, as 11.8.2 lists it", () => {
    const record = run({
      saw: ["V1__a.sql@a1", "V2__b.sql@b1"],
      exitCode: 1,
      migrate: error("FAILED_VERSIONED_MIGRATION", scriptFailed("V2__b.sql"), "V1__a.sql"),
      info: info({ "V1__a.sql": "Success", "V2__b.sql": "Failed" }),
    });
    const versions = listing("V2__b.sql@b1", "V1__a.sql@a1");
    expect(all(versions, record)).toEqual({ b1: "failed", a1: "applied" });
  });

  it("is what went before the file that failed, by the database's clock where the host's is wrong", () => {
    const record = run({
      at: 5_000_000,
      databaseTime: second(10),
      saw: ["V1__a.sql@a1", "V2__b.sql@b1"],
      exitCode: 1,
      migrate: { error: { errorCode: "ERROR", message: "\nMigration V3__bad.sql failed\n----\n" } },
      info: {
        migrations: [
          { filepath: path("V1__a.sql"), state: "Success", installedOnUTC: second(5) },
          { filepath: path("V2__b.sql"), state: "Success", installedOnUTC: second(11) },
        ],
      },
    });
    const versions = listing("V2__b.sql@b1", "V1__a.sql@a1");
    expect(all(versions, record)).toEqual({ b1: "applied", a1: "already-applied" });
  });

  it("is what went before the file that failed, by the history's time where 7.7.3 lists nothing", () => {
    const record = run({
      at: 10,
      saw: ["V1__a.sql@a1", "V2__b.sql@b1", "V3__bad.sql@c1"],
      exitCode: 1,
      migrate: {
        error: {
          errorCode: "ERROR",
          message: "\nMigration V3__bad.sql failed\n---------\nSQL State  : 42000",
        },
      },
      info: {
        migrations: [
          { filepath: path("V1__a.sql"), state: "Success", installedOnUTC: second(5) },
          { filepath: path("V2__b.sql"), state: "Success", installedOnUTC: second(11) },
          { filepath: path("V3__bad.sql"), state: "Failed", installedOnUTC: second(11) },
        ],
      },
    });
    const versions = listing("V3__bad.sql@c1", "V2__b.sql@b1", "V1__a.sql@a1");
    expect(all(versions, record)).toEqual({ c1: "failed", b1: "applied", a1: "already-applied" });
  });

  it("is a repeatable migration that a run applied before another one failed", () => {
    const record = run({
      at: 20,
      saw: ["R__a.sql@a2", "R__b.sql@b1"],
      exitCode: 1,
      migrate: error("FAILED_REPEATABLE_MIGRATION", scriptFailed("R__b.sql"), "R__a.sql"),
      info: {
        migrations: [
          { filepath: path("R__a.sql"), state: "Superseded", installedOnUTC: second(12) },
          { filepath: path("R__a.sql"), state: "Success", installedOnUTC: second(22) },
          { filepath: path("R__b.sql"), state: "Failed", installedOnUTC: second(22) },
        ],
      },
      validate: invalid([
        "R__b.sql",
        "FAILED_REPEATABLE_MIGRATION",
        "Detected failed repeatable migration: b.",
      ]),
    });
    const before = run({ saw: ["R__a.sql@a1"], migrate: migrated("R__a.sql") });
    const versions = listing("R__a.sql@a2", "R__a.sql@a1", "R__b.sql@b1");
    expect(all(versions, before, record)).toEqual({ a2: "applied", a1: "applied", b1: "failed" });
  });

  it("is a callback that a good run had beside it", () => {
    const callbacks = [
      "beforeMigrate.sql",
      "afterMigrate__grants.sql",
      "afterEachMigrate.sql",
      "createSchema.sql",
    ];
    const objects = callbacks.map((key, index) => `${key}@k${index}`);
    const record = run({ saw: objects, migrate: migrated(), info: info({}) });
    for (const object of objects) {
      expect(verdictOf(object, listing(...objects), record)).toEqual({
        verdict: "applied",
        message: "a callback, in force from this run on",
        commandId: "c-10",
      });
    }
  });
});

describe("already-applied", () => {
  const again = run({
    at: 20,
    saw: ["V1__a.sql@a2"],
    migrate: migrated(),
    info: info({ "V1__a.sql": "Success" }),
  });
  const versions = listing("V1__a.sql@a2", "V1__a.sql@a1");

  it("is the same content uploaded once more", () => {
    expect(all(versions, first, again)).toEqual({ a1: "applied", a2: "already-applied" });
  });

  it("is what the database had before there were run records", () => {
    expect(verdictOf("V1__a.sql@a2", listing("V1__a.sql@a2"), again)).toEqual({
      verdict: "already-applied",
      message: "",
      commandId: "c-20",
    });
  });

  it("stays over a later run that fails", () => {
    const later = run({ at: 30, saw: ["V1__a.sql@a2"], exitCode: 1, migrate: UNREACHABLE });
    expect(verdictOf("V1__a.sql@a2", versions, first, again, later).verdict).toBe("already-applied");
  });

  it("is the same content uploaded once more beside a file that fails", () => {
    const record = run({
      at: 20,
      saw: ["V1__a.sql@a2", "V2__bad.sql@b1"],
      exitCode: 1,
      migrate: error("FAILED_VERSIONED_MIGRATION", scriptFailed("V2__bad.sql")),
      info: info({ "V1__a.sql": "Success", "V2__bad.sql": "Failed" }),
    });
    expect(
      verdictOf("V1__a.sql@a2", [...versions, ...listing("V2__bad.sql@b1")], first, record).verdict,
    ).toBe("already-applied");
  });

  it("is the same content uploaded once more while the run before was still applying it", () => {
    const waited = run({
      at: 11, // before V1 was installed, at 12
      took: 10,
      saw: ["V1__a.sql@a2", "V2__bad.sql@b1"],
      exitCode: 1,
      migrate: { error: { errorCode: "ERROR", message: "\nMigration V2__bad.sql failed\n-----\n" } },
      info: info({ "V1__a.sql": "Success", "V2__bad.sql": "Failed" }),
    });
    expect(all([...versions, ...listing("V2__bad.sql@b1")], first, waited)).toEqual({
      a2: "already-applied",
      a1: "applied",
      b1: "failed",
    });
  });

  it("is a repeatable migration's newest content, uploaded once more", () => {
    const rows = info({ "R__v.sql": "Superseded" }).migrations ?? [];
    const record = run({
      at: 30,
      saw: ["R__v.sql@v3"],
      migrate: migrated(),
      info: { migrations: [...rows, ...(info({ "R__v.sql": "Success" }, 22).migrations ?? [])] },
    });
    expect(verdictOf("R__v.sql@v3", listing("R__v.sql@v3"), record).verdict).toBe("already-applied");
  });
});

describe("what was applied before", () => {
  const first = run({
    at: 5,
    saw: ["V1__a.sql@a1"],
    migrate: migrated("V1__a.sql"),
    info: info({ "V1__a.sql": "Success" }),
  });
  const recordOfNext = (next: Partial<Run>) => {
    const records = recordsOf([
      first,
      run({ at: 20, saw: ["V1__a.sql@a1", "V2__b.sql@b1"], exitCode: 1, ...next }),
    ]);
    return records.at(-1)?.objects.map(({ verdict }) => verdict);
  };

  it.each<[string, Partial<Run>, string]>([
    ["the database is away", { migrate: UNREACHABLE }, "failed"],
    ["the mapping is wrong", { reason: "Parameter x is not JSON" }, "failed"],
    [
      "another file is refused",
      { refused: { "V2__b.sql": ["it is empty", "delete it"] }, reason: "x" },
      "refused",
    ],
    [
      "a callback failed",
      { migrate: error("FAULT", "Error while executing afterMigrate callback: b") },
      "failed",
    ],
  ])("stays so in the record of a run in which %s", (_, next, other) => {
    expect(recordOfNext(next)).toEqual(["already-applied", other]);
  });

  it("is told of where it is at fault, or is another version", () => {
    const twins = error("DUPLICATE_VERSIONED_MIGRATION", "Found more than one: V1__a.sql, V1__b.sql");
    expect(recordOfNext({ migrate: twins })?.[0]).toBe("refused");
    const records = recordsOf([
      first,
      run({ at: 20, saw: ["V1__a.sql@a2"], exitCode: 1, migrate: UNREACHABLE }),
    ]);
    expect(records.at(-1)?.objects[0]?.verdict).toBe("failed");
  });
});

describe("refused", () => {
  it("is an edit of what is applied, with Flyway's word for it", () => {
    const record = run({
      at: 20,
      saw: ["V1__a.sql@a2", "V2__b.sql@b1"],
      exitCode: 1,
      migrate: error("VALIDATE_ERROR", VALIDATE_FAILED + CHECKSUM),
      info: info({ "V1__a.sql": "Success", "V2__b.sql": "Pending" }),
      validate: invalid(
        ["V1__a.sql", "CHECKSUM_MISMATCH", CHECKSUM],
        [
          "V2__b.sql",
          "RESOLVED_VERSIONED_MIGRATION_NOT_APPLIED",
          "Detected resolved migration not applied: 2",
        ],
      ),
    });
    const versions = listing("V1__a.sql@a2", "V1__a.sql@a1", "V2__b.sql@b1");
    expect(verdictOf("V1__a.sql@a2", versions, first, record)).toEqual({
      verdict: "refused",
      message: withRemedy(CHECKSUM, "upload its former content again, and the change as a new version"),
      commandId: "c-20",
    });
    expect(verdictOf("V2__b.sql@b1", versions, first, record)).toEqual({
      verdict: "refused",
      message: `held back by V1__a.sql\nTo do: ${WAITS}`,
      commandId: "c-20",
    });
    expect(verdictOf("V1__a.sql@a1", versions, first, record).verdict).toBe("applied");
  });

  const misnamed =
    "Invalid SQL filenames found:\r\nInvalid versioned migration name format: V5_x.sql (could not recognise version number 5_x)";
  const notNamed = { error: { errorCode: "ERROR", message: misnamed } };

  it("is a misnamed file, and what it holds back", () => {
    const record = run({
      saw: ["V5_x.sql@m5", "V6__y.sql@y1"],
      exitCode: 1,
      migrate: notNamed,
      info: notNamed as FlywayInfo,
      validate: notNamed as FlywayValidate,
    });
    const versions = listing("V5_x.sql@m5", "V6__y.sql@y1");
    expect(verdictOf("V5_x.sql@m5", versions, record)).toMatchObject({
      verdict: "refused",
      message: withRemedy(
        misnamed.slice(misnamed.indexOf("\n") + 1),
        "upload it again as V<version>__<description>.sql",
      ),
    });
    expect(verdictOf("V6__y.sql@y1", versions, record)).toMatchObject({
      verdict: "refused",
      message: `held back by V5_x.sql\nTo do: ${WAITS}`,
    });
  });

  it("is one of two files of one version, and the other too", () => {
    const message = `Found more than one migration with version 5\nOffenders:\n-> ${path("V5__x.sql")} (SQL)\n-> ${path("V5__y.sql")} (SQL)`;
    const duplicate = error("DUPLICATE_VERSIONED_MIGRATION", message);
    const record = run({
      saw: ["V5__x.sql@d1", "V5__y.sql@d2", "V6__z.sql@d3"],
      exitCode: 1,
      migrate: duplicate,
    });
    const versions = listing("V5__x.sql@d1", "V5__y.sql@d2", "V6__z.sql@d3");
    for (const [object, other] of [
      ["V5__x.sql@d1", "V5__y.sql"],
      ["V5__y.sql@d2", "V5__x.sql"],
    ] as const) {
      expect(verdictOf(object, versions, record)).toMatchObject({
        verdict: "refused",
        message: withRemedy(
          `Found more than one migration with version 5: beside ${other}`,
          "delete one of them",
        ),
      });
    }
    expect(verdictOf("V6__z.sql@d3", versions, record)).toMatchObject({
      verdict: "refused",
      message: `held back by V5__x.sql, V5__y.sql\nTo do: ${WAITS}`,
    });
  });

  it("is a version below the newest that is applied", () => {
    const message = `${VALIDATE_FAILED}Detected resolved migration not applied to database: 1.5`;
    const record = run({
      at: 20,
      saw: ["V1_5__b.sql@b1"],
      exitCode: 1,
      migrate: error("VALIDATE_ERROR", message),
      info: info({ "V1_5__b.sql": "Ignored" }),
      validate: invalid(["V1_5__b.sql", "RESOLVED_VERSIONED_MIGRATION_NOT_APPLIED", "not applied: 1.5"]),
    });
    expect(verdictOf("V1_5__b.sql@b1", listing("V1_5__b.sql@b1"), record)).toMatchObject({
      verdict: "refused",
      message: withRemedy(
        "its version is below the newest that is applied",
        "give it a version above the newest that is applied",
      ),
    });
  });

  it("is what stands behind a file that failed", () => {
    const message = scriptFailed("V3__bad.sql");
    const record = run({
      saw: ["V3__bad.sql@c1", "V4__d.sql@d1"],
      exitCode: 1,
      migrate: error("FAILED_VERSIONED_MIGRATION", message),
      info: info({ "V3__bad.sql": "Failed", "V4__d.sql": "Pending" }),
    });
    expect(verdictOf("V4__d.sql@d1", listing("V4__d.sql@d1"), record)).toMatchObject({
      verdict: "refused",
      message: `held back by V3__bad.sql\nTo do: ${WAITS}`,
    });
  });

  it("is what the host refused, with its message and remedy", () => {
    const record = run({
      saw: ["notes/persons.sql@n1", "V1__a.SQL@n2", "V1__a.sql@a1"],
      exitCode: 1,
      reason: "two files are no migrations",
      refused: {
        "notes/persons.sql": ["Flyway takes no notice of it", "rename it"],
        "V1__a.SQL": ["SQL", "sql"],
      },
      migrate: migrated("V1__a.sql"),
      info: info({ "V1__a.sql": "Success" }),
    });
    const versions = listing("notes/persons.sql@n1", "V1__a.SQL@n2", "V1__a.sql@a1");
    expect(verdictOf("notes/persons.sql@n1", versions, record)).toEqual({
      verdict: "refused",
      message: "Flyway takes no notice of it\nTo do: rename it",
      commandId: "c-10",
    });
    expect(all(versions, record)).toEqual({ n1: "refused", n2: "refused", a1: "applied" });
  });

  it("is what a file held back that the host refused before Flyway migrated", () => {
    const record = run({
      at: 20,
      saw: ["V1__a.sql@a2", "V2__empty.sql@e1", "V3__c.sql@c1"],
      exitCode: 1,
      reason: "nothing was migrated: V2__empty.sql: it is empty",
      refused: { "V2__empty.sql": ["it is empty", "delete it"] },
      holdsBack: true,
      info: info({ "V1__a.sql": "Success", "V2__empty.sql": "Pending", "V3__c.sql": "Pending" }),
    });
    const versions = listing("V1__a.sql@a2", "V2__empty.sql@e1", "V3__c.sql@c1");
    expect(all(versions, record)).toEqual({ a2: "already-applied", e1: "refused", c1: "refused" });
    expect(verdictOf("V3__c.sql@c1", versions, record).message).toMatch(
      /^held back by V2__empty.sql\nTo do: /,
    );
  });

  it("is what an applied file holds back that was deleted, with the file to upload again", () => {
    const message = `${VALIDATE_FAILED}Detected applied migration not resolved locally: 1.`;
    const record = run({
      at: 20,
      saw: ["V2__b.sql@b1"],
      exitCode: 1,
      migrate: error("VALIDATE_ERROR", message),
      info: info({ "V2__b.sql": "Pending" }),
    });
    expect(verdictOf("V2__b.sql@b1", listing("V2__b.sql@b1"), first, record)).toMatchObject({
      verdict: "refused",
      message: withRemedy(
        "held back: Detected applied migration not resolved locally: 1.",
        "upload the file that is applied but missing",
      ),
    });
  });

  it("gives way once the file that stood in the way is gone", () => {
    const blocked = run({ saw: ["V5_x.sql@m5", "V6__y.sql@y1"], exitCode: 1, migrate: notNamed });
    const free = run({ at: 20, saw: ["V6__y.sql@y1"], migrate: migrated("V6__y.sql") });
    const versions = listing("V5_x.sql@x9", "V5_x.sql@m5", "V6__y.sql@y1");
    expect(all(versions, blocked, free)).toEqual({ m5: "refused", y1: "applied" });
  });
});

describe("failed", () => {
  const failing = run({
    saw: ["V3__bad.sql@c1"],
    exitCode: 1,
    migrate: error("FAILED_VERSIONED_MIGRATION", scriptFailed("V3__bad.sql")),
    info: info({ "V3__bad.sql": "Failed" }),
    validate: invalid([
      "V3__bad.sql",
      "FAILED_VERSIONED_MIGRATION",
      "Detected failed migration to version 3 (bad).",
    ]),
  });
  const blocked = (at: number, ...saw: string[]) =>
    run({
      at,
      saw,
      exitCode: 1,
      migrate: error("VALIDATE_ERROR", `${VALIDATE_FAILED}Detected failed migration to version 3 (bad).`),
      info: info({ "V3__bad.sql": "Failed" }),
      validate: invalid([
        "V3__bad.sql",
        "FAILED_VERSIONED_MIGRATION",
        "Detected failed migration to version 3 (bad).",
      ]),
    });

  it("is a syntax error: what is wrong and where, and then the statement", () => {
    expect(verdictOf("V3__bad.sql@c1", listing("V3__bad.sql@c1"), failing)).toEqual({
      verdict: "failed",
      message: withRemedy(`${said("V3__bad.sql")}\nStatement: CREATE TABLE bad bad`, "have the host repair"),
      commandId: "c-10",
    });
  });

  it("is told by the message alone, where info says nothing", () => {
    const message = "\nMigration V3__bad.sql failed\n---------------------------\nSQL State  : 42000\n";
    const record = run({
      saw: ["V3__bad.sql@c1"],
      exitCode: 1,
      migrate: { error: { errorCode: "ERROR", message } },
    });
    expect(verdictOf("V3__bad.sql@c1", listing("V3__bad.sql@c1"), record)).toMatchObject({
      verdict: "failed",
      message: withRemedy("Migration V3__bad.sql failed", "have the host repair"),
    });
  });

  it("is what a run would have tried, had it reached the database", () => {
    const record = run({ saw: ["V1__a.sql@a1"], exitCode: 1, migrate: UNREACHABLE });
    expect(verdictOf("V1__a.sql@a1", listing("V1__a.sql@a1"), record)).toMatchObject({
      verdict: "failed",
      message: withRemedy(
        "Unable to obtain connection from database: Connection refused",
        "nothing with the file",
      ),
    });
  });

  it("is what a run would have tried, had it reached Flyway", () => {
    const record = run({ saw: ["V1__a.sql@a1"], exitCode: 1, reason: "Flyway 99.0 has no archive" });
    expect(verdictOf("V1__a.sql@a1", listing("V1__a.sql@a1"), record)).toMatchObject({
      verdict: "failed",
      message: "Flyway 99.0 has no archive",
    });
  });

  it("gives way to what the next run does", () => {
    const record = run({ at: 5, took: 1, saw: ["V1__a.sql@a1"], exitCode: 1, migrate: UNREACHABLE });
    expect(verdictOf("V1__a.sql@a1", listing("V1__a.sql@a1"), record, first).verdict).toBe("applied");
  });

  it("stays, message and command, while the failed migration blocks the runs to come", () => {
    const versions = listing("V3__bad.sql@c1", "V4__d.sql@d1");
    const next = blocked(20, "V3__bad.sql@c1", "V4__d.sql@d1");
    expect(verdictOf("V3__bad.sql@c1", versions, failing, next)).toEqual({
      verdict: "failed",
      message: withRemedy(`${said("V3__bad.sql")}\nStatement: CREATE TABLE bad bad`, "have the host repair"),
      commandId: "c-10",
    });
  });

  it("stays the failed version's own: the corrected one is refused until the history is repaired", () => {
    const versions = listing("V3__bad.sql@c2", "V3__bad.sql@c1");
    expect(verdictOf("V3__bad.sql@c2", versions, failing, blocked(20, "V3__bad.sql@c2"))).toMatchObject({
      verdict: "refused",
      message: withRemedy("Detected failed migration to version 3 (bad).", "have the host repair"),
    });
    const repaired = run({ at: 30, saw: ["V3__bad.sql@c2"], migrate: migrated("V3__bad.sql") });
    expect(all(versions, failing, blocked(20, "V3__bad.sql@c2"), repaired)).toEqual({
      c1: "failed",
      c2: "applied",
    });
  });

  const landed: HalfApplied = {
    key: "V3__bad.sql",
    line: 3,
    statement: "CREATE TABLE bad bad",
    applied: [],
    changes: [
      { kind: "column", name: "Half.id", before: null, after: "int(11)", shared: false },
      { kind: "column", name: "Persons.email", before: null, after: "varchar(255)", shared: false },
      { kind: "column", name: "Persons.name", before: "varchar(10)", after: "varchar(20)", shared: false },
      { kind: "index", name: "Persons.old", before: "(name)", after: null, shared: false },
      { kind: "table", name: "Half", before: null, after: "InnoDB", shared: false },
    ],
    moreChanges: 0,
  };
  const half = (halfApplied: HalfApplied, message = scriptFailed("V3__bad.sql")) =>
    run({
      saw: ["V3__bad.sql@c1"],
      exitCode: 1,
      migrate: error("FAILED_VERSIONED_MIGRATION", message),
      info: info({ "V3__bad.sql": "Failed" }),
      halfApplied,
    });
  const messageOf = (record: TestRun) =>
    verdictOf("V3__bad.sql@c1", listing("V3__bad.sql@c1"), record).message;

  it("names the statement, what of the file is in the schema, and the way out", () => {
    expect(messageOf(half(landed))).toBe(`${said("V3__bad.sql")}
Of V3__bad.sql, this is in the schema already:
- column Persons.email added
- column Persons.name changed from varchar(10) to varchar(20)
- index Persons.old removed
- table Half added
Statement: CREATE TABLE bad bad
To do: correct it, so that it does not repeat what is there, upload it, and have the host repair (docs/verdicts.md)`);
  });

  it("says that nothing landed, where nothing did", () => {
    expect(messageOf(half({ ...landed, changes: [] }))).toMatch(
      /\nNothing that the schema is made of is other than before V3__bad\.sql; rows may be\.\nStatement: .*\nTo do: correct it, upload/,
    );
  });

  it("says that it does not know what landed, where the schema could not be looked at", () => {
    expect(messageOf(half({ ...landed, changes: null }))).toContain("is not known: look at what it makes");
  });

  it("says where a run must have been killed before, because what the file makes is there", () => {
    const exists = scriptFailed("V3__bad.sql").replace("1064", "1050");
    expect(messageOf(half({ ...landed, changes: [] }, exists))).toMatch(
      /from elsewhere, or a run before this one was ended in the middle of it\.\nStatement: .*\nTo do: correct it, so that it does not repeat/,
    );
  });

  describe("and waited for a lock in vain", () => {
    const lockHolders: LockHolder[] = [
      {
        ...{ connection: 7, user: "app", host: "10.0.0.5:40312", idleSeconds: 320, transactionSeconds: 340 },
        ...{ statement: "UPDATE a SET x = 1", isCertain: true },
      },
    ];
    const waited = (change: Partial<TestRun>): TestRun => {
      const message = scriptFailed("V3__bad.sql").replace("1064", "1205");
      const record = half({ ...landed, changes: [] }, message);
      const { migrate } = record.flyway;
      const withCode = { ...migrate, error: { ...(migrate?.error as FlywayError), sqlErrorCode: 1205 } };
      return { ...record, flyway: { ...record.flyway, migrate: withCode }, lockHolders, ...change };
    };

    it("names who held it", () => {
      expect(messageOf(waited({}))).toContain(
        "\nThe lock was held by connection 7 of app@10.0.0.5:40312, idle for 320 s, in a transaction for 340 s, its last statement: UPDATE a SET x = 1\nNothing that",
      );
      expect(messageOf(waited({ lockHolders: [] }))).toContain("\nBy whom the lock was held is not known.\n");
    });

    it("is tried again where nothing of it landed, and says so", () => {
      const judgement = verdictOf(
        "V3__bad.sql@c1",
        listing("V3__bad.sql@c1"),
        waited({ takenOut: "V3__bad.sql", halfApplied: null }),
      );
      expect(judgement.verdict).toBe("failed");
      expect(judgement.message).toMatch(
        /The lock was held by [^\n]*\nNothing of it is in the schema, [^\n]*\nTo do: have whoever holds the lock [^\n]* the next run tries it again/,
      );
    });
  });

  it("says that the migration took longer than it may, and that it can be given more", () => {
    expect(messageOf({ ...half(landed), timedOutAfter: 600 })).toMatch(
      /\nIt was ended: the migration took longer than 600 s, [^\n]*\nOf V3__bad[\s\S]*\nTo do: raise the migration_timeout of this database, or have the file do less; correct it/,
    );
  });

  it("names the files that went well before it", () => {
    const message = messageOf(half({ ...landed, applied: ["V1__a.sql", "V2__b.sql"], moreChanges: 7 }));
    expect(message).toContain("in the schema already (V1__a.sql, V2__b.sql went well before it):");
    expect(message).toContain("\n- and 7 changes more\n");
  });

  it("warns of what one of those may have made", () => {
    const [, ...changes] = landed.changes as SchemaChange[];
    const table = { kind: "table", name: "A", before: null, after: "InnoDB", shared: true } as const;
    const message = messageOf(half({ ...landed, applied: ["V1__a.sql"], changes: [table, ...changes] }));
    expect(message).toContain(
      "\n- table A added, by this file or one that went well\n- column Persons.email added\n",
    );
  });

  it("is a migration that failed in a run that was killed before it could say so", () => {
    const record = {
      ...blocked(20, "V3__bad.sql@c1"),
      halfApplied: { ...landed, line: null, statement: null },
    };
    const judged = verdictOf("V3__bad.sql@c1", listing("V3__bad.sql@c1"), record);
    expect(judged.verdict).toBe("failed");
    expect(judged.message).toMatch(/^Detected failed migration to version 3[\s\S]*\n- table Half added\n/);
  });

  it("is not a file whose name ends like the failed one's", () => {
    const record = run({
      saw: ["V13__bad.sql@c1", "V3__bad.sql@c2", "V3__bad.sql.sql@c3"],
      exitCode: 1,
      migrate: { error: { errorCode: "ERROR", message: "\nMigration V13__bad.sql failed\n---\n" } },
      info: info({ "V13__bad.sql": "Failed", "V3__bad.sql": "Success", "V3__bad.sql.sql": "Pending" }, 5),
    });
    const versions = listing("V13__bad.sql@c1", "V3__bad.sql@c2", "V3__bad.sql.sql@c3");
    expect(all(versions, record)).toEqual({ c1: "failed", c2: "already-applied", c3: "refused" });
  });

  it("is not a file that the failed one's statement speaks of", () => {
    const record = run({
      saw: ["V1__a.sql@a1", "V2__b.sql@b1"],
      exitCode: 1,
      migrate: error(
        "FAILED_VERSIONED_MIGRATION",
        scriptFailed("V2__b.sql", "ALTER TABLE persons /* undoes V1__a.sql */ bad"),
        "V1__a.sql",
      ),
      info: info({ "V1__a.sql": "Success", "V2__b.sql": "Failed" }),
    });
    expect(all(listing("V2__b.sql@b1", "V1__a.sql@a1"), record)).toEqual({ b1: "failed", a1: "applied" });
  });
});

describe("superseded", () => {
  it("is a version that was overwritten before a run saw it", () => {
    const versions = listing("V1__a.sql@a1", "V1__a.sql@a0");
    expect(verdictOf("V1__a.sql@a0", versions, first)).toEqual({
      verdict: "superseded",
      message: "overwritten before a run saw it",
    });
  });

  it("is each of several that were overwritten", () => {
    const versions = listing("V1__a.sql@a1", "V1__a.sql@a0", "V1__a.sql@z9");
    expect(all(versions, first)).toEqual({ a1: "applied", a0: "superseded", z9: "superseded" });
  });

  it("is a version that was deleted before a run saw it", () => {
    const versions = listing("V2__b.sql@x1", "V2__b.sql@b1", "V1__a.sql@a1");
    expect(verdictOf("V2__b.sql@b1", versions, first)).toEqual({
      verdict: "superseded",
      message: "deleted before a run saw it",
    });
  });

  it("is no version that a run has seen, whatever became of it", () => {
    const saw = run({ at: 5, took: 1, saw: ["V1__a.sql@a0"], exitCode: 1, migrate: UNREACHABLE });
    expect(verdictOf("V1__a.sql@a0", listing("V1__a.sql@a1", "V1__a.sql@a0"), saw, first).verdict).toBe(
      "failed",
    );
  });

  it("is no version of another key", () => {
    expect(verdictOf("V2__b.sql@b1", listing("V1__a.sql@a1", "V2__b.sql@b1"), first).verdict).toBe("pending");
  });
});

describe("pending", () => {
  it("is what no run has seen", () => {
    expect(verdictOf("V1__a.sql@a1", listing("V1__a.sql@a1"))).toEqual({ verdict: "pending", message: "" });
  });

  it("is a new version while only the old one has been seen", () => {
    expect(all(listing("V1__a.sql@a2", "V1__a.sql@a1"), first)).toEqual({ a2: "pending", a1: "applied" });
  });

  it("is an overwritten version as long as no run has looked since", () => {
    expect(all(listing("V1__a.sql@a2", "V1__a.sql@a1"))).toEqual({ a2: "pending", a1: "pending" });
  });

  it("is a deleted version as long as no run has begun since", () => {
    const versions: UploadedVersion[] = [
      { key: "V2__b.sql", versionId: "x1", lastModified: time(12), isDeleteMarker: true },
      { key: "V2__b.sql", versionId: "b1", lastModified: time(11), isDeleteMarker: false },
    ];
    expect(all(versions, first)).toEqual({ b1: "pending" });
    expect(all(versions, first, run({ at: 20, saw: [] }))).toEqual({ b1: "superseded" });
  });
});

describe("the verdicts", () => {
  const history = [
    run({ at: 10, saw: ["V1__a.sql@a1", "V3__bad.sql@c1"], exitCode: 1, migrate: UNREACHABLE }),
    run({
      at: 20,
      saw: ["V1__a.sql@a1", "V3__bad.sql@c1", "V4__d.sql@d1"],
      exitCode: 1,
      migrate: error("FAILED_VERSIONED_MIGRATION", scriptFailed("V3__bad.sql"), "V1__a.sql"),
      info: info({ "V1__a.sql": "Success", "V3__bad.sql": "Failed", "V4__d.sql": "Pending" }, 22),
    }),
    run({
      at: 30,
      saw: ["V1__a.sql@a2", "V3__bad.sql@c2", "V4__d.sql@d1"],
      migrate: migrated("V3__bad.sql", "V4__d.sql"),
      info: info({ "V1__a.sql": "Success", "V3__bad.sql": "Success", "V4__d.sql": "Success" }, 32),
    }),
    run({ at: 40, saw: ["V1__a.sql@a2", "V3__bad.sql@c2"], exitCode: 1, migrate: UNREACHABLE }),
  ];
  const versions = listing(
    "V1__a.sql@a2",
    "V1__a.sql@a1",
    "V3__bad.sql@c3",
    "V3__bad.sql@c2",
    "V3__bad.sql@c1",
    "V4__d.sql@x1",
    "V4__d.sql@d1",
    ".flyway/runs/20260101T120015-c-10.json@r1",
    "README.md@m1",
  );

  it("are one for each version of each .sql object, and none for anything else", () => {
    expect(all(versions, ...history)).toEqual({
      a2: "already-applied",
      a1: "applied",
      c3: "pending",
      c2: "applied",
      c1: "failed",
      d1: "applied",
    });
  });

  it("are the same whatever the order of the records", () => {
    const expected = verdicts(versions, history);
    let orders = 0;
    for (const order of permutations(history)) {
      expect(verdicts(versions, order)).toEqual(expected);
      orders++;
    }
    expect(orders).toBe(24);
  });

  it("are in the order of the runs' numbers, whatever the hosts' clocks say", () => {
    const versions = listing("V3__bad.sql@c1");
    const early = run({
      at: 5_000_000,
      number: 1,
      saw: ["V3__bad.sql@c1"],
      exitCode: 1,
      migrate: UNREACHABLE,
    });
    const late = run({ at: 10, number: 2, saw: ["V3__bad.sql@c1"], exitCode: 1, reason: "no secret" });
    expect(verdictOf("V3__bad.sql@c1", versions, early, late).message).toBe("no secret");
    expect(verdictOf("V3__bad.sql@c1", versions, late, early).message).toBe("no secret");
  });

  it("are the same whatever the order of records that end in one second", () => {
    const bad = run({
      number: 1,
      at: 10,
      took: 4,
      id: "c-1",
      saw: ["V1__a.sql@a1"],
      exitCode: 1,
      reason: "cannot list",
    });
    const worse = run({
      number: 1,
      at: 12,
      took: 2,
      id: "c-2",
      saw: ["V1__a.sql@a1"],
      exitCode: 1,
      migrate: UNREACHABLE,
    });
    const one = verdictOf("V1__a.sql@a1", listing("V1__a.sql@a1"), bad, worse);
    expect(verdictOf("V1__a.sql@a1", listing("V1__a.sql@a1"), worse, bad)).toEqual(one);
    expect(one.commandId).toBe("c-2");
  });

  it("leave records and listing as they are", () => {
    const reversed = [...history].reverse();
    const before = structuredClone([versions, reversed]);
    verdicts(versions, reversed);
    expect([versions, reversed]).toEqual(before);
  });

  it("are none for an empty bucket", () => {
    expect(verdicts([], history).size).toBe(0);
  });

  // S3 gives every object that was there before versioning the version id "null"; an adopted bucket has them.
  it("are one for each object from before the bucket was versioned", () => {
    const adopted = listing("V1__a.sql@null", "V2__b.sql@null", "V3__bad.sql@null");
    expect(verdicts(adopted, []).size).toBe(3);
  });

  it("tell objects from before the bucket was versioned apart", () => {
    const adopted = listing("V1__a.sql@null", "V3__bad.sql@null");
    const record = run({
      saw: ["V1__a.sql@null", "V3__bad.sql@null"],
      exitCode: 1,
      migrate: error("FAILED_VERSIONED_MIGRATION", scriptFailed("V3__bad.sql"), "V1__a.sql"),
      info: info({ "V1__a.sql": "Success", "V3__bad.sql": "Failed" }),
    });
    const found = [...verdicts(adopted, [record]).values()].map(({ verdict }) => verdict);
    expect(found.sort()).toEqual(["applied", "failed"]);
  });
});

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (const [index, item] of items.entries()) {
    for (const rest of permutations(items.toSpliced(index, 1))) yield [item, ...rest];
  }
}

/** As 12.5.0 says it, of files in LOCATION; what it links to is left out. */
describe("what Flyway 12.5.0 says", () => {
  const half = {
    errorCode: "FAILED_VERSIONED_MIGRATION",
    sqlState: "42S01",
    sqlErrorCode: 1050,
    message: `Failed to execute script V2__b.sql
----------------------------------
SQL State  : 42S01
Error Code : 1050
Message    : (conn=124) Table 'D' already exists
Location   : ${path("V2__b.sql")} (${path("V2__b.sql")})
Line       : 2
Statement  : create table D (id int)
`,
    lineNumber: 2,
    path: path("V2__b.sql"),
  };
  const said = (
    object: string,
    given: FlywayMigrate["error"],
    applied: readonly string[] = [],
    rest: Partial<Run> = {},
  ) => {
    const migrate = { ...migrated(...applied), success: false, error: given } as FlywayMigrate;
    return verdictOf(object, listing(object), run({ saw: [object], exitCode: 1, migrate, ...rest }));
  };
  const plain = (errorCode: string, message: string) => ({ errorCode, message });

  it("of a migration that failed is that, with the way out", () => {
    expect(
      said("V2__b.sql@b1", half, ["V1__a.sql"], { info: info({ "V2__b.sql": "Failed" }) }),
    ).toMatchObject({
      verdict: "failed",
      message: withRemedy(
        "Failed to execute script V2__b.sql at line 2: Table 'D' already exists (error 1050, SQL state 42S01)\nStatement: create table D (id int)",
        "have the host repair",
      ),
    });
    expect(said("V1__a.sql@a1", half, ["V1__a.sql"]).verdict).toBe("applied");
  });

  it("of one that a killed run had begun is known by its code", () => {
    const halfApplied = {
      key: "V2__b.sql",
      line: 2,
      statement: "x",
      applied: [],
      changes: [],
      moreChanges: 0,
    };
    expect(
      said("V2__b.sql@b1", half, [], { halfApplied, info: info({ "V2__b.sql": "Failed" }) }).message,
    ).toMatch(
      /from elsewhere, or a run before this one was ended in the middle of it\.\nStatement: x\nTo do: correct it, so that it does not repeat/,
    );
  });

  it("of a callback is that the callback failed, and nothing is tried again by itself", () => {
    const message = `Error while executing beforeMigrate callback: Failed to execute script beforeMigrate.sql
--------------------------------------------------------------------------------
SQL State  : HY000
Error Code : 1205
Message    : (conn=132) Lock wait timeout exceeded; try restarting transaction
Location   : ${path("beforeMigrate.sql")} (${path("beforeMigrate.sql")})
Line       : 1
Statement  : select nothing from nowhere
`;
    const error = { errorCode: "DB_CONNECTION", sqlState: "HY000", sqlErrorCode: 1205, message };
    expect(said("beforeMigrate.sql@k1", error)).toMatchObject({
      verdict: "failed",
      message: withRemedy(
        "Error while executing beforeMigrate callback: Failed to execute script beforeMigrate.sql at line 1: Lock wait timeout exceeded; try restarting transaction (error 1205, SQL state HY000)",
        "correct the callback",
      ),
    });
  });

  it.each([
    ["HY000", 3159, "(conn=34) Connections using insecure transport are prohibited", "must be encrypted"],
    ["S1009", 0, "RSA public key is not available client side (option x not set)", "must be encrypted"],
    ["08000", -1, "PKIX path building failed: unable to find valid certification path", "ca_certificate"],
    [
      "08000",
      -1,
      "Socket fail to connect to host:127.0.0.1, port:1. Connection refused",
      "nothing with the file",
    ],
    ["28000", 1045, "(conn=11) Access denied for user 'admin'@'127.0.0.1'", "nothing with the file"],
    ["42000", 1142, "SELECT command denied to user 'lim'@'127.0.0.1'", "the right that it lacks"],
  ])("of a connection, %s and %s, names its remedy", (sqlState, sqlErrorCode, why, remedy) => {
    const message = `Unable to obtain connection from database (jdbc:mysql://127.0.0.1:1) for user 'admin': ${why}
--------
SQL State  : ${sqlState}
Error Code : ${sqlErrorCode}
Message    : ${why}
`;
    const error = {
      errorCode: "DB_CONNECTION",
      subErrorCode: "CONNECTION_FAILURE",
      sqlState,
      sqlErrorCode,
      message,
    };
    expect(said("V1__a.sql@a1", error)).toMatchObject({
      verdict: "failed",
      message: withRemedy(
        `${message.split("\n", 1)[0]?.replace(/\(conn=\d+\) /, "")} (error ${sqlErrorCode}, SQL state ${sqlState})`,
        remedy,
      ),
    });
  });

  it.each([
    ["V1__a.sql@a2", plain("VALIDATE_ERROR", VALIDATE_FAILED + CHECKSUM), "upload the former content"],
    [
      "V3__c.sql@c1",
      plain("VALIDATE_ERROR", `${VALIDATE_FAILED}Detected applied migration not resolved locally: 1.`),
      "upload the file that is applied",
    ],
    [
      "V2.5__x.sql@y1",
      plain("VALIDATE_ERROR", `${VALIDATE_FAILED}Detected resolved migration not applied to database: 2.5.`),
      "give it a version above",
    ],
    [
      "V3__c.sql@c1",
      plain(
        "DUPLICATE_VERSIONED_MIGRATION",
        `Found more than one migration with version 3\nOffenders:\n-> ${path("V3__d.sql")} (SQL)\n-> ${path("V3__c.sql")} (SQL)`,
      ),
      "delete one of them",
    ],
    [
      "V4_x.sql@y1",
      plain(
        "ERROR",
        "Invalid SQL filenames found:\r\nInvalid versioned migration name format: V4_x.sql (could not recognise version number 4_x)",
      ),
      "upload it again as V<version>__",
    ],
  ])("refuses %s", (object, error, remedy) => {
    const versions = listing(object);
    const migrate = { error };
    const record = run({ saw: [object], exitCode: 1, migrate });
    expect(verdictOf(object, versions, record)).toMatchObject({
      verdict: "refused",
      message: expect.stringContaining(`To do: ${remedy}`),
    });
  });
});

describe("the file that ran and is not in the history", () => {
  const ran = recordsOf([
    run({ saw: ["V1__a.sql@a1", "V2__b.sql@b1"], exitCode: 1, unrecorded: "V2__b.sql" }),
  ])[0] as RunRecord;
  const known = knownAfter(NOTHING_KNOWN, ran);
  const present = (...objects: string[]) => run({ saw: objects }).objects;

  it("is one of that content, uploaded anew too, and no other", () => {
    expect(unrecordedIn(known, present("V1__a.sql@a1", "V2__b.sql@b1"))).toBe("V2__b.sql");
    expect(unrecordedIn(known, present("V1__a.sql@a1", "V2__b.sql@b2"))).toBe("V2__b.sql");
    const corrected = present("V2__b.sql@b2").map((object) => ({ ...object, eTag: "other" }));
    expect(unrecordedIn(known, corrected)).toBeNull();
    expect(unrecordedIn(known, present("V1__a.sql@a1"))).toBeNull();
    expect(unrecordedIn(NOTHING_KNOWN, present("V1__a.sql@a1"))).toBeNull();
  });

  it("is none any more once a run says so", () => {
    const next = recordsOf([
      run({ at: 20, saw: ["V2__b.sql@b1"], migrate: migrated("V2__b.sql") }),
    ])[0] as RunRecord;
    expect(unrecordedIn(knownAfter(known, next), present("V2__b.sql@b1"))).toBeNull();
  });
});

describe("each state that Flyway tells", () => {
  /** Of a file that a run which ended well has not touched, and of one of a run that was refused for another. */
  const TABLE: Readonly<Record<string, readonly [green: RegExp, refused: RegExp]>> = {
    Success: [/^already-applied: $/, /^already-applied: $/],
    "Out of Order": [/^already-applied: $/, /^already-applied: $/],
    Baseline: [/^already-applied: $/, /^already-applied: $/],
    Superseded: [/^already-applied: $/, /^already-applied: $/],
    "Below Baseline": [
      /^already-applied: not run: it is covered by/,
      /^already-applied: not run: it is covered by/,
    ],
    "Ignored (Baseline)": [
      /^already-applied: not run: it is covered by/,
      /^already-applied: not run: it is covered by/,
    ],
    Pending: [/^refused: .*"Pending"\nTo do: /, /^refused: held back by V1__a\.sql\n/],
    Outdated: [/^refused: .*"Outdated"\nTo do: /, /^refused: held back by V1__a\.sql\n/],
    Ignored: [/^refused: .*"Ignored"\nTo do: give it a version above/, /^refused: its version is below/],
    "Above Target": [/^refused: .*"Above Target"\nTo do: /, /^refused: held back by V1__a\.sql\n/],
    Failed: [/^failed: /, /^refused: a version of it has failed[\s\S]*have the host repair/],
    "Failed (Missing)": [/^failed: /, /^refused: a version of it has failed/],
    "Failed (Future)": [/^failed: /, /^refused: a version of it has failed/],
    Missing: [/^refused: .*"Missing"\nTo do: /, /^refused: held back by/],
    Future: [/^refused: .*"Future"\nTo do: /, /^refused: held back by/],
    Deleted: [/^refused: .*"Deleted"\nTo do: /, /^refused: held back by/],
    Undone: [/^refused: .*"Undone"\nTo do: /, /^refused: held back by/],
    Available: [/^refused: .*"Available"\nTo do: /, /^refused: held back by/],
    "Of 14.0": [/^refused: .*"Of 14\.0", which is not known here\nTo do: /, /^refused: held back by/],
  };

  it("is in the table", () => {
    expect(Object.keys(STATES).sort()).toEqual(
      Object.keys(TABLE)
        .filter((state) => state !== "Of 14.0")
        .sort(),
    );
  });

  it.each(Object.entries(TABLE))("%s has a verdict and words", (state, [green, refused]) => {
    const object = "V9__z.sql@z1";
    const of = (record: TestRun) => {
      const { verdict, message } = verdictOf(object, listing(object), record);
      return `${verdict}: ${message}`;
    };
    expect(of(run({ saw: [object], migrate: migrated(), info: info({ "V9__z.sql": state }) }))).toMatch(
      green,
    );
    const edited = run({
      saw: ["V1__a.sql@a2", object],
      exitCode: 1,
      migrate: error("VALIDATE_ERROR", VALIDATE_FAILED + CHECKSUM),
      info: info({ "V1__a.sql": "Success", "V9__z.sql": state }),
      validate: invalid(["V1__a.sql", "CHECKSUM_MISMATCH", CHECKSUM]),
    });
    expect(of(edited)).toMatch(refused);
  });

  it("says by which baseline a file is covered", () => {
    const states = { migrations: [{ filepath: path("V1__a.sql"), state: "Below Baseline", type: "SQL" }] };
    const row = (filepath: string, type: string) => ({ filepath, state: "Baseline", type, version: "3" });
    const by = (baseline: ReturnType<typeof row>) => {
      const given = { migrations: [...states.migrations, baseline] };
      const record = run({ saw: ["V1__a.sql@a1"], migrate: migrated(), info: given });
      return verdictOf("V1__a.sql@a1", listing("V1__a.sql@a1"), record).message;
    };
    expect(by(row(path("B3__all.sql"), "SQL_BASELINE"))).toBe("not run: it is covered by B3__all.sql");
    expect(by(row("", "BASELINE"))).toBe(
      "not run: it is covered by the baseline at version 3 (baseline_version)",
    );
  });
});

describe("a run after one that was killed", () => {
  const killed = (at: number) =>
    `A run before this one was killed (cancelled, out of time, or its host went down) and left no record: command k-${at}, begun ${second(at)}.`;
  const judged = (records: TestRun[], ...objects: string[]) =>
    [...verdicts(listing(...objects), records).values()].map(({ verdict, message }) => [verdict, message]);

  it("says so of what was applied since that began, and of nothing older", () => {
    const states = info({ "V1__a.sql": "Success" }, 5).migrations?.concat(
      info({ "V2__b.sql": "Success" }, 12).migrations ?? [],
    );
    const record = run({
      saw: ["V1__a.sql@a", "V2__b.sql@b", "V3__c.sql@c"],
      at: 20,
      interrupted: [11, 15],
      migrate: migrated("V3__c.sql"),
      info: { migrations: [...(states ?? []), ...(info({ "V3__c.sql": "Success" }, 21).migrations ?? [])] },
    });
    expect(judged([record], "V1__a.sql@a", "V2__b.sql@b", "V3__c.sql@c")).toEqual([
      ["already-applied", ""],
      ["already-applied", killed(15)],
      ["applied", ""],
    ]);
  });

  it("says so of what fails, before what is to be done", () => {
    const record = run({
      saw: ["V1__a.sql@a", "V2__b.sql@b"],
      exitCode: 1,
      interrupted: [3],
      migrate: error("FAULT", scriptFailed("V1__a.sql")),
      info: info({ "V1__a.sql": "Pending", "V2__b.sql": "Pending" }),
    });
    const [first, second] = judged([record], "V1__a.sql@a", "V2__b.sql@b");
    expect(first?.[0]).toBe("failed");
    expect(first?.[1]?.split("\n").slice(-2)).toEqual([
      killed(3),
      expect.stringMatching(/^To do: look at what/),
    ]);
    expect(second).toEqual(["refused", expect.not.stringContaining("was killed")]);
  });

  it("leaves no word of it in the verdicts of the runs to come", () => {
    const records = [10, 20].map((at) =>
      run({ at, saw: ["V1__a.sql@a"], exitCode: 1, reason: "no", interrupted: at === 10 ? [3] : [] }),
    );
    expect(judged(records.slice(0, 1), "V1__a.sql@a")).toEqual([["failed", `no\n${killed(3)}`]]);
    expect(judged(records, "V1__a.sql@a")).toEqual([["failed", "no"]]);
  });
});
