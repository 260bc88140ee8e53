import { gunzipSync } from "node:zlib";
import { type Report, reportsIn } from "../records/report";

/** What the function publishes: names and units of CloudWatch metrics. They have no dimensions; each costs. */
export const METRICS = {
  Runs: "Count",
  FailedRuns: "Count",
  AppliedMigrations: "Count",
  RunSeconds: "Seconds",
  OldestUploadSeconds: "Seconds",
} as const;

export type Metric = keyof typeof METRICS;

/** The event by which CloudWatch Logs hands on what was written to a log group. */
export function logDataOf(event: unknown): string | undefined {
  const data = (event as { awslogs?: { data?: unknown } } | null)?.awslogs?.data;
  return typeof data === "string" ? data : undefined;
}

/**
 * A line of metrics for each report in the data of a log event. CloudWatch makes metrics of such a line wherever it
 * is logged: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 *
 * The host's log group cannot have metric filters do this: the SSM agent writes all lines of a second as one event,
 * and a filter reads only an event that is JSON as a whole.
 *
 * @param data gzipped JSON in base64, as CloudWatch Logs sends it
 */
export function metricsOf(data: string, namespace: string): Record<string, unknown>[] {
  const { messageType, logEvents } = JSON.parse(gunzipSync(Buffer.from(data, "base64")).toString()) as {
    messageType: string;
    logEvents: { timestamp: number; message: string }[];
  };
  if (messageType !== "DATA_MESSAGE") return [];
  return logEvents.flatMap(({ timestamp, message }) =>
    reportsIn(message).map((report) => {
      const values = valuesOf(report);
      const metrics = Object.keys(values).map((Name) => ({ Name, Unit: METRICS[Name as Metric] }));
      return {
        _aws: {
          Timestamp: timestamp,
          CloudWatchMetrics: [{ Namespace: namespace, Dimensions: [[]], Metrics: metrics }],
        },
        ...report,
        ...values,
      };
    }),
  );
}

function valuesOf(report: Report): Partial<Record<Metric, number>> {
  if (report.flyway === "reconcile") return { OldestUploadSeconds: report.oldestUploadSeconds };
  return {
    Runs: 1,
    FailedRuns: report.exitCode === 0 ? 0 : 1,
    AppliedMigrations: report.applied,
    RunSeconds: report.seconds,
  };
}
