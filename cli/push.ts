import { join } from "node:path";
import { isApplied } from "../records/judge";
import { printable, textOf } from "../records/text";
import { isUpload } from "../records/upload";
import type { Aws, ListedVersion } from "./aws";
import type { WaitingContext } from "./context";
import type { Database, Deployment } from "./deployment";
import { CliError, EXIT, type ExitCode, explain } from "./exit";
import { foldersIn, type LocalFile, readFiles } from "./files";
import { conclude, type Outcome, outcomeJson } from "./outcome";
import { type CurrentVerdict, isSame, lookAt, type Sight } from "./runs";
import { waitForVerdicts } from "./wait";

/** How files are uploaded. */
export interface UploadInput extends WaitingContext {
  /** Whether nothing is uploaded: it is only shown what would be. */
  readonly isDryRun: boolean;
  /** Whether what is not here is deleted in the bucket. */
  readonly isDelete: boolean;
}

export interface PushInput extends UploadInput {
  /** Whether it is uploaded unchecked. */
  readonly isUnchecked: boolean;
  /** A deployment in which all of it must be applied as it is. @default none */
  readonly tested?: Deployment;
}

/** What is to be done in a bucket so that it has what is here. */
export interface Plan {
  readonly database: Database;
  /** What the bucket lacks, or has otherwise, in Flyway's order. */
  readonly uploads: readonly LocalFile[];
  /** What the bucket has as it is here, and the database has not: pending, refused, failed. */
  readonly standing: readonly Outcome[];
  /** Keys that are not here. */
  readonly others: readonly string[];
  /** The number of the newest run record. */
  readonly newest: number;
}

/** `flyway-aws push DATABASE [FILES|DIR]`: uploads, and waits for the verdicts. */
export async function push(input: PushInput, name: string, paths: readonly string[]): Promise<ExitCode> {
  const { deployment, terminal, isDelete, isDryRun } = input;
  const database = deployment.database(name);
  const plan = await prepare(input, database, readFiles(paths));
  if (isDelete && plan.others.length > 0 && !isDryRun) {
    const question = `Delete ${plan.others.join(", ")} in the bucket of ${database.name}?`;
    if (!(await terminal.confirm(printable(question)))) return EXIT.error;
  }
  if (isDryRun) {
    showPlans([plan], input);
    return EXIT.success;
  }
  if (!isDelete && plan.others.length > 0) {
    terminal.note(
      `The bucket of ${database.name} has ${plan.others.length} more that are not here: they stay (--delete)`,
    );
  }
  const outcomes = await carryOut(plan, input, (line) => terminal.progress(printable(line)));
  await terminal.endProgress();
  if (outcomes.length === 0) terminal.say(`${database.name}: nothing to do, the bucket has all of it`);
  return conclude(outcomes, terminal);
}

/** `flyway-aws push --all DIR`: a folder per database, all at once; a failure of one stops no other. */
export async function pushAll(input: PushInput, directory: string): Promise<ExitCode> {
  const { deployment, terminal, isDryRun, isDelete } = input;
  if (isDelete) throw new CliError("--delete is of one database", "push that one alone");
  const names = foldersIn(directory);
  if (names.length === 0) {
    throw new CliError(`${directory} has no folder`, "make a folder per database in it, named after it");
  }
  const folders = names.map((name) => [deployment.database(name), join(directory, name)] as const);
  const lines = new Map<string, string>();
  const results = await Promise.all(
    folders.map(async ([database, folder]) => {
      try {
        const plan = await prepare(input, database, readFiles([folder]));
        if (isDryRun) return { database, plan, outcomes: [] };
        const outcomes = await carryOut(plan, input, (line) => {
          lines.set(database.name, line);
          terminal.progress(printable([...lines.values()].join(" · ")));
        });
        return { database, outcomes };
      } catch (error) {
        return { database, outcomes: [], error: explain(error) };
      } finally {
        lines.delete(database.name);
      }
    }),
  );
  await terminal.endProgress();
  const outcomes = results.flatMap((result) => result.outcomes);
  const errors = results.flatMap(({ database, error }) =>
    error ? [{ database: database.name, error: error.message }] : [],
  );
  let code: ExitCode = EXIT.success;
  if (isDryRun)
    showPlans(
      results.flatMap(({ plan }) => plan ?? []),
      input,
    );
  else code = await conclude(outcomes, terminal, { errors });
  for (const { database, outcomes, error } of results) {
    if (error) terminal.note(`${database.name}: ${textOf(error)}`);
    else if (outcomes.length === 0 && !isDryRun) terminal.say(`${database.name}: nothing to do`);
  }
  return results.find(({ error }) => error)?.error?.exitCode ?? code;
}

/** What is to be done, if nothing speaks against it. @throws CliError */
async function prepare(input: PushInput, database: Database, files: readonly LocalFile[]): Promise<Plan> {
  const { aws, terminal, isUnchecked } = input;
  await requireApplied(files, database.name, input);
  const sight = await lookAt(aws, database.bucket);
  if (!isUnchecked) {
    const { checkUploads } = await import("./check/command.js"); // its parser is large
    await checkUploads(aws, database, { files, sight }, (line) => terminal.note(line));
  }
  return planOf(aws, database, files, sight);
}

/** @throws CliError where not all of some files is applied, as it is here, in the deployment where it must be */
async function requireApplied(
  files: readonly LocalFile[],
  name: string,
  { aws, tested }: PushInput,
): Promise<void> {
  if (!tested) return;
  const database = tested.database(name);
  const receipts = new Map((await receiptsOf(aws, database)).applied.map((each) => [each.key, each]));
  const untested: string[] = [];
  for (const file of files) {
    if (!(await isSame(aws, database.bucket, file, receipts.get(file.key)))) untested.push(file.key);
  }
  if (untested.length > 0) {
    throw new CliError(
      `Not applied in ${tested.title} as it is here: ${untested.join(", ")}. Nothing was uploaded`,
      "push it there first",
      EXIT.refused,
    );
  }
}

/** What a bucket has now, by whether its database has it too. */
export async function receiptsOf(
  aws: Aws,
  { bucket }: Database,
): Promise<{ readonly applied: readonly ListedVersion[]; readonly others: readonly CurrentVerdict[] }> {
  const { present, uploads } = await lookAt(aws, bucket);
  const applied = uploads.filter(({ verdict }) => isApplied(verdict));
  return {
    applied: applied.flatMap(({ key }) => present.get(key) ?? []),
    others: uploads.filter(({ verdict }) => !isApplied(verdict)),
  };
}

export async function planOf(
  aws: Aws,
  database: Database,
  files: readonly LocalFile[],
  { present, keys, uploads: current }: Sight,
): Promise<Plan> {
  const { bucket } = database;
  const uploads: LocalFile[] = [];
  for (const file of files) if (!(await isSame(aws, bucket, file, present.get(file.key)))) uploads.push(file);
  const uploaded = new Set(uploads.map(({ key }) => key));
  const here = new Set(files.map(({ key }) => key));
  const standing = current
    .filter(({ key, verdict }) => here.has(key) && !uploaded.has(key) && !isApplied(verdict))
    .map((upload) => ({ database: database.name, ...upload }));
  const others = [...present.keys()].filter((key) => isUpload(key) && !here.has(key));
  return { database, uploads, standing, others, newest: keys.at(-1)?.number ?? 0 };
}

export async function carryOut(
  { database, uploads, standing, others, newest }: Plan,
  { aws, timeout, isDelete }: UploadInput,
  onProgress: (line: string) => void,
): Promise<Outcome[]> {
  const versions: Pick<ListedVersion, "key" | "versionId">[] = [...standing];
  if (isDelete) for (const key of others) await aws.remove(database.bucket, key);
  for (const [index, { key, content }] of uploads.entries()) {
    onProgress(`${database.name}: uploading ${key} (${index + 1} of ${uploads.length})`);
    versions.push({ key, versionId: await aws.put(database.bucket, key, content) });
  }
  // Of what stands, a run says something again only if there is one
  const isRunDue = uploads.length > 0 || standing.some(({ verdict }) => verdict === "pending");
  if (!isRunDue) return [...standing];
  return waitForVerdicts({ aws, database, versions, after: newest, timeout, onProgress });
}

/** What would be done in the buckets. */
export function showPlans(plans: readonly Plan[], { terminal, isDelete }: UploadInput): void {
  const { say, paint } = terminal;
  for (const { database, uploads, standing, others } of plans) {
    for (const { key, content } of uploads) {
      say(paint.bold(printable(`-- ${database.name}/${key}`)));
      say(printable(Buffer.from(content).toString().trimEnd()));
    }
    if (uploads.length === 0) say(`${database.name}: nothing to upload`);
    for (const { key, verdict } of standing)
      say(printable(`${database.name}/${key} is uploaded: ${verdict}`));
    if (isDelete) for (const key of others) say(printable(`${database.name}/${key} would be deleted`));
  }
  terminal.json({
    plans: plans.map(({ database, uploads, standing, others }) => ({
      database: database.name,
      uploads: uploads.map(({ key, content }) => ({ key, sql: Buffer.from(content).toString() })),
      standing: standing.map(outcomeJson),
      deletions: isDelete ? others : [],
    })),
  });
}
