import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Target } from "../../deployment/mapping";
import { certificateFor } from "../../local/machine/certificate";
import type { Judgement } from "../../records/verdict";
import { testedVersions } from "../support/flyway";
import { useTestHost } from "../support/host-test";
import { schemaErrors } from "../support/schema";

/** What Flyway's releases say in words, codes and exit codes of their own must come to the same. */
describe.each(testedVersions())("Flyway %s", (version) => {
  const host = useTestHost(version);

  const table = (name: string) => `CREATE TABLE ${name} (id int);`;
  const newest = async (bucket: string) => (await host.records(bucket)).at(-1);

  interface Case {
    readonly is: string;
    readonly before?: Readonly<Record<string, string>>;
    readonly change: Readonly<Record<string, string | null>>;
    readonly verdicts: Readonly<Record<string, readonly [Judgement["verdict"], RegExp]>>;
    /** How often the second of two reconciles runs: not where Flyway has judged the content. */
    readonly judged: boolean;
  }
  const first = { "V1__a.sql": table("A") };
  const cases: Case[] = [
    {
      is: "an edit",
      before: first,
      change: { "V1__a.sql": table("Z") },
      verdicts: { "V1__a.sql": ["refused", /checksum mismatch[\s\S]*To do: upload its former content/] },
      judged: true,
    },
    {
      is: "a deletion",
      before: first,
      change: { "V1__a.sql": null, "V2__b.sql": table("B") },
      verdicts: {
        "V2__b.sql": [
          "refused",
          /^held back: V1__a\.sql, which is applied, is missing[\s\S]*To do: upload V1__a\.sql/,
        ],
      },
      judged: true,
    },
    {
      is: "two files of one version",
      change: { ...first, "V1__b.sql": table("B") },
      verdicts: {
        "V1__a.sql": ["refused", /more than one migration[\s\S]*To do: delete one/],
        "V1__b.sql": ["refused", /more than one migration[\s\S]*To do: delete one/],
      },
      judged: true,
    },
    {
      is: "two repeatable migrations of one name",
      change: { "R__a.sql": "SELECT 1;", "x/R__a.sql": "SELECT 1;" },
      verdicts: { "R__a.sql": ["refused", /more than one repeatable[\s\S]*To do: delete one/] },
      judged: true,
    },
    {
      is: "a version below the newest",
      before: { "V2__b.sql": table("B") },
      change: first,
      verdicts: { "V1__a.sql": ["refused", /To do: give it a version above/] },
      judged: true,
    },
    {
      is: "a misnamed file",
      change: { "V1_a.sql": table("A") },
      verdicts: { "V1_a.sql": ["refused", /To do: upload it again as V<version>/] },
      judged: true,
    },
    {
      is: "a migration that fails",
      change: { ...first, "V2__b.sql": "SELECT nothing\nFROM nowhere;" },
      verdicts: {
        "V1__a.sql": ["applied", /^$/],
        "V2__b.sql": ["failed", /Statement: SELECT nothing\nFROM nowhere\nTo do: correct it/],
      },
      judged: true,
    },
    {
      is: "a repeatable migration that fails",
      before: first,
      change: { "R__r.sql": "SELECT nothing FROM nowhere;" },
      verdicts: {
        "R__r.sql": ["failed", /Statement: SELECT nothing FROM nowhere\nTo do: correct it/],
      },
      judged: true,
    },
    {
      is: "a callback that fails",
      change: { "beforeMigrate.sql": "SELECT nothing FROM nowhere;", ...first },
      verdicts: {
        "beforeMigrate.sql": [
          "failed",
          /callback[\s\S]*Statement: SELECT nothing FROM nowhere\nTo do: correct the callback/,
        ],
        "V1__a.sql": ["refused", /^held back by beforeMigrate\.sql\n/],
      },
      judged: true,
    },
    {
      is: "a placeholder without a value",
      change: { "V1__a.sql": "SELECT '${none}';" },
      verdicts: {
        "V1__a.sql": ["refused", /No value provided for placeholder[\s\S]*To do: set this placeholder/],
      },
      judged: true,
    },
  ];

  it.each(cases.map((each, index) => ({ ...each, bucket: `case${index}` })))(
    "judges $is, and fails",
    async ({ bucket, before, change, verdicts, judged }) => {
      host.bucket(bucket);
      if (before) {
        for (const [key, text] of Object.entries(before)) await host.put(bucket, key, text);
        expect((await host.run(bucket)).code).toBe(0);
      }
      for (const [key, text] of Object.entries(change)) {
        if (text === null) await host.remove(bucket, key);
        else await host.put(bucket, key, text);
      }
      const { code, stdout, stderr } = await host.run(bucket);
      expect(code).toBe(1);
      const judgements = await host.verdicts(bucket);
      for (const [key, [verdict, message]] of Object.entries(verdicts)) {
        expect([key, judgements[key]?.verdict]).toEqual([key, verdict]);
        expect(judgements[key]?.message).toMatch(message);
      }
      const record = await newest(bucket);
      expect([record?.exitCode, record?.attempts]).toEqual([1, 1]);
      expect(schemaErrors(record)).toEqual([]);
      // What -X would add, and what nobody may read
      for (const output of [stdout, stderr, JSON.stringify(record)]) {
        expect(output).not.toMatch(/DEBUG|FLYWAY_|\tat org\.flywaydb/);
        expect(output).not.toContain(host.database.password);
      }
      const runs = (await host.records(bucket)).length;
      await host.run("*");
      expect((await host.records(bucket)).length === runs).toBe(judged);
    },
  );

  it("takes a migration that failed out of its history by a repair, and goes on", async () => {
    host.bucket("mended");
    await host.put("mended", "V1__a.sql", `${table("A")}\nSELECT nothing FROM nowhere;`);
    expect((await host.run("mended")).code).toBe(1);
    await host.put("mended", "V1__a.sql", "SELECT 1;");
    expect((await host.run("mended", { operation: "repair" })).code).toBe(0);
    expect((await newest("mended"))?.flyway.repair?.repairActions).toEqual(["Removed failed migrations"]);
    expect((await host.verdictOf("mended", "V1__a.sql")).verdict).toBe("applied");
  });

  it.each([
    ["cleartext", { tls: "cleartext" }, /To do: the connection must be encrypted: set tls .*flyway_targets/],
    [
      "stranger",
      { ca: "another" },
      /To do: the server's certificate cannot be verified: set rds_ca_certificates/,
    ],
    ["misnamed", { host: "0.0.0.0" }, /To do: .*have the url name the host as the certificate does/],
  ])("does not try a connection again that needs a person: %s", async (name, change, remedy) => {
    const target: Record<string, unknown> = { ...host.target };
    if ("tls" in change) target.tls = change.tls;
    if ("host" in change) target.url = host.target.url.replace("localhost", "0.0.0.0");
    if ("ca" in change) {
      const { ca } = await certificateFor("127.0.0.1");
      const file = join(dirname(host.root), "another.pem");
      writeFileSync(file, ca);
      target.ca = { url: `file://${file}`, sha256: createHash("sha256").update(ca).digest("hex") };
    }
    host.parameters.set(`/flyway/target/${name}.conf`, JSON.stringify(target satisfies Partial<Target>));
    host.bucket(name, { flywayConf: `${name}.conf` });
    await host.put(name, "V1__a.sql", table("A"));
    expect((await host.run(name, { env: { RETRY_SECONDS: "120" } })).code).toBe(1);
    expect((await newest(name))?.attempts).toBe(1);
    expect(await host.verdictOf(name, "V1__a.sql")).toMatchObject({
      verdict: "failed",
      message: expect.stringMatching(remedy),
    });
  });

  it("tries a login that is refused again: the secret may just have been rotated", async () => {
    host.bucket("login");
    await host.put("login", "V1__a.sql", table("A"));
    const login = host.secrets.get(host.target.secret) as string;
    host.secrets.set(host.target.secret, JSON.stringify({ username: "admin", password: "wrong" }));
    const run = host.start("login", { env: { RETRY_SECONDS: "120" } });
    run.child.stderr?.on("data", (text: string) => {
      if (String(text).includes("trying again")) host.secrets.set(host.target.secret, login);
    });
    expect((await run.finished).code).toBe(0);
    expect((await newest("login"))?.attempts).toBeGreaterThan(1);
  });
});

describe("a Flyway that leaves no result of its own", () => {
  const host = useTestHost();

  it.each([
    { says: "nothing", version: "11.99.1", output: "", code: 0 },
    { says: "words", version: "11.99.2", output: "Out of memory", code: 0 },
    { says: "words, and fails", version: "11.99.3", output: "Out of memory", code: 1 },
    { says: "an empty object", version: "11.99.4", output: "{}", code: 0 },
    {
      says: "the first half",
      version: "11.99.5",
      output: '{"individualResults":[{"operation":"migrate","success":true,"migrations":[]}]}',
      code: 0,
    },
    {
      says: "that it had no success",
      version: "11.99.6",
      output: '{"individualResults":[{"operation":"migrate","success":false},{"operation":"info"}]}',
      code: 0,
    },
  ])("says $says with exit code $code: run and upload have failed", async ({ version, output, code }) => {
    const releases = join(host.root, "broken");
    mkdirSync(join(releases, version), { recursive: true });
    const script = `#!/bin/sh\nprintf '%s' '${output}'\nexit ${code}\n`;
    writeFileSync(join(releases, version, "flyway"), script, { mode: 0o755 });
    const bucket = `broken.${version}`;
    host.bucket(bucket, { schema: "broken", flywayVersion: version });
    await host.put(bucket, "V1__a.sql", "SELECT 1;");
    await host.put(bucket, "afterMigrate.sql", "SELECT 1;");
    expect((await host.run(bucket, { env: { HOST_RELEASES: releases } })).code).toBe(1);
    for (const judged of Object.values(await host.verdicts(bucket))) {
      expect(judged).toMatchObject({
        verdict: "failed",
        message: expect.stringContaining(
          `migrate ended with exit code ${code} and no result that can be read`,
        ),
      });
    }
    expect((await host.records(bucket)).flatMap(schemaErrors)).toEqual([]);
  });
});
