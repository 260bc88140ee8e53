import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundleCli, expectShape, startCli, writeMigrations } from "../support/cli";
import { mysqld } from "../support/mysql";

// `flyway-aws check` with a database: each start a process of its own, on MariaDB and, in the project mysql, on MySQL.

let folder: string;
let bundle: string;
let file: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "rehearsal-"));
  bundle = `dist-rehearsal-test-${process.pid}`;
  file = await bundleCli(bundle);
  mkdirSync(join(folder, "bin"));
  const program = mysqld();
  if (program) symlinkSync(program, join(folder, "bin", "mysqld"));
});
afterAll(() => {
  rmSync(bundle, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

const isMysql = () => mysqld() !== undefined;

/** A folder per database. */
const migrations = (name: string, files: Readonly<Record<string, string>>): string =>
  writeMigrations(folder, name, files);

function start(...args: string[]) {
  const env = {
    PATH: `${join(folder, "bin")}:${process.env.PATH}`,
    XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? "",
  };
  const home = { HOME: process.env.HOME ?? "", MAVEN_REPOSITORY: process.env.MAVEN_REPOSITORY ?? "" };
  return startCli(file, ["--format", "json", "check", ...args, "--offline"], undefined, { ...env, ...home })
    .ended;
}

async function rehearse(...args: string[]) {
  const { code, stdout, stderr } = await start(...args);
  if (stdout === "") throw new Error(`ended with ${code}: ${stderr}`);
  const output = JSON.parse(stdout);
  expectShape("check", output);
  return { code, stderr, ...output };
}

const found = ({ findings }: { findings: { file: string; line: number; rule: string }[] }) =>
  findings.map(({ file, line, rule }) => `${file.slice(folder.length + 1)}:${line} ${rule}`);

const USERS = "CREATE TABLE users (id INT NOT NULL PRIMARY KEY, name VARCHAR(20), note TEXT);\n";

describe("flyway-aws check", { timeout: 120_000 }, () => {
  it("runs the migrations of each database, and tells times, the schema, and how the server alters tables", async () => {
    const path = migrations("whole", {
      "Users/V1__users.sql": USERS,
      "Users/V2__age.sql": "ALTER TABLE users ADD COLUMN age INT;",
      "Users/V3__id.sql": "ALTER TABLE users MODIFY COLUMN id BIGINT NOT NULL;",
      "Users/V4__name.sql": "CREATE INDEX by_name ON users (name); -- done",
      "Users/V5__asked.sql": "ALTER TABLE users ADD COLUMN b INT, ALGORITHM=INPLACE;",
      "Users/V6__note.sql": "ALTER TABLE users ADD FULLTEXT INDEX by_note (note);",
      "Users/R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT name FROM users;",
      "Products/V1__a.sql": `CREATE TABLE \${owner}_a (id INT PRIMARY KEY);`,
    });
    const { code, rehearsals, stderr, ...output } = await rehearse(path);
    const [products, users] = rehearsals;
    expect(code).toBe(0);
    expect(stderr).toContain("rehearsing Products, Users on ");
    expect(users.server).toMatch(isMysql() ? /^MySQL [\d.]+$/ : /^MariaDB [\d.]+$/);
    expect(users.meaning).toContain(isMysql() ? "Aurora's MySQL is older" : "stands in for MySQL");
    expect(users.files.map(({ verdict, milliseconds }: never) => [verdict, typeof milliseconds])).toEqual(
      Array(7).fill(["applied", "number"]),
    );
    expect(users.alterations.map(({ key, algorithm }: never) => `${key} ${algorithm}`)).toEqual([
      "V2__age.sql instant",
      "V3__id.sql copy",
      "V4__name.sql inplace",
      "V6__note.sql locked",
    ]);
    expect(users.tables.map(({ name }: never) => name)).toEqual(["users", "v"]);
    expect(users.tables[0].columns.map(({ name }: never) => name)).toEqual([
      "id",
      "name",
      "note",
      "age",
      "b",
    ]);
    expect([products.tables[0].name, products.meaning]).toEqual([
      "owner_a",
      expect.stringMatching(/stood for their names: owner$/),
    ]);
    const writes = output.findings.filter(({ rule }: { rule: string }) => rule === "blocks-writes");
    const byServer = writes.map(({ message }: { message: string }) => /by MySQL [\d.]+ it/.test(message));
    expect(byServer).toEqual([isMysql(), isMysql()]); // MariaDB's word on it is not MySQL's
  });

  it("finds what fails there, at its line, and nothing of what waits behind it", async () => {
    const path = migrations("failing", {
      "Users/V1__users.sql": USERS,
      "Users/V2__twice.sql": "SELECT 1;\nALTER TABLE users ADD COLUMN name INT;",
      "Users/V3__c.sql": "SELECT 1;",
      "Users/V_4.sql": "SELECT 1;",
    });
    const output = await rehearse(path);
    expect([output.code, found(output)]).toEqual([
      1,
      ["failing/Users/V_4.sql:1 misnamed", "failing/Users/V2__twice.sql:2 rehearsal-failed"],
    ]);
    expect(output.rehearsals[0].files).toContainEqual({
      key: "V2__twice.sql",
      verdict: "failed",
      milliseconds: null,
    });
  });

  it("starts from a dump, whose history Flyway goes on from", async () => {
    const dump = join(folder, "dump.sql");
    const columns =
      "installed_rank INT NOT NULL PRIMARY KEY, version VARCHAR(50), description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL, script VARCHAR(1000) NOT NULL, checksum INT, installed_by VARCHAR(100) NOT NULL, installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, execution_time INT NOT NULL, success TINYINT(1) NOT NULL";
    const history = `CREATE TABLE flyway_schema_history (${columns});
INSERT INTO flyway_schema_history VALUES (1, '1', 'users', 'SQL', 'V1__users.sql', NULL, 'x', NOW(), 1, 1);`;
    writeFileSync(dump, `SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '';\n${USERS}${history}`);
    const path = migrations("dumped", {
      "Users/V1__users.sql": "SELECT nothing FROM nowhere;", // it is not run again
      "Users/V2__age.sql": "ALTER TABLE users ADD COLUMN age INT;",
    });
    const { code, rehearsals } = await rehearse(path, "--from-schema", dump);
    const verdicts = rehearsals[0].files.map(({ verdict }: never) => verdict);
    expect([code, verdicts]).toEqual([0, ["already-applied", "applied"]]);
    expect(rehearsals[0].alterations).toMatchObject([{ key: "V2__age.sql", algorithm: "instant" }]);
  });

  it.each([
    [
      "of several schemas",
      "USE other;\nCREATE TABLE a (id INT);",
      /dump\.sql:1: it changes to another schema/,
    ],
    ["that the server does not take", "SELECT 1;\nCREATE TABL a;", /dump\.sql:2: the server [\s\S]*To do: /],
  ])("refuses a dump %s", async (_, content, message) => {
    const dump = join(folder, "a-dump.sql");
    writeFileSync(dump, content);
    const path = migrations("one", { "Users/V1__users.sql": USERS });
    const { code, stderr } = await start(path, "--from-schema", dump);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  });

  it("needs a mysqld for what MariaDB does not know", async () => {
    const path = migrations("alone", {
      "Users/V1__users.sql": USERS,
      "Users/V2__lower.sql": "CREATE INDEX by_lower ON users ((LOWER(name)));",
    });
    const output = await rehearse(path);
    expect(found(output)).toEqual([
      `alone/Users/V2__lower.sql:1 ${isMysql() ? "blocks-writes" : "not-rehearsed"}`,
    ]);
  });

  const docs = readFileSync(join(__dirname, "..", "..", "docs", "rules.md"), "utf8");
  const base = /```sql\n-- file: V1__make_users\.sql\n([\s\S]*?)```/.exec(docs)?.[1] as string;
  it("finds in the examples of docs/rules.md what they are examples of", async () => {
    const rules = ["rehearsal-failed", "not-rehearsed"];
    const files = rules.flatMap((rule) => {
      const section = docs.slice(docs.indexOf(`### ${rule}`));
      const [, bad = "", good = ""] =
        /Bad:\n\n```sql\n([\s\S]*?)```\n\nGood:\n\n```sql\n([\s\S]*?)```/.exec(section) ?? [];
      return [
        [`${rule}-bad`, bad],
        [`${rule}-good`, good],
      ].flatMap(([name, change]) => [
        [`${name}/V1__make_users.sql`, base],
        [`${name}/V2__change.sql`, change],
      ]);
    });
    const path = migrations("examples", Object.fromEntries(files));
    expect(found(await rehearse(path)).sort()).toEqual(
      rules.map((rule) => `examples/${rule}-bad/V2__change.sql:1 ${rule}`).sort(),
    );
  });
});
