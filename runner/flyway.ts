import { spawn } from "node:child_process";
import { fstatSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type FlywayResult, NO_RESULT, parseResult } from "../records/flyway";
import type { FlywayError } from "../records/record";
import type { Credentials } from "./credentials";
import { jvmArguments } from "./jvm";
import type { Log } from "./log";
import type { Connection } from "./target";

/** What every start of Flyway in a run has in common. */
export interface FlywaySetting {
  /** The release's folder. */
  readonly release: string;
  readonly version: string;
  readonly connection: Connection;
  readonly schema: string;
  /** Folder of the migrations. */
  readonly location: string;
  /** The settings of the database, as options. */
  readonly options: readonly string[];
  /** SQL that each of its connections begins with. */
  readonly initSql: string;
  /** How many files are not known to be applied. */
  readonly newFiles: number;
  /** Where Flyway is started: its folder of authorities. */
  readonly directory: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/** What came of one start of Flyway. */
export interface Answer {
  /** One for each command; that of the failure where there is one. */
  readonly results: readonly FlywayResult[];
  /** Undefined where all went well. */
  readonly error?: FlywayError;
}

/** How much is told of an output that cannot be read, in characters. */
const OUTPUT_LENGTH = 8_000;

/** The locks of assets/host.sh, for Flyway to inherit: a run that is killed while its Flyway works keeps the next waiting. */
const LOCKS = [8, 9];

/**
 * Starts Flyway. It fails by its exit code or by its JSON: it may say 0 of a migration that failed.
 *
 * @param commands such as `migrate info`, in one JVM
 */
export async function runFlyway(
  setting: FlywaySetting,
  { user, password }: Credentials,
  commands: readonly string[],
  log: Log,
): Promise<Answer> {
  const flyway = spawn(join(setting.release, "flyway"), argumentsOf(setting, commands), {
    cwd: setting.directory,
    stdio: ["ignore", "pipe", "pipe", ...LOCKS.filter(isOpen)],
    env: {
      ...setting.variables,
      JAVA_ARGS: [...jvmArguments(setting.release, setting.newFiles), setting.variables.JAVA_ARGS ?? ""].join(
        " ",
      ),
      FLYWAY_URL: setting.connection.url,
      FLYWAY_INIT_SQL: setting.initSql,
      FLYWAY_USER: user,
      FLYWAY_PASSWORD: password,
    },
  });
  const exit = new Promise<number>((resolve) => {
    flyway.on("error", (error) => {
      log.complain(`Flyway cannot be started: ${error.message}`);
      resolve(127);
    });
    flyway.on("close", (code) => resolve(code ?? 128));
  });
  const [output, errors, code] = await Promise.all([
    text(flyway.stdout as NodeJS.ReadableStream),
    text(flyway.stderr as NodeJS.ReadableStream),
    exit,
  ]);
  if (errors.trim()) log.complain(errors.trimEnd());
  // A script may ask where Flyway works: ${flyway:workingDirectory}
  return answerOf(output.replaceAll(setting.directory, "…"), code, commands);
}

/** What Flyway's output and exit code say together. */
export function answerOf(output: string, code: number, commands: readonly string[]): Answer {
  const result = parseResult(output, commands);
  if (result && (result.error !== undefined || code === 0)) return result;
  const what = `Flyway's ${commands[0]} ended with exit code ${code} and no result that can be read`;
  const error = { errorCode: NO_RESULT, message: `${what}\n${output.slice(-OUTPUT_LENGTH)}` };
  return { results: [{ error }], error };
}

export function argumentsOf(
  {
    version,
    connection,
    schema,
    location,
    options,
  }: Omit<FlywaySetting, "release" | "directory" | "newFiles" | "initSql" | "variables">,
  commands: readonly string[],
): string[] {
  const isAtLeast = (major: number, minor: number) => {
    const [releaseMajor = 0, releaseMinor = 0] = version.split(".").map(Number);
    return releaseMajor > major || (releaseMajor === major && releaseMinor >= minor);
  };
  return [
    ...connection.options,
    `-schemas=${schema}`,
    "-connectRetries=3",
    "-outputType=json",
    `-locations=filesystem:${location}`,
    "-baselineOnMigrate=true", // at version 0 if not set: a schema that is not empty gets its V1 too
    "-validateMigrationNaming=true",
    ...options,
    // A 7.x does not know these; a repeatable file that is gone is retired
    ...(isAtLeast(9, 0)
      ? [
          "-skipCheckForUpdate",
          "-failOnMissingLocations=true",
          "-ignoreMigrationPatterns=*:future,repeatable:missing",
        ]
      : []),
    // From 11.15 on it tells the statement that failed with -X alone; that adds nothing else to JSON, or to stderr
    ...(isAtLeast(11, 9) ? ["-X"] : []),
    ...commands,
  ];
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}
