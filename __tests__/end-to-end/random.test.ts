import { afterAll, describe, it } from "vitest";
import { inWords, type Step, shrink, stepsOf, World } from "../support/random";

/** Fixed, so that each run is of the same. Others: SEEDS="7" or SEEDS="100-120". */
const [from, to = from] = (process.env.SEEDS ?? "1-50").split("-").map(Number) as [number, number?];
const SEEDS = Array.from({ length: (to ?? from) - from + 1 }, (_, index) => from + index);

/** How many sequences are played at once, each in a chain of its own: most of one waits. */
const WORLDS = 3;

/** How often a sequence that failed is played again, with steps left out. */
const TRIES = 20;

describe("a random sequence of uploads, overwrites, duplicates, kills and lost events", () => {
  const free: (World | undefined)[] = Array.from({ length: WORLDS });
  const waiting: (() => void)[] = [];
  const worlds = new Set<World>();
  afterAll(() => Promise.all([...worlds].map((world) => world.stop())));

  /** Plays steps in a world that no other uses; what a failure leaves, nobody else meets. */
  async function play(steps: readonly Step[]): Promise<unknown> {
    while (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    let world = free.pop();
    try {
      world ??= await World.start();
      worlds.add(world);
      await world.play(steps);
    } catch (error) {
      if (world) await leave(world);
      world = undefined;
      return error;
    } finally {
      if (world?.unused.length === 0) {
        await leave(world);
        world = undefined;
      }
      free.push(world);
      waiting.shift()?.();
    }
  }

  async function leave(world: World): Promise<void> {
    worlds.delete(world);
    await world.stop();
  }

  it.concurrent.each(SEEDS)(
    "ends as a plain migrate would, with one verdict for each version: seed %i",
    { timeout: 3_600_000 }, // it may be played again, up to TRIES times
    async (seed) => {
      const steps = stepsOf(seed);
      let error = await play(steps);
      if (error === undefined) return;
      const shortest = await shrink(
        steps,
        async (fewer) => {
          const again = await play(fewer);
          error = again ?? error;
          return again !== undefined;
        },
        TRIES,
      );
      const lines = [`Seed ${seed} fails: SEEDS=${seed}. These ${shortest.length} of its steps do:`];
      lines.push(...shortest.map((step) => `- ${inWords(step)}`), (error as Error).message);
      throw new Error(lines.join("\n"), { cause: error });
    },
  );
});
