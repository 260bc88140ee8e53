import { afterEach, describe, expect, it } from "vitest";
import { planResume, Untold } from "../../cli/resume/plan";
import type { HalfApplied, RunRecord } from "../../records/record";
import { columns, query } from "../support/chain";
import { testedVersions } from "../support/flyway";
import { useTestHost } from "../support/host-test";
import { schemaErrors } from "../support/schema";

describe.each(testedVersions())("a migration that fails half way, under Flyway %s", (version) => {
  const host = useTestHost(version);

  const newest = async (bucket: string) => (await host.records(bucket)).at(-1);
  const history = (schema: string) =>
    query(host, `SELECT version, success FROM ${schema}.flyway_schema_history WHERE version IS NOT NULL`);

  const buckets: string[] = [];
  const create = async (bucket: string) => {
    buckets.push(bucket);
    host.bucket(bucket);
    await host.put(bucket, "V1__a.sql", "CREATE TABLE A (id int, name varchar(10), KEY old (name));");
    expect((await host.run(bucket)).code).toBe(0);
  };
  /** A bucket whose third file has failed half way. */
  const fail = async (bucket: string) => {
    await create(bucket);
    await host.put(bucket, "V2__unrelated.sql", "CREATE TABLE Unrelated (x int);");
    await host.put(
      bucket,
      "V3__half.sql",
      `CREATE TABLE B (id int PRIMARY KEY);
ALTER TABLE A ADD email varchar(255), MODIFY name varchar(20), DROP KEY old;
CREATE UNIQUE INDEX i ON A (id, email);
ALTER TABLE Nowhere
  ADD x int;
CREATE TABLE Later (id int);`,
    );
    await host.put(bucket, "V4__next.sql", "CREATE TABLE Next (id int);");
    expect((await host.run(bucket)).code).toBe(1);
  };

  afterEach(async () => {
    for (const bucket of buckets.splice(0)) {
      expect((await host.records(bucket)).flatMap(schemaErrors)).toEqual([]);
    }
  });

  it("names the statement that failed and what of the file is in the schema, and holds back what follows", async () => {
    await fail("half");
    expect((await newest("half"))?.halfApplied).toEqual({
      key: "V3__half.sql",
      line: 4,
      statement: "ALTER TABLE Nowhere\n  ADD x int",
      applied: ["V2__unrelated.sql"],
      changes: [
        {
          kind: "column",
          name: "A.email",
          before: null,
          after: expect.stringContaining("varchar(255)"),
          shared: false,
        },
        {
          kind: "column",
          name: "A.name",
          before: expect.stringContaining("varchar(10)"),
          after: expect.stringContaining("varchar(20)"),
          shared: false,
        },
        { kind: "column", name: "B.id", before: null, after: expect.stringContaining("int"), shared: false },
        { kind: "index", name: "A.i", before: null, after: "UNIQUE (id,email)", shared: false },
        { kind: "index", name: "A.old", before: "(name)", after: null, shared: false },
        { kind: "index", name: "B.PRIMARY", before: null, after: "UNIQUE (id)", shared: false },
        {
          kind: "table",
          name: "B",
          before: null,
          after: expect.stringMatching(/^InnoDB /),
          shared: false,
        },
      ],
      moreChanges: 0,
      otherSchemas: [],
    });
    const failed = await host.verdictOf("half", "V3__half.sql");
    expect(failed.verdict).toBe("failed");
    expect(failed.message).toContain("ALTER TABLE Nowhere");
    expect(failed.message).toMatch(
      /\n- table B added\nStatement: ALTER TABLE Nowhere\n {2}ADD x int\nTo do: correct it, .*have the host repair/,
    );
    expect((await host.verdictOf("half", "V2__unrelated.sql")).verdict).toBe("applied");
    expect((await host.verdictOf("half", "V4__next.sql")).verdict).toBe("refused");
    expect(await columns(host, "half", "Next")).toEqual([]);
  });

  it("is not repaired while that would hide an applied file's edit or deletion", async () => {
    await fail("edited");
    await host.put("edited", "V3__half.sql", "CREATE TABLE Later (id int);");
    await host.put("edited", "V1__a.sql", "CREATE TABLE A (other int);");
    for (const why of ["checksum mismatch", "not resolved locally: 1"]) {
      expect((await host.run("edited", { operation: "repair" })).code).toBe(1);
      expect(await newest("edited")).toMatchObject({
        operation: "repair",
        repairRefused: expect.stringMatching(new RegExp(`^a repair would hide this: .*${why}`)),
        flyway: { repair: null },
      });
      expect(await history("edited")).toContainEqual({ version: "3", success: 0 });
      await host.remove("edited", "V1__a.sql");
    }
  });

  it("goes on with the corrected file after a repair, and takes what was held back with it", async () => {
    await fail("mended");
    await host.put("mended", "V3__half.sql", "CREATE TABLE Later (id int);");
    expect((await host.run("mended")).code).toBe(1);
    expect(await host.verdictOf("mended", "V3__half.sql")).toMatchObject({
      verdict: "refused",
      message: expect.stringMatching(/Detected failed migration[\s\S]*\nTo do: .*have the host repair/),
    });
    const repaired = await host.run("mended", { operation: "repair" });
    expect(repaired.code).toBe(0);
    expect((await newest("mended"))?.flyway.repair?.repairActions).toEqual(["Removed failed migrations"]);
    expect(await history("mended")).toEqual(["1", "2", "3", "4"].map((version) => ({ version, success: 1 })));
    for (const key of ["V3__half.sql", "V4__next.sql"]) {
      expect([key, (await host.verdictOf("mended", key)).verdict]).toEqual([key, "applied"]);
    }
  });

  it("is not repaired where nothing failed; the run is a migration all the same", async () => {
    await create("intact");
    await host.put("intact", "V2__new.sql", "CREATE TABLE New (id int);");
    const { code, stderr } = await host.run("intact", { operation: "repair" });
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("nothing to repair") });
    expect((await host.verdictOf("intact", "V2__new.sql")).verdict).toBe("applied");
  });
});

describe("what a file that fails half way has left", () => {
  const host = useTestHost();
  let number = 0;
  /** Resumes a file whose last statement was SELEC 1. */
  const resume = async (bucket: string, key: string, text: string) => {
    const { halfApplied, flyway } = (await host.records(bucket)).at(-1) as RunRecord;
    const errorCode = flyway.migrate?.error?.sqlErrorCode ?? null;
    const failure = { text, halfApplied: halfApplied as HalfApplied, errorCode };
    await host.put(bucket, key, planResume(failure, text.replace("SELEC 1;", "SELECT 1;")).text);
    return host.run(bucket, { operation: "repair" });
  };

  it.each<readonly [string, string, readonly string[]]>([
    ["a procedure", "CREATE PROCEDURE p1() SELECT 1;", ["routine p1 added"]],
    [
      "a function of another body",
      "DROP FUNCTION f; CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 2;",
      ["routine f redefined"],
    ],
    ["a trigger", "CREATE TRIGGER t BEFORE INSERT ON A FOR EACH ROW SET NEW.id = 1;", ["trigger t added"]],
    ["an event", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;", ["event e added"]],
    ["a view, redefined", "CREATE OR REPLACE VIEW w AS SELECT name FROM A;", ["view w redefined"]],
    [
      "a foreign key",
      "ALTER TABLE C ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES A (id);",
      ["foreign key C.k added"],
    ],
    ["a check", "ALTER TABLE A ADD CONSTRAINT positive CHECK (id > 0);", ["check A.positive added"]],
    ["a charset", "ALTER TABLE A DEFAULT CHARSET latin1;", ["table A changed"]],
    [
      "a comment of a column",
      "ALTER TABLE A MODIFY name varchar(10) COMMENT 'new';",
      ["column A.name changed"],
    ],
    ["partitions", "ALTER TABLE P PARTITION BY HASH (id) PARTITIONS 2;", ["table P changed"]],
    ["a schema", "CREATE DATABASE $_new;", ["schema $_new added"]],
  ])("has %s", async (_, sql, expected) => {
    const bucket = `kind${number++}`;
    host.bucket(bucket);
    await host.put(
      bucket,
      "V1__a.sql",
      `CREATE TABLE A (id int PRIMARY KEY, name varchar(10)); CREATE TABLE C (a int); CREATE TABLE P (id int);
CREATE VIEW w AS SELECT id FROM A; CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1;`,
    );
    expect((await host.run(bucket)).code).toBe(0);
    const text = `${sql.replace("$", bucket)} SELEC 1;`;
    await host.put(bucket, "V2__b.sql", text);
    expect((await host.run(bucket)).code).toBe(1);
    const { message } = await host.verdictOf(bucket, "V2__b.sql");
    for (const line of expected) expect(message).toContain(`\n- ${line.replace("$", bucket)}`);
    const resumed = resume(bucket, "V2__b.sql", text);
    if (sql.startsWith("CREATE DATABASE")) await expect(resumed).rejects.toThrow(Untold);
    else expect((await resumed).code).toBe(0);
  });

  it("is not denied where it is in another schema", async () => {
    host.bucket("here");
    await query(host, "CREATE DATABASE elsewhere");
    const text = "USE elsewhere; CREATE TABLE X (id int); SELEC 1;";
    await host.put("here", "V1__b.sql", text);
    expect((await host.run("here")).code).toBe(1);
    expect((await host.verdictOf("here", "V1__b.sql")).message).toContain(
      "\nWhat it did in other schemas (elsewhere) is not known: look at them.\n",
    );
    await expect(resume("here", "V1__b.sql", text)).rejects.toThrow(Untold);
    await query(host, "DROP DATABASE elsewhere");
  });

  it("is, in a folder's first import, what that file can have done, and nothing of the others", async () => {
    host.bucket("import");
    await host.put("import", "V1__a.sql", "CREATE TABLE A (id int);");
    await host.put("import", "V2__b.sql", "CREATE TABLE B (id int);");
    const text = "CREATE TABLE C (id int); ALTER TABLE A ADD x int; SELEC 1;";
    await host.put("import", "V3__c.sql", text);
    expect((await host.run("import")).code).toBe(1);
    const { message } = await host.verdictOf("import", "V3__c.sql");
    expect(message.match(/^- .*/gm)).toEqual([
      "- column A.x added",
      "- column C.id added",
      "- table C added",
    ]);
    expect((await resume("import", "V3__c.sql", text)).code).toBe(0);
  });
});
