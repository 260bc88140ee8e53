import { forEach } from "../deployment/pool";
import { isApplied } from "../records/judge";
import type { RunRecord } from "../records/record";
import { printable } from "../records/text";
import { describeWork, type Work } from "../records/work";
import type { Aws } from "./aws";
import type { Context } from "./context";
import { EXIT, type ExitCode, explain } from "./exit";
import { exitCodeOf, showMessages } from "./outcome";
import { type CurrentVerdict, lookAt, readRecord, type Sight, work } from "./runs";
import { ago, table } from "./terminal";

/** How many of the last runs are shown. */
const RUNS = 5;

/** How many databases are looked at at once. */
const LOOKS = 8;

export interface StatusInput extends Context {
  /** In milliseconds. */
  readonly now: number;
}

/** How a database stands. */
interface Status extends Sight {
  readonly works: readonly Work[];
}

/** `flyway-aws status`: a line for each database. */
export async function statusOfAll({ aws, deployment, terminal, now }: StatusInput): Promise<ExitCode> {
  const { databases } = deployment;
  terminal.progress(`looking at ${databases.length} databases`);
  const results = new Map<string, Status | { readonly error: string }>();
  await forEach(databases, LOOKS, async ({ name, bucket }) => {
    results.set(name, await statusOf(aws, bucket).catch((error) => ({ error: explain(error).message })));
  });
  await terminal.endProgress();
  const all = databases.map(({ name }) => [name, results.get(name) as Status | { error: string }] as const);
  const rows = all.map(([name, status]) => {
    if ("error" in status) return [name, "", "", "", "", printable(status.error)];
    const { applied, pending, refused, failed } = counts(status.uploads);
    return [name, applied, pending, refused, failed, lastRun(status, now)].map(String);
  });
  terminal.say(await table(["database", "applied", "pending", "refused", "failed", "last run"], rows));
  terminal.json({
    databases: all.map(([name, status]) => ({
      name,
      ...("error" in status ? status : { ...counts(status.uploads), ...runsJson(status) }),
    })),
  });
  if (all.some(([, status]) => "error" in status)) return EXIT.error;
  return exitCodeOf(all.flatMap(([, status]) => ("error" in status ? [] : status.uploads)));
}

/** `flyway-aws status DATABASE`. */
export async function statusOfOne(
  { aws, deployment, terminal, now }: StatusInput,
  name: string,
): Promise<ExitCode> {
  const database = deployment.database(name);
  terminal.progress(`looking at ${database.name}`);
  const [status, host] = await Promise.all([
    statusOf(aws, database.bucket),
    deployment
      .target()
      .then(async ({ instanceId }) => ({ instanceId, ping: (await aws.pingStatus(instanceId)) ?? "unknown" }))
      .catch((error) => ({ instanceId: null, ping: explain(error).message })),
  ]);
  const runs = (
    await Promise.all(status.keys.slice(-RUNS).map((key) => readRecord(aws, database.bucket, key)))
  ).filter((record) => record !== undefined);
  await terminal.endProgress();
  const { say, paint } = terminal;
  say(`${paint.bold(database.name)}  s3://${database.bucket}  Flyway ${database.mapping.flywayVersion}`);
  say(`Host ${host.instanceId ?? ""}: ${host.ping}`);
  for (const each of status.works) say(`Now: ${printable(describeWork(each))}`);
  say("");
  const rows = status.uploads.map(({ key, verdict, uploadedAt, isEdited }) => [
    printable(key),
    paint.verdict(verdict),
    isEdited ? "edited since it was applied" : `uploaded ${ago(uploadedAt, now)}`,
  ]);
  say(rows.length > 0 ? await table(["file", "verdict", ""], rows) : "No migration is in the bucket.");
  const unapplied = status.uploads.filter(({ verdict }) => !isApplied(verdict));
  showMessages(
    unapplied.map(({ key, message }) => ({ name: key, message })),
    terminal,
  );
  say(`\n${paint.bold("Last runs")}`);
  const runRows = runs
    .reverse()
    .map((run) => [String(run.number), ago(run.finishedAt, now), endOf(run), run.commandId]);
  say(runRows.length > 0 ? await table(["run", "ended", "", "command"], runRows) : "No run has ended yet.");
  terminal.json({
    name: database.name,
    bucket: database.bucket,
    host,
    ...counts(status.uploads),
    uploads: status.uploads,
    ...runsJson(status),
    runs: runs.map(runJson),
  });
  return exitCodeOf(status.uploads);
}

async function statusOf(aws: Aws, bucket: string): Promise<Status> {
  const [sight, works] = await Promise.all([lookAt(aws, bucket), work(aws, bucket)]);
  return { ...sight, works };
}

function counts(uploads: readonly CurrentVerdict[]) {
  const count = (...verdicts: string[]) => uploads.filter(({ verdict }) => verdicts.includes(verdict)).length;
  return {
    applied: count("applied", "already-applied"),
    pending: count("pending"),
    refused: count("refused"),
    failed: count("failed"),
  };
}

function lastRun({ newest, works }: Status, now: number): string {
  const [running] = works;
  if (running) return printable(describeWork(running)).split("\n", 1)[0] as string;
  return newest ? `${endOf(newest)} ${ago(newest.finishedAt, now)}` : "never";
}

/** How a run ended, in a few words. */
export function endOf({ exitCode, flyway, operation }: RunRecord): string {
  const applied = flyway.migrate?.migrations?.length ?? 0;
  const what = applied > 0 ? `applied ${applied}` : "nothing new";
  return `${operation === "migrate" ? "" : `${operation}: `}${exitCode === 0 ? what : `failed${applied > 0 ? `, ${what}` : ""}`}`;
}

/** A run as the command's JSON has it. */
export function runJson(run: RunRecord) {
  const { number, commandId, operation, startedAt, finishedAt, exitCode, reason } = run;
  const applied = (run.flyway.migrate?.migrations ?? []).map(({ filepath }) =>
    filepath.slice(run.location.length + 1),
  );
  return { number, commandId, operation, startedAt, finishedAt, exitCode, reason, applied };
}

function runsJson({ newest, works }: Status) {
  return { lastRun: newest ? runJson(newest) : null, now: works };
}
