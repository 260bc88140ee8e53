import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Chain } from "../../local/chain";
import { applied, processesNaming, put, records, startTestChain, table } from "../support/chain";

// A burst of uploads: each is applied once, in order, by few runs.

/** How many runs the host may have under way at once. */
const PLACES = 2;

describe("a burst", () => {
  const twenty = Array.from({ length: 20 }, (_, index) => `Burst${index + 1}`);
  let chain: Chain;
  beforeAll(async () => {
    vi.stubEnv("MAX_RUNS", String(PLACES));
    chain = await startTestChain({ databases: ["Burst", ...twenty], settleSeconds: 2 });
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await chain.stop();
  });

  it("of 200 migrations in random order is applied once each, in order, in at most 4 runs", async () => {
    const numbers = Array.from({ length: 200 }, (_, index) => index + 1);
    const shuffled = numbers
      .map((number) => ({ number, key: Math.random() }))
      .sort((a, b) => a.key - b.key)
      .map(({ number }) => number);
    await Promise.all(shuffled.map((n) => put(chain, "Burst", `V${n}__t.sql`, table(`T${n}`))));
    await Promise.all(numbers.map((n) => chain.verdicts.wait("Burst", `V${n}__t.sql`)));
    const verdicts = await chain.verdicts.of("Burst");
    expect(verdicts.filter(({ verdict }) => verdict !== "applied")).toEqual([]);
    expect(verdicts).toHaveLength(200);
    expect(await applied(chain, "Burst")).toEqual(numbers.map(String));
    expect((await records(chain, "Burst")).length).toBeLessThanOrEqual(4);
  });

  it("in 20 buckets is applied in all, by no more Flyways at once than MAX_RUNS", async () => {
    const flyways = () =>
      processesNaming(dirname(chain.caFile)).filter((line) => line.includes("org.flywaydb.commandline"));
    const counts: number[] = [];
    let ended = false;
    const watch = async () => {
      for (; !ended; await sleep(20)) counts.push(flyways().length);
    };
    const watching = watch();
    await Promise.all(twenty.map((database) => put(chain, database, "V1__a.sql", table("A"))));
    const judged = await Promise.all(twenty.map((database) => chain.verdicts.wait(database, "V1__a.sql")));
    ended = true;
    await watching;
    expect(judged.map(({ verdict }) => verdict)).toEqual(twenty.map(() => "applied"));
    expect(Math.max(...counts)).toBeGreaterThan(0);
    expect(Math.max(...counts)).toBeLessThanOrEqual(PLACES);
  });
});
