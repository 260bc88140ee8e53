import { afterEach, describe, expect, it } from "vitest";
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
        { kind: "table", name: "B", before: null, after: "InnoDB", shared: false },
      ],
      moreChanges: 0,
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
