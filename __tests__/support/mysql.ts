import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";
import { findExecutable } from "../../local/machine/processes";
import { cachedFolder } from "./cache";
import { skipLoudly } from "./moto";

declare module "vitest" {
  interface ProvidedContext {
    /** Path of MySQL's server, in the project `mysql` where there is one. */
    mysqld: string | undefined;
  }
}

const run = promisify(execFile);

/** Debian's, which serves no other release of MySQL than the newest. */
const SUITE = "unstable";
const PACKAGE = "mysql-server-core";

/** Names the server to a test's process, and to those that it starts. */
export const MYSQLD = "TEST_MYSQLD";

/** Which dependencies a package cannot do without. */
const REQUIRED = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map(
  (kind) => `--no-${kind}`,
);

/** The server that the tests of this project run on; undefined where that is the local chain's own choice. */
export function mysqld(): string | undefined {
  return process.env[MYSQLD];
}

/** Before the first test of the project `mysql`: finds MySQL, which the tests skip without. */
export default async function setup(project: TestProject): Promise<void> {
  project.provide("mysqld", await findMysql());
}

/** Brings Debian's where there is apt and a source of Debian's; else one on PATH. */
async function findMysql(): Promise<string | undefined> {
  const isWhole = (folder: string) => existsSync(join(folder, "mysqld"));
  const site = await debianSite();
  if (site === undefined) return mysqlOnPath();
  try {
    const folder = await cachedFolder(PACKAGE, isWhole, async (target) => {
      process.stderr.write("Getting Debian's MySQL for the tests, once: 60 MB.\n");
      await unpackPackages(site, target);
    });
    return join(folder, "mysqld");
  } catch (error) {
    return mysqlOnPath(`Debian's ${PACKAGE} could not be had: ${error}`);
  }
}

/**
 * The address that this machine's own apt has Debian from; undefined where it has none. By what apt would ask for: it has no list
 * yet where it was never updated, as in a container.
 */
async function debianSite(): Promise<string | undefined> {
  if (!findExecutable(["apt-get"], []) || process.arch !== "x64") return undefined;
  const { stdout } = await run("apt-get", ["update", "--print-uris"]).catch(() => ({ stdout: "" }));
  return /^'(https?:\/\/[^']+?\/debian)\/+dists\//m.exec(stdout)?.[1];
}

async function mysqlOnPath(why = "apt has no source of Debian's"): Promise<string | undefined> {
  const program = findExecutable(["mysqld"], []);
  if (program && !/mariadb/i.test((await run(program, ["--version"])).stdout)) return program;
  return void skipLoudly("tests on MySQL", `${why}, and there is no MySQL's mysqld on PATH`);
}

/**
 * Unpacks the server and all that it needs, the C library among it, without installing anything: apt works with lists, a
 * cache and a source of its own, and the server is started by its own loader.
 */
async function unpackPackages(site: string, folder: string): Promise<void> {
  const aptPath = (name: string) => join(folder, "apt", name);
  for (const name of ["lists/partial", "cache/archives/partial", "sources", "packages"]) {
    mkdirSync(aptPath(name), { recursive: true });
  }
  writeFileSync(aptPath("status"), "");
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  writeFileSync(aptPath("sources.list"), `deb [signed-by=${keyring}] ${site} ${SUITE} main\n`);
  writeFileSync(
    aptPath("apt.conf"),
    `Dir::State::lists "${aptPath("lists")}";
Dir::State::status "${aptPath("status")}";
Dir::Cache "${aptPath("cache")}";
Dir::Etc::sourcelist "${aptPath("sources.list")}";
Dir::Etc::sourceparts "${aptPath("sources")}";
Dir::Etc::preferencesparts "${aptPath("sources")}";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
`,
  );
  const options = { cwd: aptPath("packages"), env: { ...process.env, APT_CONFIG: aptPath("apt.conf") } };
  await run("apt-get", ["update", "-q"], options);
  const { stdout } = await run("apt-cache", ["depends", "--recurse", ...REQUIRED, PACKAGE], options);
  const packages = new Set(stdout.match(/^[a-z0-9][^\s:]*$/gm));
  await run("apt-get", ["download", "-q", ...packages], options);
  for (const file of readdirSync(aptPath("packages"))) {
    await run("dpkg", ["-x", join(aptPath("packages"), file), folder]);
  }
  const libraries = ["lib/x86_64-linux-gnu", "lib/mysql/private"].map((name) => `"$here/usr/${name}"`);
  writeFileSync(
    join(folder, "mysqld"),
    `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec "$here/usr/lib64/ld-linux-x86-64.so.2" --library-path ${libraries.join(":")} "$here/usr/sbin/mysqld" "$@" \\
  --lc-messages-dir="$here/usr/share/mysql" --plugin-dir="$here/usr/lib/mysql/plugin"
`,
    { mode: 0o755 },
  );
  rmSync(join(folder, "apt"), { recursive: true });
}
