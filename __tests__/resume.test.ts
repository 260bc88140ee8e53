import { describe, expect, it } from "vitest";
import { planResume } from "../cli/resume/plan";
import type { HalfApplied, SchemaChange } from "../records/record";

const change = (
  kind: SchemaChange["kind"],
  name: string,
  after: string | null = "InnoDB x",
): SchemaChange => ({
  ...{ kind, name, before: null, after, shared: false },
});

/** A file whose statement failed that begins in the line of `!`, which is no part of it. */
function failure(
  sql: string,
  { errorCode = 1146, ...given }: Partial<HalfApplied> & { errorCode?: number } = {},
) {
  const lines = sql.split("\n");
  const at = lines.findIndex((line) => line.startsWith("!"));
  const text = sql.replace(/^!/m, "");
  const statement = /^([\s\S]*?)(;|$)/.exec(text.split("\n").slice(at).join("\n"))?.[1] as string;
  const tables = [...text.matchAll(/^CREATE TABLE (\w+)/gm)].map(([, name = ""]) => change("table", name));
  const halfApplied: HalfApplied = {
    ...{ key: "V2__b.sql", line: at + 1, statement, applied: [], changes: tables, moreChanges: 0 },
    ...given,
  };
  return { text, halfApplied, errorCode };
}

/** What is left of a file, without the line that says that it was resumed. */
function resumed(sql: string, given: Parameters<typeof failure>[1] = {}, corrected?: string): string {
  const failed = failure(sql, given);
  return planResume(failed, corrected ?? failed.text).text.replace(/^-- Resumed[^\n]*\n/, "");
}

describe("a file that failed half way", () => {
  it.each<[string, string, string, Parameters<typeof failure>[1]?]>([
    [
      "definitions",
      "CREATE TABLE B (id int);\nALTER TABLE A ADD x int;\n!ALTER TABLE Nowhere ADD x int;\nDROP TABLE C;\n",
      "ALTER TABLE Nowhere ADD x int;\nDROP TABLE C;\n",
    ],
    ["the first statement", "!ALTER TABLE Nowhere ADD x int;\n", "ALTER TABLE Nowhere ADD x int;\n"],
    [
      "comments, which stay",
      "-- why\nCREATE TABLE B (id int);\n-- then\n!SELEC 1;\n",
      "-- why\n-- then\nSELEC 1;\n",
      { errorCode: 1064 },
    ],
    [
      "several statements in a line",
      "CREATE TABLE B (id int); CREATE INDEX i ON B (id);\n!SELEC 1;",
      "SELEC 1;",
      { errorCode: 1064 },
    ],
    [
      "a session's settings, which stay",
      "SET NAMES utf8mb4;\nCREATE TABLE B (id int);\nSET @x = 1;\n!SELEC 1;",
      "SET NAMES utf8mb4;\nSET @x = 1;\nSELEC 1;",
      { errorCode: 1064 },
    ],
    [
      "rows that a definition has committed",
      "CREATE TABLE B (id int);\nINSERT INTO B VALUES (1);\nCREATE INDEX i ON B (id);\n!DROP TABLE Nowhere;",
      "DROP TABLE Nowhere;",
    ],
    [
      "rows that were taken back with those that failed",
      "CREATE TABLE B (id int);\nINSERT INTO B VALUES (1);\n!INSERT INTO B VALUES ('x');",
      "INSERT INTO B VALUES (1);\nINSERT INTO B VALUES ('x');",
      { errorCode: 1366 },
    ],
    [
      "rows before what the server cannot read",
      "CREATE TABLE B (id int);\nINSERT INTO B VALUES (1);\n!SELEC 1;",
      "INSERT INTO B VALUES (1);\nSELEC 1;",
      { errorCode: 1064 },
    ],
    [
      "a routine",
      "DELIMITER $$\nCREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END$$\nDELIMITER ;\n!SELEC 1;",
      "DELIMITER $$\nDELIMITER ;\nSELEC 1;",
      { errorCode: 1064 },
    ],
    [
      "a table that was dropped again",
      "CREATE TABLE B (id int);\nDROP TABLE B;\n!SELEC 1;",
      "SELEC 1;",
      { errorCode: 1064, changes: [] },
    ],
    [
      "a statement over lines, with other line ends",
      "CREATE TABLE B (\r\n  id int);\r\n!ALTER TABLE Nowhere\r\n  ADD x int;\r\n",
      "ALTER TABLE Nowhere\r\n  ADD x int;\r\n",
    ],
  ])("is resumed without %s", (_, sql, expected, given) => {
    expect(resumed(sql, given)).toBe(expected);
  });

  it("shows a line that stays in part as it was, and as it is", () => {
    const failed = failure("SET @x = 1; CREATE TABLE B (\n  id int\n); SET @y = 2;\n!SELEC 1;", {
      ...{ errorCode: 1064, changes: [change("table", "B")] },
    });
    const { text, difference } = planResume(failed, failed.text);
    expect(text).toMatch(/\nSET @x = 1; {2}SET @y = 2;\nSELEC 1;$/);
    expect(difference).toEqual([
      ...[
        "- SET @x = 1; CREATE TABLE B (",
        "+ SET @x = 1;",
        "-   id int",
        "- ); SET @y = 2;",
        "+  SET @y = 2;",
      ],
      "  SELEC 1;",
    ]);
  });

  it("is read fast, however many statements landed", () => {
    const rows = "  INSERT INTO B VALUES (1); -- one\n".repeat(5_000);
    expect(
      resumed(`CREATE TABLE B (id int);\n${rows}CREATE INDEX i ON B (id);\n!SELEC 1;`, { errorCode: 1064 }),
    ).toBe(`${"   -- one\n".repeat(5_000)}SELEC 1;`);
  });

  it("is resumed as it was corrected, from the statement on that failed", () => {
    const sql = "CREATE TABLE B (id int);\n!ALTER TABLE Nowhere ADD x int;\n";
    const corrected = "CREATE TABLE B (id int);\nALTER TABLE A ADD x int;\n-- done\n";
    expect(resumed(sql, {}, corrected)).toBe("ALTER TABLE A ADD x int;\n-- done\n");
    expect(planResume(failure(sql), corrected).difference).toEqual([
      "- CREATE TABLE B (id int);",
      "  ALTER TABLE A ADD x int;",
      "  -- done",
    ]);
  });

  it.each<[string, string, RegExp, Parameters<typeof failure>[1]?, string?]>([
    ["its run was killed", "!SELEC 1;", /was ended from outside/, { line: null, statement: null }],
    ["the schema was not looked at", "!SELEC 1;", /could not be looked at/, { changes: null }],
    ["it changed more than is known", "!SELEC 1;", /more than the run record/, { moreChanges: 1 }],
    ["it worked in other schemas", "!SELEC 1;", /other schemas \(shop\)/, { otherSchemas: ["shop"] }],
    ["the failed statement is not found", "!SELEC 1;", /not found in line 1/, { statement: "SELECT 2" }],
    ["there are two that may be it", "!SELEC 1; SELEC 1;", /not found in line 1/],
    ["it calls", "CALL p();\n!SELEC 1;", /in line 1 does is not told by its words: CALL p\(\)/],
    ["it goes into another schema", "USE shop;\n!SELEC 1;", /USE shop/],
    ["it commits", "COMMIT;\n!SELEC 1;", /COMMIT/],
    ["it reads, by functions that may write", "SELECT f();\n!SELEC 1;", /SELECT f/],
    ...[
      "ANALYZE TABLE B;",
      "OPTIMIZE TABLE B;",
      "CHECK TABLE B;",
      "ANALYZE UPDATE A SET x = 1;",
      "SET STATEMENT max_statement_time = 5 FOR INSERT INTO A VALUES (1);",
      "SET @id = LAST_INSERT_ID();",
      "SET @n = (SELECT count(*) FROM A);",
      "SET @n = next_id('B');",
      "SET @a = 1, PASSWORD = 'x';",
      "SET @a = 1, GLOBAL x = 1;",
      "SET @@session./**/autocommit = 1;",
      "SET @a = @@identity;",
      "UPDATE A SET x = (@n := @n + 1);",
      "CREATE FUNCTION u RETURNS INTEGER SONAME 'u.so';",
      "CREATE TABLE C (id int) START TRANSACTION;",
      "DROP DATABASE old;",
    ].map((sql): [string, string, RegExp, Parameters<typeof failure>[1]] => [
      ...([`it has ${sql}`, `CREATE TABLE B (id int);\n${sql}\n!SELEC 1;`, /in line 2/] as const),
      { errorCode: 1064 },
    ]),
    ["its connection was lost", "!ALTER TABLE A ADD x int;", /connection was lost/, { errorCode: 0 }],
    [
      "it has a statement in its statement",
      "!INSERT INTO A VALUES (1); SELEC 1;",
      /not found/,
      { errorCode: 1064, statement: "INSERT INTO A VALUES (1); SELEC 1" },
    ],
    ["rows failed by a trigger's own code", "!DELETE FROM A;", /rows of line 1/, { errorCode: 1064 }],
    [
      "rows of several tables failed",
      "CREATE TABLE B (id int);\n!UPDATE B b, A a SET a.x = 1;",
      /rows of line 2/,
    ],
    ["rows came of a table", "CREATE TABLE B (id int);\n!INSERT INTO B TABLE A;", /rows of line 2/],
    ["rows came of a function", "CREATE TABLE B (id int);\n!INSERT INTO B VALUES (f());", /rows of line 2/],
    [
      "a trigger may have written",
      "CREATE TABLE B (id int);\nCREATE TRIGGER t AFTER INSERT ON B FOR EACH ROW INSERT INTO Log VALUES (1);\n!INSERT INTO B VALUES (1);",
      /trigger of line 2/,
    ],
    [
      "what is left asks for what was left out",
      "CREATE TABLE B (id int);\nINSERT INTO B VALUES (1);\nCREATE INDEX i ON B (id);\n!INSERT INTO B VALUES (LAST_INSERT_ID());",
      /rows of line 4|LAST_INSERT_ID/,
    ],
    [
      "a later statement asks for that",
      "CREATE TABLE B (id int);\nINSERT INTO B VALUES (1);\nCREATE INDEX i ON B (id);\n!DROP TABLE Nowhere;\nINSERT INTO A VALUES (LAST_INSERT_ID());",
      /asks for LAST_INSERT_ID/,
    ],
    [
      "a space in a text was changed",
      "INSERT INTO A VALUES ('a  b');\nCREATE TABLE B (id int);\n!SELEC 1;",
      /line 1 is another/,
      { errorCode: 1064 },
      "INSERT INTO A VALUES ('a b');\nCREATE TABLE B (id int);\nSELECT 1;",
    ],
    ["it locks", "LOCK TABLES A WRITE;\n!SELEC 1;", /LOCK TABLES/],
    ["it sets what rows are committed by", "SET autocommit = 1;\n!SELEC 1;", /SET autocommit/],
    ["its table was a temporary one", "CREATE TEMPORARY TABLE B (id int);\n!SELEC 1;", /was a temporary one/],
    [
      "its table is not there",
      "CREATE TABLE B (id int);\n!SELEC 1;",
      /B of line 1 is not among what landed/,
      { changes: [] },
    ],
    [
      "a definition failed behind rows",
      "CREATE TABLE B (id int);\nINSERT INTO B VALUES (1);\n!DROP TABLE Nowhere;",
      /the rows of line 2/,
    ],
    [
      "rows went into a table that was there",
      "INSERT INTO A VALUES (1);\n!SELEC 1;",
      /the rows of line 1/,
      { errorCode: 1064 },
    ],
    [
      "rows went into a table of another engine",
      "CREATE TABLE B (id int);\n!INSERT INTO B VALUES ('x');",
      /the rows of line 2/,
      { errorCode: 1366, changes: [change("table", "B", "MyISAM x")] },
    ],
    ["rows came of a query", "CREATE TABLE B (id int);\n!INSERT INTO B SELECT f();", /the rows of line 2/],
    ["one of several tables may be gone", "!DROP TABLE A, Nowhere;", /may have been done in part/],
    ["several were to be renamed", "!RENAME TABLE A TO B, C TO D;", /may have been done in part/],
    [
      "a table was to be filled as it is made",
      "!CREATE TABLE B AS SELECT * FROM Nowhere;",
      /may have been done in part/,
    ],
    ["what failed had run something", "!CALL p();", /CALL p/, { errorCode: 1064 }],
    [
      "what landed is another in the corrected file",
      "CREATE TABLE B (id int);\n!SELEC 1;",
      /line 1 is another in the corrected file/,
      { errorCode: 1064 },
      "CREATE TABLE B (x int);\nSELECT 1;",
    ],
    [
      "what landed is not in the corrected file",
      "CREATE TABLE B (id int);\n!SELEC 1;",
      /line 1 is another in the corrected file/,
      { errorCode: 1064 },
      "SELECT 1;",
    ],
  ])("is not resumed where %s: that would be a guess", (_, sql, message, given, corrected) => {
    expect(() => resumed(sql, given, corrected)).toThrow(message);
  });
});
