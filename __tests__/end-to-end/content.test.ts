import { describe, expect, it } from "vitest";
import type { Judgement } from "../../records/verdict";
import { applied, columns, table } from "../support/chain";
import { useTestHost } from "../support/host-test";
import { schemaErrors } from "../support/schema";

// What people put into a bucket.

const host = useTestHost();

describe("a host whose bucket has", () => {
  const first = table("A");
  type Expected = Readonly<Record<string, Judgement["verdict"] | readonly [Judgement["verdict"], RegExp]>>;
  interface Case {
    readonly is: string;
    readonly mapping?: { outOfOrder: boolean };
    /** What a first run applies. */
    readonly before?: Readonly<Record<string, string>>;
    /** What is uploaded then; null deletes. */
    readonly change: Readonly<Record<string, string | null>>;
    readonly green: boolean;
    readonly verdicts: Expected;
    readonly history: readonly string[];
  }
  const megabyte = `INSERT INTO A VALUES ('${"x".repeat(1_000_000)}');
`;
  const large = `CREATE TABLE A (t longtext);
${megabyte.repeat(50)}`;
  const cases: Case[] = [
    {
      is: "an applied file edited",
      before: { "V1__a.sql": first },
      change: { "V1__a.sql": `${first} -- edited` },
      green: false,
      verdicts: { "V1__a.sql": ["refused", /checksum mismatch[\s\S]*To do: upload its former content/] },
      history: ["1"],
    },
    {
      is: "an applied file replaced by one of the same size",
      before: { "V1__a.sql": first },
      change: { "V1__a.sql": table("Z") },
      green: false,
      verdicts: { "V1__a.sql": ["refused", /checksum mismatch[\s\S]*To do: upload its former content/] },
      history: ["1"],
    },
    {
      is: "an applied file deleted",
      before: { "V1__a.sql": first, "V2__b.sql": table("B") },
      change: { "V1__a.sql": null, "V3__c.sql": table("C") },
      green: false,
      verdicts: {
        "V3__c.sql": [
          "refused",
          /^held back: V1__a\.sql, which is applied, is missing[\s\S]*To do: upload V1__a\.sql again/,
        ],
      },
      history: ["1", "2"],
    },
    {
      is: "two files of one version",
      change: { "V1__a.sql": first, "V1__b.sql": table("B"), "V2__c.sql": table("C") },
      green: false,
      verdicts: {
        "V1__a.sql": ["refused", /more than one migration[\s\S]*To do: delete one of them/],
        "V1__b.sql": ["refused", /more than one migration[\s\S]*To do: delete one of them/],
        "V2__c.sql": "refused",
      },
      history: [],
    },
    {
      is: "a version below the newest applied",
      before: { "V2__b.sql": table("B") },
      change: { "V1__a.sql": first },
      green: false,
      verdicts: { "V1__a.sql": ["refused", /To do: give it a version above .*out_of_order/] },
      history: ["2"],
    },
    {
      is: "a version below the newest applied, with out-of-order",
      mapping: { outOfOrder: true },
      before: { "V2__b.sql": table("B") },
      change: { "V1__a.sql": first },
      green: true,
      verdicts: { "V1__a.sql": "applied" },
      history: ["2", "1"],
    },
    ...["V1_x.sql", "v1_x.sql"].map((key) => ({
      is: `a ${key}`,
      change: { [key]: first, "V2__b.sql": table("B") },
      green: false,
      verdicts: {
        [key]: ["refused", /To do: upload it again as V<version>__/] as const,
        "V2__b.sql": "refused" as const,
      },
      history: [],
    })),
    {
      is: "a V1__x.SQL",
      change: { "V1__x.SQL": table("X"), "V2__b.sql": table("B") },
      green: false,
      verdicts: { "V1__x.SQL": ["refused", /To do: upload it again/], "V2__b.sql": "applied" },
      history: ["2"],
    },
    {
      is: "an empty file",
      change: { "V1__a.sql": first, "V2__empty.sql": "", "V3__c.sql": table("C") },
      green: false,
      verdicts: {
        "V2__empty.sql": ["refused", /it is empty[\s\S]*To do: upload it again/],
        "V3__c.sql": "refused",
      },
      history: [],
    },
    {
      is: "a file of 50 MB",
      change: { "V1__large.sql": large },
      green: true,
      verdicts: { "V1__large.sql": "applied" },
      history: ["1"],
    },
    {
      is: "a file with CRLF, and later the same with LF",
      before: { "V1__a.sql": "CREATE TABLE A (\r\n  id int\r\n);\r\n" },
      change: { "V1__a.sql": "CREATE TABLE A (\n  id int\n);\n" },
      green: true,
      verdicts: { "V1__a.sql": "already-applied" },
      history: ["1"],
    },
    {
      is: "a byte order mark",
      change: { "V1__a.sql": `\uFEFF${first}` },
      green: true,
      verdicts: { "V1__a.sql": "applied" },
      history: ["1"],
    },
    {
      is: "a name beyond ASCII, in a folder",
      change: { "größe/漢字 🚀/V1__Größe 漢字.sql": first },
      green: true,
      verdicts: { "größe/漢字 🚀/V1__Größe 漢字.sql": "applied" },
      history: ["1"],
    },
    {
      is: "a repeatable migration, and later another content of it",
      before: { "V1__a.sql": first, "R__v.sql": "CREATE OR REPLACE VIEW V AS SELECT 1 AS x;" },
      change: { "R__v.sql": "CREATE OR REPLACE VIEW V AS SELECT 2 AS y;" },
      green: true,
      verdicts: { "R__v.sql": "applied", "V1__a.sql": "applied" },
      history: ["1"],
    },
  ];

  it.each(cases.map((each, index) => ({ ...each, bucket: `content${index}` })))("$is", async (testCase) => {
    host.bucket(testCase.bucket, testCase.mapping ?? {});
    if (testCase.before) {
      for (const [key, text] of Object.entries(testCase.before)) await host.put(testCase.bucket, key, text);
      expect((await host.run(testCase.bucket)).code).toBe(0);
    }
    for (const [key, text] of Object.entries(testCase.change)) {
      if (text === null) await host.remove(testCase.bucket, key);
      else await host.put(testCase.bucket, key, text);
    }
    const env = { JAVA_ARGS: "-Xmx240m" }; // a quarter of a t3.micro's memory, as Java takes it
    const { code, stderr } = await host.run(testCase.bucket, { env });
    const judged = await host.verdicts(testCase.bucket);
    for (const [key, expected] of Object.entries(testCase.verdicts)) {
      const [verdict, message] = typeof expected === "string" ? [expected, /./] : expected;
      expect([key, judged[key]?.verdict, stderr]).toEqual([key, verdict, stderr]);
      if (verdict === "refused") expect(judged[key]?.message).toMatch(message);
    }
    expect(code === 0).toBe(testCase.green);
    const history = await columns(host, testCase.bucket, "flyway_schema_history");
    expect(history.length > 0 ? await applied(host, testCase.bucket) : []).toEqual(testCase.history);
    expect((await host.records(testCase.bucket)).flatMap(schemaErrors)).toEqual([]);
  });

  it("a key that is no file name, says so where the mapping is wrong too", async () => {
    host.bucket("oddly", { schema: "a b" });
    await host.put("oddly", "a//b.sql", first);
    expect((await host.run("oddly")).code).toBe(1);
    expect(await host.verdictOf("oddly", "a//b.sql")).toMatchObject({
      verdict: "refused",
      message: expect.stringContaining("no file name"),
    });
  });

  it("1,000 files that are refused, leaves a record that says so of each, and applies what is right beside them", async () => {
    host.bucket("many");
    const keys = Array.from({ length: 1_000 }, (_, index) => `V${index + 2}__${"x".repeat(100)}.SQL`);
    for (const key of keys) await host.put("many", key, first);
    await host.put("many", "V1__a.sql", first);
    expect((await host.run("many")).code).toBe(1);
    const [record, ...others] = await host.records("many");
    expect(others).toEqual([]);
    const reasons = record?.objects.map(({ message, remedy }) => message + remedy).join("");
    expect(reasons?.length).toBeGreaterThan(131_072); // what one argument of a program takes on Linux
    const refused = record?.objects.filter(({ verdict }) => verdict === "refused").map(({ key }) => key);
    expect(refused?.sort()).toEqual(keys.sort());
    expect((await host.verdictOf("many", "V1__a.sql")).verdict).toBe("applied");
    expect(await applied(host, "many")).toEqual(["1"]);
  });
});
