/**
 * jq's command line, as far as the host script uses it, over jq 1.7.1 compiled to WebAssembly: for a machine
 * without jq. Flags -r -c -n -R -s, --arg, --argjson, --slurpfile (with -n only), a filter, files. Any other flag
 * is refused with exit code 2; the exit codes are jq's. `tools.ts` bundles and installs it.
 */
import { randomUUID } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import loadJq from "jq-wasm/dist/build/jq.js";

/** The program as Emscripten gives it. The package's own functions lose stderr, exit codes and white space. */
interface Jq {
  callMain(args: string[]): number;
  preRun?: unknown;
}

/** What jq reads: a file, stdin (0), or bytes that are here. */
type Source = string | 0 | Buffer;

interface CommandLine {
  /** What jq gets before the filter. */
  options: string[];
  filter: string;
  sources: Source[];
}

class Refusal extends Error {}

/** @throws Refusal where it isn't understood; Error where a file to slurp can't be read. */
function understand(words: string[]): CommandLine {
  const flags = new Set<string>();
  const named: string[] = [];
  const slurped: { name: string; file: string }[] = [];
  const rest: string[] = [];
  const queue = [...words];
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === "--arg" || word === "--argjson" || word === "--slurpfile") {
      const [name, value] = queue.splice(0, 2);
      if (name === undefined || value === undefined) throw new Refusal(`${word} without a name and a value`);
      if (word === "--slurpfile") slurped.push({ name, file: value });
      else named.push(word, name, value);
    } else if (/^-[rcnRs]+$/.test(word)) {
      for (const flag of word.slice(1)) flags.add(flag);
    } else if (word.startsWith("-")) {
      throw new Refusal(word);
    } else {
      rest.push(word);
    }
  }
  const [filter, ...files] = rest;
  if (filter === undefined) throw new Refusal("a call without a filter");
  const inputs: Source[] = files.length > 0 ? files : [0];
  const options = ["-M", ...[...flags].map((flag) => `-${flag}`), ...named];
  if (slurped.length === 0) return { options, filter, sources: inputs };

  // It has no files, so these come first on its stdin, each with a mark behind it, and the filter takes them.
  if (!flags.has("n") || flags.has("R") || flags.has("s")) throw new Refusal("--slurpfile without just -n");
  const mark = JSON.stringify(randomUUID());
  const taken = slurped.map(({ name, file }) => {
    const complaint = JSON.stringify(`jq: Bad JSON in --slurpfile ${name} ${file}: `);
    const values = `(try inputs catch (${complaint} + . + "\n" | halt_error(2)))`;
    return `[label $end | ${values} | if . == ${mark} then break $end else . end] as $${name} | `;
  });
  return {
    options,
    filter: `${taken.join("")}(${filter}\n)`,
    sources: [...slurped.flatMap(({ file }) => [readFileSync(file), Buffer.from(`\n${mark}\n`)]), ...inputs],
  };
}

/** All bytes of the sources, each opened when it is reached. */
function* bytesOf(sources: Source[], onFailure: (file: string, reason: string) => void): Generator<number> {
  const buffer = Buffer.alloc(1 << 16);
  for (const source of sources) {
    if (typeof source === "object") {
      yield* source;
      continue;
    }
    try {
      const file = source === 0 ? 0 : openSync(source, "r");
      for (let size = read(file, buffer); size > 0; size = read(file, buffer)) {
        for (let at = 0; at < size; at += 1) yield buffer[at] as number;
      }
      if (source !== 0) closeSync(file);
    } catch (error) {
      onFailure(String(source), (error as Error).message);
    }
  }
}

/** Waits where stdin is set not to. */
function read(file: number, buffer: Buffer): number {
  for (;;) {
    try {
      return readSync(file, buffer);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

async function main(): Promise<number> {
  const { options, filter, sources } = understand(process.argv.slice(2));
  let hasFailed = false;
  const input = bytesOf(sources, (file, reason) => {
    hasFailed = true;
    writeSync(2, `jq: error: Could not open ${file}: ${reason}\n`);
  });
  const printed: number[] = [];
  const said: number[] = [];
  const jq: Jq = await loadJq({
    thisProgram: "jq",
    stdin: () => input.next().value ?? null,
    stdout: (byte: number) => void printed.push(byte),
    stderr: (byte: number) => void said.push(byte),
    // The only hook before preRun, where the package would put its own slow streams in place of these.
    monitorRunDependencies(this: Jq) {
      this.preRun = undefined;
    },
  });
  const code = jq.callMain([...options, filter]);
  process.stdout.write(Buffer.from(printed));
  process.stderr.write(Buffer.from(said));
  return hasFailed ? 2 : code;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    const reason = error instanceof Refusal ? `not supported: ${error.message}; install jq` : error.message;
    process.stderr.write(`jq stand-in: ${reason}\n`);
    process.exitCode = 2;
  },
);
