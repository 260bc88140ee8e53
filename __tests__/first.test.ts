import { describe, expect, it } from "vitest";
import { firstStatement, isAllOrNothing, withoutUnread } from "../runner/first";

const ALTER = "ALTER TABLE a ADD x int";

describe("the statement that failed", () => {
  it.each<[string, string, number, string, string?]>([
    ["the only one", `${ALTER};`, 1, ALTER],
    ["without an end", ALTER, 1, ALTER],
    ["the first of several", `${ALTER};\nDROP TABLE b;`, 1, ALTER],
    ["behind blank lines and a byte order mark", `\ufeff\n\n${ALTER};`, 3, ALTER],
    ["behind comments of each kind", `-- a\n# b\n/* c\n d */\n--\n${ALTER};`, 6, ALTER],
    ["with a comment that Flyway counts to it", `-- a\n${ALTER};`, 1, `-- a\n${ALTER}`],
    ["an index", "CREATE INDEX i ON a (x);", 1, "CREATE INDEX i ON a (x)"],
    ["of rows", "update a set x = 1;", 1, "update a set x = 1", "rows"],
  ])("is the first, and done as a whole: %s", (_, sql, line, statement, kind = "definition") => {
    expect(firstStatement(sql, { line, statement }, "${")).toBe(kind);
  });

  it.each<[string, string, number, string, string?]>([
    ["a later one", `DROP TABLE b;\n${ALTER};`, 2, ALTER],
    ["behind another in its line", `DROP TABLE b; ${ALTER};`, 1, ALTER],
    ["one of two that are alike", `${ALTER};\n${ALTER};`, 1, ALTER],
    ["one of two that are alike in one line", `${ALTER}; ${ALTER};`, 1, ALTER],
    [
      "one that the first begins with",
      "UPDATE a SET n = 1 WHERE id = 1; TRUNCATE c; UPDATE A SET n = 1;",
      1,
      "UPDATE a SET n = 1",
    ],
    [
      "one with a placeholder, which the first begins with once it is put in",
      "TRUNCATE TABLE ab; TRUNCATE TABLE ${x};",
      1,
      "TRUNCATE TABLE a",
    ],
    ["behind a comment that MySQL executes", `/*!40101 SET NAMES utf8 */;\n${ALTER};`, 2, ALTER],
    ["behind a comment that MariaDB executes", `/*M! SET NAMES utf8 */;\n${ALTER};`, 2, ALTER],
    ["behind a delimiter", `DELIMITER //\n${ALTER}//`, 2, ALTER],
    ["one that a placeholder is in", "ALTER TABLE ${t} ADD x int;", 1, ALTER],
    ["a call, which goes on where it is", "CALL p();", 1, "CALL p()"],
    ["a file that is loaded", "LOAD DATA INFILE 'a' INTO TABLE a;", 1, "LOAD DATA INFILE 'a' INTO TABLE a"],
    [
      "what removes before it makes",
      "CREATE OR REPLACE TABLE a (x int);",
      1,
      "CREATE OR REPLACE TABLE a (x int)",
    ],
    [
      "what reads, by a function that may write",
      "CREATE TABLE a AS SELECT f();",
      1,
      "CREATE TABLE a AS SELECT f()",
    ],
    ["none", "", 1, ""],
    ["one that a placeholder with another mark is in", "ALTER TABLE #{t} ADD x int;", 1, ALTER, "#{"],
  ])("is not certain to be the first, and done as a whole: %s", (_, sql, line, statement, prefix = "${") => {
    expect(firstStatement(sql, { line, statement }, prefix)).toBeUndefined();
  });
});

describe("what is left of a file whose connection is gone", () => {
  it.each<readonly [string, boolean]>([
    ["CREATE TABLE a (id int); ALTER TABLE a ADD x double DEFAULT 1;", true],
    ["-- two\ncreate table `a; b` (id int, t text DEFAULT ';'); insert into a values (1);", true],
    ["CREATE UNIQUE INDEX i ON a (x);", true],
    ["INSERT INTO a VALUES (1); UPDATE a SET x = 1.5;", true],
    ["SET NAMES utf8mb4; SET @a = 1; INSERT INTO a VALUES (@a);", true],
    ["SELECT 1;", true],
    ["INSERT INTO a VALUES (1); CREATE TABLE IF NOT EXISTS b (id int);", false],
    ["INSERT INTO a VALUES (1); commit;", false],
    ["SET autocommit = 1; INSERT INTO a VALUES (1);", false],
    ["CALL fill();", false],
    ["SET @@autocommit = 1; INSERT INTO a VALUES (1);", false],
    ["SELECT 1 INTO OUTFILE '/tmp/x'; INSERT INTO a VALUES (1);", false],
    ["SET @a = 1, autocommit = 1; INSERT INTO a VALUES (1);", false],
    ["DO fill(); CREATE TABLE a (id int);", false],
    ["INSERT INTO a VALUES (1); CHECK TABLE a;", false],
    ["INSERT INTO a VALUES (1); SET PASSWORD = 'x';", false],
    ["INSERT INTO a VALUES (1); INSTALL PLUGIN p SONAME 'p.so';", false],
    ["ALTER TABLE a EXCHANGE PARTITION p WITH TABLE b;", false],
    ["RENAME TABLE a TO c, b TO a, c TO b;", false],
    ["TRUNCATE a;", false],
    ["DROP TABLE a; CREATE TABLE a (id int);", false],
    ["CREATE TABLE IF NOT EXISTS a (id int); INSERT INTO a VALUES (1);", false],
    ["CREATE TEMPORARY TABLE a (id int); INSERT INTO b VALUES (1); COMMIT;", false],
    ["CREATE OR REPLACE TABLE a (id int);", false],
    ["CREATE TABLE a AS SELECT f();", false],
    ["CREATE TABLE other.a (id int); INSERT INTO b VALUES (1); ALTER TABLE other.a ADD x int;", false],
    ["USE other; CREATE TABLE a (id int);", false],
    ["ALTER TABLE a ADD x int, DROP y;", false],
    ["/*!40101 SET autocommit = 1 */; INSERT INTO a VALUES (1);", false],
    ["DELIMITER //\nINSERT INTO a VALUES (1)//", false],
    ["INSERT INTO a VALUES ('it''s); COMMIT;", false],
    ["CREATE TABLE ${name} (id int);", false],
    [`INSERT INTO a VALUES ('${"a".repeat(20_000_000)}');`, true],
  ])("is in the schema, or taken back, of %.80s: %j", (sql, expected) => {
    expect(isAllOrNothing([sql], "${")).toBe(expected);
  });

  it.each([
    ["SELEC 1", 1064, true],
    ["SELECT 1 FROM nowhere", 1146, false],
    ["CALL p()", 1064, false],
    ["EXECUTE IMMEDIATE 'SELEC 1'", 1064, false],
    ["BEGIN NOT ATOMIC COMMIT; EXECUTE IMMEDIATE 'SELEC 1'; END", 1064, false],
  ])("is nothing of %j, which failed by %s: %j", (statement, sqlErrorCode, isLeftOut) => {
    const message = `x\nLocation   : a.sql (a.sql)\nLine       : 1\nStatement  : ${statement}\n`;
    const error = { errorCode: "X", message, sqlErrorCode };
    const sql = `DO 1; ${statement};`;
    expect(withoutUnread(sql, error)).toBe(isLeftOut ? "DO 1; ;" : sql);
  });

  const rows = "INSERT INTO a VALUES (1);";

  it.each<readonly [string, string, boolean]>([
    ["that has rows", rows, true],
    ["that commits", "COMMIT;", false],
    ["that truncates", "TRUNCATE b;", false],
    ["that analyzes", "ANALYZE TABLE b;", false],
    ["that defines, which commits what is before it", "CREATE TABLE b (id int);", false],
    ["that calls", "CALL log();", false],
    ["that cannot be told apart", "SELECT 'it;", false],
    ["with a placeholder", "SELECT '${x}';", false],
  ])("is in the schema, or taken back, of rows before a callback %s: %j, %j", (_, callback, expected) => {
    expect(isAllOrNothing([rows, callback], "${")).toBe(expected);
  });
});
