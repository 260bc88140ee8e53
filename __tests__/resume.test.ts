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

  it("is resumed as it was corrected, from the statement on that failed", () => {
    const sql = "CREATE TABLE B (id int);\n!ALTER TABLE Nowhere ADD x int;\n";
    const corrected = "CREATE TABLE B (id int);\nALTER TABLE A ADD x int;\n-- done\n";
    expect(resumed(sql, {}, corrected)).toBe("ALTER TABLE A ADD x int;\n-- done\n");
    expect(planResume(failure(sql), corrected).landed).toEqual([
      { line: 1, text: "CREATE TABLE B (id int)" },
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
    ["it locks", "LOCK TABLES A WRITE;\n!SELEC 1;", /LOCK TABLES/],
    ["it sets what rows are committed by", "SET autocommit = 1;\n!SELEC 1;", /SET autocommit/],
    ["its table was a temporary one", "CREATE TEMPORARY TABLE B (id int);\n!SELEC 1;", /TEMPORARY/],
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
      /line 1 landed, and is another/,
      { errorCode: 1064 },
      "CREATE TABLE B (x int);\nSELECT 1;",
    ],
    [
      "what landed is not in the corrected file",
      "CREATE TABLE B (id int);\n!SELEC 1;",
      /line 1 landed, and is another/,
      { errorCode: 1064 },
      "SELECT 1;",
    ],
  ])("is not resumed where %s: that would be a guess", (_, sql, message, given, corrected) => {
    expect(() => resumed(sql, given, corrected)).toThrow(message);
  });
});
