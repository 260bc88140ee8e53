import type { CommandTarget } from "../deployment/command";

/** The function's environment, set by `lambda.tf`. */
export interface Environment extends CommandTarget {
  /** `PARAMETERS`: what the names of the deployment's parameters begin with, `/flyway`. */
  readonly parameters: string;
  /** `TOPIC_ARN`: where people are told of what was no success. */
  readonly topicArn: string;
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

/** Whether an event asks for a reconcile. */
export function isReconcile(event: unknown): boolean {
  return (event as Partial<typeof RECONCILE> | null)?.reconcile === true;
}

/** The statuses of a command that its host, which may be stopped, has not taken yet. */
export const WAITING_STATUSES = ["Pending", "Delayed"] as const;
