import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { createServer } from "node:net";
import { constants as system } from "node:os";
import { delimiter, join } from "node:path";
import type { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

/** Where a stream of the child goes: nowhere, to a pipe on `child`, to our own stream, or to an open file. */
export type Stream = "ignore" | "pipe" | "inherit" | number;

export interface LeashOptions {
  /** Working directory of the child; default: ours. */
  readonly cwd?: string;
  /** The child's whole environment; default: ours. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default `ignore`. */
  readonly stdin?: Stream;
  /** Default `ignore`. */
  readonly stdout?: Stream;
  /** Default `ignore`. */
  readonly stderr?: Stream;
  /** Folder to remove, with its content, once the child's group is gone, whoever ended it. */
  readonly cleanup?: string;
}

export interface LeashedProcess {
  /** Process id of the command, and id of its process group. */
  readonly pid: number;
  readonly child: ChildProcess;
  /**
   * The exit code, 128 + n after signal n, 127 where the command doesn't exist. Never rejects. It resolves when
   * the rest of the group has been killed, piped output delivered and `cleanup` removed.
   */
  readonly exited: Promise<number>;
  /** TERM to the whole group, KILL to what is left of it after `graceMs` (default 5000); resolves as `exited`. */
  stop(graceMs?: number): Promise<void>;
}

/** Waits for a word from us, so that nothing runs before the leash is on; our death is no word. */
const GATE = 'read -r word <&3 || exit 1; exec "$@" 3<&-';

/**
 * Gets the group's id, waits for the end of the pipe, which our death is too, and ends what is left. Removing is
 * tried again because what was killed may for a moment still write.
 */
const LEASH = `
read -r group || exit 0
read -r end
kill -s KILL -- "-$group"
tries=50
while [ -e "$1" ] && [ $tries -gt 0 ]; do rm -rf -- "$1" || sleep 0.1; tries=$((tries - 1)); done
`;

/**
 * Starts a command in a process group of its own that dies with this process, even when this process is killed
 * by SIGKILL: a small shell outside of the group holds a pipe from us, and kills the group when the pipe ends.
 * What the command leaves running in its group when it exits is killed too.
 *
 * @throws where no process can be started, for example because `cwd` doesn't exist.
 */
export function leashed(command: string, args: string[], options: LeashOptions = {}): LeashedProcess {
  const { cwd, env = process.env, stdin = "ignore", stdout = "ignore", stderr = "ignore" } = options;
  const child = spawn("/bin/sh", ["-c", GATE, "gate", command, ...args], {
    cwd,
    env,
    detached: true,
    stdio: [stdin, stdout, stderr, "pipe"],
  });
  // Failures to start show as a missing pid below; this only keeps the event from ending us.
  child.on("error", () => {});
  const { pid } = child;
  if (pid === undefined) throw new Error(`Can't start ${command}${cwd ? ` in ${cwd}` : ""}.`);
  const closed = new Promise((resolve) => child.once("close", resolve));

  const holder = spawn("/bin/sh", ["-c", LEASH, "leash", options.cleanup ?? ""], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const released = new Promise((resolve) => holder.once("close", resolve));
  holder.on("error", () => {});
  if (holder.pid === undefined) {
    child.kill("SIGKILL");
    throw new Error(`Can't start the leash of ${command}.`);
  }
  const word = child.stdio[3] as Writable;
  for (const pipe of [holder.stdin, word]) pipe.on("error", () => {});
  holder.stdin.write(`${pid}\n`);
  word.end("go\n");

  let killAt = 0;
  const exited = new Promise<number>((resolve) => {
    child.once("exit", async (code, signal) => {
      // The leader of a group that was asked to stop may be gone before the others are.
      while (Date.now() < killAt && signalGroup(pid, 0)) await sleep(20);
      holder.stdin.end();
      await Promise.all([closed, released]);
      resolve(code ?? 128 + (signal ? system.signals[signal] : 0));
    });
  });

  async function stop(graceMs = 5000): Promise<void> {
    const running = child.exitCode === null && child.signalCode === null;
    if (!running) return void (await exited);
    killAt = Date.now() + graceMs;
    signalGroup(pid as number, "SIGTERM");
    const killer = setTimeout(() => signalGroup(pid as number, "SIGKILL"), graceMs);
    await exited;
    clearTimeout(killer);
  }

  return { pid, child, exited, stop };
}

/** Whether the group still had a process that took the signal. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}

/**
 * Path of the first executable of these names, the names in order of preference, on PATH or in the extra folders
 * (default: those of servers, which a user's PATH often lacks); undefined where there is none.
 */
export function findExecutable(
  names: string[],
  extraFolders: string[] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec"],
): string | undefined {
  const onPath = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const folders = [...onPath, ...extraFolders];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** A TCP port of 127.0.0.1 that was free a moment ago: who listens on it must be ready to ask for another. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
