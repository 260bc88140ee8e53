import { readFileSync, writeFileSync } from "node:fs";
import { decode } from "../../deployment/decode";
import type { Encoding } from "../../deployment/mapping";
import { isApplied } from "../../records/judge";
import type { RunRecord } from "../../records/record";
import { printable } from "../../records/text";
import type { Aws } from "../aws";
import type { WaitingContext } from "../context";
import type { Database } from "../deployment";
import { CliError, EXIT, type ExitCode } from "../exit";
import { operate } from "../operations";
import { LOOKS, lookAt, readRecord, type Sight } from "../runs";
import { type Failure, planResume, Untold } from "./plan";

export interface ResumeOptions {
  /** The whole file, corrected from the statement on that failed. @default as it is in the bucket */
  readonly file?: string;
  /** Where the resumed file is written, too. */
  readonly output?: string;
}

/**
 * `flyway-aws resume DATABASE [FILE]`: uploads of a file that failed half way what is missing, and has the host repair, once both are
 * confirmed.
 */
export async function resume(
  context: WaitingContext,
  name: string,
  { file, output }: ResumeOptions,
): Promise<ExitCode> {
  const { aws, deployment, terminal } = context;
  const database = deployment.database(name);
  const { key, failure, present } = await failureOf(aws, database);
  const corrected = file === undefined ? present : textOf(readFile(file), database, file);
  const { text, difference } = plan(failure, corrected, key);
  terminal.say(printable(`${database.name}/${key}, without what of it is in the schema (-):`));
  for (const line of difference) terminal.say(printable(line));
  if (output !== undefined) writeFileSync(output, text);
  const question = `Upload it so as ${key}, and have the host repair? The schema must be as that run left it.`;
  if (!(await terminal.confirm(question))) return EXIT.error;
  await aws.put(database.bucket, key, Buffer.from(text)); // without a letter beyond ASCII, or in UTF-8
  if (output === undefined) {
    terminal.note(`Keep it as it is now, for the next push: flyway-aws resume … --output ${key}`);
  }
  return operate(context, { database, operation: "repair" });
}

/** The file that stands half applied, and what the bucket has of it now. @throws CliError where there is none, or it is gone */
async function failureOf(
  aws: Aws,
  database: Database,
): Promise<{ readonly key: string; readonly failure: Failure; readonly present: string }> {
  const { bucket, name } = database;
  const sight = await lookAt(aws, bucket);
  const record = await halfAppliedIn(aws, bucket, sight);
  const { halfApplied } = record ?? {};
  const object = record?.objects.find(({ key }) => key === halfApplied?.key);
  if (!record || !halfApplied || !object) {
    throw new CliError(`No file of ${name} stands half applied`, `flyway-aws status ${name} says what does`);
  }
  const content = await aws.get(bucket, object.key, object.versionId);
  const present = await aws.get(bucket, object.key);
  if (!content || !present) {
    throw new CliError(
      `${object.key}, as it failed, is gone from the bucket of ${name}`,
      "take out by hand what its verdict lists",
    );
  }
  const failure = {
    text: textOf(content, database, object.key),
    halfApplied,
    errorCode: record.flyway.migrate?.error?.sqlErrorCode ?? null,
  };
  return { key: object.key, failure, present: textOf(present, database, object.key) };
}

/** The newest record that says what a file has left which is not applied since; undefined where there is none. */
async function halfAppliedIn(
  aws: Aws,
  bucket: string,
  { keys, newest }: Sight,
): Promise<RunRecord | undefined> {
  const applied = new Set(
    (newest?.objects ?? []).filter(({ verdict }) => isApplied(verdict)).map(({ key }) => key),
  );
  for (const key of keys.slice(-LOOKS).reverse()) {
    const record = await readRecord(aws, bucket, key);
    if (record?.halfApplied) return applied.has(record.halfApplied.key) ? undefined : record;
  }
  return undefined;
}

function plan(failure: Failure, corrected: string, key: string) {
  try {
    return planResume(failure, corrected);
  } catch (error) {
    if (!(error instanceof Untold)) throw error;
    throw new CliError(
      `What of ${key} landed cannot be told statement by statement: ${error.message}`,
      "look at the schema, take out of the file what is there, upload it, and say flyway-aws repair",
    );
  }
}

function readFile(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${(error as Error).message}`, "name the corrected file");
  }
}

/** @throws CliError where it is in another encoding than UTF-8, in which it is uploaded */
function textOf(content: Uint8Array, { mapping, name }: Database, file: string): string {
  const encoding: Encoding = mapping.encoding ?? "UTF-8";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is the same in each encoding
  if (encoding !== "UTF-8" && !/^[\x00-\x7f]*$/.test(Buffer.from(content).toString("latin1"))) {
    throw new CliError(
      `${file} has letters beyond ASCII, and the files of ${name} are in ${encoding}`,
      "take out of it what is there, save it as it was, upload it, and say flyway-aws repair",
    );
  }
  try {
    return decode(content, "UTF-8");
  } catch {
    throw new CliError(`${file} is not in UTF-8`, "save it as UTF-8");
  }
}
