import { setTimeout as sleep } from "node:timers/promises";
import { commandFor, reconcileCommand } from "../deployment/command";
import { printable } from "../records/text";
import { describeWork } from "../records/work";
import type { Aws } from "./aws";
import type { Deployment } from "./deployment";
import { EXIT, type ExitCode } from "./exit";
import { exitCodeOf, outcomeJson, showOutcomes } from "./outcome";
import { readRecord, recordKeys, work } from "./runs";
import type { Terminal } from "./terminal";

/** How often it is looked whether a run has ended, in milliseconds. */
const PAUSE = 1_500;

export interface OperationInput {
  readonly aws: Aws;
  readonly deployment: Deployment;
  readonly terminal: Terminal;
  /** How long the end is waited for, in seconds. */
  readonly timeout: number;
}

/** `flyway-aws repair DATABASE`: takes failed migrations out of Flyway's history, and migrates. */
export async function repair(
  { aws, deployment, terminal, timeout }: OperationInput,
  name: string,
): Promise<ExitCode> {
  const database = deployment.database(name);
  const question =
    `Take failed migrations out of Flyway's history of ${database.name}, and migrate? ` +
    "The files in its bucket must not repeat what is in the schema already.";
  if (!(await terminal.confirm(question))) return EXIT.error;
  const keys = await recordKeys(aws, database.bucket);
  const command = commandFor(database.bucket, await deployment.target());
  const id = await aws.sendCommand({
    ...command,
    Parameters: { ...command.Parameters, Operation: ["repair"] },
  });
  terminal.note(`command ${id}`);
  const deadline = Date.now() + timeout * 1_000;
  for (;;) {
    const key = (await recordKeys(aws, database.bucket, keys.at(-1)?.number)).find(
      ({ commandId }) => commandId === id,
    );
    const record = key && (await readRecord(aws, database.bucket, key));
    if (record) {
      await terminal.endProgress();
      if (record.repairRefused !== null)
        terminal.note(`The repair was refused: ${printable(record.repairRefused)}`);
      const outcomes = record.objects.map(({ key, versionId, verdict, message, remedy }) => ({
        ...{ database: database.name, key, versionId, verdict, commandId: id },
        message: remedy === null ? message : `${message}\nTo do: ${remedy}`,
      }));
      await showOutcomes(outcomes, terminal);
      terminal.json({ repairRefused: record.repairRefused, uploads: outcomes.map(outcomeJson) });
      return record.repairRefused === null ? exitCodeOf(outcomes) : EXIT.refused;
    }
    if (Date.now() >= deadline) {
      await terminal.endProgress();
      terminal.note(`No end within ${timeout} s; the run goes on: flyway-aws logs ${id}`);
      return EXIT.timedOut;
    }
    const [now] = await work(aws, database.bucket);
    terminal.progress(printable(`${database.name}: ${now ? describeWork(now) : "waiting for the host"}`));
    await sleep(PAUSE);
  }
}

/** `flyway-aws reconcile`: has the host look at every bucket, and run what is due. */
export async function reconcile({ aws, deployment, terminal, timeout }: OperationInput): Promise<ExitCode> {
  const count = deployment.databases.length;
  const question = `Have the host look at ${count} ${count === 1 ? "bucket" : "buckets"}, and migrate what is due?`;
  if (!(await terminal.confirm(question))) return EXIT.error;
  const target = await deployment.target();
  const id = await aws.sendCommand(reconcileCommand(target, Date.now()));
  terminal.note(`command ${id}`);
  const deadline = Date.now() + timeout * 1_000;
  for (;;) {
    const [state] = await aws.commands(target.instanceId, id);
    const status = state?.Status ?? "Pending";
    if (!["Pending", "InProgress", "Delayed", "Cancelling"].includes(status)) {
      await terminal.endProgress();
      terminal.say(status === "Success" ? "All buckets were looked at." : `The reconcile ended: ${status}`);
      terminal.json({ commandId: id, status });
      if (status === "Success") return EXIT.success;
      terminal.note(`To see why: flyway-aws logs ${id}; flyway-aws status`);
      return EXIT.failed;
    }
    if (Date.now() >= deadline) {
      await terminal.endProgress();
      terminal.note(`No end within ${timeout} s; it goes on: flyway-aws logs ${id}`);
      return EXIT.timedOut;
    }
    terminal.progress(`reconcile: ${status}`);
    await sleep(PAUSE);
  }
}
