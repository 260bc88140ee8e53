import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FlywayResult } from "../records/flyway";
import type { FlywayError } from "../records/record";
import type { Look } from "../runner/database";
import type { Answer } from "../runner/flyway";
import { createLog } from "../runner/log";
import { type MigrationInput, migrate } from "../runner/migration";

let location: string;
beforeEach(() => {
  location = mkdtempSync(join(tmpdir(), "migration-"));
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(location, { recursive: true });
});

const LOOK: Look = { time: "2026-01-01T12:00:00Z", parts: [], scripts: [] };
const away: FlywayError = {
  errorCode: "DB_CONNECTION",
  message: "Unable to obtain connection",
  sqlState: "08000",
};
const broken: FlywayError = { errorCode: "FAULT", message: "the JVM died" };
const refusal: FlywayError = { errorCode: "VALIDATE_ERROR", message: "Validate failed: checksum mismatch" };

interface World {
  readonly files?: Readonly<Record<string, string>>;
  readonly input?: Partial<MigrationInput>;
  /** What Flyway says, start by start, by its commands; the last goes on. */
  readonly says: Readonly<Record<string, readonly (FlywayError | FlywayResult)[]>>;
  readonly looks?: readonly (Look | undefined)[];
  /** Whether the failed row is in Flyway's history. */
  readonly isInHistory?: boolean;
  /** Whether all tables take back what a statement wrote that failed. */
  readonly takesBack?: boolean;
  readonly isOverLimit?: boolean;
  /** The scripts that are applied in Flyway's history; undefined where it cannot be removed. @default none */
  readonly appliedBefore?: readonly string[] | undefined;
}

/** Migrates in a world where nothing is but what a test says; tells what was started. */
async function play({
  files = { "V1__a.sql": "CREATE TABLE a (id int);" },
  input = {},
  says,
  looks = [LOOK],
  isInHistory = true,
  takesBack = true,
  isOverLimit = false,
  ...world
}: World) {
  const appliedBefore = "appliedBefore" in world ? world.appliedBefore : [];
  const started: string[] = [];
  const output: string[] = [];
  const remembered: Look[] = [];
  const takenOut: string[] = [];
  let looked = 0;
  for (const [key, text] of Object.entries(files)) {
    mkdirSync(location, { recursive: true });
    writeFileSync(join(location, key), text);
  }
  const objects = Object.entries(files).map(([key, text]) => ({
    ...{
      key,
      versionId: "1",
      eTag: "e",
      size: Buffer.byteLength(text),
      lastModified: "2026-01-01T12:00:00Z",
    },
  }));
  const migration = await migrate(
    {
      ...{ operation: "migrate", schema: "Users", flywayVersion: "11.8.2", objects, location },
      ...{
        former: undefined,
        unrecorded: null,
        retrySeconds: 0,
        unapplied: objects,
        applied: [],
        configured: new Set(),
        encoding: "UTF-8",
        placeholderPrefix: "${",
        isBaselinedByDefault: true,
      },
      log: createLog(
        "users1",
        (line) => output.push(line),
        (line) => output.push(line),
      ),
      ...input,
    },
    {
      credentials: async () => ({ user: "u", password: "p" }),
      async flyway(commands): Promise<Answer> {
        const name = commands.join(" ");
        const before = started.filter((other) => other === name).length;
        started.push(name);
        const answer = says[name]?.[Math.min(before, (says[name]?.length ?? 1) - 1)] ?? {};
        if ("errorCode" in answer)
          return { results: [{ error: answer as FlywayError }], error: answer as FlywayError };
        return { results: commands.map(() => answer as FlywayResult) };
      },
      look: async () => looks[Math.min(looked++, looks.length - 1)],
      unwritableNames: async (keys) => ({ charset: "latin1", keys: keys.filter((key) => /漢/.test(key)) }),
      remember: (look) => remembered.push(look),
      takesBack: async () => takesBack,
      async takeOutFailed(key) {
        takenOut.push(key);
        return isInHistory;
      },
      async removeUnappliedHistory() {
        started.push("remove history");
        return appliedBefore;
      },
      isOverLimit: () => isOverLimit,
    },
  );
  return { ...migration, started, output: output.join("\n"), remembered, takenOut };
}

const info = (states: Readonly<Record<string, string>>): FlywayResult => ({
  migrations: Object.entries(states).map(([key, state]) => ({
    ...{ filepath: `${location}/${key}`, state, executionTime: 1 },
  })),
});

describe("a migration", () => {
  it("that goes well starts Flyway once, and has looked before", async () => {
    const played = await play({ says: { "migrate info": [info({ "V1__a.sql": "Success" })] } });
    expect(played).toMatchObject({ outcome: { kind: "migrated" }, attempts: 1, started: ["migrate info"] });
    expect(played.remembered).toEqual([LOOK]);
    expect(played.before).toEqual(LOOK);
  });

  it("keeps what a run that was killed has seen, and looks not again", async () => {
    const former = { ...LOOK, time: "2026-01-01T11:00:00Z" };
    const played = await play({
      input: { former },
      says: { "migrate info": [info({ "V1__a.sql": "Success" })] },
    });
    expect(played.before).toEqual(former);
    expect(played.remembered).toEqual([]);
  });

  it("goes on where the schema cannot be looked at", async () => {
    const played = await play({
      looks: [undefined],
      says: { "migrate info": [info({ "V1__a.sql": "Success" })] },
    });
    expect(played).toMatchObject({ outcome: { kind: "migrated" }, before: undefined, remembered: [] });
  });

  it("is unreachable where the database stays away, and asks nothing more of it", async () => {
    const played = await play({ says: { "migrate info": [away] } });
    expect(played).toMatchObject({ outcome: { kind: "unreachable" }, started: ["migrate info"] });
    expect(played.results.migrate?.error).toEqual(away);
  });

  it("is unreachable where the JVM died: nobody has judged the content", async () => {
    const played = await play({ says: { "migrate info": [broken], info: [broken], validate: [broken] } });
    expect(played).toMatchObject({ outcome: { kind: "unreachable" } });
  });

  it("is refused where Flyway will not begin, and asks what stands where", async () => {
    const played = await play({ says: { "migrate info": [refusal], info: [info({})], validate: [{}] } });
    expect(played).toMatchObject({
      outcome: { kind: "refused", reason: null },
      started: ["migrate info", "info", "validate"],
    });
  });

  it("is failed where a script did, with what it left", async () => {
    const message = `failed\nLocation   : ${location}/V1__a.sql (x)\nLine       : 2\nStatement  : bad`;
    const played = await play({
      says: {
        "migrate info": [{ errorCode: "FAILED", message }],
        info: [info({ "V1__a.sql": "Failed" })],
        validate: [{}],
      },
      looks: [LOOK, { ...LOOK, parts: [{ kind: "table", name: "a", is: "InnoDB" }] }],
    });
    expect(played.outcome).toMatchObject({
      kind: "failed",
      landed: { key: "V1__a.sql", line: 2, statement: "bad", changes: [{ name: "a" }] },
    });
  });

  describe("whose file waited for a lock in vain", () => {
    const says = (sqlErrorCode = 1205, statement = "ALTER TABLE a ADD x int") => ({
      "migrate info": [
        {
          ...{ errorCode: "FAILED", sqlErrorCode },
          message: `failed\nLocation   : ${location}/V1__a.sql (x)\nLine       : 1\nStatement  : ${statement}`,
        },
      ],
      info: [info({ "V1__a.sql": "Failed" })],
      validate: [{}],
    });
    const files = { "V1__a.sql": "ALTER TABLE a ADD x int;\nDROP TABLE b;" };

    it("is locked: the failed row is taken out of Flyway's history", async () => {
      const played = await play({ files, says: says() });
      expect(played.outcome).toEqual({ kind: "locked", key: "V1__a.sql" });
      expect(played.takenOut).toEqual(["V1__a.sql"]);
    });

    it.each<[string, () => Partial<World>]>([
      ["the error is another", () => ({ says: says(1060) })],
      ["a statement went before", () => ({ says: says(1205, "DROP TABLE b") })],
      [
        "the schema is other than before",
        () => ({ looks: [LOOK, { ...LOOK, parts: [{ kind: "table", name: "a", is: "InnoDB" }] }] }),
      ],
      ["the schema was not seen before", () => ({ looks: [undefined, LOOK] })],
      ["the schema cannot be seen after", () => ({ looks: [LOOK, undefined] })],
      [
        "an earlier try lost its connection",
        () => {
          const { "migrate info": locked, ...rest } = says();
          const lost = { errorCode: "DB_CONNECTION", message: "gone", sqlState: "08S01" };
          return { says: { "migrate info": [lost, ...locked], ...rest }, input: { retrySeconds: 60 } };
        },
      ],
      ["a run before was killed", () => ({ input: { former: LOOK } })],
    ])("is failed where %s, and the history is left alone", async (_, world) => {
      const played = await play({ files, says: says(), ...world() });
      expect(played.outcome.kind).toBe("failed");
      expect(played.takenOut).toEqual([]);
    });

    it.each([
      [true, "locked"],
      [false, "failed"],
    ])("of rows, is by whether all tables take them back: %s", async (takesBack, kind) => {
      const rows = { "V1__a.sql": "UPDATE a SET x = 1;" };
      const played = await play({ files: rows, says: says(1205, "UPDATE a SET x = 1"), takesBack });
      expect(played.outcome.kind).toBe(kind);
    });

    it("is not taken for a file that is none of the bucket's, whatever a message says", async () => {
      const { "migrate info": _, ...rest } = says();
      const message = "x\nLocation   : /dev/zero (x)\nLine       : 1\nStatement  : ALTER TABLE a ADD x int";
      const forged = { "migrate info": [{ errorCode: "FAILED", sqlErrorCode: 1205, message }], ...rest };
      expect((await play({ files, says: forged })).outcome).toEqual({
        ...{ kind: "failed", landed: null, unrecorded: null },
      });
    });

    it("is failed where the history does not have it", async () => {
      const played = await play({ files, says: says(), isInHistory: false });
      expect(played.outcome.kind).toBe("failed");
    });
  });

  it("is refused where files were applied, and a schema that is not empty has no history", async () => {
    const parts: Look["parts"] = [{ kind: "table", name: "a", is: "InnoDB" }];
    const world = { input: { applied: ["V1__a.sql"] }, says: { "migrate info": [info({})] } };
    const refused = await play({ ...world, looks: [{ ...LOOK, parts }] });
    expect(refused).toMatchObject({
      ...{ outcome: { kind: "refused" }, started: [] },
      refused: [{ key: "V1__a.sql", message: expect.stringContaining("flyway_schema_history is gone") }],
    });
    const others = [
      { looks: [LOOK] },
      { looks: [{ ...LOOK, parts, scripts: ["V1__a.sql"] }] },
      { looks: [{ ...LOOK, parts }], input: { applied: ["V0__gone.sql"] } },
      { looks: [{ ...LOOK, parts }], input: { ...world.input, isBaselinedByDefault: false } },
    ];
    for (const other of others) expect((await play({ ...world, ...other })).outcome.kind).toBe("migrated");
  });

  describe("after a file that ran and is not in the history", () => {
    const pending = () => info({ "V1__a.sql": "Pending" });
    const edited = () => info({ "V0__z.sql": "Success", "V1__a.sql": "Pending" });
    const input = { unrecorded: "V1__a.sql" };

    it("is failed, and nothing is tried", async () => {
      const files = { "V1__a.sql": "SELECT 1;", "x.sql": "SELECT 1;" };
      const played = await play({ files, input, says: { info: [pending()] } });
      expect(played).toMatchObject({
        ...{ outcome: { kind: "failed", unrecorded: "V1__a.sql" }, started: ["info"] },
        refused: [{ key: "x.sql" }],
      });
    });

    it("goes on once the history has it, be it by hand", async () => {
      const says = { info: [info({ "V1__a.sql": "Success" })], "migrate info": [info({})] };
      expect(await play({ input, says })).toMatchObject({ outcome: { kind: "migrated" } });
    });

    it("does not forget it where a repair fails by something else", async () => {
      const script = `failed\nLocation   : ${location}/V0__z.sql (x)\nLine       : 1\nStatement  : bad`;
      const played = await play({
        files: { "V0__z.sql": "bad", "V1__a.sql": "SELECT 1;" },
        input: { ...input, operation: "repair" },
        says: {
          info: [edited(), info({ "V0__z.sql": "Failed", "V1__a.sql": "Pending" })],
          validate: [{}],
          "migrate info": [{ errorCode: "FAILED", message: script }],
        },
      });
      expect(played.outcome).toMatchObject({
        ...{ kind: "failed", landed: { key: "V0__z.sql" }, unrecorded: "V1__a.sql" },
      });
    });
  });

  describe.each([
    ["the JVM died", broken, "unreachable"],
    [
      "a callback for errors failed, and none is failed in the history",
      { errorCode: "FAILED", message: "Error while executing afterMigrateError callback: x" },
      "failed",
    ],
  ] as const)("in which %s", (_, error, kind) => {
    const says = {
      ...{ "migrate info": [error], validate: [{}] },
      get info() {
        return [info({ "V1__a.sql": "Pending" })];
      },
    };
    const table: Look["parts"] = [{ kind: "table", name: "a", is: "InnoDB" }];

    it.each<[string, string, World["looks"], boolean?]>([
      ["what it adds is not there", "CREATE TABLE a (id int);", [LOOK, LOOK]],
      ["all that it wrote is taken back", "INSERT INTO a VALUES (1);", [LOOK, LOOK]],
    ])("has run no file where %s", async (_, sql, looks, takesBack) => {
      const played = await play({ files: { "V1__a.sql": sql }, says, looks, takesBack });
      expect(played.outcome).toMatchObject({ kind });
      expect(played.outcome).not.toMatchObject({ unrecorded: "V1__a.sql" });
    });

    it.each<[string, string, World["looks"], boolean?]>([
      ["what it adds is there", "CREATE TABLE a (id int);", [LOOK, { ...LOOK, parts: table }]],
      ["rows of it may be there", "INSERT INTO a VALUES (1); COMMIT;", [LOOK, LOOK]],
      ["rows cannot be taken back", "INSERT INTO a VALUES (1);", [LOOK, LOOK], false],
      ["the schema cannot be looked at", "CREATE TABLE a (id int);", [LOOK, undefined]],
    ])("counts a file as run where %s", async (_, sql, looks, takesBack) => {
      const played = await play({ files: { "V1__a.sql": sql }, says, looks, takesBack });
      expect(played.outcome).toMatchObject({ kind: "failed", unrecorded: "V1__a.sql" });
    });
  });

  it("is failed all the same where what landed cannot be told", async () => {
    const message = `failed\nLocation   : ${location}/V1__a.sql (x)\nLine       : 2\nStatement  : bad`;
    const played = await play({
      files: { "V1__a.sql": "SELECT 1;" }, // no whole number of two bytes
      input: { encoding: "UTF-16", unapplied: [] },
      says: {
        "migrate info": [{ errorCode: "FAILED", message }],
        info: [info({ "V1__a.sql": "Failed" })],
        validate: [{}],
      },
    });
    expect(played.outcome).toMatchObject({ kind: "failed", landed: { key: "V1__a.sql", changes: null } });
    expect(played.output).toContain("what V1__a.sql has left in the schema cannot be told");
  });

  it("is not tried again once it took longer than it may", async () => {
    const played = await play({
      says: { "migrate info": [away] },
      input: { retrySeconds: 60 },
      isOverLimit: true,
    });
    expect(played).toMatchObject({ outcome: { kind: "unreachable" }, attempts: 1 });
  });

  it("is failed, not refused, where a run that was killed has left a failed file and no word of it", async () => {
    const played = await play({
      input: { former: LOOK },
      says: { "migrate info": [refusal], info: [info({ "V1__a.sql": "Failed" })], validate: [{}] },
    });
    expect(played.outcome).toMatchObject({ kind: "failed", landed: { key: "V1__a.sql", line: null } });
  });

  it("refuses an empty file that is not applied, before anything is tried, but not one that is", async () => {
    const files = { "V1__a.sql": "\uFEFF \r\n", "V2__b.sql": "SELECT 1;" };
    const refused = await play({ files, says: { info: [info({ "V1__a.sql": "Pending" })] } });
    expect(refused).toMatchObject({
      outcome: { kind: "refused", reason: expect.stringContaining("V1__a.sql: it is empty") },
      started: ["info"],
    });
    const states = info({ "V1__a.sql": "Success", "V2__b.sql": "Success" });
    const applied = await play({ files, says: { info: [states], "migrate info": [states] } });
    expect(applied.outcome.kind).toBe("migrated");
  });

  it("refuses the files that Flyway passes over, but no callback", async () => {
    const files = { "V1__a.sql": "x", "v2__b.sql": "x", "V3__c.SQL": "x", "beforeMigrate.sql": "x" };
    const { refused } = await play({ files, says: { "migrate info": [info({ "V1__a.sql": "Success" })] } });
    expect(refused.map(({ key }) => key)).toEqual(["v2__b.sql", "V3__c.SQL"]);
  });
});

describe("a baseline", () => {
  const TABLE: Look = { ...LOOK, parts: [{ kind: "table", name: "A", is: "x" }], scripts: ["V1__a.sql"] };
  const input = { operation: "baseline" as const, isBaselinedByDefault: false };
  const says = { info: [info({ "V1__a.sql": "Pending" })], "migrate info": [{}] };

  it("makes a history anew in which nothing is applied, and migrates", async () => {
    expect(await play({ input, looks: [TABLE], says })).toMatchObject({
      ...{ repairRefused: null, started: ["info", "remove history", "migrate info"] },
      ...{ before: { scripts: [] }, remembered: [TABLE, { ...TABLE, scripts: [] }] },
    });
  });

  it.each<[string, Partial<World>, RegExp]>([
    [
      "no version is set",
      { input: { ...input, isBaselinedByDefault: true } },
      /^baseline_version of this database is not set/,
    ],
    ["the schema has no tables", { looks: [LOOK] }, /^the schema has no tables/],
    ["it cannot be looked at", { looks: [undefined] }, /^the schema cannot be looked at/],
    [
      "files are applied",
      { appliedBefore: ["V1__a.sql", "R__v.sql"] },
      /would be forgotten: V1__a\.sql, R__v\.sql$/,
    ],
    ["the history cannot be removed", { appliedBefore: undefined }, /cannot be removed/],
  ])("is refused where %s, and the migration goes on", async (_, world, reason) => {
    const played = await play({ input, looks: [TABLE], says, ...world });
    expect(played).toMatchObject({
      repairRefused: expect.stringMatching(reason),
      outcome: { kind: "migrated" },
    });
    expect(played.started.at(-1)).toBe("migrate info");
    expect(played.output).toContain("BASELINE REFUSED");
  });

  it("is refused where a file has run that is not in the history, which is not tried again", async () => {
    const played = await play({ input: { ...input, unrecorded: "V1__a.sql" }, looks: [TABLE], says });
    expect(played).toMatchObject({
      repairRefused: "V1__a.sql has run, and would run again: mend that first",
      outcome: { kind: "failed", unrecorded: "V1__a.sql" },
      started: ["info"],
    });
  });
});

describe("a repair", () => {
  const repair = { operation: "repair" as const };
  const failed = () => info({ "V1__a.sql": "Failed" });
  const finding = (errorCode: string) => ({
    invalidMigrations: [{ filepath: "x", errorDetails: { errorCode, errorMessage: `it is ${errorCode}` } }],
  });

  it("is done where a migration failed, and nothing else is found", async () => {
    const played = await play({
      input: repair,
      says: {
        info: [failed()],
        validate: [finding("FAILED_VERSIONED_MIGRATION")],
        repair: [{}],
        "migrate info": [{}],
      },
    });
    expect(played).toMatchObject({
      repairRefused: null,
      started: ["info", "validate", "repair", "migrate info"],
    });
  });

  it("has taken the failed file out of what the history had, also for the case that the run is killed", async () => {
    const before: Look = { ...LOOK, scripts: ["V1__a.sql"] };
    const bookkeeping = { errorCode: "FAULT", message: "Unable to commit transaction" };
    const played = await play({
      files: { "V1__a.sql": "INSERT INTO a VALUES (1); LOCK TABLES a WRITE;", "V2__b.sql": "SELECT 1;" },
      input: repair,
      says: {
        info: [failed(), info({ "V1__a.sql": "Pending", "V2__b.sql": "Pending" })],
        validate: [finding("FAILED_VERSIONED_MIGRATION")],
        repair: [{}],
        "migrate info": [bookkeeping],
      },
      looks: [before],
    });
    expect(played.outcome).toMatchObject({ kind: "failed", unrecorded: "V1__a.sql" });
    expect(played.remembered).toEqual([before, LOOK]);
  });

  it.each([
    ["nothing failed", () => info({ "V1__a.sql": "Success" }), {}, /nothing to repair/],
    ["a file was edited", failed, finding("CHECKSUM_MISMATCH"), /would hide this: it is CHECKSUM_MISMATCH/],
    ["a file is missing", failed, finding("APPLIED_VERSIONED_MIGRATION_NOT_RESOLVED"), /would hide this/],
  ])("is refused where %s, and the migration goes on", async (_, states, validate, reason) => {
    const played = await play({
      input: repair,
      says: { info: [states()], validate: [validate as FlywayResult], "migrate info": [{}] },
    });
    expect(played.repairRefused).toMatch(reason);
    expect(played.started).toEqual(["info", "validate", "migrate info"]);
    expect(played.output).toContain("REPAIR REFUSED");
  });

  it("is not done where Flyway cannot say what there is", async () => {
    const played = await play({ input: repair, says: { info: [away] } });
    expect(played).toMatchObject({ outcome: { kind: "unreachable" }, started: ["info"] });
  });
});
