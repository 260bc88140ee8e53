import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { query, table } from "../support/chain";
import { useTestHost } from "../support/host-test";
import { schemaErrors } from "../support/schema";

const host = useTestHost();

/** Runs; whether Flyway was started for it. */
async function run(bucket: string): Promise<{ code: number; isStarted: boolean }> {
  const { code, stdout } = await host.run(bucket);
  return { code, isStarted: stdout.includes("migrating schema") };
}

/** A bucket whose two files are applied, one of them uploaded again since. */
async function uploadAgain(bucket: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  host.bucket(bucket);
  const files = { "V1__a.sql": table("A"), "V2__b.sql": table("B"), ...more };
  for (const [key, text] of Object.entries(files)) await host.put(bucket, key, text);
  expect(await run(bucket)).toEqual({ code: 0, isStarted: true });
  await host.put(bucket, "V1__a.sql", table("A"));
}

describe("the same content, uploaded again", () => {
  it("has its verdict from a record of its own, and Flyway is not started", async () => {
    await uploadAgain("same");
    expect(await run("same")).toEqual({ code: 0, isStarted: false });
    const records = await host.records("same");
    expect(records.flatMap(schemaErrors)).toEqual([]);
    expect(records.at(-1)).toMatchObject({ exitCode: 0, attempts: 0, flyway: { migrate: null } });
    expect(records.at(-1)?.objects.map(({ verdict }) => verdict)).toEqual([
      "already-applied",
      "already-applied",
    ]);
    expect(await host.verdictOf("same", "V1__a.sql")).toMatchObject({ verdict: "already-applied" });
  });

  it.each([
    [
      "another row is in Flyway's history",
      "edited",
      "UPDATE flyway_schema_history SET checksum = 1 WHERE version = 2",
    ],
    ["a row is gone from it", "shorter", "DELETE FROM flyway_schema_history WHERE version = 2"],
    ["it is gone", "without", "DROP TABLE flyway_schema_history"],
    ["its schema is gone", "nowhere", "DROP DATABASE nowhere"],
  ])("is Flyway's to judge where %s", async (_, bucket, change) => {
    await uploadAgain(bucket);
    await query(host, change.replace("flyway_schema_history", `${bucket}.flyway_schema_history`));
    expect((await run(bucket)).isStarted).toBe(true);
  });

  it("is Flyway's to judge where it failed before, or a file is passed over", async () => {
    await uploadAgain("passed");
    await host.put("passed", "V3__x.SQL", table("X")); // Flyway knows .sql alone
    expect(await run("passed")).toEqual({ code: 1, isStarted: true });
    await host.put("passed", "V1__a.sql", table("A"));
    expect(await run("passed")).toEqual({ code: 1, isStarted: true });
  });

  it("is Flyway's to run where a callback is to run each time", async () => {
    await uploadAgain("called", {
      "afterMigrate.sql": "CREATE TABLE IF NOT EXISTS C (id int); INSERT INTO C VALUES (1);",
    });
    expect(await run("called")).toEqual({ code: 0, isStarted: true });
    expect(await query(host, "SELECT COUNT(*) AS n FROM called.C")).toMatchObject([{ n: 2 }]);
  });

  it("is Flyway's to judge once a day", async () => {
    await uploadAgain("daily");
    const file = `${host.root}/state/daily.judged.json`;
    const judged = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...judged, at: judged.at - 86_400_000 }));
    expect((await run("daily")).isStarted).toBe(true);
  });

  it("is Flyway's to judge where the history cannot be read, and says so", async () => {
    await uploadAgain("blind");
    host.secrets.set("the secret", JSON.stringify({ username: "nobody", password: "x" }));
    const { code, stderr } = await host.run("blind");
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/Flyway's history cannot be read: Access denied/),
    });
  });
});
