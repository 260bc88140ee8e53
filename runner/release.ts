import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { archiveName, parseArchive } from "../deployment/mapping";
import { downloadSource } from "./download";
import { orFail } from "./failure";
import type { Host } from "./host";
import { archiveClasses } from "./jvm";

/** How long an unfinished installation is left alone, in milliseconds. */
const UNFINISHED = 86_400_000;

/**
 * Installs a Flyway where it is missing: a new version needs no new host.
 *
 * @returns its folder
 * @throws Failure
 */
export async function installRelease(host: Host, version: string): Promise<string> {
  const { aws, log, environment } = host;
  const { releases, root, parameters } = environment;
  const release = join(releases, version);
  const isThere = () => existsSync(join(release, "flyway"));
  if (isThere()) return release;
  await mkdir(releases, { recursive: true });
  const unlock = await lock(join(root, "locks", `install.${version}`));
  try {
    if (isThere()) return release;
    await removeUnfinished(releases);
    const name = archiveName(parameters, version);
    const value = await orFail(
      aws.parameter(name),
      `Flyway ${version} has no archive: add its URL and SHA-256 to flyway_archives`,
      log.complain,
    );
    const archive = parseArchive(name, value);
    log.say(`installing Flyway ${version}`);
    const partial = await mkdtemp(join(releases, ".partial."));
    try {
      const file = join(partial, "archive");
      await downloadSource(host, archive, file, {
        what: `Flyway ${version}`,
        subject: `the archive of Flyway ${version}`,
        lacks: "does not have",
      });
      const folder = join(partial, "release");
      await mkdir(folder);
      const options = ["-C", folder, "--strip-components=1", "--no-same-owner"];
      await orFail(
        promisify(execFile)("tar", ["-xzf", file, ...options]),
        `cannot unpack Flyway ${version}`,
        log.complain,
      );
      await rename(folder, release);
      await archiveClasses(host, release, partial);
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
    return release;
  } finally {
    unlock();
  }
}

/** What installations left that were killed. */
async function removeUnfinished(releases: string): Promise<void> {
  for (const name of await readdir(releases)) {
    const folder = join(releases, name);
    if (name.startsWith(".partial.") && Date.now() - (await stat(folder)).mtimeMs > UNFINISHED) {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

/**
 * Waits for a lock between processes. Node.js has none, so a program holds it for as long as we live.
 *
 * @returns gives it up
 */
async function lock(file: string): Promise<() => void> {
  const holder = spawn("flock", [file, "cat"], { stdio: ["pipe", "pipe", "inherit"] });
  holder.stdin.write("\n");
  await once(holder.stdout, "data"); // it has the lock
  return () => holder.stdin.end();
}
