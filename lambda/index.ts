import type { S3Client } from "@aws-sdk/client-s3";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import {
  GetCommandInvocationCommand,
  GetParameterCommand,
  ParameterNotFound,
  paginateListCommandInvocations,
  SendCommandCommand,
  type SendCommandCommandInput,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { COMMENT, commandFor, EVERY_BUCKET, reconcileCommand } from "../deployment/command";
import { MappingError, mappingName, parseMapping } from "../deployment/mapping";
import type { RunRecord } from "../records/record";
import { type Environment, isReconcile, readEnvironment, uploadsOf, WAITING_STATUSES } from "./command";
import { logDataOf, metricsOf } from "./metrics";
import {
  bucketOf,
  type FailedRun,
  type Invocation,
  isRepetition,
  isWorthTelling,
  messageOf,
  type StatusChange,
  statusChangeOf,
} from "./notification";
import { complaintsIn, failedLooksIn, failedReportsIn } from "./output";
import { RECORDS, readRecord } from "./records";

/** Waits before a host that is not (yet) registered is tried again, in milliseconds. The function has 15 s. */
const HOST_RETRY_DELAYS = [1_000, 3_000];

/** The longest that a command waits for its host: an hour of delivery and ten of execution, and some more. */
const WAITING_MILLISECONDS = 12 * 3_600_000;

/** How many commands it remembers having told of. */
const TOLD_COMMANDS = 1_000;

/** What the handler works with; tests pass their own. */
export interface Dependencies {
  readonly ssm: SSMClient;
  readonly sns: SNSClient;
  /** A client for S3, which is loaded for messages alone. */
  readonly s3: () => Promise<S3Client>;
  readonly environment: Environment;
  /** Takes one structured line. */
  readonly log: (entry: Record<string, unknown>) => void;
  /** Takes one line of metrics, which must reach the log with nothing before it. */
  readonly emit: (metrics: Record<string, unknown>) => void;
  /** Waits so many milliseconds. */
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** `Date.now` */
  readonly now: () => number;
}

/**
 * The function, by event:
 *
 * | event | what it does |
 * | --- | --- |
 * | S3's, of uploads | sends one command per bucket |
 * | RECONCILE, from the schedule or a person | sends one command for every bucket, unless one waits for the host |
 * | what became of a command | tells people of it where it is no success |
 * | the host's output, from its log group | makes metrics of it |
 *
 * A command says "look at this bucket", so an event that comes twice does no harm.
 *
 * @throws what one bucket met, or an AggregateError for several, after all buckets were tried. Lambda then
 * delivers the event twice more and hands it to the on-failure destination.
 */
export function createHandler({ ssm, sns, s3, environment, log, emit, sleep, now }: Dependencies) {
  /** Commands that people were told of: an event may come twice. Another process of the function has its own. */
  const toldCommands = new Set<string>();

  return async (event: unknown): Promise<void> => {
    if (isReconcile(event)) return reconcile();
    const change = statusChangeOf(event);
    if (change) return notify(change);
    const data = logDataOf(event);
    if (data) return metricsOf(data, environment.metricsNamespace).forEach(emit);
    return uploads(event);
  };

  async function uploads(event: unknown): Promise<void> {
    const { buckets, ignored } = uploadsOf(event);
    for (const { reason, record } of ignored) log({ level: "info", message: "ignored", reason, record });
    const failures: unknown[] = [];
    for (const [bucket, keys] of buckets) {
      try {
        await readMapping(bucket); // a bucket without one is no database's; one that is wrong, its run says is
        const commandId = await send(bucket, commandFor(bucket, environment));
        log({ level: "info", message: "command sent", bucket, keys, commandId });
      } catch (error) {
        const { name, message } = error as Error;
        log({ level: "error", message: "no command sent", bucket, keys, error: name, reason: message });
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join("; "));
  }

  async function reconcile(): Promise<void> {
    const waiting = await waitingReconcile();
    if (waiting !== undefined) {
      return log({ level: "info", message: "no reconcile sent, one waits for the host", commandId: waiting });
    }
    const commandId = await send(EVERY_BUCKET, reconcileCommand(environment, now()));
    log({ level: "info", message: "reconcile sent", commandId });
  }

  /** The id of a reconcile that the host has not taken yet. */
  async function waitingReconcile(): Promise<string | undefined> {
    for (const status of WAITING_STATUSES) {
      // Not by its host's id, which is not taken for commands that are pending
      const Filters = [
        { key: "DocumentName" as const, value: environment.documentName },
        { key: "Status" as const, value: status },
        {
          key: "InvokedAfter" as const,
          value: `${new Date(now() - WAITING_MILLISECONDS).toISOString().slice(0, 19)}Z`,
        },
      ];
      for await (const page of paginateListCommandInvocations({ client: ssm }, { Filters })) {
        const invocation = page.CommandInvocations?.find(
          ({ Comment, InstanceId }) =>
            Comment === `${COMMENT}${EVERY_BUCKET}` && InstanceId === environment.instanceId, // not for a former host
        );
        if (invocation) return invocation.CommandId;
      }
    }
    return undefined;
  }

  async function notify(change: StatusChange): Promise<void> {
    const { commandId, instanceId, status } = change;
    if (!isWorthTelling(change) || toldCommands.has(commandId)) {
      return log({ level: "info", message: "not told", commandId, status });
    }
    const invocation = await ssm.send(
      new GetCommandInvocationCommand({ CommandId: commandId, InstanceId: instanceId }),
    );
    const runs = await runsOf(commandId, invocation);
    if (isRepetition(change, invocation, runs)) {
      const reason = "the run before failed by the same, and was told of";
      return log({ level: "info", message: "not told", commandId, status, reason });
    }
    const { subject, text } = messageOf({
      change,
      invocation,
      runs,
      logGroupName: environment.logGroupName,
      deployment: environment.metricsNamespace,
    });
    await sns.send(new PublishCommand({ TopicArn: environment.topicArn, Subject: subject, Message: text }));
    toldCommands.add(commandId);
    for (const oldest of toldCommands) {
      if (toldCommands.size <= TOLD_COMMANDS) break;
      toldCommands.delete(oldest);
    }
    log({ level: "info", message: "told", commandId, status, subject });
  }

  /** The runs of a command that were no success. A message with less is better than none. */
  async function runsOf(commandId: string, invocation: Invocation): Promise<FailedRun[]> {
    const bucket = bucketOf(invocation);
    const { StandardOutputContent: stdout = "", StandardErrorContent: stderr = "" } = invocation;
    const reports = new Map(failedReportsIn(stdout).map((report) => [report.bucket, report]));
    const all = new Set([...reports.keys(), ...complaintsIn(stderr).keys()]);
    const buckets = bucket === EVERY_BUCKET ? all : bucket === undefined ? [] : [bucket];
    const { failed, repeated } = failedLooksIn(stdout);
    const runs: FailedRun[] = [];
    let read = 0;
    for (const name of buckets) {
      const report = reports.get(name);
      const isLook = bucket === EVERY_BUCKET && report === undefined;
      const isKnown = isLook ? failed > 0 && failed === repeated : report?.isRepetition === true;
      const isRead = !isKnown && read++ < RECORDS;
      const record = isRead && !isLook ? await recordOf(name, commandId) : undefined;
      runs.push({
        bucket: name,
        database: record?.schema || report?.database || (isRead && (await schemaOf(name))) || name,
        record,
        isRepetition: isKnown || record?.isRepetition === true,
      });
    }
    return runs;
  }

  async function recordOf(bucket: string, commandId: string): Promise<RunRecord | undefined> {
    try {
      return await readRecord(await s3(), bucket, commandId);
    } catch (error) {
      log({ level: "warn", message: "no record read", bucket, commandId, reason: String(error) });
      return undefined;
    }
  }

  /** The schema of a bucket; undefined where it cannot be had: a message with less is better than none. */
  async function schemaOf(bucket: string): Promise<string | undefined> {
    try {
      return parseMapping(bucket, await readMapping(bucket)).schema;
    } catch {
      return undefined;
    }
  }

  async function send(bucket: string, input: SendCommandCommandInput): Promise<string | undefined> {
    const command = new SendCommandCommand(input);
    for (let attempt = 0; ; attempt++) {
      try {
        return (await ssm.send(command)).Command?.CommandId;
      } catch (error) {
        // A host that starts needs a moment to register. Throttling is the SDK's to retry.
        const delay = HOST_RETRY_DELAYS[attempt];
        if ((error as Error).name !== "InvalidInstanceId" || delay === undefined) throw error;
        log({
          level: "warn",
          message: "host not registered",
          bucket,
          instanceId: environment.instanceId,
          delay,
        });
        await sleep(delay);
      }
    }
  }

  /** @throws MappingError where there is none */
  async function readMapping(bucket: string): Promise<string> {
    const name = mappingName(environment.parameters, bucket);
    try {
      const { Parameter } = await ssm.send(new GetParameterCommand({ Name: name }));
      return Parameter?.Value ?? "";
    } catch (error) {
      if (!(error instanceof ParameterNotFound)) throw error;
      throw new MappingError(
        `Bucket ${bucket} has no mapping: parameter ${name} does not exist. ` +
          "Add its database to flyway_managed_databases and apply, or remove the bucket's notification.",
      );
    }
  }
}

let configured: ReturnType<typeof createHandler> | undefined;

/** Lambda's entry point: reads the environment once, at the first event. */
export const handler = async (event: unknown): Promise<void> => {
  configured ??= createHandler({
    // At most 3.5 s of waiting for a call that is throttled: with the host's delays it fits into the 15 s.
    // Its middleware is put together once, not for each call: an eighth of what an event takes.
    ssm: new SSMClient({ maxAttempts: 4, cacheMiddleware: true }),
    sns: new SNSClient({ maxAttempts: 4 }),
    s3: async () => new (await import("./s3.js")).S3Client({ maxAttempts: 4 }),
    environment: readEnvironment(process.env),
    log: (entry) => console.log(JSON.stringify(entry)),
    // Not by console.log: Lambda's puts the time before it, and CloudWatch then sees no metrics.
    emit: (metrics) => void process.stdout.write(`${JSON.stringify(metrics)}\n`),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    now: Date.now,
  });
  await configured(event);
};
