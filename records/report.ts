/**
 * What the host prints for machines, in its output: a line of JSON per run, and one per reconcile. Written by
 * the runner.
 */

/** A run has ended. */
export interface RunReport {
  readonly flyway: "run";
  readonly database: string;
  readonly bucket: string;
  /** As the record's. */
  readonly exitCode: number;
  /** How many migrations it applied. */
  readonly applied: number;
  readonly seconds: number;
  /** As the record's; a former host does not say. */
  readonly isRepetition?: boolean;
}

/** A reconcile has ended. */
export interface ReconcileReport {
  readonly flyway: "reconcile";
  /** How many buckets it looked at. */
  readonly buckets: number;
  readonly failed: number;
  /** How many of those that failed did for the same reason as the time before; a former host does not say. */
  readonly repeated?: number;
  /** How many of them it starts a run for; a former host does not say. */
  readonly due?: number;
  /** Age of the oldest upload that no run had looked at when it began; 0 where there was none. */
  readonly oldestUploadSeconds: number;
}

export type Report = RunReport | ReconcileReport;

const TEXT = { run: ["database", "bucket"], reconcile: [] };
const NUMBERS = {
  run: ["exitCode", "applied", "seconds"],
  reconcile: ["buckets", "failed", "oldestUploadSeconds"],
};

/** The report in a line of output; undefined where it has none, or none that is whole. */
export function reportIn(line: string): Report | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const report = JSON.parse(line);
    if (report.flyway !== "run" && report.flyway !== "reconcile") return undefined;
    const kind = report.flyway as Report["flyway"];
    const isWhole =
      TEXT[kind].every((name) => typeof report[name] === "string") &&
      NUMBERS[kind].every((name) => typeof report[name] === "number");
    return isWhole ? report : undefined;
  } catch {
    return undefined;
  }
}

/** All reports in an output. */
export function reportsIn(output: string): Report[] {
  return output
    .split("\n")
    .map(reportIn)
    .filter((report) => report !== undefined);
}
