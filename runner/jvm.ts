import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "./failure";
import type { Host } from "./host";

/*
 * The JVM that Flyway runs in, and a class-data archive of a release: Flyway's classes as the JVM needs them, read from jars
 * once. A start takes two thirds of the processor's time with it:
 * https://docs.oracle.com/en/java/javase/21/vm/class-data-sharing.html
 */

/** How long the making may take, in milliseconds; it takes about three seconds. */
const TIMEOUT = 120_000;

/** The JVM's warnings are on its standard output, where Flyway's JSON is. */
const SILENT = "-Xlog:disable -Xlog:all=error:stderr";

/** From so many new files on, the second compiler pays: over 1,000 it costs as much as it spares, over 2,000 it spares a quarter. */
const MANY = 1_000;

/** A JVM that lives for seconds: without the compiler and the collector that pay for servers it needs half of the CPU time. */
const FIRST_COMPILER = "-XX:TieredStopAtLevel=1";
const COLLECTOR = "-XX:+UseSerialGC";

/**
 * The arguments of the JVM that a release's Flyway runs in. A class-data archive that is damaged is found, and not used.
 *
 * @param newFiles how many files are not known to be applied
 */
export function jvmArguments(release: string, newFiles: number): string[] {
  const lean = newFiles < MANY ? [FIRST_COMPILER, COLLECTOR] : [COLLECTOR];
  const archive = archiveOf(release);
  // Flyway's script parts its arguments at white space
  if (/\s/.test(archive) || !existsSync(archive)) return lean;
  return [...lean, `-XX:SharedArchiveFile=${archive}`, "-XX:+VerifySharedSpaces", SILENT];
}

/**
 * Makes the archive, by a migration of a database in memory. Flyway works without it as well, so where it cannot be made, as
 * with the JVM of 7.x, that is but said.
 *
 * @param scratch folder that is removed later
 */
export async function archiveClasses(
  { environment, log }: Host,
  release: string,
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
          JAVA_ARGS: [FIRST_COMPILER, COLLECTOR, `-XX:ArchiveClassesAtExit=${archive}`, SILENT].join(" "),
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
