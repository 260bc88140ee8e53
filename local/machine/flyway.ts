import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FlywayArchive, FlywayArchives } from "../../deployment/archives";
import { cacheFolder, download, type Progress } from "./downloads";
import { findExecutable } from "./processes";

/** The Flyway that the host will run. */
export interface LocalFlyway {
  readonly version: string;
  /** What the parameter `/flyway/archive/<version>` says. */
  readonly archive: FlywayArchive;
  /** Where the host keeps its releases; shared by all chains, so that a release is unpacked once. */
  readonly releases: string;
}

/**
 * Gets Flyway's archive into the cache; the runner installs it from there, as it would on AWS. Where there
 * is no bundle for this platform, a Flyway on PATH stands in.
 *
 * @param directory private folder of this chain; must exist
 * @throws with the remedy where the version's archive is not known, or there is no Flyway for this platform
 */
export async function findFlyway(
  version: string,
  archives: FlywayArchives,
  directory: string,
  progress: Progress,
): Promise<LocalFlyway> {
  if (process.platform !== "linux" || process.arch !== "x64") return flywayOnPath(directory);
  const archive = archives[version];
  if (archive === undefined) {
    const known = Object.keys(archives).join(", ");
    throw new Error(
      `The archive of Flyway ${version} is not known; known are ${known}. Add --flyway-url URL --flyway-sha256 SUM`,
    );
  }
  const releases = join(cacheFolder(), "releases");
  if (existsSync(join(releases, version, "flyway"))) return { version, archive, releases };
  const file = await download(
    {
      name: `flyway-${version}.tar.gz`,
      ...archive,
      label: `Flyway ${version}`,
      setting: "MAVEN_REPOSITORY or --flyway-url",
    },
    progress,
  );
  return { version, archive: { ...archive, url: `file://${file}` }, releases };
}

/** A Flyway that a person has installed, in the place where the host looks for its own. */
function flywayOnPath(directory: string): LocalFlyway {
  const program = findExecutable(["flyway"]);
  if (program === undefined) {
    throw new Error(
      `Flyway's bundle is for Linux x64, and there is no flyway on PATH. Install it: ${
        process.platform === "darwin" ? "brew install flyway" : "https://documentation.red-gate.com/flyway"
      }`,
    );
  }
  const version = /(\d+(\.\d+){1,2})/.exec(execFileSync(program, ["-v"], { encoding: "utf8" }))?.[1];
  if (version === undefined) throw new Error(`${program} -v does not tell its version`);
  const releases = join(directory, "releases");
  mkdirSync(join(releases, version), { recursive: true });
  const quoted = `'${program.replaceAll("'", "'\\''")}'`;
  writeFileSync(join(releases, version, "flyway"), `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
  return { version, archive: { url: "", sha256: "" }, releases };
}
