import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CheckInput, checkMigrations } from "../cli/check/check";
import { formatGithub, formatText, outputOf } from "../cli/check/format";
import { type Finding, parseSeverities, RULES } from "../cli/check/rules";

/** What is found in files by key, as `file:line rule`. */
function found(files: Readonly<Record<string, string>>, input: Partial<CheckInput> = {}): string[] {
  const given = Object.entries(files).map(([key, content]) => ({ key, content }));
  return checkMigrations({ database: "app", files: given, ...input }).findings.map(
    ({ file, line, rule }) => `${file}:${line} ${rule}`,
  );
}

/** The rules that a second file breaks, after one that made `t`. */
function broken(second: string, first = TABLE): string[] {
  const all = found({ "V1__a.sql": first, "V2__b.sql": second });
  return all.filter((one) => one.startsWith("V2")).map((one) => one.split(" ")[1] as string);
}

const TABLE = `CREATE TABLE t (
  id INT NOT NULL AUTO_INCREMENT,
  name VARCHAR(50) NOT NULL,
  note VARCHAR(50),
  latin VARCHAR(50) CHARACTER SET latin1,
  amount DECIMAL(10,2),
  small TINYINT UNSIGNED,
  body TEXT,
  at DATETIME(3),
  kind ENUM('a','b'),
  PRIMARY KEY (id)
) DEFAULT CHARSET=utf8mb4`;

/** A section of docs/rules.md. */
interface Section {
  readonly rule: string;
  readonly severity: string;
  readonly bad: string;
  readonly good: string;
}

const DOCS = readFileSync(join(__dirname, "..", "docs", "rules.md"), "utf8");
const SECTION =
  /^### (\S+)\n\n(Error|Warning)\. [^\n]+\n\nBad:\n\n```sql\n([\s\S]*?)```\n\nGood:\n\n```sql\n([\s\S]*?)```/gm;
const SECTIONS = [...DOCS.matchAll(SECTION)].map(
  ([, rule = "", severity = "", bad = "", good = ""]): Section => ({ rule, severity, bad, good }),
);
const BASE = /```sql\n(-- file: V1__make_users[\s\S]*?)```/.exec(DOCS)?.[1] as string;

/** The rules of what only a database says: their examples run in end-to-end/rehearsal.test.ts. */
const STATIC = SECTIONS.filter(({ rule }) => !["rehearsal-failed", "not-rehearsed"].includes(rule));

/** The findings of an example. */
function findingsOf(example: string): Finding[] {
  const text = example.startsWith("-- file: ") ? example : `-- file: V2__change.sql\n${example}`;
  const parts = `${BASE}${text}`.split(/^-- file: /m).slice(1);
  const all = parts.map((part) => {
    const [, key = "", note = "", content = ""] = /^(\S+)(?: \((.*)\))?\n([\s\S]*)$/.exec(part) ?? [];
    return { key, note, content };
  });
  const applied = all
    .filter(({ key, note }) => note.startsWith("applied") || key.startsWith("V1__"))
    .map(({ key, note }) => ({ key, isEdited: note.endsWith("edited") }));
  const files = all
    .filter(({ note }) => !note.endsWith("deleted"))
    .map(({ key, note, content }) => ({
      key,
      content: Buffer.from(content, note.startsWith("saved") ? "latin1" : "utf8"),
    }));
  const isKnown = all.some(({ note }) => note.startsWith("applied"));
  return checkMigrations({ database: "app", files, ...(isKnown ? { applied } : {}) }).findings;
}

describe("docs/rules.md", () => {
  it("has a section for each rule, with its severity, and none for another", () => {
    expect(Object.fromEntries(SECTIONS.map(({ rule, severity }) => [rule, severity.toLowerCase()]))).toEqual(
      RULES,
    );
    expect(DOCS.match(/^### /gm)).toHaveLength(SECTIONS.length);
  });

  it.each(STATIC)("has an example of $rule that has this finding and no other", ({ rule, bad }) => {
    const rules = new Set(findingsOf(bad).map((finding) => finding.rule));
    expect([...rules]).toEqual([rule]);
  });

  it.each(SECTIONS)("has an example that has no finding of $rule", ({ good }) => {
    expect(findingsOf(good)).toEqual([]);
  });
});

describe("a file", () => {
  it.each([
    ["a version that is padded", { "V1__a.sql": "SELECT 1;", "V01__b.sql": "SELECT 1;" }],
    ["a version with a zero behind it", { "V1__a.sql": "SELECT 1;", "V1.0__b.sql": "SELECT 1;" }],
    ["a version with another sign", { "V1.1__a.sql": "SELECT 1;", "V1_1__b.sql": "SELECT 1;" }],
    ["a version in a folder", { "V1__a.sql": "SELECT 1;", "x/V1__b.sql": "SELECT 1;" }],
  ])("with %s is a duplicate", (_, files) => {
    expect(found(files).map((one) => one.split(" ")[1])).toEqual(["duplicate-version", "duplicate-version"]);
  });

  it("that took an applied version is the duplicate, not the applied one", () => {
    const applied = [{ key: "V1__a.sql", isEdited: false }];
    expect(found({ "V1__a.sql": "SELECT 1;", "V1__b.sql": "SELECT 2;" }, { applied })).toEqual([
      "V1__b.sql:1 duplicate-version",
    ]);
  });

  it("may share its version with a baseline, and a description with another version", () => {
    expect(found({ "V2__a.sql": "SELECT 1;", "B2__a.sql": "SELECT 1;", "V3__a.sql": "SELECT 1;" })).toEqual(
      [],
    );
  });

  it("below the newest that is applied is found, by numbers, unless the database has outOfOrder", () => {
    const files = { "V9__a.sql": "SELECT 1;", "V10__b.sql": "SELECT 1;", "V11__c.sql": "SELECT 1;" };
    const applied = [{ key: "V10__b.sql", isEdited: false }];
    expect(found(files, { applied })).toEqual(["V9__a.sql:1 version-below-newest"]);
    expect(found(files, { applied, settings: { outOfOrder: true } })).toEqual([]);
  });

  it("that may be edited is a repeatable one or a callback", () => {
    const files = { "R__v.sql": "SELECT 1;", "afterMigrate.sql": "SELECT 1;", "V1__a.sql": "SELECT 1;" };
    const applied = Object.keys(files).map((key) => ({ key, isEdited: true }));
    expect(found(files, { applied })).toEqual(["V1__a.sql:1 applied-edited"]);
  });

  it("that is applied, and not among those that are checked, is missing only where they are all that there are", () => {
    const applied = ["V1__a.sql", "R__v.sql"].map((key) => ({ key, isEdited: false })); // R__v.sql is retired
    const files = { "V2__b.sql": "SELECT 1;" };
    expect(found(files, { applied })).toEqual(["V1__a.sql:1 applied-missing"]);
    expect(found(files, { applied, isWhole: false })).toEqual([]);
  });

  it("with a carriage return in a comment, or a NUL, has the words that its upload would have", () => {
    expect(found({ "V1__a.sql": "SELECT 1;\n-- x\rSELECT 2;" })).toEqual(["V1__a.sql:2 unclosed-comment"]);
    expect(found({ "V1__a.sql": "S\0E\0" })).toEqual(["V1__a.sql:1 wrong-encoding"]);
  });

  it("that is no upload is passed over", () => {
    expect(found({ "README.md": "# x", "deploy.sh": "x" })).toEqual([]);
  });

  it("is called by its path where that is given", () => {
    const files = [{ key: "a.sql", path: "migrations/app/a.sql", content: "SELECT 1;" }];
    expect(checkMigrations({ database: "app", files }).findings).toMatchObject([
      { file: "migrations/app/a.sql" },
    ]);
  });

  it("is read in the encoding of the database", () => {
    const files = [{ key: "V1__ä.sql", content: Buffer.from("DROP TABLE größe;", "latin1") }];
    const settings = { encoding: "ISO-8859-1" } as const;
    expect(checkMigrations({ database: "app", files, settings }).findings[0]?.message).toContain("größe");
  });

  it("has its findings in the line of the statement, whatever is before it", () => {
    const sql =
      "/* a\n b */\n\n-- c\nSELECT ';\n';\r\nDELIMITER //\nDROP TABLE x\n//\nDELIMITER ;\nDROP TABLE y;\n";
    expect(found({ "afterMigrate.sql": sql })).toEqual([
      "afterMigrate.sql:8 drop-table",
      "afterMigrate.sql:11 drop-table",
    ]);
  });

  it.each([
    [
      "a block",
      "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW BEGIN DELETE FROM t; UPDATE t SET id = 1; END;",
    ],
    [
      "blocks in it",
      "CREATE PROCEDURE p() BEGIN IF 1 THEN BEGIN DELETE FROM t; END; END IF; DELETE FROM t; END;",
    ],
    ["CASE in it", "CREATE FUNCTION f() RETURNS INT RETURN CASE 1 WHEN 1 THEN CASE 2 WHEN 2 THEN 3 END END;"],
    ["one statement", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t;"],
    ["a delimiter", "DELIMITER $$\nCREATE PROCEDURE p()\nBEGIN\nDELETE FROM t;\nEND$$\nDELIMITER ;"],
    [
      "a delimiter behind a statement",
      "SELECT 1; DELIMITER $$\nCREATE PROCEDURE p()\nBEGIN\nDELETE FROM t;\nEND$$",
    ],
    [
      "a delimiter in the next line",
      "DELIMITER\n$$\nCREATE PROCEDURE p()\nBEGIN\nDELETE FROM t;\nEND$$\nDELIMITER;",
    ],
  ])("is not judged by the body of a routine: %s", (_, sql) => {
    expect(found({ "V1__a.sql": `${sql}\nDROP TABLE x;`, "V2__b.sql": "SELECT 1;" })).toEqual([
      `V1__a.sql:${sql.split("\n").length + 1} drop-table`,
      `V1__a.sql:${sql.split("\n").length + 1} several-ddl`,
    ]);
  });

  it("may drop and make a routine, which is not several changes of definitions", () => {
    expect(found({ "V1__a.sql": "DROP PROCEDURE IF EXISTS p; CREATE PROCEDURE p() SELECT 1;" })).toEqual([]);
  });
});

describe("a statement that cannot be read", () => {
  it.each([
    "ALTER TABLE t FROBNICATE;",
    "CREATE TABLE (;",
    "DROP TABLE 'x",
    "ALTER",
    "CREATE TABLE a (b int DEFAULT ${x});",
    `CREATE TABLE x (${"(".repeat(200)});`,
    `CREATE TABLE x (a INT CHECK (${"(".repeat(20_000)}1${")".repeat(20_000)}));`,
  ])("is a finding and no crash: %j", (sql) => {
    expect(found({ "V1__a.sql": sql })).toContain("V1__a.sql:1 unparsed");
  });

  it("is told in the line where it goes wrong", () => {
    expect(found({ "V1__a.sql": "SELECT 1;\nALTER TABLE t\n  ADD b INT,\n  FROBNICATE;" })).toEqual([
      "V1__a.sql:4 unparsed",
    ]);
  });

  it.each([
    "CREATE TABLE a (id INT PRIMARY KEY, type VARCHAR(9), active BOOL, locked INT, status INT, `key` INT);",
    "INSERT INTO a SELECT whatever this may be;",
    "/*!40101 SET NAMES utf8 */;",
    "/*!50001 CREATE VIEW v AS SELECT 1 */;",
    "CREATE TABLE a (id INT PRIMARY KEY, j JSON, x INT GENERATED ALWAYS AS (j->'$.a') VIRTUAL, INDEX (x DESC));",
    "CREATE TABLE ${flyway:defaultSchema}.`${table}_x` (id INT PRIMARY KEY);",
  ])("is none of these: %j", (sql) => {
    expect(found({ "V1__a.sql": sql })).toEqual([]);
  });
});

describe("an existing table", () => {
  it.each([
    ["ADD UNIQUE (note)", ["unique-on-existing"]],
    ["ADD CONSTRAINT one UNIQUE KEY one (note, name)", ["unique-on-existing"]],
    ["ADD COLUMN code INT UNIQUE", []],
    ["ADD COLUMN code INT, ADD UNIQUE (code)", []],
    ["ADD COLUMN code INT NOT NULL DEFAULT 1, ADD UNIQUE (code)", ["unique-on-existing"]],
    ["ADD COLUMN code INT NOT NULL DEFAULT 1 UNIQUE", ["unique-on-existing"]],
    ["ADD COLUMN code INT NOT NULL", ["not-null-without-default"]],
    ["ADD COLUMN (code INT NOT NULL, more INT NULL)", ["not-null-without-default"]],
    ["ADD COLUMN code INT AS (id + 1) STORED", ["blocks-writes"]],
    ["ADD COLUMN code INT AS (id + 1) VIRTUAL", []],
    ["MODIFY note VARCHAR(50) NOT NULL", ["not-null-without-default"]],
    ["MODIFY name VARCHAR(50) NOT NULL DEFAULT 'x' COMMENT 'y'", []],
    ["MODIFY name VARCHAR(50)", ["rebuilds-table"]],
    ["MODIFY name VARCHAR(50) NOT NULL AFTER note", ["rebuilds-table"]],
    ["MODIFY name VARCHAR(50) NOT NULL FIRST", ["rebuilds-table"]],
    ["MODIFY name VARCHAR(50) NOT NULL AFTER `id`", []],
    ["MODIFY id INT AUTO_INCREMENT FIRST", []],
    ["MODIFY name VARCHAR(63) NOT NULL", []],
    ["MODIFY name VARCHAR(64) NOT NULL", ["blocks-writes"]],
    ["MODIFY name VARCHAR(49) NOT NULL", ["narrower-type"]],
    ["MODIFY latin VARCHAR(255) CHARACTER SET latin1", []],
    ["MODIFY latin VARCHAR(50)", ["other-charset"]],
    ["MODIFY name TEXT NOT NULL", ["blocks-writes"]],
    ["MODIFY name VARCHAR(50) CHARACTER SET latin1 NOT NULL", ["other-charset"]],
    ["MODIFY body TINYTEXT", ["narrower-type"]],
    ["MODIFY body MEDIUMTEXT", ["blocks-writes"]],
    ["MODIFY body VARCHAR(500)", ["narrower-type"]],
    ["MODIFY id BIGINT NOT NULL AUTO_INCREMENT", ["blocks-writes"]],
    ["MODIFY id INT(11) NOT NULL AUTO_INCREMENT COMMENT 'x'", []],
    ["MODIFY id INT UNSIGNED NOT NULL AUTO_INCREMENT", ["narrower-type"]],
    ["MODIFY small SMALLINT", ["blocks-writes"]],
    ["MODIFY small TINYINT", ["narrower-type"]],
    ["MODIFY amount DECIMAL(12,2)", ["blocks-writes"]],
    ["MODIFY amount DECIMAL(12,4)", ["blocks-writes"]],
    ["MODIFY amount DECIMAL(10,4)", ["narrower-type"]],
    ["MODIFY amount INT", ["narrower-type"]],
    ["MODIFY at DATETIME", ["narrower-type"]],
    ["MODIFY at DATETIME(6)", ["blocks-writes"]],
    ["MODIFY kind ENUM('a','b','c')", []],
    ["MODIFY kind ENUM('b','a')", ["enum-members"]],
    ["MODIFY kind ENUM('a')", ["enum-members"]],
    ["MODIFY kind VARCHAR(1)", ["blocks-writes"]],
    ["CHANGE note remark VARCHAR(50)", ["rename-column"]],
    ["CHANGE note note VARCHAR(51)", []],
    ["CHANGE note remark VARCHAR(5)", ["rename-column", "narrower-type"]],
    ["RENAME INDEX a TO b", []],
    ["RENAME AS u", ["rename-table"]],
    ["DROP note, DROP COLUMN name", ["drop-column", "drop-column"]],
    ["DROP PRIMARY KEY", ["blocks-writes"]],
    ["DROP PRIMARY KEY, ADD PRIMARY KEY (name)", ["unique-on-existing"]],
    ["DROP INDEX a, DROP FOREIGN KEY b, DROP CHECK c", []],
    ["ADD FULLTEXT KEY (body)", ["blocks-writes"]],
    ["ADD CHECK (id > 0)", ["blocks-writes"]],
    ["ADD CHECK (id > 0) NOT ENFORCED", []],
    ["CONVERT TO CHARACTER SET utf8mb4", []],
    ["CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", ["other-charset"]],
    ["ENGINE = MyISAM", ["blocks-writes"]],
    ["ENGINE = InnoDB", ["rebuilds-table"]],
    ["ADD INDEX (name), ALGORITHM = COPY", ["blocks-writes"]],
    ["MODIFY name TEXT NOT NULL, LOCK = NONE", []],
    ["FORCE, ALGORITHM = INPLACE, LOCK = NONE", ["rebuilds-table"]],
    ["MODIFY at DATETIME(6), MODIFY name TEXT NOT NULL, FORCE, DROP note", ["blocks-writes", "drop-column"]],
    ["DROP note, ADD note INT NOT NULL DEFAULT 1, DROP note", ["drop-column"]],
    ["ADD x INT AFTER id, MODIFY name VARCHAR(50) NOT NULL AFTER x", []],
    ["ADD INDEX (name), AUTO_INCREMENT = 5, COMMENT = 'x'", []],
  ])("and ALTER TABLE t %s: %j", (change, rules) => {
    expect(broken(`ALTER TABLE t ${change};`)).toEqual(rules);
  });

  it.each([
    ["CREATE UNIQUE INDEX one ON t (note);", ["unique-on-existing"]],
    ["CREATE FULLTEXT INDEX f ON t (body);", ["blocks-writes"]],
    ["CREATE INDEX f ON t (name);", []],
    ["OPTIMIZE TABLE t;", ["rebuilds-table"]],
    ["LOCK TABLES t WRITE;", ["blocks-writes"]],
    ["UPDATE t JOIN u ON t.id = u.id SET t.name = u.name;", []],
    ["DELETE t FROM t JOIN u USING (id);", []],
    ["DELETE FROM t LIMIT 5;", ["delete-without-where"]],
    ["DROP TABLE IF EXISTS t;", ["drop-table"]],
    ["DROP TABLE IF EXISTS app.`t`;", ["drop-table"]],
    ["DROP TABLE IF EXISTS of_old;", ["drop-table"]],
    ["DROP TEMPORARY TABLE t;", []],
    ["CREATE TABLE a LIKE t;", []],
    ["CREATE TABLE a AS SELECT * FROM t;", ["no-primary-key"]],
    ["CREATE DEFINER = CURRENT_USER VIEW v AS SELECT 1;", []],
    ["CREATE DEFINER = `root`@`%` PROCEDURE p() SELECT 1;", ["definer"]],
    [
      "/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a = 1 */;",
      ["definer"],
    ],
  ])("and %j: %j", (sql, rules) => {
    expect(broken(sql)).toEqual(rules);
  });

  it("is none that the same file makes", () => {
    const sql = `${TABLE}; UPDATE t SET id = 1; DELETE FROM t; ALTER TABLE t DROP note, ADD UNIQUE (name); DROP TABLE t;`;
    expect(found({ "afterMigrate.sql": sql })).toEqual([]);
  });

  it("is none that a dump makes again", () => {
    const dump =
      "DROP TABLE IF EXISTS a; CREATE TABLE a (id INT PRIMARY KEY); LOCK TABLES a WRITE; UNLOCK TABLES;";
    expect(found({ "B1__a.sql": dump })).toEqual([]);
    expect(found({ "B1__a.sql": dump, "B2__b.sql": dump })).toEqual(["B2__b.sql:1 drop-table"]);
  });

  it("gets its primary key in the same file, as dumps do it", () => {
    expect(found({ "B1__a.sql": "CREATE TABLE a (id INT); ALTER TABLE a ADD PRIMARY KEY (id);" })).toEqual(
      [],
    );
  });

  it("is known by what was done to it since", () => {
    const files = {
      "V1__a.sql": "CREATE TABLE a (id INT PRIMARY KEY, name VARCHAR(20));",
      "V2__b.sql": "ALTER TABLE a MODIFY name VARCHAR(30);",
      "V3__c.sql": "ALTER TABLE a RENAME COLUMN name TO label;",
      "V4__d.sql": "RENAME TABLE a TO b;",
      "V10__e.sql": "ALTER TABLE b MODIFY label VARCHAR(20);",
      "V11__f.sql": "ALTER TABLE c MODIFY label VARCHAR(20);",
    };
    expect(found(files)).toEqual([
      "V3__c.sql:1 rename-column",
      "V4__d.sql:1 rename-table",
      "V10__e.sql:1 narrower-type",
      "V11__f.sql:1 blocks-writes",
    ]);
  });

  it("has its columns in the order that they were put into", () => {
    const files = {
      "V1__a.sql": "CREATE TABLE a (id INT PRIMARY KEY, x INT);",
      "V2__b.sql": "ALTER TABLE a ADD y INT AFTER id, ADD z INT;",
      "V3__c.sql": "ALTER TABLE a MODIFY x INT AFTER y, MODIFY z INT AFTER x;",
      "V4__d.sql": "ALTER TABLE a MODIFY x INT AFTER id;",
      "V5__e.sql": "ALTER TABLE a MODIFY y INT AFTER x;",
    };
    expect(found(files)).toEqual(["V4__d.sql:1 rebuilds-table"]);
  });

  it("is one that an applied file made, where that is known, and what is applied is not judged", () => {
    const files = {
      "V1__a.sql": "CREATE TABLE a (id INT);",
      "V2__b.sql": "CREATE TABLE b (id INT PRIMARY KEY);",
      "V3__c.sql": "DROP TABLE b;",
      "V4__d.sql": "DROP TABLE a;",
    };
    expect(found(files, { applied: [{ key: "V1__a.sql", isEdited: false }] })).toEqual([
      "V4__d.sql:1 drop-table",
    ]);
    expect(found(files, { applied: [] })).toEqual(["V1__a.sql:1 no-primary-key"]);
  });

  it("may be named by a placeholder, with marks of its own or none", () => {
    const files = { "V1__a.sql": "CREATE TABLE ${p}a (id INT PRIMARY KEY);", "V2__b.sql": "DROP TABLE x_a;" };
    expect(found(files, { applied: [], settings: { placeholders: { p: "x_" } } })).toEqual([]);
    const marked = { "V1__a.sql": "DROP TABLE <<p>>a;" };
    const settings = { placeholderPrefix: "<<", placeholderSuffix: ">>" };
    expect(found(marked, { settings })).toEqual(["V1__a.sql:1 drop-table"]);
    expect(found(marked, { settings: { ...settings, placeholderReplacement: false } })).toEqual([
      "V1__a.sql:1 unparsed",
    ]);
  });
});

describe("a marker comment", () => {
  it.each([
    ["-- flyway-aws: allow drop-table: unused since 2024\nDROP TABLE x;", []],
    ["# flyway-aws: allow drop-table: unused\n\n-- more\n/* more */ DROP TABLE x;", []],
    ["-- flyway-aws: allow drop-table: unused\nDROP TABLE x, y;", []],
    ["-- flyway-aws: allow drop-table: x\nSELECT 1;\nDROP TABLE x;", ["1 allow-nothing", "3 drop-table"]],
    ["-- flyway-aws: allow drop-column: x\nDROP TABLE x;", ["1 allow-nothing", "2 drop-table"]],
    ["-- flyway-aws: allow drop-table\nDROP TABLE x;", ["1 allow-without-reason", "2 drop-table"]],
    ["-- flyway-aws: allow drop-table:  \nDROP TABLE x;", ["1 allow-without-reason", "2 drop-table"]],
    ["-- flyway-aws: allow drops: x\nDROP TABLE x;", ["1 allow-unknown-rule", "2 drop-table"]],
    ["-- flyway-aws: drop-table\nDROP TABLE x;", ["1 allow-unknown-rule", "2 drop-table"]],
    ["DROP TABLE\n-- flyway-aws: allow drop-table: x\nx;", ["1 drop-table", "2 allow-nothing"]],
    ["-- flyway-aws: allow unparsed: MySQL 9\nCREATE TABLE x (v VECTOR(3));", []],
    ["-- flyway-aws: allow no-primary-key: a log\nCREATE TABLE x (v INT);", []],
  ])("%j: %j", (sql, lines) => {
    expect(found({ "V1__a.sql": sql })).toEqual(lines.map((line) => `V1__a.sql:${line}`));
  });
});

describe("the severities", () => {
  it("are the configuration's, and off leaves a rule out", () => {
    const severities = parseSeverities({ rules: { "drop-table": "warning", "several-ddl": "off" } });
    const files = [{ key: "V1__a.sql", content: "DROP TABLE x; DROP SCHEMA y;" }];
    expect(
      checkMigrations({ database: "app", files, severities }).findings.map(({ rule, severity }) => [
        rule,
        severity,
      ]),
    ).toEqual([
      ["drop-table", "warning"],
      ["drop-schema", "error"],
    ]);
  });

  it("of nothing are the defaults", () => {
    expect(parseSeverities({})).toEqual({});
  });

  it.each([
    [{ rules: { "drop-colum": "off" } }, /^there is no rule "drop-colum"; there are drop-schema, drop-table/],
    [{ rules: { "drop-column": "warn" } }, /^the rule "drop-column" has the severity "warn", not "error"/],
    [{ rules: { constructor: "off" } }, /^there is no rule "constructor"$/],
    [{ rules: [] }, /^"rules" is no object/],
    [{ rule: {} }, /^it has the unknown member "rule"/],
    [[], /^it is no object/],
    [null, /^it is no object/],
  ])("of %j are refused", (content, message) => {
    expect(() => parseSeverities(content)).toThrow(message);
  });
});

describe("the formats", () => {
  const finding: Finding = {
    file: "a,b:c/V1__100%.sql",
    line: 3,
    rule: "drop-table",
    severity: "error",
    message: "drops\r\nx: 100%",
    remedy: "do not, or do",
  };

  it("are a line of text", () => {
    expect(formatText([{ ...finding, message: "drops x" }])).toBe(
      "a,b:c/V1__100%.sql:3: drop-table: drops x: do not, or do\n",
    );
  });

  it("are a workflow command, in which nothing ends it before its time", () => {
    expect(formatGithub([finding, { ...finding, severity: "warning", file: "x.sql" }])).toBe(
      [
        "::error file=a%2Cb%3Ac/V1__100%25.sql,line=3,title=drop-table::drops%0D%0Ax: 100%25: do not, or do\n",
        "::warning file=x.sql,line=3,title=drop-table::drops%0D%0Ax: 100%25: do not, or do\n",
      ].join(""),
    );
  });

  it("are an object with their numbers", () => {
    expect(outputOf([finding], [])).toEqual({ errors: 1, warnings: 0, findings: [finding], rehearsals: [] });
  });
});
