import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SchemaChange } from "../records/record";
import type { Look, SchemaPart } from "../runner/database";
import { landed, linesOf, namesIn, othersApplied } from "../runner/landed";

let location: string;
beforeAll(() => {
  location = mkdtempSync(join(tmpdir(), "landed-"));
});
afterAll(() => rmSync(location, { recursive: true }));

const part = (kind: SchemaChange["kind"], name: string, is = "x"): SchemaPart => ({ kind, name, is });
const table = (name: string, is = "InnoDB") => part("table", name, is);
const column = (name: string, is = "int") => part("column", name, is);
const look = (...parts: SchemaPart[]): Look => ({
  time: "2026-01-01T12:00:00Z",
  parts,
  scripts: ["V1__a.sql"],
});

/** What V2__b.sql, which failed in its last line, has left between two looks, beside other files. */
function landedOf(
  sql: string,
  before: Look | undefined,
  after: Look | undefined,
  others: Readonly<Record<string, string>> = {},
) {
  for (const [key, text] of Object.entries({ "V2__b.sql": sql, ...others })) {
    writeFileSync(join(location, key), text);
  }
  return landed({
    failed: { file: join(location, "V2__b.sql"), line: sql.split("\n").length, statement: "SELEC 1" },
    others: Object.keys(others).map((key) => join(location, key)),
    ...{ location, schema: "users", before, after, isKilled: false },
    ...{ encoding: "UTF-8", placeholderPrefix: "${", log: { complain() {} } },
  });
}

/** The changes, each by kind, name, and `?` where it may be another file's. */
async function changesOf(...input: Parameters<typeof landedOf>): Promise<string[] | undefined> {
  const { changes } = await landedOf(...input);
  return changes?.map(({ kind, name, shared }) => `${kind} ${name}${shared ? "?" : ""}`);
}

describe("what a file that failed has left", () => {
  it("is what is there now and was not, is gone, or is other", async () => {
    const before = look(table("A"), column("A.x"), column("A.gone"));
    const after = look(table("A"), column("A.x", "bigint"), table("B"));
    expect(await landedOf("CREATE TABLE B (x int);\nSELEC 1;", before, after)).toEqual({
      ...{ key: "V2__b.sql", line: 2, statement: "SELEC 1", applied: [], moreChanges: 0, otherSchemas: [] },
      changes: [
        { kind: "column", name: "A.gone", before: "int", after: null, shared: false },
        { kind: "column", name: "A.x", before: "int", after: "bigint", shared: false },
        { kind: "table", name: "B", before: null, after: "InnoDB", shared: false },
      ],
    });
  });

  it("has no default of a column that a password may be in, and no comment of it", async () => {
    const before = look(column("A.user_password", "varchar(9) DEFAULT 'hunter1'"));
    const after = look(
      column("A.user_password", "varchar(9) DEFAULT 'hunter2' COMMENT 'hunter3'"),
      column("A.name", "varchar(9) DEFAULT 'x'"),
    );
    const { changes } = await landedOf("ALTER TABLE A ADD x int;\nSELEC 1;", before, after);
    expect(JSON.stringify(changes)).not.toContain("hunter");
    expect(changes?.map(({ after }) => after)).toEqual(["varchar(9) DEFAULT 'x'", "varchar(9) DEFAULT …"]);
  });

  it("is not known where the schema could not be looked at, before or after", async () => {
    expect((await landedOf("SELEC 1;", undefined, look())).changes).toBeNull();
    expect((await landedOf("SELEC 1;", look(), undefined)).changes).toBeNull();
  });

  const imported = look(
    ...[table("a"), column("a.id"), column("a.x"), table("b"), column("b.id"), table("c"), column("c.id")],
  );
  const FIRST = { "V0__a.sql": "CREATE TABLE a (id int); CREATE TABLE b (id int);" };

  it.each<readonly [string, string, readonly string[]]>([
    [
      "an ALTER of another's table: the column",
      "CREATE TABLE c (id int);\nALTER TABLE a ADD x int;\nSELEC 1;",
      ["column a.x", "column c.id", "table c"],
    ],
    ["nothing: nothing of the others'", "SELECT id, x FROM a JOIN b JOIN c;\nSELEC 1;", []],
    ["a statement behind the one that failed: nothing", "SELEC 1;", []],
    [
      "a name in a text or a comment: nothing",
      "INSERT INTO a VALUES ('CREATE TABLE c'); -- CREATE TABLE c\nSELEC 1;",
      [],
    ],
    [
      "a name in quotes",
      "CREATE TABLE `c` (`id` int);\nALTER TABLE `a` ADD `x` int;\nSELEC 1;",
      ["column a.x", "column c.id", "table c"],
    ],
  ])("in a folder's first import is only what it can have done by then, of %s", async (_, sql, expected) => {
    const doneByOthers = { ...FIRST, "V0__b.sql": "ALTER TABLE b ADD y int;" };
    const changes = await changesOf(sql, look(), imported, doneByOthers);
    expect(changes?.filter((change) => !change.endsWith("?"))).toEqual(expected);
    expect(changes).not.toContain("table a");
    expect(changes).not.toContain("table a?");
  });

  it("may be another file's where that says so too", async () => {
    const others = { "V0__a.sql": "CREATE TABLE IF NOT EXISTS a (id int);" };
    const sql = "CREATE TABLE IF NOT EXISTS a (id int);\nSELEC 1;";
    expect(await changesOf(sql, look(), look(table("a"), column("a.id")), others)).toEqual([
      "column a.id?",
      "table a?",
    ]);
  });

  it("may be all that is named, where it calls what may do anything", async () => {
    expect(await changesOf("CALL make('c');\nSELEC 1;", look(), imported, FIRST)).toContain("table c");
  });

  it.each<readonly [SchemaChange["kind"], string, string]>([
    ["view", "v", "CREATE OR REPLACE VIEW v AS SELECT 1;"],
    ["routine", "p", "CREATE PROCEDURE p() SELECT 1;"],
    ["trigger", "t", "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.id = 1;"],
    ["event", "e", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1;"],
    ["foreign key", "a.f", "ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES b (id);"],
    ["check", "a.k", "ALTER TABLE a ADD CONSTRAINT k CHECK (id > 0);"],
  ])("is told of a %s, also beside others", async (kind, name, sql) => {
    expect(await changesOf(`${sql}\nSELEC 1;`, look(), look(part(kind, name)), FIRST)).toEqual([
      `${kind} ${name}`,
    ]);
    expect(await changesOf("SELEC 1;", look(), look(part(kind, name)), { "V0__a.sql": sql })).toEqual([]);
  });

  it("names the other schemas that the file comes to, for nobody has looked at them", async () => {
    const schemas = look(
      part("schema", "users"),
      part("schema", "shop"),
      part("schema", "log"),
      part("schema", "far"),
    );
    const sql = "USE shop;\nINSERT INTO log.entries VALUES (1); -- far\nSELEC 1;";
    expect((await landedOf(sql, schemas, schemas)).otherSchemas).toEqual(["log", "shop"]);
  });

  it("has how long parts are in 200 characters, compared as a whole", async () => {
    const body = "x".repeat(300);
    const { changes } = await landedOf(
      "SELEC 1;",
      look(part("view", "v", `${body}1`)),
      look(part("view", "v", `${body}2`)),
    );
    expect(changes?.map(({ before, after }) => [before?.length, after?.length])).toEqual([[200, 200]]);
  });

  it("lists the first 200 of many changes, and says how many more there are", async () => {
    const many = Array.from({ length: 250 }, (_, index) => table(`t${index}`));
    const result = await landedOf("SELEC 1;", look(), look(...many));
    expect([result.changes?.length, result.moreChanges]).toEqual([200, 50]);
  });
});

describe("the other files that were applied", () => {
  const location = "/copies/users1/sql";
  const file = `${location}/V2__b.sql`;
  const info = (key: string, installedOnUTC: string, state = "Success") => ({
    migrations: [{ filepath: `${location}/${key}`, state, installedOnUTC }],
  });
  const others = (migrations: ReturnType<typeof info>) =>
    othersApplied(migrations, { file, location }, look());

  it.each([
    ["V3__c.sql", "2026-01-01T12:00:00Z", true], // in the second of the look, but not in the history then
    ["V3__c.sql", "2001-09-09T01:46:40Z", true], // a file may set the time of its session
    ["V1__a.sql", "2026-01-01T12:00:00Z", false], // in the history then
    ["V1__a.sql", "2026-01-01T12:00:01Z", true], // a repeatable one, again
    ["V2__b.sql", "2026-01-01T12:00:01Z", false], // the one that failed
  ])("have %s of %s: %j", (key, time, expected) => {
    expect(others(info(key, time))).toEqual(expected ? [`${location}/${key}`] : []);
  });

  it("have none that failed, and none where there was no look", () => {
    expect(others(info("V3__c.sql", "2026-01-01T12:00:01Z", "Failed"))).toEqual([]);
    expect(othersApplied(info("V3__c.sql", "2026-01-01T12:00:01Z"), { file, location }, undefined)).toEqual(
      [],
    );
  });
});

describe("the names in a file", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "landed-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("are found whatever their case and quotes, as words, up to a line", async () => {
    const path = join(folder, "a.sql");
    writeFileSync(path, "CREATE TABLE `Orders`(id int);\r\nALTER TABLE users ADD x int;\nDROP TABLE late;\n");
    const names = new Set(["orders", "users", "late", "order", "x"]);
    const found = (line?: number) => namesIn(linesOf(path, "UTF-8"), names, line);
    expect(await found(2)).toEqual(new Set(["orders", "users", "x"]));
    expect(await found()).toEqual(new Set(["orders", "users", "x", "late"]));
  });
});
