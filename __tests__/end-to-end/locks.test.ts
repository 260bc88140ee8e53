import { createConnection } from "mysql2/promise";
import { afterEach, describe, expect, inject, it } from "vitest";
import { NOW_PREFIX, type Work } from "../../records/work";
import { query } from "../support/chain";
import type { Finished, StartedRun } from "../support/host";
import { useTestHost } from "../support/host-test";
import { schemaErrors } from "../support/schema";

const isMysql = inject("mysqld") !== undefined;

const host = useTestHost();

/** Connections of an application, open until the test's end. */
const applications: { destroy(): void }[] = [];
afterEach(() => {
  for (const application of applications.splice(0)) application.destroy();
});

async function startApplication() {
  const { host: address, port, observer, ca } = host.database;
  const connection = await createConnection({
    ...{ host: address, port, ...observer },
    ssl: { ca, verifyIdentity: false },
  });
  connection.on("error", () => {});
  applications.push(connection);
  return connection;
}

/** Leaves a transaction open that has done some statements. */
async function leaveOpen(...statements: string[]): Promise<number> {
  const application = await startApplication();
  await application.query("START TRANSACTION");
  for (const statement of statements) await application.query(statement);
  return application.threadId as number;
}

const newest = async (bucket: string) => (await host.records(bucket)).at(-1);
const nowKeys = (bucket: string) => host.s3.versions(bucket).filter(({ key }) => key.startsWith(NOW_PREFIX));
const history = async (schema: string) =>
  query(
    host,
    `SELECT version, success FROM ${schema}.flyway_schema_history WHERE version > 0 ORDER BY installed_rank`,
  );

/** What a run says in the bucket, once it does and it is as wanted. @throws where it ends before */
async function work(bucket: string, run: StartedRun, isWanted: (work: Work) => boolean): Promise<Work> {
  let end: Finished | undefined;
  run.finished.then((finished) => {
    end = finished;
  });
  while (!end) {
    const [now] = nowKeys(bucket);
    const said = now && (JSON.parse(String(await host.s3.read(bucket, now.key))) as Work);
    if (said && isWanted(said)) return said;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`The run has ended: ${JSON.stringify(end)}`);
}

async function bucketWithTable(
  name: string,
  mapping: { lockWaitTimeout?: number; migrationTimeout?: number },
) {
  host.bucket(name, mapping);
  await host.put(
    name,
    "V1__a.sql",
    "CREATE TABLE a (id int PRIMARY KEY, n int); INSERT INTO a VALUES (1, 1), (2, 2);",
  );
  expect((await host.run(name)).code).toBe(0);
}

describe("a migration behind a transaction that is left open", () => {
  it("fails after lock_wait_timeout, names who held the lock, leaves no failed row, and is applied by the next run", async () => {
    await bucketWithTable("behind", { lockWaitTimeout: 6 });
    const connection = await leaveOpen("SELECT n FROM behind.a WHERE id = 1");
    await host.put("behind", "V2__b.sql", "-- more room\nALTER TABLE a ADD email varchar(255);");
    await host.put("behind", "V3__c.sql", "CREATE TABLE c (id int);");
    const run = host.start("behind");
    const seen = await work("behind", run, ({ isWaiting }) => isWaiting);
    expect(seen).toMatchObject({
      ...{ workVersion: 1, bucket: "behind", schema: "behind" },
      statement: { text: "-- more room\nALTER TABLE a ADD email varchar(255)" },
      holders: [{ connection, user: "observer", isCertain: isMysql }],
    });
    const { code, stdout } = await run.finished;
    expect({ code, stdout }).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(
        /waiting for \d+ s \(.*\): -- more room ALTER TABLE a ADD email varchar\(255\)\n/,
      ),
    });
    const verdict = await host.verdictOf("behind", "V2__b.sql");
    expect(verdict).toMatchObject({ verdict: "failed" });
    expect(verdict.message).toMatch(/Lock wait timeout exceeded/);
    expect(verdict.message).toMatch(
      new RegExp(
        `The lock ${isMysql ? "was" : "may have been"} held by connection ${connection} of observer@[^,]+, idle for \\d+ s, in a transaction for \\d+ s, ` +
          (isMysql
            ? "its last statement: SELECT n FROM behind.a WHERE id = \\?"
            : "its statement is not known"),
      ),
    );
    expect(verdict.message).toMatch(/Nothing of it is in the schema.*\nTo do: have whoever holds the lock/);
    expect((await host.verdictOf("behind", "V3__c.sql")).message).toMatch(/^held back by /);
    expect(await newest("behind")).toMatchObject({ takenOut: "V2__b.sql", halfApplied: null });
    expect((await host.records("behind")).flatMap(schemaErrors)).toEqual([]);
    expect(await history("behind")).toEqual([{ version: "1", success: 1 }]);
    expect(nowKeys("behind")).toEqual([]);

    applications.pop()?.destroy();
    expect((await host.run("*")).code).toBe(0);
    expect(await host.verdictOf("behind", "V2__b.sql")).toMatchObject({ verdict: "applied" });
    expect(await host.verdictOf("behind", "V3__c.sql")).toMatchObject({ verdict: "applied" });
  });

  it("fails for good where a statement of its file went before, and what landed is told", async () => {
    await bucketWithTable("landed", { lockWaitTimeout: 5 });
    await leaveOpen("SELECT n FROM landed.a WHERE id = 1");
    await host.put("landed", "V2__b.sql", "CREATE TABLE b (id int);\nALTER TABLE a ADD email varchar(255);");
    expect((await host.run("landed")).code).toBe(1);
    const verdict = await host.verdictOf("landed", "V2__b.sql");
    expect(verdict.message).toMatch(/Lock wait timeout exceeded[\s\S]*The lock (was|may have been) held by/);
    expect(verdict.message).toMatch(/- table b added\nStatement: [^\n]*\nTo do: correct it/);
    expect(await newest("landed")).toMatchObject({
      takenOut: null,
      halfApplied: { key: "V2__b.sql", line: 2 },
    });
    expect(await history("landed")).toContainEqual({ version: "2", success: 0 });
  });

  it("fails for good where it wrote rows before it waited for one", async () => {
    await bucketWithTable("rows", {});
    await query(host, "SET GLOBAL innodb_lock_wait_timeout = 5");
    await leaveOpen("UPDATE `rows`.a SET n = 0 WHERE id = 1");
    await host.put("rows", "V2__b.sql", "INSERT INTO a VALUES (3, 3);\nUPDATE a SET n = n + 1 WHERE id = 1;");
    expect((await host.run("rows")).code).toBe(1);
    const verdict = await host.verdictOf("rows", "V2__b.sql");
    expect(verdict.message).toMatch(/The lock was held by connection \d+ of observer@/);
    expect(await newest("rows")).toMatchObject({ takenOut: null });
    expect(await history("rows")).toContainEqual({ version: "2", success: 0 });
  });

  it("is tried again where a statement on rows was its first: what it did before it waited is taken back", async () => {
    await bucketWithTable("first", {});
    await query(host, "SET GLOBAL innodb_lock_wait_timeout = 5");
    await leaveOpen("UPDATE `first`.a SET n = 0 WHERE id = 2");
    await host.put("first", "V2__b.sql", "UPDATE a SET n = n + 10;");
    expect((await host.run("first")).code).toBe(1);
    expect(await newest("first")).toMatchObject({ takenOut: "V2__b.sql" });
    applications.pop()?.destroy();
    expect((await host.run("*")).code).toBe(0);
    expect(await query(host, "SELECT n FROM `first`.a ORDER BY id")).toEqual([{ n: 11 }, { n: 12 }]);
  });

  it("fails for good where a trigger has written what is not taken back", async () => {
    await bucketWithTable("trigger", {});
    await query(host, "CREATE DATABASE other");
    await query(host, "CREATE TABLE other.log (id int) ENGINE = MyISAM");
    await host.put(
      "trigger",
      "V2__t.sql",
      "CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW INSERT INTO other.log VALUES (1);",
    );
    expect((await host.run("trigger")).code).toBe(0);
    await query(host, "SET GLOBAL innodb_lock_wait_timeout = 2");
    await leaveOpen("UPDATE `trigger`.a SET n = 0 WHERE id = 2");
    await host.put("trigger", "V3__b.sql", "UPDATE a SET n = n + 1;");
    expect((await host.run("trigger")).code).toBe(1);
    expect(await newest("trigger")).toMatchObject({ takenOut: null });
    expect(await history("trigger")).toContainEqual({ version: "3", success: 0 });
    applications.pop()?.destroy();
    await query(host, "DROP DATABASE other"); // else all rows of this server would be in doubt
  });

  it("leaves no failed row on a server of its own defaults for transactions and time", async () => {
    await bucketWithTable("defaults", { lockWaitTimeout: 5 });
    await query(host, "SET GLOBAL autocommit = 0");
    await query(host, "SET GLOBAL time_zone = '+09:00'");
    try {
      await leaveOpen("SELECT n FROM defaults.a WHERE id = 1");
      await host.put("defaults", "V2__b.sql", "ALTER TABLE a ADD email varchar(255);");
      expect((await host.run("defaults")).code).toBe(1);
    } finally {
      await query(host, "SET GLOBAL autocommit = 1");
      await query(host, "SET GLOBAL time_zone = 'SYSTEM'");
    }
    const record = await newest("defaults");
    expect(record).toMatchObject({ takenOut: "V2__b.sql" });
    expect(record?.lockHolders[0]?.transactionSeconds).toBeLessThan(300);
    expect(await history("defaults")).toEqual([{ version: "1", success: 1 }]);
  });
});

describe("a migration that takes longer than its migration_timeout", () => {
  it("is ended in the statement under way, and has failed with what landed", async () => {
    await bucketWithTable("limit", { migrationTimeout: 4 });
    await host.put(
      "limit",
      "V2__b.sql",
      "CREATE TABLE b (id int);\nINSERT INTO b WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT SLEEP(0.1) FROM n;\nCREATE TABLE c (id int);",
    );
    const began = Date.now();
    expect((await host.run("limit")).code).toBe(1);
    expect(Date.now() - began).toBeLessThan(60_000);
    const verdict = await host.verdictOf("limit", "V2__b.sql");
    expect(verdict).toMatchObject({ verdict: "failed" });
    expect(verdict.message).toMatch(/took longer than 4 s, the migration_timeout of this database/);
    expect(verdict.message).toMatch(/- table b added\nStatement: [^\n]*\nTo do: raise the migration_timeout/);
    expect(await newest("limit")).toMatchObject({ timedOutAfter: 4, halfApplied: { line: 2 } });
  });
});

describe("a migration that works for long", () => {
  it("says which statement, for how long and how far, and leaves no trace of it in the bucket", async () => {
    host.bucket("long");
    const doubling = Array.from({ length: 19 }, () => "INSERT INTO big (text) SELECT text FROM big;").join(
      "\n",
    );
    await host.put(
      "long",
      "V1__big.sql",
      `CREATE TABLE big (id int AUTO_INCREMENT PRIMARY KEY, text varchar(1000));\nINSERT INTO big (text) VALUES (REPEAT('x', 1000));\n${doubling}`,
    );
    if (isMysql) {
      await query(
        host,
        "UPDATE performance_schema.setup_consumers SET ENABLED = 'YES' WHERE NAME = 'events_stages_current'",
      );
    }
    expect((await host.run("long")).code).toBe(0);
    await host.put(
      "long",
      "V2__more.sql",
      "ALTER TABLE big ADD more int NOT NULL DEFAULT 1, ALGORITHM=COPY;",
    );
    const run = host.start("long");
    const { statement, isWaiting } = await work("long", run, ({ statement }) => statement !== null);
    expect(isWaiting).toBe(false);
    expect(statement?.text).toMatch(/^ALTER TABLE big ADD more/);
    expect(statement?.percent).toBeGreaterThanOrEqual(0);
    expect(statement?.percent).toBeLessThanOrEqual(100);
    const { code, stdout } = await run.finished;
    expect(code).toBe(0);
    expect(stdout).toMatch(/working for \d+ s \(.*, \d+ %\): ALTER TABLE big ADD more/);
    expect(nowKeys("long")).toEqual([]);
  });

  it("and is killed leaves what it said, which the next run takes away", async () => {
    await bucketWithTable("killed", {});
    await host.put("killed", "V2__b.sql", "DO SLEEP(8);");
    const run = host.start("killed");
    await work("killed", run, () => true);
    process.kill(-run.pid, "SIGKILL");
    await run.finished;
    expect(nowKeys("killed")).not.toEqual([]);
    expect((await host.run("killed")).code).toBe(0);
    expect(nowKeys("killed")).toEqual([]);
  });
});
