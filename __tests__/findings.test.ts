import { describe, expect, it } from "vitest";
import { judge, type Known, NOTHING_KNOWN } from "../records/judge";
import type { EndedRun, FlywayError, HalfApplied, JudgedObject } from "../records/record";

// What is said of the files that people really have, by what Flyway 11.8.2 and 12.5.0 say of them.

const LOCATION = "/opt/flyway/copies/users1/sql";
const path = (key: string) => `${LOCATION}/${key}`;

interface Given {
  /** Key to state; empty for a file that `info` does not know. */
  readonly files: Readonly<Record<string, string>>;
  /** Null where it was not tried to migrate. */
  readonly error?: Partial<FlywayError> | null;
  /** Key, code and message of findings of `validate`; an empty key for a file that is not there. */
  readonly invalid?: readonly (readonly [key: string, code: string, message: string])[];
  /** Rows of `info` that have no file. */
  readonly rows?: readonly { readonly state: string; readonly type: string; readonly version?: string }[];
  /** Whether failed files were taken out of the history before. */
  readonly isRepaired?: boolean;
  readonly run?: Partial<EndedRun>;
  readonly known?: Known;
}

function judged({
  files,
  error,
  invalid = [],
  rows = [],
  isRepaired,
  run = {},
  known = NOTHING_KNOWN,
}: Given) {
  const states = Object.entries(files).filter(([, state]) => state !== "");
  const failed = error && { error: { errorCode: "ERROR", message: "", ...error } };
  const ended: EndedRun = {
    ...{
      startedAt: "2026-01-01T12:00:00Z",
      location: LOCATION,
      reason: null,
      interrupted: [],
      databaseTime: null,
    },
    ...{ halfApplied: null, takenOut: null, unrecorded: null, lockHolders: [], timedOutAfter: null },
    ...{ refused: [], scripts: [] },
    objects: Object.keys(files).map(object),
    flyway: {
      migrate: error === null ? null : (failed ?? { migrations: [] }),
      info: {
        migrations: [
          ...rows.map((row) => ({ filepath: "", ...row })),
          ...states.map(([key, state]) => ({
            filepath: path(key),
            state,
            type: key.startsWith("B") ? "SQL_BASELINE" : "SQL",
          })),
        ],
      },
      validate: {
        invalidMigrations: invalid.map(([key, errorCode, errorMessage]) => ({
          filepath: key && path(key),
          errorDetails: { errorCode, errorMessage },
        })),
      },
      repair: isRepaired ? {} : null,
    },
    ...run,
  };
  return Object.fromEntries(judge(ended, known).map((each) => [each.key, each]));
}

const object = (key: string) => ({
  ...{ key, versionId: "1", eTag: "e", size: 1, lastModified: "2026-01-01T12:00:00Z" },
});

const ended = (title: string, code: number, state: string, what: string) =>
  `${title}\n---\nSQL State  : ${state}\nError Code : ${code}\nMessage    : (conn=48) ${what}\n`;
const script = (key: string, statement = "SELEC 1", code = 1064, what = "You have an error") =>
  `${ended(`Script ${key} failed`, code, "42000", what)}Location   : ${path(key)} (${path(key)})\nLine       : 3\nStatement  : ${statement}\n`;
const failure = (message: string, code: number): Partial<FlywayError> => ({ message, sqlErrorCode: code });

const landed = (key: string, given: Partial<HalfApplied> = {}): HalfApplied => ({
  ...{ key, line: 3, statement: "SELEC 1", applied: [], moreChanges: 0, changes: [], ...given },
});
const TABLE_ADDED: HalfApplied["changes"] = [
  { kind: "table", name: "b", before: null, after: "InnoDB", shared: false },
];

const APPLIED = { "V1__a.sql": "Success" };
const WAITS = "nothing with this file: it is tried again once that is mended";
const held = (by: string): Expected => [
  "refused",
  new RegExp(`^held back by ${by.replaceAll(".", "\\.")}$`),
  new RegExp(`^${WAITS}$`),
];

type Expected = readonly [verdict: string, message: RegExp, remedy?: RegExp];

const HISTORY = "Schema History table `s`.`flyway_schema_history`";
const CHECKSUM =
  "Migration checksum mismatch for migration version 1\n-> Applied to database : 1\n-> Resolved locally    : 2";
const ADVICE = "\nEither revert the changes to the migration, or run repair to update the schema history.";
const VALIDATE = (what: string) => ({
  errorCode: "VALIDATE_ERROR",
  message: `Validate failed: Migrations have failed validation\n${what}${ADVICE}\nNeed more flexibility with validation rules? Learn more: https://rd.gt/3AbJUZE`,
});

const CASES: readonly (readonly [string, Given, Readonly<Record<string, Expected>>])[] = [
  [
    "a file that dropped Flyway's history",
    {
      files: { "V1__a.sql": "Pending", "V2__b.sql": "Pending", "V3__c.sql": "Pending" },
      error: failure(
        ended(`Unable to insert row for version '2' in ${HISTORY}`, 1146, "42S02", "Table doesn't exist"),
        1146,
      ),
      run: {
        unrecorded: { key: "V2__b.sql", eTag: "e" },
        halfApplied: landed("V2__b.sql", { line: null, statement: null, changes: TABLE_ADDED }),
      },
    },
    {
      "V2__b.sql": [
        "failed",
        /^V2__b\.sql ran, but Flyway could not write that into its history: Unable to insert row [^\n]*: Table doesn't exist \(error 1146, SQL state 42S02\)\nOf V2__b\.sql, this is in the schema already:\n- table b added$/,
        /^correct it, so that it does not repeat what is there, and upload it: as it is, it is not tried again, unless the host repairs/,
      ],
      "V3__c.sql": held("V2__b.sql"),
    },
  ],
  [
    "a file whose failure could not be written down",
    {
      files: { ...APPLIED, "V2__b.sql": "Pending" },
      error: failure(script("V2__b.sql"), 1064),
      run: { unrecorded: { key: "V2__b.sql", eTag: "e" }, halfApplied: landed("V2__b.sql") },
    },
    {
      "V2__b.sql": [
        "failed",
        /^Script V2__b\.sql failed at line 3: You have an error \(error 1064, SQL state 42000\)\nV2__b\.sql is not in Flyway's history\.\n/,
      ],
    },
  ],
  [
    "a callback that failed behind a file",
    {
      files: { "V1__a.sql": "Pending", "afterEachMigrate.sql": "" },
      error: failure(
        `Error while executing afterEachMigrate callback: ${script("afterEachMigrate.sql")}`,
        1064,
      ),
      run: {
        unrecorded: { key: "V1__a.sql", eTag: "e" },
        halfApplied: landed("V1__a.sql", { line: null, statement: null }),
      },
    },
    {
      "V1__a.sql": [
        "failed",
        /^V1__a\.sql ran, but Flyway did not write that into its history: its afterEachMigrate callback failed\.\n/,
        /^correct the callback; then take back/,
      ],
      "afterEachMigrate.sql": [
        "failed",
        /^Error while executing afterEachMigrate callback: [^\n]* at line 3: You have an error/,
        /^correct the callback and upload it; the next run tries everything again$/,
      ],
    },
  ],
  [
    "a callback for errors that failed too",
    {
      files: { "V1__a.sql": "Failed", "afterMigrateError.sql": "" },
      error: failure(
        `Error while executing afterMigrateError callback: ${script("afterMigrateError.sql")}`,
        1064,
      ),
      run: { halfApplied: landed("V1__a.sql", { line: null, statement: null }) },
    },
    {
      "V1__a.sql": [
        "failed",
        /^V1__a\.sql failed, but Flyway does not say by what: its afterMigrateError callback failed too\./,
        /^correct both, .*have the host repair/,
      ],
    },
  ],
  [
    "an edited file beside a new one",
    {
      files: { ...APPLIED, "V3__c.sql": "Pending" },
      error: VALIDATE(CHECKSUM),
      invalid: [
        ["V1__a.sql", "CHECKSUM_MISMATCH", CHECKSUM + ADVICE],
        [
          "V3__c.sql",
          "RESOLVED_VERSIONED_MIGRATION_NOT_APPLIED",
          "Detected resolved migration not applied to database: 3.",
        ],
      ],
    },
    {
      "V1__a.sql": [
        "refused",
        /^Migration checksum mismatch for migration version 1\n-> [^\n]*\n-> [^\n]*$/,
        /^upload its former content/,
      ],
      "V3__c.sql": held("V1__a.sql"),
    },
  ],
  [
    "a version below the newest, beside a new one",
    {
      files: { ...APPLIED, "V2__b.sql": "Ignored", "V4__d.sql": "Pending" },
      error: VALIDATE(
        "Detected resolved migration not applied to database: 2.\nTo ignore this migration, set -ignoreMigrationPatterns='*:ignored'.",
      ),
      invalid: ["V2__b.sql", "V4__d.sql"].map((key) => [
        ...([
          key,
          "RESOLVED_VERSIONED_MIGRATION_NOT_APPLIED",
          "Detected resolved migration not applied",
        ] as const),
      ]),
    },
    {
      "V2__b.sql": [
        "refused",
        /^its version is below the newest that is applied$/,
        /^give it a version above/,
      ],
      "V4__d.sql": held("V2__b.sql"),
    },
  ],
  [
    "a misnamed file, beside one of which Flyway says nothing",
    {
      files: { "readme.sql": "", "V1__a.sql": "Pending", "V2_b.sql": "" },
      error: { message: "Invalid SQL filenames found:\r\nUnrecognised migration name format: V2_b.sql" },
    },
    { "V1__a.sql": held("V2_b.sql"), "V2_b.sql": ["refused", /V2_b\.sql$/, /^upload it again as V/] },
  ],
  ...(
    [
      ["nothing is tried, as for a file that ran before", null],
      ["the database is away at the repair of one", failure("Unable to obtain connection", 0)],
      ["another file fails at the repair of one", failure(script("V1__a.sql"), 1064)],
    ] as const
  ).map(
    ([is, error]) =>
      [
        `a run in which ${is}`,
        {
          files: {
            "V1__a.sql": error?.message?.startsWith("Script") ? "Failed" : "Pending",
            "V2__b.sql": "Pending",
          },
          error,
          run: { unrecorded: { key: "V2__b.sql", eTag: "e" } },
          known: {
            ...{ failed: ["V2__b.sql"], unrecorded: { key: "V2__b.sql", eTag: "e" } },
            objects: [
              {
                ...object("V2__b.sql"),
                versionId: "0",
                verdict: "failed",
                message: "V2__b.sql ran",
                remedy: "mend",
              },
            ],
          },
        },
        { "V2__b.sql": ["failed", /^V2__b\.sql ran$/, /^mend$/] },
      ] as const,
  ),
  [
    "a file that ran before, of whose words nothing is left",
    {
      files: { "V1__a.sql": "Pending", "V2__b.sql": "Pending" },
      error: null,
      run: { unrecorded: { key: "V1__a.sql", eTag: "e" } },
    },
    {
      "V1__a.sql": [
        "failed",
        /^V1__a\.sql has run, and is not in Flyway's history\.$/,
        /^correct it, so that/,
      ],
      "V2__b.sql": held("V1__a.sql"),
    },
  ],
  [
    "another description",
    {
      files: { "V1__other.sql": "Success" },
      error: VALIDATE("Migration description mismatch for migration version 1"),
      invalid: [
        [
          "V1__other.sql",
          "DESCRIPTION_MISMATCH",
          `Migration description mismatch for migration version 1${ADVICE}`,
        ],
      ],
      run: { scripts: ["sub/V1__a.sql"] },
    },
    {
      "V1__other.sql": [
        "refused",
        /^Migration description mismatch for migration version 1$/,
        /^upload it again as sub\/V1__a\.sql, and delete this one/,
      ],
    },
  ],
  [
    "an encoding for which Flyway says nothing else",
    {
      files: { "V1__a.sql": "", "V2__b.sql": "" },
      error: {
        message: `Unable to calculate checksum of V2__b.sql\r\nPlease ensure you have configured the correct file encoding with 'flyway.encoding' or enable 'flyway.detectEncoding'`,
      },
    },
    {
      "V1__a.sql": held("V2__b.sql"),
      "V2__b.sql": ["refused", /^it is not in the encoding/, /^save it as UTF-8/],
    },
  ],
  [
    "a placeholder without a value",
    {
      files: { ...APPLIED, "V2__b.sql": "Pending" },
      error: {
        message: `Unable to parse statement in ${path("V2__b.sql")} at line 4 col 1. See https://rd.gt/3ipi7Pm for more information. No value provided for placeholder: \${x}.  Check your configuration!`,
      },
    },
    {
      "V1__a.sql": ["already-applied", /^$/],
      "V2__b.sql": [
        "refused",
        /^it cannot be read at line 4: No value provided for placeholder: \$\{x\}\.$/,
        /placeholder_replacement/,
      ],
    },
  ],
  [
    "what cannot be read for another reason",
    {
      files: { "V2__b.sql": "Pending" },
      error: {
        message: `Unable to parse statement in ${path("V2__b.sql")} at line 4 col 1. Incomplete statement`,
      },
    },
    {
      "V2__b.sql": [
        "refused",
        /^it cannot be read at line 4: Incomplete statement$/,
        /a quote, a comment or a DELIMITER/,
      ],
    },
  ],
  [
    "a misspelt callback and a misnamed file",
    {
      files: { "V1__a.sql": "", "afterMigrat.sql": "", "sub/V2_b.sql": "" },
      error: {
        message:
          "Invalid SQL filenames found:\r\nUnrecognised migration name format: afterMigrat.sql\r\nInvalid versioned migration name format: V2_b.sql (could not recognise version number 2_b)",
      },
    },
    {
      "V1__a.sql": held("afterMigrat.sql, sub/V2_b.sql"),
      "afterMigrat.sql": [
        "refused",
        /^Unrecognised migration name format: afterMigrat\.sql$/,
        /one of Flyway's events, such as afterMigrate\.sql/,
      ],
      "sub/V2_b.sql": [
        "refused",
        /^Invalid versioned migration name format: V2_b\.sql \(/,
        /delete the misnamed one$/,
      ],
    },
  ],
  [
    "more misnamed files than Flyway's message has room for",
    {
      files: { "V1__a.sql": "", "V2_b.sql": "", "V3_c.sql": "" },
      error: {
        message:
          "Invalid SQL filenames found:\r\nInvalid versioned migration name format: V2_b.sql\r\nInvalid versio…",
      },
    },
    {
      "V1__a.sql": held("V2_b.sql, V3_c.sql"),
      "V3_c.sql": ["refused", /^Unrecognised migration name format: V3_c\.sql$/],
    },
  ],
  [
    "a first migration whose table is there",
    {
      files: { "V1__a.sql": "Failed" },
      rows: [{ state: "Baseline", type: "BASELINE", version: "0" }],
      error: failure(script("V1__a.sql", "CREATE TABLE a (id int)", 1050, "Table 'a' already exists"), 1050),
      run: { halfApplied: landed("V1__a.sql") },
    },
    {
      "V1__a.sql": [
        "failed",
        /\nWhat it makes was there before the first migration of this schema\.\n/,
        /^where the schema is to be taken over as it is, set baseline_version of this database/,
      ],
    },
  ],
  [
    "a table that is there of the try that was repaired",
    {
      files: { "V1__a.sql": "Failed" },
      rows: [{ state: "Baseline", type: "BASELINE", version: "0" }],
      error: failure(script("V1__a.sql", "CREATE TABLE a (id int)", 1050, "Table 'a' already exists"), 1050),
      isRepaired: true,
      run: { halfApplied: landed("V1__a.sql") },
    },
    {
      "V1__a.sql": [
        "failed",
        /\nWhat it makes is there already: from elsewhere, or its try before has left it\.\n/,
        /^correct it, so that it does not repeat what is there, upload it/,
      ],
    },
  ],
  [
    "an applied file that is gone",
    {
      files: { "V3__c.sql": "Pending" },
      rows: [
        { state: "Missing", type: "SQL", version: "1" },
        { state: "Missing", type: "SQL", version: "2.1" },
      ],
      error: VALIDATE("Detected applied migration not resolved locally: 1."),
      invalid: [
        [
          "",
          "APPLIED_VERSIONED_MIGRATION_NOT_RESOLVED",
          "Detected applied migration not resolved locally: 1.",
        ],
      ],
      run: { scripts: ["old/V1__a.sql", "V3__c.sql"] },
    },
    {
      "V3__c.sql": [
        "refused",
        /^held back: old\/V1__a\.sql, the file of version 2\.1, which is applied, is missing from the bucket$/,
        /^upload old\/V1__a\.sql, the file of version 2\.1 again/,
      ],
    },
  ],
  [
    "a version that an applied file has, in another spelling",
    {
      files: { "V1__a.sql": "", "V1.0__b.sql": "" },
      error: {
        errorCode: "DUPLICATE_VERSIONED_MIGRATION",
        message: `Found more than one migration with version 1.0\nOffenders:\n-> ${path("V1__a.sql")} (SQL)\n-> ${path("V1.0__b.sql")} (SQL)`,
      },
      run: { scripts: ["V1__a.sql"] },
      known: {
        objects: [{ ...object("V1__a.sql"), verdict: "applied", message: "", remedy: null }],
        failed: [],
      },
    },
    {
      "V1__a.sql": ["already-applied", /^$/],
      "V1.0__b.sql": ["refused", /: beside V1__a\.sql$/, /a version of its own$/],
    },
  ],
  [
    "two callbacks of one name",
    {
      files: { "x/afterMigrate.sql": "", "y/afterMigrate.sql": "", "afterMigrate__z.sql": "" },
      error: { message: "Found more than 1 SQL callback script called afterMigrate!" },
    },
    {
      "x/afterMigrate.sql": [
        "refused",
        /^there is more than one afterMigrate callback: beside /,
        /a name of its own, such as afterMigrate__second\.sql$/,
      ],
    },
  ],
  ...(
    [
      [1419, /^set log_bin_trust_function_creators/],
      [1142, /^give the secret's user the right/],
      [1227, /^leave out what needs a right/],
      [1449, /^name a definer that exists/],
      [3750, /^give the table a primary key/],
      [1193, /^leave out what a dump sets/],
      [4166, /^load the rows by INSERT/],
      [1064, /^correct it, upload it, and have the host repair/],
    ] as const
  ).map(
    ([code, remedy]) =>
      [
        `what a server has against a file, by its code ${code}`,
        {
          files: { "V1__a.sql": "Failed" },
          error: failure(script("V1__a.sql", "x", code), code),
          run: { halfApplied: landed("V1__a.sql") },
        },
        { "V1__a.sql": ["failed", new RegExp(`error ${code}`), remedy] },
      ] as const,
  ),
];

describe("what is said of", () => {
  it.each(CASES)("%s", (_, given, expected) => {
    const objects = judged(given);
    for (const [key, [verdict, message, remedy = /^/]] of Object.entries(expected)) {
      const { verdict: judgedAs, message: words, remedy: toDo } = objects[key] as JudgedObject;
      expect([key, judgedAs, words]).toEqual([key, verdict, expect.stringMatching(message)]);
      expect(toDo ?? "").toMatch(remedy);
    }
    const all = Object.values(objects).map(({ message, remedy }) => `${message}\n${remedy}`);
    for (const text of all) {
      expect(text).not.toContain(LOCATION);
      expect(text).not.toMatch(
        /run repair|detectEncoding|ignoreMigrationPatterns|rd\.gt|conn=|-X option|Check your/,
      );
    }
  });

  it("a long statement is the error first, and then how it begins", () => {
    const statement = `INSERT INTO a VALUES ('${"x".repeat(5_000)}')`;
    const files = { "V1__a.sql": "Failed" };
    const halfApplied = landed("V1__a.sql", { statement, changes: TABLE_ADDED });
    const { message } = judged({
      files,
      error: failure(script("V1__a.sql", statement), 1064),
      run: { halfApplied },
    })["V1__a.sql"] as JudgedObject;
    expect(message).toMatch(
      /^Script V1__a\.sql failed at line 3: [^\n]*\nOf V1__a\.sql, [^\n]*\n- table b added\nStatement: INSERT INTO a/,
    );
    expect(message.length).toBeLessThan(1_000);
    expect(message).toMatch(/x…$/);
  });
});
