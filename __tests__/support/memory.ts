import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Processes that share a limited memory, without swap, and what they took of it. */
export interface MemoryGroup {
  /** A line of sh by which a shell joins it, with all that it starts. */
  readonly join: string;
  /** The most that they had at once, in bytes, without files that the kernel keeps at hand; looked at every 20 ms. */
  readonly peak: number;
  /** How many of them the kernel has killed for want of memory. */
  readonly kills: number;
  /** Removes it, when its processes have ended. */
  remove(): Promise<void>;
}

/** The names of the kernel's files. */
interface Kind {
  readonly root: string;
  readonly limits: readonly string[];
  readonly resident: RegExp;
  readonly kills: string;
}

const VERSION_1: Kind = {
  root: "/sys/fs/cgroup/memory",
  limits: ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
  resident: /^total_rss (\d+)$/m,
  kills: "memory.oom_control",
};
const VERSION_2: Kind = {
  root: "/sys/fs/cgroup",
  limits: ["memory.max"],
  resident: /^anon (\d+)$/m,
  kills: "memory.events",
};

/**
 * Makes a cgroup of that many bytes.
 *
 * @throws where this machine or user has none to make
 */
export function makeMemoryGroup(bytes: number): MemoryGroup {
  const isFirst = existsSync(join(VERSION_1.root, "memory.limit_in_bytes"));
  const { root, limits, resident, kills } = isFirst ? VERSION_1 : VERSION_2;
  if (!isFirst) writeFileSync(join(root, "cgroup.subtree_control"), "+memory");
  const folder = join(root, `flyway-on-aws-${process.pid}`);
  mkdirSync(folder);
  const file = (name: string) => join(folder, name);
  for (const name of limits.filter((name) => existsSync(file(name))))
    writeFileSync(file(name), String(bytes));
  if (existsSync(file("memory.swap.max"))) writeFileSync(file("memory.swap.max"), "0");
  const number = (name: string, pattern: RegExp) =>
    Number(pattern.exec(readFileSync(file(name), "utf8"))?.[1]);
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, number("memory.stat", resident));
  }, 20);
  return {
    join: `echo 0 >'${file("cgroup.procs")}'`,
    get peak() {
      return peak;
    },
    get kills() {
      return number(kills, /^oom_kill (\d+)$/m);
    },
    async remove() {
      clearInterval(watch);
      for (let tries = 50; existsSync(folder); tries--) {
        try {
          rmdirSync(folder);
        } catch (error) {
          if (tries === 0) throw error; // a process has not ended yet
          await sleep(100);
        }
      }
    },
  };
}
