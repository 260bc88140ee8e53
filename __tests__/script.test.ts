import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Encoding } from "../deployment/mapping";
import { flawOf } from "../runner/script";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "script-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function flaw(content: string | Uint8Array, encoding: Encoding = "UTF-8"): Promise<string | undefined> {
  const file = join(folder, "V1__a.sql");
  writeFileSync(file, content);
  return (await flawOf(file, Buffer.byteLength(content), encoding))?.message;
}

const COMMENT = /^the comment that begins with \/\* in line (\d+) does not end/;

describe("a script", () => {
  it.each([
    ["a comment that ends", "CREATE TABLE a (id int); /* x */"],
    ["a comment at its very end", "/**/"],
    ["/* in a text", "INSERT INTO a VALUES ('/*'), (\"/*\");"],
    ["/* in a name", "SELECT 1 AS `/*`;"],
    ["/* behind an escaped quote", "INSERT INTO a VALUES ('it\\'s /*');"],
    ["/* behind a doubled quote", "INSERT INTO a VALUES ('it''s /*');"],
    ["/* behind a backslash in a name", "SELECT 1 AS `\\`; -- /*"],
    ["/* behind --", "-- /*\nSELECT 1;"],
    ["/* behind #", "# /*\nSELECT 1;"],
    ["a quote in a comment", "-- it's\n/* it's */ SELECT 1;"],
    ["MySQL's own comments", "/*!40101 SET NAMES utf8 */;\n/*!50003 CREATE TRIGGER t */;;"],
    ["delimiters", "DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; END//\nDELIMITER ;\n"],
    ["a delimiter that opens comments elsewhere", "DELIMITER #\nSELECT '/*'#\nDELIMITER ;"],
    ["the word elsewhere", "SELECT 1 AS x, 2 AS\nDELIMITERS;"],
    ["letters beyond ASCII", "SELECT 'größe 漢字 🚀';"],
    ["line ends of Windows", "-- a\r\nSELECT 1;\r\n# b\r\n"],
    ["carriage returns outside of comments", "SELECT 1;\rSELECT 'a\rb';\r-- c\r"],
    [
      "a delimiter in the next line",
      "DELIMITER\n$$\nCREATE PROCEDURE p() BEGIN SELECT 1; END $$\nDELIMITER ;\n",
    ],
    [
      "words that end, or begin, as the keyword",
      "SELECT my_delimiter, delimiter_2, a.delimiter, `delimiter` FROM a;",
    ],
    ["the keyword behind a comment", "/* a */ DELIMITER $$\nSELECT 1$$ DELIMITER ;\nSELECT 2;"],
    ["the keyword without a blank", "DELIMITER//\nSELECT 1//\nDELIMITER;\nSELECT 2;"],
    ["a comment behind the last delimiter", "DELIMITER $$\nSELECT 1$$\nDELIMITER ; -- as before\n-- end"],
    [
      "other signs behind the keyword",
      "DELIMITER@@\nSELECT 1@@\nDELIMITER§\nSELECT 2§\nDELIMITER ; //\nSELECT 3",
    ],
    ["a word for a delimiter in the next line", "DELIMITER\ngo\nSELECT 1 go\nDELIMITER ;\n"],
    ["carriage returns between comments", `-- 10%\r-- 20%\r${" ".repeat(20)}# 100%\nSELECT 1;`],
    ["a NUL in a text", "INSERT INTO a VALUES ('\0'); /* \0 */"],
  ])("with %s has no flaw", async (_, sql) => {
    expect(await flaw(sql)).toBeUndefined();
  });

  it.each([
    ["at its end", "SELECT 1;\n/*", "2"],
    ["in its midst", "SELECT 1; /* x\nSELECT 2;\nSELECT 3;", "1"],
    ["behind one that ends", "/* a */\n\n/* b", "3"],
    ["that has one in it", "/* a /* b */ /* c", "1"],
    ["behind a name with a backslash", "SELECT 1 AS `\\`; /* x", "1"],
    ["far behind", `${"SELECT 'x';\n".repeat(20_000)}/* x`, "20001"],
  ])("whose comment does not end, %s, has one, in its line", async (_, sql, line) => {
    expect(COMMENT.exec((await flaw(sql)) ?? "")?.[1]).toBe(line);
  });

  it.each([
    ...["DELIMITER", "DELIMITER\n", "SELECT 1;\ndelimiter  \nSELECT 2;", "DELIMITER \x01\nSELECT 1;"],
    ...["DELIMITER\r\n$$\nSELECT 1$$", "DELIMITER \rSELECT 1;", "DELIMITER\n\nSELECT 1;"],
    ...["/* a */ DELIMITER\nSELECT 1;\nSELECT 2;", "SELECT 1; DELIMITER", "SELECT 1;DELIMITER\nSELECT 2;"],
  ])("that has %j has one: Flyway would cut it short, or read it for ever", async (sql) => {
    expect(await flaw(sql)).toMatch(/^DELIMITER in line \d has nothing behind it/);
  });

  it.each(["DELIMITER $$ CREATE PROCEDURE p() SELECT 1$$", "DELIMITER ; INSERT INTO a VALUES (1);"])(
    "that has more than a delimiter behind DELIMITER, %j, has one",
    async (sql) => {
      expect(await flaw(sql)).toMatch(/^DELIMITER in line 1 has more than the delimiter behind it/);
    },
  );

  it.each([
    "SELECT 1\nDELIMITER //\n",
    "CREATE TABLE a (id int, delimiter CHAR(1));",
    "SET @delimiter = ',';",
  ])("that has DELIMITER inside a statement, %j, has one", async (sql) => {
    expect(await flaw(sql)).toMatch(/^DELIMITER in line \d stands inside a statement/);
  });

  it.each(["-- a\rCREATE TABLE a (id int);\rSELECT 1;", "SELECT 1 # b\r, 2;", "\n-- x\r/* never"])(
    "that has a carriage return in a comment, %j, has one: Flyway goes on behind it, and the server does not",
    async (sql) => {
      expect(await flaw(sql)).toMatch(/^line \d has a comment with a carriage return/);
    },
  );

  it("in UTF-16 without a byte order mark has one, unless that is its encoding", async () => {
    const sql = Buffer.from("SELECT 1;", "utf16le");
    expect(await flaw(sql)).toMatch(/^line 1 has a NUL/);
    expect(await flaw(Buffer.from(sql).swap16())).toMatch(/^line 1 has a NUL/);
    expect(await flaw(sql, "UTF-16LE")).toBeUndefined();
  });

  it.each(["", " ", " \n".repeat(40_000), "\t\r\n", "\ufeff", "\ufeff\n"])(
    "of %j is empty",
    async (content) => {
      expect(await flaw(content)).toBe("it is empty");
    },
  );

  it("in another encoding than it should be has one", async () => {
    const latin1 = Buffer.from("SELECT 'é';", "latin1");
    expect(await flaw(latin1)).toMatch(/^it is not in UTF-8/);
    expect(await flaw(Buffer.from("\ufeffSELECT 1;", "utf16le"))).toMatch(/^it is not in UTF-8/);
    expect(await flaw(latin1, "ISO-8859-1")).toBeUndefined();
  });

  it("is read across the borders of what comes at once", async () => {
    const border = 65_536;
    for (const before of [border - 1, border - 2, border - 3]) {
      const filler = `--${"x".repeat(before - 3)}\n`;
      expect(await flaw(`${filler}/* 漢 */`)).toBeUndefined();
      expect(await flaw(`${filler}/* 漢`)).toMatch(COMMENT);
      expect(await flaw(`${filler}DELIMITER`)).toMatch(/^DELIMITER in line 2/);
    }
  });
});
