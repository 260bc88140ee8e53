import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { findExecutable } from "./processes";

/** A program that can be stood in for. */
export type Tool = "aws" | "jq";

/**
 * Fills a folder, made where it isn't there, with what the host script needs beside a Unix: `aws`, which talks to
 * `endpoint` and never to AWS, and `jq` where PATH has none. The folder is meant for the front of the script's PATH.
 *
 * @throws Error where the folder can't be written.
 */
export function installTools(
  folder: string,
  endpoint: string,
  options: {
    /** The programs that are stood in for even where they are on PATH; for tests. Default: none. */
    standIns?: readonly Tool[];
  } = {},
): {
  /** Path of `aws`. */
  aws: string;
  /** Lines to tell the person: what is stood in for. */
  said: string[];
} {
  mkdirSync(folder, { recursive: true });
  const real = (name: Tool) => (options.standIns?.includes(name) ? undefined : workingProgram(name));
  const said: string[] = [];
  const aws = join(folder, "aws");
  const cli = real("aws");
  if (cli) {
    // By option: an older AWS CLI ignores AWS_ENDPOINT_URL and would call AWS.
    writeProgram(aws, `exec ${quoted(cli)} --endpoint-url ${quoted(endpoint)} "$@"`);
  } else {
    const program = bundle("aws-stand-in.ts", join(folder, "aws.cjs"));
    writeProgram(aws, `AWS_ENDPOINT_URL=${quoted(endpoint)} exec ${program} "$@"`);
    said.push("aws: no AWS CLI on PATH, using a stand-in that knows only the calls the host makes");
  }
  if (!real("jq")) {
    const program = bundle("jq-stand-in.ts", join(folder, "jq.cjs"));
    writeProgram(join(folder, "jq"), `exec ${program} "$@"`);
    said.push("jq: no jq on PATH, using one compiled to WebAssembly");
  }
  return { aws, said };
}

/** What the script calls, and the packages that have it. */
const programs: { name: string; apt: string; dnf: string; brew: string }[] = [
  { name: "bash", apt: "bash", dnf: "bash", brew: "bash" },
  { name: "flock", apt: "util-linux", dnf: "util-linux-core", brew: "flock" },
  { name: "sha256sum", apt: "coreutils", dnf: "coreutils", brew: "coreutils" },
  { name: "tar", apt: "tar", dnf: "tar", brew: "gnu-tar" },
  { name: "gzip", apt: "gzip", dnf: "gzip", brew: "gzip" },
  { name: "find", apt: "findutils", dnf: "findutils", brew: "findutils" },
  { name: "cmp", apt: "diffutils", dnf: "diffutils", brew: "diffutils" },
  { name: "awk", apt: "mawk", dnf: "gawk", brew: "gawk" },
];

/**
 * The programs that the host script needs and PATH doesn't have, each with the line that installs it, such as
 * `flock: brew install flock`; empty where nothing is missing. A bash older than 4.2, as macOS has, is missing.
 */
export function missingPrograms(): string[] {
  if (process.platform === "win32") return ["a Unix: run this in the Windows Subsystem for Linux"];
  const missing = programs.filter(({ name }) => (name === "bash" ? !hasBash() : !findExecutable([name], [])));
  return missing.map(({ name, apt, dnf, brew }) => {
    const linux = `sudo apt-get install ${apt} (or: sudo dnf install ${dnf})`;
    const program = name === "bash" ? "bash 4.2 or newer" : name;
    return `${program}: ${process.platform === "darwin" ? `brew install ${brew}` : linux}`;
  });
}

function hasBash(): boolean {
  const isNew = "((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 402))";
  return spawnSync("bash", ["-c", isNew], { stdio: "ignore" }).status === 0;
}

/** Path of a program on PATH; undefined also where it is there and doesn't run, as a version manager's shim may. */
function workingProgram(name: string): string | undefined {
  const file = findExecutable([name], []);
  return file && spawnSync(file, ["--version"], { stdio: "ignore" }).status === 0 ? file : undefined;
}

/** Makes one file of a program of this folder; returns the words that start it in sh. */
function bundle(source: string, outfile: string): string {
  const entryPoints = [join(__dirname, source)];
  buildSync({ entryPoints, outfile, bundle: true, platform: "node", format: "cjs", minify: true });
  return `${quoted(process.execPath)} ${quoted(outfile)}`;
}

function writeProgram(file: string, line: string): void {
  writeFileSync(file, `#!/bin/sh\n${line}\n`, { mode: 0o755 });
}

/** A word of sh. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
