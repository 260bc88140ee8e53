import { describe, expect, it } from "vitest";
import type { FlywayError, FlywayInfo } from "../records/record";
import { type TriedInput, triedFile } from "../runner/tried";

const LOCATION = "/copies/users1/sql";
const path = (key: string) => `${LOCATION}/${key}`;

const info = (states: Readonly<Record<string, string>>): FlywayInfo => ({
  migrations: Object.entries(states).map(([key, state]) => ({ filepath: path(key), state })),
});

const plain = (message: string, sqlState = "HY000"): FlywayError => ({
  ...{ errorCode: "DB_CONNECTION", message, sqlState, sqlErrorCode: 1 },
});
const script = (key: string) =>
  `Script ${key} failed\n---\nSQL State  : 42000\nError Code : 1064\nMessage    : x\nLocation   : ${path(key)} (x)\nLine       : 2\nStatement  : SELEC 1\n`;
const callback = (event: string) => `Error while executing ${event} callback: ${script(`${event}.sql`)}`;
const noResult: FlywayError = { errorCode: "FAULT", message: "Flyway's migrate ended with exit code 1" };

const HISTORY = "Schema History table `s`.`flyway_schema_history`";
const PENDING = info({
  "V1__a.sql": "Success",
  "V2__b.sql": "Pending",
  "V3__c.sql": "Pending",
  "R__r.sql": "Pending",
});
const LOST = info({
  "V1__a.sql": "Pending",
  "V2__b.sql": "Pending",
  "V3__c.sql": "Pending",
  "R__r.sql": "Pending",
});
const KEYS = ["R__r.sql", "V1__a.sql", "V10__d.sql", "V2__b.sql", "V3__c.sql", "afterMigrate.sql"];

/** The key of the file that was tried, and whether Flyway's history has that; undefined where none was. */
function tried(error: FlywayError, given: FlywayInfo | null, input: Partial<TriedInput> = {}) {
  const file = triedFile({
    ...{ error, info: given, location: LOCATION, keys: KEYS, unapplied: KEYS, scripts: ["V1__a.sql"] },
    ...input,
  });
  return file && [file.file.file.slice(LOCATION.length + 1), file.isRecorded];
}

describe("the file that ran when Flyway failed", () => {
  it.each<readonly [string, FlywayError, FlywayInfo | null, readonly [string, boolean]]>([
    [
      "is the one that the error is of",
      plain(script("V2__b.sql")),
      info({ "V2__b.sql": "Failed" }),
      ["V2__b.sql", true],
    ],
    [
      "is not in the history where that does not have it as failed",
      plain(script("V2__b.sql")),
      PENDING,
      ["V2__b.sql", false],
    ],
    ["nor where Flyway cannot say", plain(script("V2__b.sql")), null, ["V2__b.sql", false]],
    ["is the callback that failed", plain(callback("beforeMigrate")), PENDING, ["beforeMigrate.sql", true]],
    [
      "is the file before a callback for each",
      plain(callback("afterEachMigrate")),
      PENDING,
      ["V2__b.sql", false],
    ],
    [
      "is the failed file before a callback for errors",
      plain(callback("afterMigrateError")),
      info({ "V2__b.sql": "Failed" }),
      ["V2__b.sql", true],
    ],
    [
      "or the next, where the history has none",
      plain(callback("afterEachMigrateError")),
      PENDING,
      ["V2__b.sql", false],
    ],
    [
      "is the version that could not be written",
      plain(`Unable to insert row for version '3' in ${HISTORY}`),
      LOST,
      ["V3__c.sql", false],
    ],
    [
      "is the next one, by the order of the files",
      plain(`Error while retrieving the list of applied migrations from ${HISTORY}`),
      PENDING,
      ["V2__b.sql", false],
    ],
    [
      "is a repeatable one where its version is null",
      plain(`Unable to insert row for version 'null' in ${HISTORY}`),
      LOST,
      ["R__r.sql", false],
    ],
    [
      "is the next one where a file made the session read-only",
      { ...plain(`Unable to lock table ${HISTORY}`), sqlErrorCode: 1792 },
      PENDING,
      ["V2__b.sql", false],
    ],
    [
      "also where it holds a lock on all tables, or another has one on the history",
      plain(`Unable to lock table ${HISTORY}`),
      PENDING,
      ["V2__b.sql", false],
    ],
    [
      "also where the connection was lost, which a COMMIT in it outlives",
      plain("Unable to restore connection to its original state", "08000"),
      PENDING,
      ["V2__b.sql", false],
    ],
    [
      "also where Flyway cannot say: by the version's number",
      plain("Unable to commit transaction"),
      null,
      ["V2__b.sql", false],
    ],
  ])("%s", (_, error, given, expected) => {
    const keys = error.message.includes("beforeMigrate") ? [...KEYS, "beforeMigrate.sql"] : KEYS;
    expect(tried(error, given, { keys })).toEqual(expected);
  });

  it.each<readonly [string, FlywayError]>([
    ["a connection that was not to be had", plain("Unable to obtain connection from database", "08000")],
    ["a named lock", plain("Unable to acquire MySQL named lock: x")],
    ["validation", { errorCode: "VALIDATE_ERROR", message: "Validate failed" }],
    [
      "a statement that cannot be read",
      { errorCode: "ERROR", message: `Unable to parse statement in ${path("V2__b.sql")} at line 1 col 1.` },
    ],
    ["a callback before a file", plain(callback("beforeEachMigrate"))],
    ["a file that is none of the bucket's, whatever a message says", plain(script("V9__z.sql"))],
  ])("is none for %s", (_, error) => {
    expect(tried(error, PENDING)).toBeUndefined();
  });

  it("is the next one where Flyway died", () => {
    expect(tried(noResult, PENDING)).toEqual(["V2__b.sql", false]);
    expect(tried(noResult, info({ "V1__a.sql": "Success" }))).toBeUndefined();
  });

  const unwritten = plain(`Unable to insert row for version 'null' in ${HISTORY}`);
  const versions = KEYS.filter((key) => key.startsWith("V"));

  it("is a repeatable one once all versions are applied", () => {
    expect(tried(unwritten, null, { scripts: versions })).toEqual(["R__r.sql", false]);
  });

  it("is the repeatable one that was edited, which the history has as it was, and no other", () => {
    const edited = {
      migrations: [
        { filepath: path("R__a.sql"), state: "Success" },
        { filepath: path("R__r.sql"), state: "Outdated" },
        { filepath: path("R__s.sql"), state: "Pending" },
        { filepath: path("R__r.sql"), state: "Pending" },
      ],
    };
    const keys = ["R__a.sql", "R__r.sql", "R__s.sql"];
    const input = { keys, scripts: ["R__a.sql", "R__r.sql"], unapplied: ["R__r.sql"] };
    expect(tried(unwritten, edited, input)).toEqual(["R__r.sql", false]);
    expect(tried(unwritten, null, input)).toEqual(["R__r.sql", false]);
  });

  it("is a version without a description too", () => {
    const error = plain(`Unable to insert row for version '3' in ${HISTORY}`);
    const given = info({ "V2__b.sql": "Pending", "V3.sql": "Pending" });
    expect(tried(error, given, { keys: ["V2__b.sql", "V3.sql"] })).toEqual(["V3.sql", false]);
  });

  it("is none that is known to be applied where the schema could not be looked at", () => {
    const unknown = { scripts: undefined, unapplied: ["V3__c.sql", "V10__d.sql"] };
    const bookkeeping = plain("Unable to commit transaction");
    expect(tried(bookkeeping, null, unknown)).toEqual(["V3__c.sql", false]);
  });
});
