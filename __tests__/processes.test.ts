import { fork } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { findExecutable, freePort, leashed } from "../local/machine/processes";
import { runs } from "./support/processes";

const POLLING = { timeout: 20_000, interval: 20 };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "processes-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function pidsIn(file: string, count: number): Promise<number[]> {
  return vi.waitFor(() => {
    const pids = readFileSync(file, "utf8").split("\n").filter(Boolean).map(Number);
    expect(pids).toHaveLength(count);
    return pids;
  }, POLLING);
}

describe("a leashed process", () => {
  it("passes its exit code on", async () => {
    expect(await leashed("sh", ["-c", "exit 7"]).exited).toBe(7);
    expect(await leashed("true", []).exited).toBe(0);
  });

  it("passes a signal on as 128 + n", async () => {
    expect(await leashed("sh", ["-c", "kill -KILL $$"]).exited).toBe(137);
  });

  it("ends with 127 when there is no such command", async () => {
    expect(await leashed("no-such-command-here", []).exited).toBe(127);
  });

  it("throws when its working directory does not exist", () => {
    expect(() => leashed("true", [], { cwd: join(folder, "absent") })).toThrow(
      /Can't start true in .*absent/,
    );
  });

  it("gets arguments, environment and working directory as they are", async () => {
    const process = leashed("sh", ["-c", 'printf "%s|" "$@" "$WORD"; pwd -P', "sh", "a b", "$c", ""], {
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", WORD: "x'y" },
      stdout: "pipe",
    });
    let output = "";
    process.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    expect(await process.exited).toBe(0);
    expect(output).toBe("a b|$c||x'y|/\n");
  });

  it("is the leader of the group whose id is its pid", async () => {
    const file = join(folder, "pids");
    const child = leashed("sh", ["-c", `echo $$ >${file}; sleep 600`]);
    expect(await pidsIn(file, 1)).toEqual([child.pid]);
    await child.stop();
  });

  it("takes its group and the clean-up folder with it when it exits", async () => {
    const file = join(folder, "pids");
    const scratch = join(folder, "scratch");
    mkdirSync(join(scratch, "deep"), { recursive: true });
    const child = leashed("sh", ["-c", `sleep 600 & echo $! >${file}`], { cleanup: scratch });
    expect(await child.exited).toBe(0);
    const pids = await pidsIn(file, 1);
    await vi.waitFor(() => expect(pids.map(runs)).toEqual([false]), POLLING);
    expect(existsSync(scratch)).toBe(false);
  });

  it("leaves nothing after stop", async () => {
    const file = join(folder, "pids");
    const scratch = join(folder, "scratch");
    mkdirSync(scratch);
    const child = leashed("sh", ["-c", `echo $$ >${file}; sleep 600 & echo $! >>${file}; wait`], {
      cleanup: scratch,
    });
    const pids = await pidsIn(file, 2);
    expect(pids.map(runs)).toEqual([true, true]);
    await child.stop();
    await vi.waitFor(() => expect(pids.map(runs)).toEqual([false, false]), POLLING);
    expect(existsSync(scratch)).toBe(false);
    expect(await child.exited).toBe(143);
  });

  it("may be stopped twice and after its end", async () => {
    const child = leashed("sleep", ["600"]);
    await Promise.all([child.stop(), child.stop()]);
    await child.stop();
    expect(await child.exited).toBe(143);
  });

  it("gets the time to end by itself", async () => {
    const file = join(folder, "pids");
    const script = `trap 'rm ${file}; exit 3' TERM; echo $$ >${file}; while :; do sleep 0.05; done`;
    const child = leashed("sh", ["-c", script]);
    await pidsIn(file, 1);
    await child.stop(60_000);
    expect(await child.exited).toBe(3);
    expect(existsSync(file)).toBe(false);
  });

  it("is killed when it ignores TERM", async () => {
    const file = join(folder, "pids");
    const child = leashed("sh", ["-c", `trap '' TERM; echo $$ >${file}; while :; do sleep 0.05; done`]);
    const [pid] = await pidsIn(file, 1);
    await child.stop(100);
    expect(await child.exited).toBe(137);
    expect(runs(pid as number)).toBe(false);
  });

  it("gives the group the time that the leader does not use", async () => {
    const file = join(folder, "pids");
    const marker = join(folder, "done");
    const slow = `trap 'sleep 0.3; echo done >${marker}; exit' TERM; echo $$ >${file}; while :; do sleep 0.05; done`;
    const child = leashed("sh", ["-c", '(eval "$1") & sleep 600', "sh", slow]);
    await pidsIn(file, 1);
    await child.stop(60_000);
    expect(existsSync(marker)).toBe(true);
  });

  it("dies, with its children and the clean-up folder, when its owner is killed by SIGKILL", async () => {
    const file = join(folder, "pids");
    const scratch = join(folder, "scratch");
    mkdirSync(scratch);
    const script = join(folder, "owner.ts");
    const command = `trap "" TERM; echo $$ >${file}; sleep 600 & echo $! >>${file}; wait`;
    writeFileSync(
      script,
      `import { leashed } from ${JSON.stringify(resolve("local/machine/processes.ts"))};
       leashed("sh", ["-c", ${JSON.stringify(command)}], { cleanup: ${JSON.stringify(scratch)} });`,
    );
    const owner = fork(script, { execArgv: ["--import", "tsx"] });
    const ended = once(owner, "exit");
    const pids = await pidsIn(file, 2);
    expect(pids.map(runs)).toEqual([true, true]);
    owner.kill("SIGKILL");
    await ended;
    await vi.waitFor(() => {
      expect(pids.map(runs)).toEqual([false, false]);
      expect(existsSync(scratch)).toBe(false);
    }, POLLING);
  });
});

describe("findExecutable", () => {
  it("takes the first name that is an executable file", () => {
    writeFileSync(join(folder, "not-executable"), "");
    mkdirSync(join(folder, "directory"));
    writeFileSync(join(folder, "second"), "");
    chmodSync(join(folder, "second"), 0o755);
    const names = ["not-executable", "directory", "absent-everywhere", "second", "sh"];
    expect(findExecutable(names, [folder])).toBe(join(folder, "second"));
  });

  it("looks on PATH", () => {
    expect(findExecutable(["sh"], [])).toMatch(/\/sh$/);
  });

  it("finds nothing where there is nothing", () => {
    expect(findExecutable(["no-such-command-here"])).toBeUndefined();
  });
});

describe("freePort", () => {
  it("names a port that can be listened on", async () => {
    const server = createServer().listen(await freePort(), "127.0.0.1");
    await once(server, "listening");
    server.close();
  });
});
