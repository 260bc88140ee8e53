import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What one piece of work took. */
export interface Sample {
  /** Seconds of all processors, of the work and all that it started. */
  readonly cpu: number;
  /** Seconds. */
  readonly wall: number;
  /** The most memory of its processes at once, in MiB; looked at every 20 ms. */
  readonly memory: number;
}

const PAGE = 4096;
const MIB = 1024 * 1024;

/**
 * Runs a program, which must end well, and measures it and all that it starts.
 *
 * @throws with its output, if it fails
 */
export async function measure(
  words: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), "measure-"));
  const times = join(folder, "times");
  try {
    const script = `TIMEFORMAT='%R %U %S'; { time "$@" 2>&1; } 2>'${times}'`;
    const child = spawn("bash", ["-c", script, "bash", ...words], {
      ...options,
      detached: true, // a process group of its own
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (text) => {
      output += text;
    });
    let memory = 0;
    const watch = setInterval(() => {
      memory = Math.max(memory, residentOf(child.pid as number));
    }, 20);
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    clearInterval(watch);
    if (code !== 0) throw new Error(`${words.join(" ")} ended with ${code}:\n${output}`);
    const [wall, user, system] = readFileSync(times, "utf8").trim().split(" ").map(Number) as [
      number,
      number,
      number,
    ];
    return { cpu: user + system, wall, memory: memory / MIB };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The memory of a process group, in bytes. Linux only. */
function residentOf(group: number): number {
  let bytes = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      const members = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(members[2]) === group) bytes += Number(members[21]) * PAGE;
    } catch {
      // it has ended
    }
  }
  return bytes;
}

/** Of several samples. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] as number;
  const half = (sorted.length - 1) / 2;
  return {
    min: at(0),
    median: (at(Math.floor(half)) + at(Math.ceil(half))) / 2,
    max: at(sorted.length - 1),
  };
}
