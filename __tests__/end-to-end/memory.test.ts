import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestHost, type TestHost } from "../support/host";
import { type MemoryGroup, makeMemoryGroup } from "../support/memory";
import { skipLoudly } from "../support/moto";

const MIB = 1024 * 1024;

/** What Linux has of a t3.micro's 1 GiB. */
const T3_MICRO = 935 * MIB;

/** What of it the system and the SSM agent take, with room. */
const SYSTEM = 250 * MIB;

describe("on a t3.micro's memory", () => {
  let host: TestHost;
  let group: MemoryGroup | undefined;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "memory-"));
    host = await startTestHost(); // the AWS CLI, where it is there, takes what it does
    try {
      group = makeMemoryGroup(T3_MICRO);
    } catch (error) {
      skipLoudly("a burst in little memory", `there is no cgroup to make: ${error}`);
    }
  });
  afterAll(async () => {
    await host.stop();
    await group?.remove();
    rmSync(folder, { recursive: true });
  });

  it("a burst of the five commands that the agent runs at once, and a reconcile, is applied", async ({
    skip,
  }) => {
    if (!group) return skip("there is no cgroup to make");
    const meminfo = join(folder, "meminfo"); // of a cgroup's processes too, the machine's
    writeFileSync(meminfo, `MemTotal:       ${T3_MICRO / 1024} kB\n`);
    const small = `${group.join} && mount --bind '${meminfo}' /proc/meminfo && exec "$0"`;
    const buckets = [1, 2, 3, 4, 5].map((number) => `burst${number}`);
    for (const bucket of buckets) {
      host.bucket(bucket);
      await host.put(bucket, "V1__a.sql", "CREATE TABLE A (t longtext);");
      const rows = Array.from(
        { length: 8 },
        () => `INSERT INTO A VALUES ('${randomBytes(500_000).toString("hex")}');`,
      );
      await host.put(bucket, "V2__rows.sql", rows.join("\n"));
    }
    const start = (bucket: string) => host.start(bucket, { under: ["unshare", "-m", "sh", "-c", small] });
    const runs = [...buckets, "*"].map(start);
    const finished = await Promise.all(runs.map((run) => run.finished));
    process.stderr.write(`\nThe burst took ${Math.round(group.peak / MIB)} MiB at once.\n`);
    expect(finished.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      finished.map(() => ({ code: 0, stderr: "" })),
    );
    expect(finished.some(({ stdout }) => stdout.includes("waiting for a place: 1 run"))).toBe(true);
    for (const bucket of buckets) {
      const verdicts = Object.values(await host.verdicts(bucket)).map(({ verdict }) => verdict);
      expect(verdicts).toEqual(["applied", "applied"]);
    }
    expect(group.kills).toBe(0);
    expect(group.peak).toBeGreaterThan(100 * MIB); // Flyway's JVM was in it
    expect(group.peak).toBeLessThan(T3_MICRO - SYSTEM);
  });
});
