import { describe, expect, it } from "vitest";
import {
  failedStatementIn,
  isCallback,
  isOnContent,
  isRefusal,
  NO_RESULT,
  parseResult,
} from "../records/flyway";
import { answerOf, argumentsOf } from "../runner/flyway";
import { connectionTo } from "../runner/target";

const connection = connectionTo({ url: "jdbc:mysql://db", secret: "s", tls: "unverified" });
const setting = (version: string) => ({
  ...{ version, connection, schema: "Users", location: "/copies/users1/sql" },
  options: ["-baselineVersion=0", "-placeholders.a=b c"],
});

/** What Flyway knows from 9 on. */
const NINE = [
  "-skipCheckForUpdate",
  "-failOnMissingLocations=true",
  "-ignoreMigrationPatterns=*:future,repeatable:missing",
];

describe("Flyway's arguments", () => {
  it.each([
    ["7.7.3", []],
    ["9.22.3", [...NINE]],
    ["11.8.2", [...NINE]],
    ["11.9.0", [...NINE, "-X"]],
    ["12.5.0", [...NINE, "-X"]],
    ["13.0", [...NINE, "-X"]],
  ])("of %s are those that it knows", (version, expected) => {
    const given = argumentsOf(setting(version), ["migrate", "info"]);
    const optional = [...NINE, "-X"];
    expect(given.filter((option) => optional.includes(option))).toEqual(expected);
    expect(given.slice(-2)).toEqual(["migrate", "info"]);
  });

  it("have what turns errors red, the settings as they stand, and no login", () => {
    const given = argumentsOf(setting("11.8.2"), ["info"]);
    expect(given).toEqual(
      expect.arrayContaining([
        ...["-outputType=json", "-validateMigrationNaming=true", "-baselineOnMigrate=true"],
        ...["-locations=filesystem:/copies/users1/sql", "-schemas=Users", "-placeholders.a=b c"],
      ]),
    );
    expect(given.join(" ")).not.toMatch(/-(url|user|password)=/);
  });
});

const migrated = {
  operation: "migrate",
  migrations: [{ filepath: "/a.sql", executionTime: 1 }],
  success: true,
};
const informed = { operation: "info", migrations: [{ filepath: "/a.sql", state: "Success" }] };
const error = { errorCode: "FAULT", message: "no" };

describe("Flyway's JSON", () => {
  it("of one command is one result, of several one each", () => {
    expect(parseResult(JSON.stringify(informed), ["info"])?.results).toEqual([informed]);
    const both = { individualResults: [migrated, informed] };
    expect(parseResult(JSON.stringify(both), ["migrate", "info"])?.results).toEqual([migrated, informed]);
  });

  it.each([
    ["nothing", ""],
    ["text", "ERROR: no"],
    ["a JSON string", '"info"'],
    ["null", "null"],
    ["another command's", JSON.stringify(migrated)],
    ["one of two", JSON.stringify({ individualResults: [informed, migrated] })],
    ["torn", JSON.stringify(informed).slice(0, -1)],
  ])("that is %s is none of info", (_, output) => {
    expect(parseResult(output, ["info"])).toBeUndefined();
  });

  it("of several commands of which one failed is that one's, wherever the error is", () => {
    const failed = { ...migrated, success: false, error };
    for (const whole of [
      failed,
      { individualResults: [failed, informed] },
      { individualResults: [failed], error },
    ]) {
      const parsed = parseResult(JSON.stringify(whole), ["migrate", "info"]);
      expect(parsed?.error).toMatchObject(error);
      expect(parsed?.results[0]?.error).toMatchObject(error);
    }
  });

  it("has SQLState and code where a release has them in its message alone, and those of its own before these", () => {
    const message = "Migration failed\nSQL State  : 42S01\nError Code : 1050\n";
    const parse = (more: object) =>
      parseResult(JSON.stringify({ error: { errorCode: "X", message, ...more } }), ["info"])?.error;
    expect(parse({})).toMatchObject({ sqlState: "42S01", sqlErrorCode: 1050 });
    expect(parse({ sqlState: "08000", sqlErrorCode: -1 })).toMatchObject({
      sqlState: "08000",
      sqlErrorCode: -1,
    });
    expect(parse({ message: "no" })).toMatchObject({ sqlState: null, sqlErrorCode: null });
  });

  it.each([
    ["CREATE USER u IDENTIFIED BY 's3cret' BOGUS", "BOGUS"],
    ["CREATE USER u IDENTIFIED BY 'a' 's3cret'", "'s3cret'"],
    ["CREATE USER u\nIDENTIFIED\nBY\n's3cret' x", "IDENTIFIED\nBY\n's3cret' x"],
    ["CREATE USER u IDENTIFED BY 's3cret'", "IDENTIFED BY 's3cret'"],
    ["GRANT ALL ON *.* TO u IDENTIFID BY 's3cret\\' s3cret'", "IDENTIFID BY 's3cret\\' s3cret'"],
    ["ALTER USER u IDENTIFIED BY 's3cret", "'s3cret"],
    ["SET PASSWORD FOR u = 's3cret' x", "'s3cret' x"],
    ["CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTION (PASSWD 's3cret')", "OPTION (PASSWD 's3cret')"],
  ])("shows no password of %j, nor of what the server shows of it", (statement, near) => {
    const what = `You have an error in your SQL syntax; check the manual for the right syntax to use near '${near}' at line 1`;
    const message = `Script failed\n---\nSQL State  : 42000\nError Code : 1064\nMessage    : ${what}\nLocation   : a.sql (a.sql)\nLine       : 1\nStatement  : ${statement}\n`;
    const whole = JSON.stringify({ error: { errorCode: "X", message } });
    const shown = parseResult(whole, ["migrate"])?.error?.message;
    expect(shown).not.toContain("s3cret");
    expect(shown).toMatch(/right syntax to use near '…'( at line 1)?\nLocation[\s\S]*\nStatement {2}: /);
  });

  const INSERT = "INSERT INTO users (name, password) VALUES ('bob', 's3cret')";

  it.each([
    [INSERT, "Duplicate entry 's3cret' for key 'password'", "Duplicate entry '…' for key 'password'"],
    [
      INSERT,
      "Duplicate entry 'bob-s3cret' for key 'users.password'",
      "Duplicate entry '…' for key 'users.password'",
    ],
    [
      INSERT,
      "Duplicate entry 'it's users's3cret' for key 'password'",
      "Duplicate entry '…' for key 'password'",
    ],
    [INSERT, "Duplicate entry 'users's3cret' for key 'name'", "Duplicate entry '…' for key 'name'"],
    [INSERT, "Duplicate entry 'don't s3cret' for key 'name'", "Duplicate entry '…' for key 'name'"],
    [INSERT, "Duplicate entry 's3cret", "Duplicate entry '…'"],
    [INSERT, "Duplicate entry 'users' for key 'password'", "Duplicate entry '…' for key 'password'"],
    [INSERT, "syntax to use near ''s3cret WHERE id = 1;", "syntax to use near '…'"],
    [INSERT, "syntax to use near 's3cret, 'tok');' at line 3", "syntax to use near '…' at line 3"],
    [INSERT, "Data too long for column 'password' at row 1", "Data too long for column 'password' at row 1"],
    [
      INSERT,
      "Incorrect string value: 's3cret' for column `a`.`users`.`name` at row 1",
      "Incorrect string value: '…' for column `a`.`users`.`name` at row 1",
    ],
    [INSERT, "Table 'shop.users' doesn't exist", "Table 'shop.users' doesn't exist"],
    [INSERT, "Can't create table 'a.s3cret' (errno: 121)", "Can't create table '…'"],
    [INSERT, "Unknown column 'name' in 'VALUES'", "Unknown column 'name' in 'VALUES'"],
    [INSERT, "Field 'email' doesn't have a default value", "Field 'email' doesn't have a default value"],
    [INSERT, "Unknown column 'name' in 'field list'", "Unknown column 'name' in 'field list'"],
    ["UPDATE t SET password_hash = 's3cret'", "Incorrect value: 's3cret'", "Incorrect value: '…'"],
    ["UPDATE t SET user_pwd = 's3cret'", "Incorrect value: 's3cret'", "Incorrect value: '…'"],
    ["SELECT 's3cret' AS passwd", "Unknown column 's3cret'", "Unknown column '…'"],
    ["SET PASSPHRASE = 's3cret'", "Unknown variable 's3cret'", "Unknown variable '…'"],
  ])("shows no password that is in %j, and the server quotes: %s", (statement, what, expected) => {
    const title = `Script V1__a.sql failed: ${what}`;
    const message = `${title}\n---\nMessage    : ${what}\nLocation   : s3.sql (s3.sql)\nLine       : 1\nStatement  : ${statement}\n`;
    const whole = JSON.stringify({ error: { errorCode: "X", message } });
    const shown = parseResult(whole, ["migrate"])?.error?.message;
    expect(shown).not.toContain("s3cret");
    expect(shown).toContain(
      `Script V1__a.sql failed: ${expected}\n---\nMessage    : ${expected}\nLocation   : s3.sql`,
    );
  });

  it.each([
    ["V2__add_password_column.sql", "INSERT INTO Nowhere VALUES (1)", "Table 'a.Nowhere' doesn't exist"],
    ["pwd1/V1__a.sql", "SELEC 1", "syntax to use near 'SELEC 1' at line 1"],
  ])("shows all of a failure whose file is called %s", (file, statement, what) => {
    const message = `Script ${file} failed\n---\nMessage    : ${what}\nLocation   : ${file} (${file})\nLine       : 1\nStatement  : ${statement}\n`;
    const whole = JSON.stringify({ error: { errorCode: "X", message } });
    expect(parseResult(whole, ["migrate"])?.error?.message).toBe(message);
  });

  it.each([
    [
      "No value provided for placeholder: ${db_password}.",
      "No value provided for placeholder: ${db_password}.",
    ],
    [
      "Delimiter changed inside statement: SET PASSWORD = 's3cret'",
      "Delimiter changed inside statement: SET PASSWORD …",
    ],
  ])("shows the file that cannot be read, whatever it is called, and %s", (cause, shown) => {
    const title = "Unable to parse statement in /copies/pwd1/V1__users_password.sql at line 1 col 9.";
    const whole = JSON.stringify({ error: { errorCode: "X", message: `${title} ${cause}` } });
    expect(parseResult(whole, ["migrate"])?.error?.message).toBe(`${title} ${shown}`);
  });

  it("shows no text of a statement of whose value the server says that it is a password", () => {
    const what = "Data too long for column 'password' at row 1";
    const message = `x\n---\nMessage    : ${what}\nLocation   : a.sql (a.sql)\nLine       : 1\nStatement  : INSERT INTO u VALUES (1, 's3cret', 0x73)\n`;
    const whole = JSON.stringify({ error: { errorCode: "X", message } });
    const shown = parseResult(whole, ["migrate"])?.error?.message;
    expect(shown).toContain("Statement  : INSERT INTO u VALUES (?, ?, ?)");
    expect(shown).not.toContain("s3cret");
  });

  it.each([
    [
      "a message of several lines",
      "near 'IDENTIFID BY 's3cret'\nLocation   : a.sql (a.sql)\nLine       : 1",
      "CREATE USER u IDENTIFID BY 's3cret'\nREQUIRE",
    ],
    [
      "what cannot be read",
      "Unable to parse statement in a.sql at line 1 col 1. Delimiter changed inside statement: CREATE USER u IDENTIFIED BY 's3cret'",
      "",
    ],
    ["a URL", "near 'x' at line 1", "CREATE TABLE f (a int) CONNECTION='mysql://root:s3cret@h/db/t'"],
    ["a URL in a text", "near 'x' at line 1", "INSERT INTO a VALUES ('mysql://root:s3cret@h/db/t')"],
    ["MySQL's own tables", "near 'x' at line 1", "UPDATE mysql.user SET authentication_string='s3cret'"],
    [
      "a procedure of RDS",
      "near 'x' at line 1",
      "CALL mysql.rds_set_external_master('h',3306,'repl','s3cret')",
    ],
  ])("shows no password of %s", (_, before, statement) => {
    const message = `${before}${statement && `\nStatement  : ${statement}`}`;
    const shown = parseResult(JSON.stringify({ error: { errorCode: "X", message } }), ["migrate"])?.error
      ?.message;
    expect(shown).not.toContain("s3cret");
    if (before.includes("Location"))
      expect(shown).toContain("\nLocation   : a.sql (a.sql)\nLine       : 1\n");
  });

  it.each([
    ["/c/V1__a (1).sql", "/c/V1__a (1).sql"],
    ["/c/V1__a\nb.sql", "/c/V1__a\nb.sql"],
    ["/c/V1__a.sql", "elsewhere"],
  ])("tells the path %j of a failed statement", (file, other) => {
    const message = `x\nLocation   : ${file} (${other})\nLine       : 2\nStatement  : SELEC 1\n`;
    expect(failedStatementIn({ errorCode: "X", message })).toEqual({ file, line: 2, statement: "SELEC 1" });
  });

  it("shows what the server shows of any other statement", () => {
    const message = "Message    : syntax to use near 'SELEC 1' at line 1\nStatement  : SELEC 1\n";
    const whole = JSON.stringify({ error: { errorCode: "X", message } });
    expect(parseResult(whole, ["migrate"])?.error?.message).toBe(message);
  });

  it("loses Java's stack traces, and the end of what is very long", () => {
    const long = {
      error: { ...error, message: "x".repeat(9_000), stackTrace: "at", cause: { exception: "e" } },
    };
    const parsed = JSON.stringify(parseResult(JSON.stringify(long), ["info"]));
    expect(parsed).not.toMatch(/stackTrace|exception/);
    expect(parsed.length).toBeLessThan(20_000);
  });
});

describe("Flyway's answer", () => {
  it("is well where both its JSON and its exit code are", () => {
    expect(answerOf(JSON.stringify(informed), 0, ["info"])).toEqual({ results: [informed] });
  });

  it("is an error where its JSON has one, though its exit code is 0", () => {
    expect(answerOf(JSON.stringify({ error }), 0, ["info"]).error).toMatchObject(error);
  });

  it.each([
    ["its exit code alone says so", JSON.stringify(informed), 1],
    ["it was killed", "", 137],
    ["it says what no one can read", "Exception in thread main", 0],
  ])("is an error of ours where %s, with the end of the output", (_, output, code) => {
    const answer = answerOf(output, code, ["info"]);
    expect(answer.error?.errorCode).toBe(NO_RESULT);
    expect(answer.error?.message).toBe(
      `Flyway's info ended with exit code ${code} and no result that can be read\n${output}`,
    );
    expect(answer.results).toEqual([{ error: answer.error }]);
  });
});

describe("Flyway's words", () => {
  const ofScript =
    "Script V2__b.sql failed\n---\nError Code : 1146\nLocation   : /c/V2__b.sql (/c/V2__b.sql)\nLine       : 4\nStatement  : ALTER TABLE x\n  ADD y int\n";

  it("name the statement that failed, its line and its file", () => {
    expect(failedStatementIn({ errorCode: "FAILED", message: ofScript })).toEqual({
      ...{ file: "/c/V2__b.sql", line: 4, statement: "ALTER TABLE x\n  ADD y int" },
    });
    expect(failedStatementIn({ errorCode: "FAULT", message: "no" })).toBeUndefined();
  });

  it.each([
    ["VALIDATE_ERROR", "Validate failed", true],
    ["DUPLICATE_VERSIONED_MIGRATION", "Found more than one", true],
    ["ERROR", "Invalid SQL filenames found:\nx", true],
    ["FAILED_VERSIONED_MIGRATION", ofScript, false],
    ["DB_CONNECTION", "Unable to obtain connection", false],
  ])("%s: %s is a refusal: %j", (errorCode, message, expected) => {
    expect(isRefusal({ errorCode, message })).toBe(expected);
  });

  it.each([
    ["VALIDATE_ERROR", "x", true],
    ["DB_CONNECTION", "Unable to obtain connection", false],
    ["DB_CONNECTION", ofScript, true],
    [NO_RESULT, "the JVM died", false],
    ["ERROR", "Unable to acquire MySQL named lock", false],
  ])("%s: %s is on the content: %j", (errorCode, message, expected) => {
    expect(isOnContent({ errorCode, message })).toBe(expected);
  });

  it.each([
    ["beforeMigrate.sql", true],
    ["afterEachMigrate__x.sql", true],
    ["createSchema.sql", true],
    ["beforeMigrate.sh", false],
    ["before.sql", false],
    ["V1__a.sql", false],
    ["x_beforeMigrate.sql", false],
  ])("%s is a callback: %j", (name, expected) => {
    expect(isCallback(name)).toBe(expected);
  });
});
