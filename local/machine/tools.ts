import { spawnSync } from "node:child_process";
import { findExecutable } from "./processes";

/** What the script calls, and the packages that have it. */
const PROGRAMS: { name: string; apt: string; dnf: string; brew: string }[] = [
  { name: "bash", apt: "bash", dnf: "bash", brew: "bash" },
  { name: "flock", apt: "util-linux", dnf: "util-linux-core", brew: "flock" },
  { name: "sha256sum", apt: "coreutils", dnf: "coreutils", brew: "coreutils" },
  { name: "tar", apt: "tar", dnf: "tar", brew: "gnu-tar" },
  { name: "gzip", apt: "gzip", dnf: "gzip", brew: "gzip" },
  { name: "xargs", apt: "findutils", dnf: "findutils", brew: "findutils" },
  { name: "awk", apt: "mawk", dnf: "gawk", brew: "gawk" },
];

/**
 * The programs that the host script needs and PATH doesn't have, each with the line that installs it, such as
 * `flock: brew install flock`; empty where nothing is missing. A bash older than 4.2, as macOS has, is missing.
 */
export function missingPrograms(): string[] {
  if (process.platform === "win32") return ["a Unix: run this in the Windows Subsystem for Linux"];
  const missing = PROGRAMS.filter(({ name }) => (name === "bash" ? !hasBash() : !findExecutable([name], [])));
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
