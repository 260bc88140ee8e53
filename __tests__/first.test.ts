import { describe, expect, it } from "vitest";
import { isFirstAndWhole } from "../runner/first";

const ALTER = "ALTER TABLE a ADD x int";

describe("that nothing of a file can have landed", () => {
  it.each<[string, string, number, string, string[]?]>([
    ["the first statement", `${ALTER};`, 1, ALTER],
    ["the first of several", `${ALTER};\nDROP TABLE b;`, 1, ALTER],
    ["behind blank lines and a byte order mark", `\ufeff\n\n${ALTER};`, 3, ALTER],
    ["behind comments of each kind", `-- a\n# b\n/* c\n d */\n--\n${ALTER};`, 6, ALTER],
    ["a comment that Flyway counts to the statement", `-- a\n${ALTER};`, 1, `-- a\n${ALTER}`],
    ["an index", "CREATE INDEX i ON a (x);", 1, "CREATE INDEX i ON a (x)"],
    ["rows of InnoDB", "update a set x = 1;", 1, "update a set x = 1", ["InnoDB", "InnoDB"]],
  ])("is certain for %s", (_, sql, line, statement, engines = ["InnoDB"]) => {
    expect(isFirstAndWhole(sql, { line, statement }, engines)).toBe(true);
  });

  it.each<[string, string, number, string, string[]?]>([
    ["a later statement", `DROP TABLE b;\n${ALTER};`, 2, ALTER],
    ["one behind another in its line", `DROP TABLE b; ${ALTER};`, 1, ALTER],
    ["one of two that are alike", `${ALTER};\n${ALTER};`, 1, ALTER],
    ["one of two that are alike in one line", `${ALTER}; ${ALTER};`, 1, ALTER],
    ["one behind a comment that MySQL executes", `/*!40101 SET NAMES utf8 */;\n${ALTER};`, 2, ALTER],
    ["one behind a comment that MariaDB executes", `/*M! SET NAMES utf8 */;\n${ALTER};`, 2, ALTER],
    ["a delimiter's", `DELIMITER //\n${ALTER}//`, 2, ALTER],
    ["one with a placeholder that Flyway has put in", "ALTER TABLE ${t} ADD x int;", 1, ALTER],
    ["a call, which goes on where it is", "CALL p();", 1, "CALL p()"],
    ["a file that is loaded", "LOAD DATA INFILE 'a' INTO TABLE a;", 1, "LOAD DATA INFILE 'a' INTO TABLE a"],
    [
      "rows where a table takes nothing back",
      "UPDATE a SET x = 1;",
      1,
      "UPDATE a SET x = 1",
      ["InnoDB", "MyISAM"],
    ],
    ["no statement", "", 1, ""],
  ])("is not certain for %s", (_, sql, line, statement, engines = ["InnoDB"]) => {
    expect(isFirstAndWhole(sql, { line, statement }, engines)).toBe(false);
  });
});
