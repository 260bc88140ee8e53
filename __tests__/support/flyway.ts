import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type FlywayArchive, officialArchives } from "../../deployment/archives";
import { DEFAULT_FLYWAY_VERSION } from "../../deployment/databases";
import { artifactUrl } from "../../deployment/maven";
import { cacheFolder, download } from "../../local/machine/downloads";
import { findExecutable } from "../../local/machine/processes";
import { skipLoudly } from "./moto";

/** Stands for 12 and 13, whose bundles are on GitHub only. */
export const NEWER = "12.5.0";

/** What its command line needs to migrate a MySQL; the driver is the one that its bundle has, by its pom. */
const JARS: readonly (readonly [coordinates: string, sha256: string])[] = [
  [
    `org.flywaydb:flyway-commandline:${NEWER}`,
    "860da215e3362a4a5f3fc5cab17c8ecfa2abef9cbff463c24eebb1adaa1b92c7",
  ],
  [`org.flywaydb:flyway-core:${NEWER}`, "4f8de74f29dc8727b68d59f01c5e6f6bfcd7228b757d091fc4a9043005cc88d2"],
  [`org.flywaydb:flyway-mysql:${NEWER}`, "83c559e0f08688b1a6e58bc8d9fee66655eba5abbe5e36a388d52e58ad1cfbcc"],
  [
    "com.fasterxml.jackson.core:jackson-annotations:2.21",
    "53ca085f4a150f703f49e1aabd935bd03b43e1ea3d55d135438292af22cef56b",
  ],
  [
    "tools.jackson.core:jackson-core:3.1.1",
    "4cd270bee1a1aa34be18da78268f3879355b6ea09154beff496831785b6194c9",
  ],
  [
    "tools.jackson.core:jackson-databind:3.1.1",
    "a80302c80cb02803e33d7b3301a0d619146d3191d285e6bbd39fa17d3aa5f24a",
  ],
  [
    "tools.jackson.dataformat:jackson-dataformat-toml:3.1.1",
    "67f42d8948279aabad2a59974f573151f6bd20a347983c1e408e311074ebafba",
  ],
  [
    "org.mariadb.jdbc:mariadb-java-client:2.7.13",
    "20f01b9bf7eb8abb87e6af32641dd0cfd2784cfe37a74720cb487960f911278f",
  ],
];

/**
 * Makes an archive of `NEWER` from its makers' jars, laid out as the bundle is, but without flyway-reports, which is
 * not published: so it ends with 0 where a migration fails. Java is that of 11.8.2's bundle, or one on PATH.
 *
 * @param folder where the archive is put; must exist
 */
export async function newerArchive(folder: string): Promise<FlywayArchive> {
  const name = `flyway-${NEWER}`;
  const release = join(folder, name);
  mkdirSync(join(release, "lib"), { recursive: true });
  const repository = process.env.MAVEN_REPOSITORY?.replace(/\/*$/, "/");
  for (const [coordinates, sha256] of JARS) {
    const [groupId, artifactId, version] = coordinates.split(":") as [string, string, string];
    const artifact = { groupId, artifactId, version, extension: "jar" };
    const url = await artifactUrl(artifact, repository || undefined);
    const jar = `${artifactId}-${version}.jar`;
    const source = { name: jar, url, sha256, label: coordinates, setting: "MAVEN_REPOSITORY" };
    copyFileSync(await download(source, () => {}), join(release, "lib", jar));
  }
  const script = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec '${await findJava()}' $JAVA_ARGS -cp "$here/lib/*" org.flywaydb.commandline.Main "$@"
`;
  writeFileSync(join(release, "flyway"), script, { mode: 0o755 });
  const archive = join(folder, `${name}.tar.gz`);
  execFileSync("tar", ["-czf", archive, "-C", folder, name]);
  rmSync(release, { recursive: true });
  return {
    url: `file://${archive}`,
    sha256: createHash("sha256").update(readFileSync(archive)).digest("hex"),
  };
}

/** Releases whose words and exit codes differ; where there is no Java of 17 for `NEWER`, that is said. */
export function testedVersions(): string[] {
  const versions = [DEFAULT_FLYWAY_VERSION, "7.7.3"];
  if (isLinuxX64 || javaOnPath()) return [...versions, NEWER];
  skipLoudly(`tests of Flyway ${NEWER}`, "there is no Java of 17 or later on PATH");
  return versions;
}

const isLinuxX64 = process.platform === "linux" && process.arch === "x64";

function javaOnPath(): string | undefined {
  const java = findExecutable(["java"], []);
  if (!java) return undefined;
  const output = execFileSync(java, ["--version"], { encoding: "utf8" });
  return Number(/\b(\d+)\./.exec(output)?.[1]) >= 17 ? java : undefined;
}

/** The JRE of the bundle that the other tests need in any case: Java 21. */
async function findJava(): Promise<string> {
  if (!isLinuxX64) return javaOnPath() as string;
  const version = DEFAULT_FLYWAY_VERSION;
  const installed = join(cacheFolder(), "releases", version, "jre", "bin", "java");
  if (existsSync(installed)) return installed;
  const jre = join(cacheFolder(), `jre-of-flyway-${version}`);
  if (!existsSync(jre)) {
    const archive = (await officialArchives(process.env.MAVEN_REPOSITORY))[version] as FlywayArchive;
    const source = {
      name: `flyway-${version}.tar.gz`,
      ...archive,
      label: `Flyway ${version}`,
      setting: "MAVEN_REPOSITORY",
    };
    const bundle = await download(source, () => {});
    const partial = `${jre}.${process.pid}.part`;
    mkdirSync(partial);
    execFileSync("tar", ["-xzf", bundle, "-C", partial, "--strip-components=2", `flyway-${version}/jre`]);
    try {
      renameSync(partial, jre);
    } catch (error) {
      rmSync(partial, { recursive: true, force: true });
      if (!existsSync(jre)) throw error; // another process was faster
    }
  }
  return join(jre, "bin", "java");
}
