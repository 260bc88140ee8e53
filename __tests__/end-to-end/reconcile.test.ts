import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { mappingName } from "../../deployment/mapping";
import { RECORD_PREFIX } from "../../records/record";
import { processesNaming, query } from "../support/chain";
import { gate } from "../support/gate";
import type { Finished } from "../support/host";
import { useTestHost } from "../support/host-test";
import { schemaErrors } from "../support/schema";

const host = useTestHost();
const BUCKETS = ["one", "two", "three"];
let first: Finished;
/** Each test begins with buckets that a reconcile has looked at. */
beforeAll(async () => {
  for (const bucket of BUCKETS) host.bucket(bucket);
  await host.put("one", "V1__a.sql", "CREATE TABLE A (id int);");
  await host.put("two", "V1__a.sql", "CREATE TABLE A (id int);");
  first = await host.run("*");
});
afterEach(async () => {
  for (const bucket of BUCKETS) {
    const records = await host.records(bucket);
    expect(records.length).toBeGreaterThan(0);
    expect(records.flatMap(schemaErrors)).toEqual([]);
  }
});

/** The lines of a run's output that metric filters read. */
function metrics({ stdout }: Finished): Record<string, unknown>[] {
  const lines = stdout.split("\n").filter((line) => line.startsWith('{"flyway":'));
  return lines.map((line) => JSON.parse(line));
}

/** What a reconcile says of itself, once. */
function reconcileOf(finished: Finished): Record<string, unknown> | undefined {
  const lines = metrics(finished).filter(({ flyway }) => flyway === "reconcile");
  expect(lines).toHaveLength(1);
  return lines[0];
}

/** The buckets that a reconcile ran for, sorted. */
function ranFor(finished: Finished): unknown[] {
  reconcileOf(finished);
  const runs = metrics(finished).filter(({ flyway }) => flyway === "run");
  return runs.map(({ bucket }) => bucket).sort();
}

const recordCount = async (bucket: string) => (await host.records(bucket)).length;

describe("a reconcile", () => {
  it("runs once for each bucket that Flyway has not judged yet, and finds what no event told of", async () => {
    expect(first.code).toBe(0);
    expect(ranFor(first)).toEqual(["one", "three", "two"]);
    expect(reconcileOf(first)).toEqual({
      flyway: "reconcile",
      buckets: 3,
      failed: 0,
      repeated: 0,
      due: 3,
      oldestUploadSeconds: 0,
    });
    expect(metrics(first)).toContainEqual({
      flyway: "run",
      database: "one",
      bucket: "one",
      exitCode: 0,
      applied: 1,
      seconds: expect.any(Number),
      isRepetition: false,
    });
    expect((await host.verdictOf("two", "V1__a.sql")).verdict).toBe("applied");
  });

  it("passes over what is as the last run left it, without a record", async () => {
    const before = await recordCount("one");
    const finished = await host.run("*");
    expect({ code: finished.code, ran: ranFor(finished) }).toEqual({ code: 0, ran: [] });
    expect(await recordCount("one")).toBe(before);
  });

  it("looks again at an upload, a deletion, another mapping, another target", async () => {
    await host.put("one", "V2__b.sql", "CREATE TABLE B (id int);");
    await host.put("two", "V2__b.sql", "CREATE TABLE B (id int);");
    expect(ranFor(await host.run("*"))).toEqual(["one", "two"]);

    await host.put("two", "V9__z.sql", "");
    await host.remove("two", "V9__z.sql"); // no event tells of a deletion
    expect(ranFor(await host.run("*"))).toEqual([]);
    await host.remove("two", "V1__a.sql");
    const deleted = await host.run("*");
    expect({ code: deleted.code, ran: ranFor(deleted) }).toEqual({ code: 1, ran: ["two"] });
    expect((await host.records("two")).at(-1)?.flyway.migrate?.error?.message).toContain(
      "not resolved locally",
    );
    expect(ranFor(await host.run("*"))).toEqual([]); // refused as before: nobody is to hear of it again
    await host.put("two", "V1__a.sql", "CREATE TABLE A (id int);");

    const name = mappingName("/flyway", "three");
    const mapping = JSON.parse(host.parameters.get(name) as string);
    host.parameters.set(name, JSON.stringify({ ...mapping, outOfOrder: true }));
    expect(ranFor(await host.run("*"))).toEqual(["three", "two"]);

    const target = host.parameters.get("/flyway/target/local.conf") as string;
    host.parameters.set("/flyway/target/other.conf", target);
    host.parameters.set(name, JSON.stringify({ ...mapping, flywayConf: "other.conf" }));
    expect(ranFor(await host.run("*"))).toEqual(["three"]);
    host.parameters.set("/flyway/target/other.conf", `${target} `);
    expect(ranFor(await host.run("*"))).toEqual(["three"]);
  });

  it("that begins after the next one is due does nothing, and says so", async () => {
    await host.remove("one", "V2__b.sql");
    const now = Math.floor(Date.now() / 1_000);
    const late = await host.run("*", { expiresAt: String(now) });
    expect({ code: late.code, reports: metrics(late) }).toEqual({ code: 0, reports: [] });
    expect(late.stdout).toMatch(/EXPIRED at .*; the next reconcile looks at every bucket\n$/);
    await host.put("one", "V2__b.sql", "CREATE TABLE B (id int);");
    expect(ranFor(await host.run("*", { expiresAt: String(now + 600) }))).toEqual(["one"]);
  });

  it("looks at each bucket once a day, by whatever the clock says", async () => {
    for (const days of [-2, 2]) {
      const file = join(host.root, "state", "one.judged.json");
      const judged = JSON.parse(readFileSync(file, "utf8"));
      writeFileSync(file, JSON.stringify({ ...judged, at: Date.now() + days * 86_400_000 }));
      expect(ranFor(await host.run("*"))).toEqual(["one"]);
    }
  });

  it("tries again what failed for another reason than the content", async () => {
    await host.put("one", "V3__c.sql", "CREATE TABLE C (id int);");
    const secret = host.secrets.get("the secret") as string;
    host.secrets.delete("the secret");
    const failed = await host.run("*");
    expect({ code: failed.code, ran: ranFor(failed) }).toEqual({ code: 1, ran: ["one"] });
    expect(metrics(failed)).toContainEqual(expect.objectContaining({ bucket: "one", isRepetition: false }));
    const again = await host.run("*");
    expect(metrics(again)).toContainEqual(expect.objectContaining({ bucket: "one", isRepetition: true }));
    expect(await host.verdictOf("one", "V3__c.sql")).toMatchObject({
      verdict: "failed",
      message: "cannot read the database's secret",
    });
    host.secrets.set("the secret", secret);
    expect(ranFor(await host.run("*"))).toEqual(["one"]);
    expect((await host.verdictOf("one", "V3__c.sql")).verdict).toBe("applied");
  });

  it("tells the age of the oldest upload that no run has looked at, and none of what is no migration", async () => {
    await host.put("one", "notes.md", "x");
    await host.put("two", "V3__c.sql", "CREATE TABLE C (id int);");
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const finished = await host.run("*");
    const age = reconcileOf(finished)?.oldestUploadSeconds as number;
    expect(age).toBeGreaterThanOrEqual(2);
    expect(age).toBeLessThan(60);
    expect(reconcileOf(await host.run("*"))?.oldestUploadSeconds).toBe(0);
  });

  it("goes on past a bucket that is gone, one with a broken mapping and one that fails", async () => {
    host.parameters.set(
      mappingName("/flyway", "gone"),
      host.parameters.get(mappingName("/flyway", "one")) ?? "",
    );
    host.bucket("broken", { schema: "x'; id #" });
    await host.put("one", "V4__d.sql", "CREATE TABLE bad bad;");
    await host.put("two", "V4__d.sql", "CREATE TABLE D (id int);");
    const finished = await host.run("*");
    expect(finished.code).toBe(1);
    expect(reconcileOf(finished)).toMatchObject({ buckets: 5, failed: 1, repeated: 0 });
    expect(finished.stderr).toContain(
      "gone: the bucket is gone, but has a mapping: apply the Terraform configuration",
    );
    expect((await host.verdictOf("two", "V4__d.sql")).verdict).toBe("applied");
    expect(existsSync(join(host.root, "records", "gone"))).toBe(false);
    const again = await host.run("*");
    expect(reconcileOf(again)).toMatchObject({ failed: 1, repeated: 1 });
    expect(metrics(again)).toContainEqual(expect.objectContaining({ bucket: "broken", isRepetition: true }));
    for (const bucket of ["gone", "broken"]) host.parameters.delete(mappingName("/flyway", bucket));
  });

  it("leaves a bucket alone whose turn is taken, and only looks while another reconcile is under way", async () => {
    const [two, three] = [await gate(host, "two"), await gate(host, "three")];
    await host.put("two", "V5__waits.sql", two.sql);
    await host.put("three", "V1__a.sql", `${three.sql} CREATE TABLE A (id int);`);
    const run = host.start("two");
    await two.reached();
    const reconcile = host.start("*");
    await three.reached();
    const second = await host.run("*");
    expect(second.code).toBe(0);
    expect(second.stdout).toContain("COVERED");
    expect(ranFor(second)).toEqual([]);
    await three.open();
    const finished = await reconcile.finished;
    expect(finished.stdout).toContain("two: a run is under way");
    expect(ranFor(finished)).toEqual(["three"]);
    expect((await host.verdictOf("two", "V5__waits.sql")).verdict).toBe("pending");
    await two.open();
    expect((await run.finished).code).toBe(0);
    expect((await host.verdictOf("two", "V5__waits.sql")).verdict).toBe("applied");
  });

  it("runs no more Flyway processes at once than the host has places", async () => {
    const names = ["place1", "place2", "place3"];
    const gates = await Promise.all(names.map((name) => gate(host, name)));
    for (const [index, name] of names.entries()) {
      host.bucket(name);
      await host.put(name, "V1__waits.sql", gates[index]?.sql as string);
    }
    const runs = names.map((name) => host.start(name, { env: { MAX_RUNS: "1" } }));
    const run = host.start("*", { env: { MAX_RUNS: "1" } });
    const winner = await Promise.race(gates.map((each, index) => each.reached().then(() => index)));
    expect(
      names.filter((name) => processesNaming(join(host.root, "copies", name, "sql")).length > 0),
    ).toEqual([names[winner]]);
    await Promise.all(gates.map((each) => each.open()));
    const ended = await Promise.all([...runs, run].map(({ finished }) => finished));
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    for (const name of names) expect((await host.verdictOf(name, "V1__waits.sql")).verdict).toBe("applied");
  });

  it("refuses a repair of all buckets", async () => {
    const { code, stderr } = await host.run("*", { operation: "repair" });
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("of one bucket") });
  });
});

describe("a run record", () => {
  it("that cannot be uploaded is printed, and uploaded by the next reconcile without another run", async () => {
    await host.put("two", "V6__e.sql", "CREATE TABLE E (id int);");
    host.intercept(({ method, url }) =>
      method === "PUT" && url?.includes(RECORD_PREFIX) ? { status: 503 } : undefined,
    );
    const { code, stderr } = await host.run("two");
    expect(code).toBe(0);
    const printed = /^\S+ two: record (\{.*\})$/m.exec(stderr)?.[1] as string;
    expect(schemaErrors(JSON.parse(printed))).toEqual([]);
    expect((await host.verdictOf("two", "V6__e.sql")).verdict).toBe("pending");
    expect(ranFor(await host.run("*"))).toEqual([]);

    host.letThrough();
    expect(ranFor(await host.run("*"))).toEqual([]);
    expect((await host.verdictOf("two", "V6__e.sql")).verdict).toBe("applied");
    expect(readdirSync(join(host.root, "records", "two"))).toEqual([]);
    expect(reconcileOf(await host.run("*"))?.oldestUploadSeconds).toBe(0);
  });

  it("is after those of a host whose clock was ahead, and after those of a host that is gone", async () => {
    const root = `${host.root}-ahead`;
    const clock = `${host.root}-clock.cjs`;
    writeFileSync(clock, "const now = Date.now; Date.now = () => now() + 30 * 86_400_000;");
    await host.put("three", "V2__b.sql", "CREATE TABLE bad bad;");
    await host.run("three", { env: { HOST_ROOT: root, NODE_OPTIONS: `--require=${clock}` } });
    const ahead = (await host.records("three")).at(-1);
    expect(Date.parse(ahead?.finishedAt ?? "")).toBeGreaterThan(Date.now() + 86_400_000);
    expect((await host.verdictOf("three", "V2__b.sql")).verdict).toBe("failed");

    await query(host, "DELETE FROM three.flyway_schema_history WHERE success = 0");
    await host.put("three", "V2__b.sql", "CREATE TABLE B (id int);");
    rmSync(root, { recursive: true });
    await host.run("three");
    expect((await host.records("three")).at(-1)?.number).toBe((ahead?.number ?? 0) + 1);
    await host.remove("three", "V2__b.sql");
    await host.put("three", "V2__b.sql", "CREATE TABLE B (id int);");
    await host.run("three");
    expect((await host.verdictOf("three", "V2__b.sql")).verdict).toBe("already-applied");
  });

  it("leaves no file of a run or a reconcile behind", () => {
    const files = readdirSync(host.root, { recursive: true, encoding: "utf8" });
    expect(files.filter((file) => /\.(new|partial.*|begun\.json|before\.json)$/.test(file))).toEqual([]);
    expect(files).toContain("state/one.number.json");
  });
});
