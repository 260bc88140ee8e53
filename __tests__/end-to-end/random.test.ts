import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { processesNaming } from "../support/chain";
import { failureOf, inWords, type Step, shrink, stepsOf, World } from "../support/random";

/** Fixed, so that each run is of the same. Others: SEEDS="7" or SEEDS="100-120". */
const [from, to = from] = (process.env.SEEDS ?? "1-50").split("-").map(Number) as [number, number?];
const SEEDS = Array.from({ length: (to ?? from) - from + 1 }, (_, index) => from + index);

/** How many sequences are played at once, each in a chain of its own: most of one waits. */
const WORLDS = 3;

describe("a random sequence of uploads, overwrites, duplicates, kills and lost events", () => {
  const free: (World | undefined)[] = Array.from({ length: WORLDS });
  const waiting: (() => void)[] = [];
  const worlds = new Set<World>();
  afterAll(() => Promise.all([...worlds].map((world) => world.stop())));

  /** Plays steps in a world that no other uses; what a failure leaves, nobody else meets. */
  async function play(steps: readonly Step[]): Promise<Error | undefined> {
    while (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    let world = free.pop();
    try {
      world ??= await World.start();
      worlds.add(world);
      await world.play(steps);
      if (world.unused.length === 0) world = await leave(world);
    } catch (error) {
      if (world) world = await leave(world);
      return error as Error;
    } finally {
      free.push(world);
      waiting.shift()?.();
    }
  }

  async function leave(world: World): Promise<undefined> {
    worlds.delete(world);
    await world.stop();
  }

  it.concurrent.each(SEEDS)(
    "ends as a plain migrate would, with one verdict for each version: seed %i",
    { timeout: 3_600_000 }, // what fails is played again and again
    async (seed) => {
      const failure = await failureOf(seed, play);
      if (failure) throw failure;
    },
  );
});

describe("a seed", () => {
  const all = Array.from({ length: 50 }, (_, index) => stepsOf(index + 1));

  it("is the same four to eight steps each time, and others than its neighbour", () => {
    for (const [index, steps] of all.entries()) {
      expect(steps).toEqual(stepsOf(index + 1));
      expect(steps.length).toBeGreaterThanOrEqual(4);
      expect(steps.length).toBeLessThanOrEqual(8);
      expect(steps).not.toEqual(stepsOf(index + 2));
    }
  });

  it("leaves no kind of step, and no fate of an event, to other seeds than CI's", () => {
    const steps = all.flat();
    expect([...new Set(steps.map(({ does }) => does))].sort()).toEqual(
      ["duplicate", "kill", "kill inside", "overwrite", "reconcile", "replace", "upload"].sort(),
    );
    const uploads = steps.filter(({ does }) => does === "upload");
    expect([...new Set(uploads.map(({ delivery }) => delivery))].sort()).toEqual(
      ["late", "lost", "once", "twice"].sort(),
    );
  });

  it("that fails is told with the shortest of its sequences that does", async () => {
    const seed = all.findIndex((steps) => steps.some(({ does }) => does === "kill")) + 1;
    const played: number[] = [];
    const failure = await failureOf(seed, async (steps) => {
      played.push(steps.length);
      return steps.some(({ does }) => does === "kill") ? new Error("it is wrong") : undefined;
    });
    const kill = stepsOf(seed).findLast(({ does }) => does === "kill") as Step;
    expect(failure?.message.split("\n")).toEqual([
      `Seed ${seed} fails (again: SEEDS=${seed}). Of its ${played[0]} steps, these 1 do:`,
      `- ${inWords(kill)}`,
      "it is wrong",
    ]);
    expect(await failureOf(seed, async () => undefined)).toBeUndefined();
  });
});

describe("a sequence that fails", () => {
  const letters = [..."abcdefghijklmnop"];
  const has = (...needed: string[]) => {
    return async (list: readonly string[]) => needed.every((letter) => list.includes(letter));
  };

  it.each([
    { needed: ["a", "b"] },
    { needed: ["c", "n"] },
    { needed: ["p"] },
    { needed: ["b", "h", "o"] },
    { needed: letters },
  ])("shrinks to just what it needs: $needed", async ({ needed }) => {
    expect(await shrink(letters, has(...needed), 1_000)).toEqual(needed);
  });

  it("is tried no more often than told, and what is left fails still", async () => {
    let tries = 0;
    const fails = async (list: readonly string[]) => {
      tries++;
      return has("c", "n")(list);
    };
    const shorter = await shrink(letters, fails, 5);
    expect(tries).toBe(5);
    expect(shorter.length).toBeLessThan(letters.length);
    expect(await fails(shorter)).toBe(true);
  });
});

describe("this test", () => {
  it("leaves no process behind when it is killed while a migration is under way", async () => {
    const folder = mkdtempSync(join(tmpdir(), "random-test-"));
    const script = join(folder, "crash.ts");
    writeFileSync(
      script,
      `import { World } from ${JSON.stringify(resolve("__tests__/support/random.ts"))};
       (async () => {
         const world = await World.start();
         await world.holdInside();
         process.send?.("under way");
       })();`,
    );
    const child = fork(script, { execArgv: ["--import", "tsx"], env: { ...process.env, TMPDIR: folder } });
    try {
      const ended = once(child, "exit");
      expect(await Promise.race([once(child, "message"), ended])).toEqual(["under way", undefined]);
      const under = processesNaming(folder);
      for (const part of ["mariadbd", "flyway", "runtime.js"]) {
        expect(
          under.some((line) => line.includes(part)),
          part,
        ).toBe(true);
      }
      child.kill("SIGKILL");
      await ended;
      await vi.waitFor(() => expect(processesNaming(folder)).toEqual([]), { timeout: 60_000, interval: 100 });
    } finally {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    }
  });
});
