import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findExecutable } from "../../local/machine/processes";

/** What one piece of work took. */
export interface Sample {
  /** Seconds of all processors, of the work and all that it started. */
  readonly cpu: number;
  /** Seconds. */
  readonly wall: number;
  /** The most memory of its processes at once, in MiB; looked at every 20 ms. */
  readonly memory: number;
}

/** The machine's own before one that a version manager starts by a script. */
const PYTHON = ["/usr/bin/python3"].find(existsSync) ?? findExecutable(["python3"], []) ?? "python3";

const PAGE = 4096;
const MIB = 1024 * 1024;

/**
 * Starts a program and waits for it and for all that outlives it: esbuild's service ends after the program that has started
 * it, and nobody else would count its time. Linux only.
 */
const WATCHER = `
import ctypes, os, resource, sys, time
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
times, *words = sys.argv[1:]
start = time.monotonic()
program = os.posix_spawnp(words[0], words, os.environ)
while True:
    try:
        pid, status = os.wait()
    except ChildProcessError:
        break
    if pid == program:
        wall, ended = time.monotonic() - start, status
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(times, "w") as file:
    file.write(f"{wall} {used.ru_utime + used.ru_stime}")
sys.exit(abs(os.waitstatus_to_exitcode(ended)))
`;

/**
 * Runs a program, which must end well, and measures it and all that it starts. It needs Python 3.
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
    const child = spawn(PYTHON, ["-c", WATCHER, times, ...words], {
      ...options,
      detached: true, // a process group of its own
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text) => {
        output += text;
      });
    }
    let memory = 0;
    const watch = setInterval(() => {
      memory = Math.max(memory, residentOf(child.pid as number));
    }, 20);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    }).finally(() => clearInterval(watch));
    if (code !== 0) throw new Error(`${words.join(" ")} ended with ${code}:\n${output}`);
    const [wall, cpu] = readFileSync(times, "utf8").split(" ").map(Number) as [number, number];
    return { cpu, wall, memory: memory / MIB };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The memory of a process group without its leader, the watcher, in bytes. Linux only. */
function residentOf(group: number): number {
  let bytes = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== group)) {
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
