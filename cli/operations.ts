import { commandFor, reconcileCommand } from "../deployment/command";
import type { Operation, RunRecord } from "../records/record";
import { printable, textOf } from "../records/text";
import { describeWork } from "../records/work";
import { isUnderWay } from "./aws";
import type { WaitingContext } from "./context";
import type { Database } from "./deployment";
import { CliError, EXIT, type ExitCode } from "./exit";
import { conclude } from "./outcome";
import { poll } from "./poll";
import { readRecord, recordKeys, work } from "./runs";

/** `flyway-aws repair DATABASE`: takes failed migrations out of Flyway's history, and migrates. */
export function repair(context: WaitingContext, name: string): Promise<ExitCode> {
  const database = context.deployment.database(name);
  return operate(context, {
    database,
    operation: "repair",
    question:
      `Take failed migrations out of Flyway's history of ${database.name}, and migrate? ` +
      "The files in its bucket must not repeat what is in the schema already.",
  });
}

/** `flyway-aws baseline DATABASE`: has Flyway take the schema for what it is at baseline_version, and migrates. */
export function baseline(context: WaitingContext, name: string): Promise<ExitCode> {
  const database = context.deployment.database(name);
  const { baselineVersion } = database.mapping;
  if (baselineVersion === undefined) {
    throw new CliError(
      `No baseline_version of ${database.name} is set`,
      "set it, in flyway_database_settings, to the version that the schema is at, and apply",
    );
  }
  return operate(context, {
    database,
    operation: "baseline",
    question:
      `Take the schema ${database.name} for what it is at version ${baselineVersion}, and migrate? ` +
      "Flyway's history of it, in which nothing is applied, is made anew; files up to that version are never run, " +
      "and those above it must not repeat what is in the schema already.",
  });
}

interface Operating {
  readonly database: Database;
  readonly operation: Exclude<Operation, "migrate">;
  /** What is asked before; unset where that was done. */
  readonly question?: string;
}

/** Has the host do something before it migrates, and tells what became of the bucket. */
export async function operate(context: WaitingContext, operating: Operating): Promise<ExitCode> {
  const { terminal } = context;
  const { database, operation, question } = operating;
  if (question !== undefined && !(await terminal.confirm(question))) return EXIT.error;
  const record = await runOn(context, operating);
  if (!record) return EXIT.timedOut;
  const { repairRefused, commandId } = record;
  if (repairRefused !== null) terminal.note(`The ${operation} was refused: ${printable(repairRefused)}`);
  const outcomes = record.objects.map((object) => ({
    ...{ database: database.name, key: object.key, versionId: object.versionId },
    ...{ verdict: object.verdict, message: textOf(object), commandId },
  }));
  const code = await conclude(outcomes, terminal, { repairRefused });
  return repairRefused === null ? code : EXIT.refused;
}

/** `flyway-aws validate DATABASE`: has the host compare Flyway's history with the bucket. */
export async function validate(context: WaitingContext, name: string): Promise<ExitCode> {
  const { deployment, terminal } = context;
  const database = deployment.database(name);
  const question = `Have the host compare Flyway's history of ${database.name} with its bucket? Nothing is migrated.`;
  if (!(await terminal.confirm(question))) return EXIT.error;
  const record = await runOn(context, { database, operation: "validate" });
  if (!record) return EXIT.timedOut;
  const { reason, flyway, commandId } = record;
  terminal.say(printable(reason ?? `${database.name}: Flyway's history and the bucket go together`));
  terminal.json({ commandId, findings: reason?.split("\n") ?? [] });
  if (reason === null) return EXIT.success;
  return flyway.validate === null ? EXIT.failed : EXIT.refused;
}

/** Has the host do something with a bucket; its record, or undefined where the time was over before. */
async function runOn(
  { aws, deployment, terminal, timeout }: WaitingContext,
  { database, operation }: Operating,
): Promise<RunRecord | undefined> {
  const { bucket } = database;
  const newest = (await recordKeys(aws, bucket)).at(-1)?.number;
  const command = commandFor(bucket, await deployment.target());
  const id = await aws.sendCommand({
    ...command,
    Parameters: { ...command.Parameters, Operation: [operation] },
  });
  terminal.note(`command ${id}`);
  const look = async () => {
    const key = (await recordKeys(aws, bucket, newest)).find(({ commandId }) => commandId === id);
    return key && readRecord(aws, bucket, key);
  };
  const record = await poll(timeout, look, async () => {
    const [now] = await work(aws, bucket);
    terminal.progress(printable(`${database.name}: ${now ? describeWork(now) : "waiting for the host"}`));
  });
  await terminal.endProgress();
  if (!record) terminal.note(`No end within ${timeout} s; the run goes on: flyway-aws logs ${id}`);
  return record;
}

/** `flyway-aws reconcile`: has the host look at every bucket, and run what is due. */
export async function reconcile({ aws, deployment, terminal, timeout }: WaitingContext): Promise<ExitCode> {
  const count = deployment.databases.length;
  const question = `Have the host look at ${count} ${count === 1 ? "bucket" : "buckets"}, and migrate what is due?`;
  if (!(await terminal.confirm(question))) return EXIT.error;
  const target = await deployment.target();
  const id = await aws.sendCommand(reconcileCommand(target, Date.now()));
  terminal.note(`command ${id}`);
  let status = "Pending";
  const look = async () => {
    const [state] = await aws.commands(target.instanceId, id);
    status = state?.Status ?? status;
    return isUnderWay(status) ? undefined : status;
  };
  const end = await poll(timeout, look, () => terminal.progress(`reconcile: ${status}`));
  await terminal.endProgress();
  if (end === undefined) {
    terminal.note(`No end within ${timeout} s; it goes on: flyway-aws logs ${id}`);
    return EXIT.timedOut;
  }
  terminal.say(end === "Success" ? "All buckets were looked at." : `The reconcile ended: ${end}`);
  terminal.json({ commandId: id, status: end });
  if (end === "Success") return EXIT.success;
  terminal.note(`To see why: flyway-aws logs ${id}; flyway-aws status`);
  return EXIT.failed;
}
