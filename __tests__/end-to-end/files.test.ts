import { describe, expect, it } from "vitest";
import { DEFAULT_FLYWAY_VERSION } from "../../deployment/databases";
import type { Mapping } from "../../deployment/mapping";
import type { Judgement } from "../../records/verdict";
import { query, table } from "../support/chain";
import { testedVersions } from "../support/flyway";
import { useTestHost } from "../support/host-test";
import { mysqld } from "../support/mysql";
import { schemaErrors } from "../support/schema";

// Files as people have them, from public reports: what they are told, and that nothing runs twice.

type Expected = Readonly<Record<string, readonly [Judgement["verdict"], RegExp?]>>;

interface Step {
  /** What is uploaded; null deletes. */
  readonly change?: Readonly<Record<string, string | Uint8Array<ArrayBuffer> | null>>;
  readonly operation?: "repair";
  readonly green: boolean;
  readonly verdicts: Expected;
  /** How many runs say so, one behind the other. @default 1 */
  readonly runs?: number;
}

interface Case {
  readonly is: string;
  readonly mapping?: Partial<Mapping>;
  /** What is in the schema before, as SQL in which `$` stands for its name. */
  readonly schema?: readonly string[];
  readonly steps: readonly Step[];
  /** A query, `$` in it as above, and what it gives in the end. */
  readonly last?: readonly [sql: string, value: number];
}

const WAITS = (key: string) => new RegExp(`^held back by ${key}\nTo do: nothing with this file[^\n]*$`);
const first = { "V1__a.sql": table("A") };
const drop = "DROP DATABASE IF EXISTS $; CREATE DATABASE $; USE $; CREATE TABLE B (id int);";

const CASES: readonly Case[] = [
  {
    is: "a file that drops the schema, Flyway's history with it: it ran, once, and stands in the way until it is mended",
    steps: [
      { change: first, green: true, verdicts: { "V1__a.sql": ["applied"] } },
      {
        change: { "V2__b.sql": drop, "V3__c.sql": table("C") },
        runs: 2,
        green: false,
        verdicts: {
          "V2__b.sql": [
            "failed",
            /^V2__b\.sql ran, but Flyway could not write that[\s\S]*1146[\s\S]*- table A removed\n- table B added[\s\S]*To do: correct it/,
          ],
          "V3__c.sql": ["refused", WAITS("V2__b.sql")],
        },
      },
      {
        change: { "V2__b.sql": "CREATE TABLE D (id int);" },
        runs: 2,
        green: false, // all of it would run again
        verdicts: {
          "V1__a.sql": ["applied"],
          "V2__b.sql": [
            "refused",
            /flyway_schema_history is gone[\s\S]*To do: restore flyway_schema_history/,
          ],
          "V3__c.sql": ["refused", /flyway_schema_history is gone/],
        },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.B", 0],
  },
  {
    is: "a file that leaves a table locked",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: { "V2__b.sql": "LOCK TABLES A WRITE; INSERT INTO A VALUES (1); ALTER TABLE A ADD x int;" },
        runs: 2,
        green: false,
        verdicts: {
          "V2__b.sql": ["failed", /^V2__b\.sql ran, [\s\S]*1100[\s\S]*- column A\.x added/],
        },
      },
      {
        change: { "V2__b.sql": "LOCK TABLES A WRITE; INSERT INTO A VALUES (1); ALTER TABLE A ADD x int;" },
        green: false, // the same content, uploaded anew
        verdicts: {
          "V2__b.sql": ["failed", /^V2__b\.sql ran, [\s\S]*1100[\s\S]*- column A\.x added/],
        },
      },
      {
        operation: "repair",
        green: false,
        verdicts: { "V2__b.sql": ["failed", /^V2__b\.sql ran, [\s\S]*rows may be\.\n/] },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 1], // what it wrote again was taken back
  },
  {
    is: "a file that locks all tables of the server",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: { "V2__b.sql": "INSERT INTO A VALUES (1); FLUSH TABLES WITH READ LOCK;" },
        runs: 2,
        green: false,
        verdicts: { "V2__b.sql": ["failed", /^V2__b\.sql ran, [\s\S]*1223/] },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 1],
  },
  {
    is: "a file that ran, whose next content is refused: the former one is not tried again",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: { "V2__b.sql": "INSERT INTO A VALUES (1); ALTER TABLE A ADD x int; LOCK TABLES A WRITE;" },
        green: false,
        verdicts: { "V2__b.sql": ["failed", /^V2__b\.sql ran, /] },
      },
      {
        change: { "V2__b.sql": "/* no end" },
        green: false,
        verdicts: { "V2__b.sql": ["refused", /^the comment that begins/] },
      },
      {
        change: { "V2__b.sql": "INSERT INTO A VALUES (1); ALTER TABLE A ADD x int; LOCK TABLES A WRITE;" },
        green: false,
        verdicts: { "V2__b.sql": ["failed", /^V2__b\.sql has run, and is not in Flyway's history/] },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 1],
  },
  {
    is: "a file that ends its connection with its transaction: all is applied, and the run says why it is red",
    steps: [
      {
        change: { ...first, "V2__b.sql": "SET completion_type = 2; INSERT INTO A VALUES (1);" },
        green: false,
        verdicts: { "V2__b.sql": ["applied"] },
      },
      { green: true, verdicts: { "V2__b.sql": ["applied"] } },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 1],
  },
  {
    is: "a file that makes its session read-only",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: {
          "V2__b.sql": "INSERT INTO A VALUES (1); SET SESSION TRANSACTION READ ONLY;",
          "V3__c.sql": table("C"),
        },
        green: false,
        verdicts: { "V2__b.sql": ["applied"] },
      },
      { green: true, verdicts: { "V2__b.sql": ["applied"], "V3__c.sql": ["applied"] } },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 1],
  },
  {
    is: "a repeatable file that was edited so that it leaves a table locked, beside one that was not",
    steps: [
      {
        change: { ...first, "R__a.sql": "SELECT 1;", "R__v.sql": "SELECT 2;" },
        green: true,
        verdicts: {},
      },
      {
        change: { "R__v.sql": "LOCK TABLES A WRITE; INSERT INTO A VALUES (1); ALTER TABLE A ADD x int;" },
        runs: 2,
        green: false,
        verdicts: {
          "R__a.sql": ["applied"],
          "R__v.sql": ["failed", /^R__v\.sql ran, [\s\S]*- column A\.x added/],
        },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 1],
  },
  {
    is: "a version below the newest that is applied, beside a new one",
    steps: [
      { change: { ...first, "V3__c.sql": table("C") }, green: true, verdicts: {} },
      {
        change: { "V2__b.sql": table("B"), "V4__d.sql": table("D") },
        green: false,
        verdicts: {
          "V2__b.sql": [
            "refused",
            /^its version is below the newest that is applied\nTo do: [^\n]*out_of_order/,
          ],
          "V4__d.sql": ["refused", WAITS("V2__b.sql")],
        },
      },
    ],
  },
  {
    is: "a callback for errors that fails behind another: no file is said to have run",
    steps: [
      {
        change: { ...first, "beforeMigrate.sql": "SELEC 1;", "afterMigrateError.sql": "SELEC 2;" },
        green: false,
        verdicts: {
          "V1__a.sql": ["refused", WAITS("beforeMigrate.sql")],
          "beforeMigrate.sql": ["failed", /To do: correct the callback and upload it/],
        },
      },
    ],
  },
  {
    is: "a callback that fails behind a file of rows, which the server takes back: it suffices to correct the callback",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: { "V2__b.sql": "INSERT INTO A VALUES (1);", "afterEachMigrate.sql": "SELEC 1;" },
        runs: 2,
        green: false,
        verdicts: {
          "V2__b.sql": ["refused", WAITS("afterEachMigrate.sql")],
          "afterEachMigrate.sql": ["failed", /To do: correct the callback and upload it/],
        },
      },
      {
        change: { "afterEachMigrate.sql": "SELECT 1;" },
        green: true,
        verdicts: { "V2__b.sql": ["applied"] },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 1],
  },
  {
    is: "a callback that commits a file of rows and fails: the file ran, and is not tried again",
    steps: [
      { change: { "V1__a.sql": `${table("A")} ${table("L")}` }, green: true, verdicts: {} },
      {
        change: { "V2__b.sql": "INSERT INTO A VALUES (1);", "afterEachMigrate.sql": "TRUNCATE L; SELEC 1;" },
        runs: 2,
        green: false,
        verdicts: {
          "V2__b.sql": ["failed", /^V2__b\.sql ran, [\s\S]*To do: correct the callback; then take back/],
          "afterEachMigrate.sql": ["failed", /1064[\s\S]*To do: correct the callback/],
        },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 1],
  },
  {
    is: "a callback that fails behind each file: the file ran, and is not tried again",
    steps: [
      {
        change: { ...first, "afterEachMigrate.sql": "SELEC 1;" },
        runs: 2,
        green: false,
        verdicts: {
          "V1__a.sql": [
            "failed",
            /^V1__a\.sql ran, [^\n]*afterEachMigrate callback failed\.\n[\s\S]*- table A added\nTo do: correct the callback/,
          ],
        },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 0],
  },
  {
    is: "a baseline file, which covers others",
    steps: [
      {
        change: {
          ...first,
          "V2__b.sql": table("B"),
          "V3__c.sql": table("C"),
          "B3__all.sql": table("A"),
          "V4__d.sql": table("D"),
        },
        green: true,
        verdicts: {
          "B3__all.sql": ["applied"],
          "V1__a.sql": ["already-applied", /^not run: it is covered by B3__all\.sql$/],
          "V3__c.sql": ["already-applied", /^not run: it is covered by B3__all\.sql$/],
          "V4__d.sql": ["applied"],
        },
      },
    ],
  },
  {
    is: "a baseline file beside a history",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: { "B1__all.sql": table("X") },
        green: true,
        verdicts: { "B1__all.sql": ["already-applied", /^not run: it is covered by the history/] },
      },
    ],
  },
  {
    is: "baseline_version, on a schema that has tables",
    mapping: { baselineVersion: "1" },
    schema: ["CREATE DATABASE $", "CREATE TABLE $.A (id int)"],
    steps: [
      {
        change: { ...first, "V2__b.sql": table("B") },
        green: true,
        verdicts: {
          "V1__a.sql": ["already-applied", /covered by the baseline at version 1 \(baseline_version\)$/],
          "V2__b.sql": ["applied"],
        },
      },
    ],
  },
  {
    is: "a first migration whose table is there already",
    schema: ["CREATE DATABASE $", "CREATE TABLE $.A (id int)"],
    steps: [
      {
        change: first,
        green: false,
        verdicts: { "V1__a.sql": ["failed", /was there before the first migration[\s\S]*baseline_version/] },
      },
    ],
  },
  {
    is: "a first migration whose second file makes what is there already",
    schema: ["CREATE DATABASE $", "CREATE TABLE $.B (id int)"],
    steps: [
      {
        change: { ...first, "V2__b.sql": table("B") },
        green: false,
        verdicts: {
          "V2__b.sql": [
            "failed",
            /was there before the first migration[\s\S]*take back what V1__a\.sql did[^\n]*baseline_version/,
          ],
        },
      },
    ],
  },
  {
    is: "an edited file beside a new one",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: { "V1__a.sql": table("Z"), "V3__c.sql": table("C") },
        green: false,
        verdicts: {
          "V1__a.sql": ["refused", /^Migration checksum mismatch[\s\S]*To do: upload its former content/],
          "V3__c.sql": ["refused", WAITS("V1__a.sql")],
        },
      },
    ],
  },
  ...[
    { is: "Latin-1", content: Buffer.from(`${table("B")} -- é`, "latin1") },
    { is: "UTF-16", content: Buffer.from(`\ufeff${table("B")}`, "utf16le") },
  ].map(
    ({ is, content }): Case => ({
      is: `a file in ${is}`,
      steps: [
        { change: first, green: true, verdicts: {} },
        {
          change: { "V2__b.sql": content, "V3__c.sql": table("C") },
          green: false,
          verdicts: {
            "V1__a.sql": ["applied"],
            "V2__b.sql": ["refused", /^it is not in UTF-8[\s\S]*To do: save it as UTF-8[\s\S]*set encoding/],
            "V3__c.sql": ["refused", WAITS("V2__b.sql")],
          },
        },
      ],
    }),
  ),
  {
    is: "a quote that does not end",
    steps: [
      {
        change: { "V1__a.sql": "SELECT 1;\nINSERT INTO x VALUES ('a);\nSELECT 2;" },
        green: false,
        verdicts: {
          "V1__a.sql": ["failed", /^[^\n]* at line 2: [\s\S]*1064[\s\S]*Statement: INSERT INTO x/],
        },
      },
    ],
  },
  {
    is: "a comment that does not end",
    steps: [
      {
        change: { ...first, "V2__b.sql": `${table("B")}\n/* ${table("C")}`, "V3__d.sql": table("D") },
        green: false,
        verdicts: {
          "V1__a.sql": ["refused", WAITS("V2__b.sql")],
          "V2__b.sql": ["refused", /^the comment that begins with \/\* in line 2 does not end/],
        },
      },
    ],
  },
  {
    is: "a Mac's old line ends in a comment, a DELIMITER in a line of its own, and UTF-16 without a mark",
    steps: [
      {
        change: {
          "V1__a.sql": `-- a\r${table("A")}`,
          "V2__b.sql": "DELIMITER\n$$\nCREATE PROCEDURE p() BEGIN SELECT 1; END\n$$\n",
          "V3__c.sql": Buffer.from(table("C"), "utf16le"),
          "V4__d.sql": `${table("D")} DELIMITER`,
        },
        green: false,
        verdicts: {
          "V1__a.sql": ["refused", /^line 1 has a comment with a carriage return/],
          "V2__b.sql": ["refused", WAITS("V1__a\\.sql, V3__c\\.sql, V4__d\\.sql")],
          "V3__c.sql": ["refused", /^line 1 has a NUL/],
          "V4__d.sql": ["refused", /^DELIMITER in line 1 has nothing behind it/],
        },
      },
      {
        change: { "V1__a.sql": null, "V3__c.sql": null, "V4__d.sql": null },
        green: true,
        verdicts: { "V2__b.sql": ["applied"] },
      },
    ],
    last: ["SELECT count(*) AS n FROM information_schema.ROUTINES WHERE ROUTINE_NAME = 'p'", 1],
  },
  {
    is: "names that the character set of Flyway's history has no letters for",
    schema: ["CREATE DATABASE $ CHARACTER SET latin1"],
    steps: [
      {
        change: { "V1__é.sql": table("A"), "V2__漢.sql": table("B") },
        green: false,
        verdicts: {
          "V1__é.sql": ["refused", WAITS("V2__漢.sql")],
          "V2__漢.sql": [
            "refused",
            /history cannot hold its name[^\n]*latin1\nTo do: [^\n]*ASCII[^\n]*utf8mb4/,
          ],
        },
      },
      {
        change: { "V2__漢.sql": null, "V2__b.sql": table("B") },
        green: true,
        verdicts: { "V1__é.sql": ["applied"], "V2__b.sql": ["applied"] },
      },
    ],
  },
  {
    is: "${…} in data",
    steps: [
      {
        change: { ...first, "V2__b.sql": "SELECT '${x}';", "V3__c.sql": table("C") },
        green: false,
        verdicts: {
          "V1__a.sql": ["applied"],
          "V2__b.sql": [
            "refused",
            /^it cannot be read at line 1: No value provided for placeholder: \$\{x\}\.\nTo do: .*placeholder_replacement/,
          ],
          "V3__c.sql": ["refused", WAITS("V2__b.sql")],
        },
      },
    ],
  },
  {
    is: "another description",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: { "V1__a.sql": null, "V1__other.sql": table("A"), "V2__b.sql": table("B") },
        green: false,
        verdicts: {
          "V1__other.sql": [
            "refused",
            /^Migration description mismatch[\s\S]*To do: upload it again as V1__a\.sql/,
          ],
          "V2__b.sql": ["refused", WAITS("V1__other.sql")],
        },
      },
    ],
  },
  {
    is: "a callback that fails, for which an upload suffices",
    steps: [
      {
        change: { ...first, "beforeMigrate.sql": "SELEC 1;", "afterMigrate.sql": "SELECT 1;" },
        green: false,
        verdicts: {
          "beforeMigrate.sql": ["failed", /To do: correct the callback and upload it; the next run tries/],
          "V1__a.sql": ["refused", WAITS("beforeMigrate.sql")],
          "afterMigrate.sql": ["refused", WAITS("beforeMigrate.sql")],
        },
      },
      { change: { "beforeMigrate.sql": "SELECT 1;" }, green: true, verdicts: { "V1__a.sql": ["applied"] } },
    ],
  },
  {
    is: "a misspelt callback",
    steps: [
      {
        change: { ...first, "afterMigrat.sql": "SELECT 1;" },
        green: false,
        verdicts: {
          "afterMigrat.sql": [
            "refused",
            /afterMigrat\.sql[\s\S]*one of Flyway's events, such as afterMigrate\.sql/,
          ],
          "V1__a.sql": ["refused", WAITS("afterMigrat.sql")],
        },
      },
    ],
  },
  {
    is: "an applied file that is gone",
    steps: [
      { change: { ...first, "sub/V2__b.sql": table("B") }, green: true, verdicts: {} },
      { change: { "sub/V2__b.sql": null }, green: true, verdicts: {} },
      { change: { "V1__a.sql": null }, green: true, verdicts: {} },
      {
        change: { "V3__c.sql": table("C") },
        green: false,
        verdicts: {
          "V3__c.sql": [
            "refused",
            /^held back: V1__a\.sql, sub\/V2__b\.sql, which is applied, is missing from the bucket\nTo do: upload V1__a\.sql, sub\/V2__b\.sql again/,
          ],
        },
      },
    ],
  },
  {
    is: "a repeatable file that is gone: it is retired, or has another name",
    steps: [
      {
        change: { ...first, "R__v.sql": "CREATE OR REPLACE VIEW V AS SELECT 1 AS x;" },
        green: true,
        verdicts: {},
      },
      {
        change: {
          "R__v.sql": null,
          "R__w.sql": "CREATE OR REPLACE VIEW V AS SELECT 2 AS n;",
          "V2__b.sql": table("B"),
        },
        green: true,
        verdicts: { "R__w.sql": ["applied"], "V2__b.sql": ["applied"] },
      },
      {
        change: { "R__v.sql": "CREATE OR REPLACE VIEW V AS SELECT 3 AS n;" },
        green: true,
        verdicts: { "R__v.sql": ["applied"] },
      },
    ],
    last: ["SELECT n FROM $.V", 3],
  },
  {
    is: "what is no migration, and keys that cannot be files side by side: the rest goes on",
    steps: [
      {
        change: {
          ...first,
          "V1__a.sql/V5__x.sql": table("X"),
          "U1__a.sql": "DROP TABLE A;",
          "U2_undo.sql": "DROP TABLE A;",
          "V3__c.sh": "true",
          "V4__d.java": "class V4__d {}",
          "flyway.conf": "flyway.target=1",
          "afterInfo.sql": "SELEC 1;",
          [`V6__${"x".repeat(250)}.sql`]: table("X"),
          "V2__b.sql": table("B"),
        },
        green: false,
        verdicts: {
          "V1__a.sql": ["applied"],
          "V2__b.sql": ["applied"],
          "V1__a.sql/V5__x.sql": ["refused", /V1__a\.sql is an object too/],
          "U1__a.sql": ["refused", /^undo migrations are not run here\nTo do: delete it/],
          "U2_undo.sql": ["refused", /^undo migrations/],
          "V3__c.sh": ["refused", /^only \.sql files are run here/],
          "V4__d.java": ["refused", /^only \.sql files are run here/],
          "flyway.conf": ["refused", /^Flyway's settings are not read from the bucket/],
          "afterInfo.sql": ["refused", /^no run here comes to afterInfo/],
          [`V6__${"x".repeat(250)}.sql`]: ["refused", /more than 255 bytes/],
        },
      },
    ],
  },
  {
    is: "a script with settings of its own: neither is dropped in silence",
    steps: [
      {
        change: {
          "V1__a.sql": table("A"),
          "V1__a.sql.conf": "executeInTransaction=false",
          "V2__b.sql": table("B"),
        },
        green: false,
        verdicts: {
          "V1__a.sql": ["refused", /^V1__a\.sql\.conf is not read here/],
          "V1__a.sql.conf": ["refused", /^Flyway's settings are not read/],
          "V2__b.sql": ["refused", /^held back by V1__a\.sql\n/],
        },
      },
      { change: { "V1__a.sql.conf": null }, green: true, verdicts: { "V2__b.sql": ["applied"] } },
    ],
  },
  {
    is: "${…} in data, with placeholder_replacement off",
    mapping: { placeholderReplacement: false },
    steps: [
      {
        change: { "V1__a.sql": "CREATE TABLE A (t varchar(9)); INSERT INTO A VALUES ('${x}');" },
        green: true,
        verdicts: { "V1__a.sql": ["applied"] },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A WHERE t = '${x}'", 1],
  },
  {
    is: "${…} in data, with other marks for placeholders",
    mapping: { placeholderPrefix: "#{", placeholders: { x: "y" } },
    steps: [
      {
        change: { "V1__a.sql": "CREATE TABLE A (t varchar(9)); INSERT INTO A VALUES ('${x}#{x}');" },
        green: true,
        verdicts: { "V1__a.sql": ["applied"] },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A WHERE t = '${x}y'", 1],
  },
  {
    is: "a file in Latin-1, with that encoding",
    mapping: { encoding: "ISO-8859-1" },
    steps: [
      {
        change: {
          "V1__a.sql": Buffer.from(
            "CREATE TABLE A (t varchar(9)) CHARSET utf8mb4; INSERT INTO A VALUES ('é');",
            "latin1",
          ),
        },
        green: true,
        verdicts: { "V1__a.sql": ["applied"] },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A WHERE hex(t) = 'C3A9'", 1],
  },
];

/** Of reports by others, by their addresses below https://github.com/flyway/flyway/issues/ where they have no other. */
const REPORTED: readonly Case[] = [
  {
    is: "a file that loses its connection (1411): it is not tried again, and no other is blamed",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: {
          "V2__b.sql": "INSERT INTO A VALUES (1); COMMIT; KILL CONNECTION_ID();",
          "V3__c.sql": table("C"),
        },
        runs: 2,
        green: false,
        verdicts: { "V2__b.sql": ["failed", /V2__b\.sql/], "V3__c.sql": ["refused", WAITS("V2__b.sql")] },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 1],
  },
  {
    is: "the history of a Flyway before 5 (1848): nothing runs again",
    schema: [
      "CREATE DATABASE $",
      "CREATE TABLE $.A (id int)",
      "CREATE TABLE $.schema_version (version varchar(50), script varchar(999), checksum int, success tinyint)",
    ],
    steps: [
      {
        change: { "V1__a.sql": "INSERT INTO A VALUES (1);" },
        green: false,
        verdicts: {
          "V1__a.sql": ["refused", /^the schema has the table schema_version[\s\S]*baseline_version/],
        },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 0],
  },
  {
    is: "names that the history cannot hold (3943, 106)",
    steps: [
      {
        change: {
          [`R__${"d".repeat(201)}.sql`]: "SELECT 1;",
          [`V${"1".repeat(51)}__b.sql`]: table("B"),
          ...first,
        },
        green: false,
        verdicts: {
          [`R__${"d".repeat(201)}.sql`]: ["refused", /^its description has more than 200 characters/],
          [`V${"1".repeat(51)}__b.sql`]: ["refused", /^its version has more than 50 characters/],
          "V1__a.sql": ["refused", /^held back by /],
        },
      },
    ],
  },
  {
    is: "another file's name in the server's message",
    steps: [
      {
        change: {
          "V1__a.sql": "CREATE TABLE L (f varchar(99) PRIMARY KEY); INSERT INTO L VALUES ('V3__c.sql');",
          "V2__b.sql": "INSERT INTO L VALUES ('V3__c.sql');",
          "V3__c.sql": table("C"),
        },
        green: false,
        verdicts: { "V2__b.sql": ["failed", /1062/], "V3__c.sql": ["refused", WAITS("V2__b.sql")] },
      },
    ],
  },
  {
    is: "an error callback that fails too (1392): the migration's error is hidden, the file is not",
    steps: [
      {
        change: { "V1__a.sql": `${table("A")} SELEC 1;`, "afterMigrateError.sql": "SELEC 2;" },
        runs: 2,
        green: false,
        verdicts: {
          "V1__a.sql": [
            "failed",
            /^V1__a\.sql failed, [^\n]*afterMigrateError callback failed too\.\n[\s\S]*- table A added[\s\S]*To do: correct both/,
          ],
        },
      },
    ],
  },
  {
    is: "two callbacks of one name (1315)",
    steps: [
      {
        change: { ...first, "x/afterMigrate.sql": "SELECT 1;", "y/afterMigrate.sql": "SELECT 1;" },
        green: false,
        verdicts: {
          "x/afterMigrate.sql": [
            "refused",
            /^there is more than one afterMigrate callback: beside y\/afterMigrate\.sql/,
          ],
          "V1__a.sql": ["refused", WAITS("x/afterMigrate\\.sql, y/afterMigrate\\.sql")],
        },
      },
    ],
  },
  {
    is: "an applied version in another spelling (1224): the applied one stays applied",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: { "V1.0__b.sql": table("B") },
        green: false,
        verdicts: {
          "V1__a.sql": ["applied"],
          "V1.0__b.sql": [
            "refused",
            /^Found more than one migration with version 1[^\n]*: beside V1__a\.sql\n/,
          ],
        },
      },
    ],
  },
  {
    is: "a password in a statement that fails: it is told to nobody",
    steps: [
      {
        change: { "V1__a.sql": "CREATE USER u1 IDENTIFIED BY 's3cret' BOGUS;" },
        green: false,
        verdicts: { "V1__a.sql": ["failed", /Statement: CREATE USER u1 IDENTIFIED …\n/] },
      },
    ],
  },
  ...["COMMIT; SET SESSION TRANSACTION READ ONLY;", "COMMIT; START TRANSACTION READ ONLY; SELECT 1;"].map(
    (end): Case => ({
      is: `a file that has committed and leaves its session read-only: ${end}`,
      steps: [
        { change: first, green: true, verdicts: {} },
        {
          change: { "V2__b.sql": `INSERT INTO A VALUES (1); ${end}` },
          runs: 2,
          green: false,
          verdicts: { "V2__b.sql": ["failed", /^V2__b\.sql ran, [\s\S]*1792/] },
        },
      ],
      last: ["SELECT count(*) AS n FROM $.A", 1],
    }),
  ),
  {
    is: "a file of 9 MB that has committed, before a callback that fails",
    steps: [
      { change: { "V1__a.sql": "CREATE TABLE A (t longtext);" }, green: true, verdicts: {} },
      {
        change: {
          "V2__b.sql": `INSERT INTO A VALUES ('${"a".repeat(9_000_000)}'); COMMIT;`,
          "afterEachMigrate.sql": "SELEC 1;",
        },
        runs: 2,
        green: false,
        verdicts: { "V2__b.sql": ["failed", /^V2__b\.sql ran, /] },
      },
    ],
    last: ["SELECT count(*) AS n FROM $.A", 1],
  },
  {
    is: "a repeatable file that drops the history, behind a version that went well",
    steps: [
      { change: first, green: true, verdicts: {} },
      {
        change: { "V2__b.sql": table("B"), "R__x.sql": "DROP TABLE flyway_schema_history;" },
        green: false,
        verdicts: { "R__x.sql": ["failed", /^R__x\.sql ran, /] },
      },
    ],
  },
  {
    is: "a name with a blank and a bracket",
    steps: [
      {
        change: { "V1__a (1).sql": `${table("A")}\nSELEC 1;` },
        green: false,
        verdicts: { "V1__a (1).sql": ["failed", /at line 2: [\s\S]*- table A added/] },
      },
    ],
  },
  {
    is: "a file that sets the time of its session, before one that fails",
    steps: [
      {
        change: {
          "V1__a.sql": `SET TIMESTAMP=1000000000; ${table("A")}`,
          "V2__b.sql": `${table("B")}\nSELEC 1;`,
        },
        green: false,
        verdicts: {
          "V2__b.sql": [
            "failed",
            /\(V1__a\.sql went well before it\):\n- column B\.id added\n- table B added\nStatement/,
          ],
        },
      },
    ],
  },
  {
    is: "a column named delimiter",
    steps: [
      {
        change: { "V1__a.sql": "CREATE TABLE A (id int, delimiter CHAR(1), x int);" },
        green: false,
        verdicts: { "V1__a.sql": ["refused", /To do: end the statement that goes before DELIMITER; a name/] },
      },
    ],
  },
  ...[
    "CREATE USER u1 IDENTIFID BY 's3cret'\nREQUIRE NONE;",
    "CREATE USER u1 IDENTIFIED BY 's3cret'\nDELIMITER //\nSELECT 1//",
    "CREATE USER u1\nIDENTIFIED\nBY\n's3cret' BOGUS;",
    "CREATE USER u1 IDENTIFIED BY 's3cret'BOGUS's3cret';",
    "CREATE USER u1 IDENTIFED BY 's3cret';",
    "CREATE PROCEDURE p() SET PASSWORD = 's3cret-s3cret';\nSELEC 1;",
    "CREATE TABLE A (n int, pwd varchar(9) UNIQUE);\nINSERT INTO A (n, pwd) VALUES (1, 's3cret'), (2, 's3cret');",
  ].map(
    (sql): Case => ({
      is: `a password elsewhere: ${JSON.stringify(sql)}`,
      steps: [
        {
          change: { "V1__a.sql": sql },
          green: false,
          verdicts: { "V1__a.sql": [sql.includes("DELIMITER") ? "refused" : "failed"] },
        },
      ],
    }),
  ),
  {
    is: "where Flyway works, in a statement: no path of the host is told",
    steps: [
      {
        change: { "V1__a.sql": "SELECT `${flyway:workingDirectory}`;" },
        green: false,
        verdicts: { "V1__a.sql": ["failed", /Unknown column '…'[\s\S]*Statement: SELECT `…`/] },
      },
    ],
  },
  {
    is: "two repeatable files of one description (1953)",
    steps: [
      {
        change: { "x/R__v.sql": "SELECT 1;", "y/R__v.sql": "SELECT 2;" },
        green: false,
        verdicts: { "x/R__v.sql": ["refused", /upload it again under a description of its own/] },
      },
    ],
  },
  {
    is: "a definer that does not exist (fleetdm/fleet#31141)",
    steps: [
      {
        change: {
          ...first,
          "V2__b.sql": "CREATE DEFINER=`nobody`@`%` SQL SECURITY DEFINER VIEW V AS SELECT * FROM A;",
          "V3__c.sql": "INSERT INTO A SELECT * FROM V;",
        },
        green: false,
        verdicts: { "V3__c.sql": ["failed", /1449[\s\S]*To do: name a definer that exists/] },
      },
    ],
  },
];

/** Each case runs on both servers, and by both releases: on Aurora's kind of server, the release that is the default there. */
const version = mysqld() ? DEFAULT_FLYWAY_VERSION : (testedVersions().at(-1) as string);

describe(`a bucket, under Flyway ${version}, that has`, () => {
  const host = useTestHost(version);

  it.each([...CASES, ...REPORTED].map((each, index) => [each.is, `files${index}`, each] as const))(
    "%s",
    async (_, bucket, { mapping, schema = [], steps, last }) => {
      const named = (text: string) => text.replaceAll("$.", `${bucket}.`).replace(/\$(?=[; ]|$)/g, bucket);
      host.bucket(bucket, mapping);
      for (const sql of schema) await query(host, named(sql));
      for (const { change = {}, operation = "migrate", green, verdicts, runs = 1 } of steps) {
        for (const [key, content] of Object.entries(change)) {
          if (content === null) await host.remove(bucket, key);
          else await host.put(bucket, key, typeof content === "string" ? named(content) : content);
        }
        for (let run = 0; run < runs; run++) {
          const { code, stderr } = await host.run(bucket, { operation });
          const judged = await host.verdicts(bucket);
          for (const [key, [verdict, message = /^/]] of Object.entries(verdicts)) {
            expect([key, judged[key]?.verdict, judged[key]?.message]).toEqual([
              ...[key, verdict, expect.stringMatching(message)],
            ]);
            expect(judged[key]?.message).not.toContain(host.root);
          }
          expect([code === 0, stderr]).toEqual([green, stderr]);
        }
      }
      if (last) expect(await query(host, named(last[0]))).toEqual([{ n: last[1] }]);
      const records = await host.records(bucket);
      expect(JSON.stringify(records)).not.toContain("s3cret");
      expect(records.flatMap(schemaErrors)).toEqual([]);
      const isGreen = records.map(({ objects }) =>
        objects.every(({ verdict }) => verdict.endsWith("applied")),
      );
      expect(records.map(({ exitCode }, index) => exitCode !== 0 || isGreen[index])).not.toContain(false);
    },
  );
});
