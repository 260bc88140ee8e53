import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { processesNaming } from "../support/chain";

describe("the test of random sequences", () => {
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
