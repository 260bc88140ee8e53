import { afterAll, describe, it } from "vitest";
import { mysqld } from "../support/mysql";
import { failureOf, type Step, World } from "../support/random";

/** Fixed, so that each run is of the same; fewer on MySQL. Others: SEEDS="7" or SEEDS="100-120". */
const [from, to = from] = (process.env.SEEDS ?? (mysqld() ? "1-10" : "1-50")).split("-").map(Number) as [
  number,
  number?,
];
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
