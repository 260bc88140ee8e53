import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "./failure";
import type { Host } from "./host";

/*
 * A class-data archive of a release: Flyway's classes as the JVM needs them, read from jars once. A start takes two thirds of
 * the processor's time with it: https://docs.oracle.com/en/java/javase/21/vm/class-data-sharing.html
 */

/** How long the making may take, in milliseconds; it takes about three seconds. */
const TIMEOUT = 120_000;

/** The JVM's warnings are on its standard output, where Flyway's JSON is. */
const SILENT = "-Xlog:disable -Xlog:all=error:stderr";

/** The JVM's arguments by which Flyway uses the archive; none where there is none. A damaged one is found, and not used. */
export function classArguments(release: string): string[] {
  const archive = archiveOf(release);
  // Flyway's script parts its arguments at white space
  if (/\s/.test(archive) || !existsSync(archive)) return [];
  return [`-XX:SharedArchiveFile=${archive}`, "-XX:+VerifySharedSpaces", SILENT];
}

/**
 * Makes the archive, by a migration of a database in memory. Flyway works without it as well, so where it cannot be made, as
 * with the JVM of 7.x, that is but said.
 *
 * @param javaArguments as Flyway's are else
 * @param scratch folder that is removed later
 */
export async function archiveClasses(
  { environment, log }: Host,
  release: string,
  javaArguments: readonly string[],
  scratch: string,
): Promise<void> {
  if (/\s/.test(scratch)) return; // as above
  const location = join(scratch, "sql");
  const archive = join(scratch, "classes");
  try {
    await mkdir(location);
    await writeFile(join(location, "V1__a.sql"), "CREATE TABLE a (id int);");
    const options = [
      "-user=sa",
      "-password=",
      "-schemas=a",
      "-outputType=json",
      `-locations=filesystem:${location}`,
    ];
    await promisify(execFile)(
      join(release, "flyway"),
      ["-url=jdbc:h2:mem:a", ...options, "-skipCheckForUpdate", "migrate", "info"],
      {
        cwd: scratch,
        env: {
          PATH: environment.variables.PATH,
          JAVA_ARGS: [...javaArguments, `-XX:ArchiveClassesAtExit=${archive}`, SILENT].join(" "),
        },
        timeout: TIMEOUT,
      },
    );
    await rename(archive, archiveOf(release));
  } catch (error) {
    log.complain(`Flyway starts without a class-data archive: ${messageOf(error).split("\n", 1)[0]}`);
  }
}

function archiveOf(release: string): string {
  return join(release, "classes.jsa");
}
