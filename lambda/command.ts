import type { SendCommandCommandInput } from "@aws-sdk/client-ssm";

/** How long a run may take: ten hours, as the contract has it. Systems Manager allows up to 172,800 s. */
const EXECUTION_TIMEOUT_SECONDS = "36000";

/** The function's environment, set by `lambda.tf`. */
export interface Environment {
  /** `INSTANCE_ID`: the Flyway host. */
  readonly instanceId: string;
  /** `DOCUMENT_NAME`: the Command document that the host runs. */
  readonly documentName: string;
  /** `CLOUDWATCH_LOG_GROUP_NAME`: where Run Command writes the host's output. */
  readonly logGroupName: string;
  /** `PARAMETERS`: what the names of the deployment's parameters begin with, `/flyway`. */
  readonly parameters: string;
  /** `SETTLE_SECONDS`: how long a bucket must be still before it is migrated. */
  readonly settleSeconds: string;
  /** `TOPIC_ARN`: where people are told of what was no success. */
  readonly topicArn: string;
  /** `RECONCILE_MINUTES`: how often every bucket is looked at; 0 if a person alone asks for it. */
  readonly reconcileMinutes: number;
  /** `METRICS_NAMESPACE`: of the metrics in CloudWatch; also what a message's subject begins with. */
  readonly metricsNamespace: string;
}

const VARIABLES = [
  "INSTANCE_ID",
  "DOCUMENT_NAME",
  "CLOUDWATCH_LOG_GROUP_NAME",
  "PARAMETERS",
  "SETTLE_SECONDS",
  "TOPIC_ARN",
  "RECONCILE_MINUTES",
  "METRICS_NAMESPACE",
] as const;

/** Reads the environment; throws an error that names each variable that is missing. */
export function readEnvironment(env: Record<string, string | undefined>): Environment {
  const missing = VARIABLES.filter((name) => !env[name]);
  if (missing.length > 0) {
    throw new Error(
      `The function's environment lacks ${missing.join(", ")}: see aws_lambda_function.flyway_trigger`,
    );
  }
  return {
    instanceId: env.INSTANCE_ID as string,
    documentName: env.DOCUMENT_NAME as string,
    logGroupName: env.CLOUDWATCH_LOG_GROUP_NAME as string,
    parameters: env.PARAMETERS as string,
    settleSeconds: env.SETTLE_SECONDS as string,
    topicArn: env.TOPIC_ARN as string,
    reconcileMinutes: Number(env.RECONCILE_MINUTES),
    metricsNamespace: env.METRICS_NAMESPACE as string,
  };
}

/** What an event asks for: the buckets to look at, and what was passed over, with the reason. */
export interface Uploads {
  /** Bucket to the keys uploaded, decoded, in the event's order. */
  readonly buckets: ReadonlyMap<string, readonly string[]>;
  readonly ignored: readonly { readonly reason: string; readonly record: unknown }[];
}

/**
 * Reads an event's records. What is not an upload of a `.sql` object to S3 is ignored, never an error:
 * an error would make Lambda deliver it again.
 */
export function uploadsOf(event: unknown): Uploads {
  const buckets = new Map<string, string[]>();
  const ignored: { reason: string; record: unknown }[] = [];
  const { Records: records, Event: name } = (event ?? {}) as { Records?: unknown; Event?: unknown };
  if (!Array.isArray(records)) {
    ignored.push({ reason: name === "s3:TestEvent" ? "S3's test event" : "no Records", record: event });
    return { buckets, ignored };
  }
  for (const record of records) {
    const bucket = record?.s3?.bucket?.name;
    const encoded = record?.s3?.object?.key;
    if (record?.eventSource !== "aws:s3" || typeof bucket !== "string" || typeof encoded !== "string") {
      ignored.push({ reason: "not a record of S3's", record });
      continue;
    }
    const key = decodeKey(encoded);
    if (!String(record.eventName).startsWith("ObjectCreated:")) {
      ignored.push({ reason: "not an upload", record });
    } else if (!key.endsWith(".sql")) {
      ignored.push({ reason: "not a .sql object", record });
    } else {
      buckets.set(bucket, [...(buckets.get(bucket) ?? []), key]);
    }
  }
  return { buckets, ignored };
}

/** S3 writes a key into an event as an HTML form would: `+` for a space, `%XX` for the rest. */
export function decodeKey(encoded: string): string {
  const spaced = encoded.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced; // not UTF-8: only used in logs, the host lists the bucket itself
  }
}

/** The event that asks for a reconcile: the schedule's input, and what a person may invoke the function with. */
export const RECONCILE = { reconcile: true };

/** Instead of a bucket's name in a command: every bucket that has a mapping. */
export const EVERY_BUCKET = "*";

/** Whether an event asks for a reconcile. */
export function isReconcile(event: unknown): boolean {
  return (event as Partial<typeof RECONCILE> | null)?.reconcile === true;
}

/** What a command's comment begins with; the bucket follows. */
export const COMMENT = "Flyway: ";

/**
 * The command for one bucket, or for every one. What is done with a bucket, the host reads from its mapping.
 *
 * @param bucket its name, or EVERY_BUCKET
 */
export function commandFor(bucket: string, environment: Environment): SendCommandCommandInput {
  return {
    DocumentName: environment.documentName,
    InstanceIds: [environment.instanceId],
    Parameters: {
      Bucket: [bucket],
      SettleSeconds: [environment.settleSeconds],
      executionTimeout: [EXECUTION_TIMEOUT_SECONDS],
    },
    MaxConcurrency: "1",
    Comment: `${COMMENT}${bucket}`,
    CloudWatchOutputConfig: {
      CloudWatchLogGroupName: environment.logGroupName,
      CloudWatchOutputEnabled: true,
    },
  };
}

/** How long a reconcile that a person asks for may wait for the host, where there is no schedule: an hour, in minutes. */
const UNSCHEDULED_MINUTES = 60;

/**
 * The command for every bucket. Once the next one is due it is of no use, so it expires: a host that takes it later, or has no
 * room for it before, ends it at once. Systems Manager itself delivers it for as long as TimeoutSeconds and the execution
 * timeout together: https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
 *
 * @param now in milliseconds, as `Date.now()` has it
 */
export function reconcileCommand(environment: Environment, now: number): SendCommandCommandInput {
  const seconds = (environment.reconcileMinutes || UNSCHEDULED_MINUTES) * 60;
  const command = commandFor(EVERY_BUCKET, environment);
  return {
    ...command,
    TimeoutSeconds: seconds,
    Parameters: { ...command.Parameters, ExpiresAt: [String(Math.floor(now / 1_000) + seconds)] },
  };
}

/** The statuses of a command that its host, which may be stopped, has not taken yet. */
export const WAITING_STATUSES = ["Pending", "Delayed"] as const;
