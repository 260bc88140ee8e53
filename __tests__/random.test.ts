import { describe, expect, it } from "vitest";
import { failureOf, inWords, type Step, shrink, stepsOf } from "./support/random";

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
