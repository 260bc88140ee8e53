import { describe, expect, it } from "vitest";
import { logDataOf, metricsOf } from "../lambda/metrics";
import { reportsIn } from "../records/report";
import { LOGGED_AT, logEvent } from "./support/events";

const run = { flyway: "run", database: "Users", bucket: "users1", exitCode: 0, applied: 2, seconds: 12 };
const reconcile = { flyway: "reconcile", buckets: 2, failed: 0, oldestUploadSeconds: 61 };
/** The data of a log event with these messages. */
const logData = (...given: Parameters<typeof logEvent>) => logDataOf(logEvent(...given)) as string;

describe("a run's report", () => {
  it("counts the run, its migrations and its seconds, at the time at which it was logged", () => {
    expect(metricsOf(logData(["", JSON.stringify(run)]), "Flyway-dev")).toEqual([
      {
        _aws: {
          Timestamp: LOGGED_AT + 1,
          CloudWatchMetrics: [
            {
              Namespace: "Flyway-dev",
              Dimensions: [[]],
              Metrics: [
                { Name: "Runs", Unit: "Count" },
                { Name: "FailedRuns", Unit: "Count" },
                { Name: "AppliedMigrations", Unit: "Count" },
                { Name: "RunSeconds", Unit: "Seconds" },
              ],
            },
          ],
        },
        ...run,
        Runs: 1,
        FailedRuns: 0,
        AppliedMigrations: 2,
        RunSeconds: 12,
      },
    ]);
  });

  it("counts a failure once, whatever the exit code", () => {
    const metrics = metricsOf(logData([JSON.stringify({ ...run, exitCode: 143 })]), "Flyway");
    expect(metrics).toMatchObject([{ Runs: 1, FailedRuns: 1 }]);
  });
});

describe("a reconcile's report", () => {
  it("tells the age of the oldest upload, 0 too, and counts no run", () => {
    const ages = [61, 0].map((oldestUploadSeconds) => JSON.stringify({ ...reconcile, oldestUploadSeconds }));
    const metrics = metricsOf(logData(ages), "Flyway");
    expect(metrics).toMatchObject([{ OldestUploadSeconds: 61 }, { OldestUploadSeconds: 0 }]);
    expect(metrics.filter((line) => "Runs" in line)).toEqual([]);
  });
});

describe("a log event", () => {
  it("may have several reports among other lines, as the SSM agent writes a second's output", () => {
    const message = [
      "10:00:00 users1: migrating",
      JSON.stringify(run),
      "applied V1__a.sql",
      JSON.stringify(reconcile),
    ];
    expect(metricsOf(logData([message.join("\n")]), "Flyway")).toMatchObject([
      { Runs: 1 },
      { OldestUploadSeconds: 61 },
    ]);
  });

  it("may have none", () => {
    expect(metricsOf(logData(), "Flyway")).toEqual([]);
    expect(metricsOf(logData(["10:00:00 users1: migrating", "{"]), "Flyway")).toEqual([]);
  });

  it("is not looked at where CloudWatch Logs only asks whether we are there", () => {
    expect(metricsOf(logData([JSON.stringify(run)], "CONTROL_MESSAGE"), "Flyway")).toEqual([]);
  });

  it.each([null, {}, { awslogs: {} }, { awslogs: { data: 1 } }, { Records: [] }])("is not %j", (event) => {
    expect(logDataOf(event)).toBeUndefined();
  });
});

describe("a line of output", () => {
  it.each([
    ["another program's JSON", '{"level":"info"}'],
    ["a report without a number", JSON.stringify({ ...run, seconds: "12" })],
    ["a report without its database", JSON.stringify({ ...run, database: undefined })],
    ["a report of another kind", JSON.stringify({ ...run, flyway: "info" })],
    ["a report that is cut off", JSON.stringify(run).slice(0, -1)],
    ["a report with something before it", `x ${JSON.stringify(run)}`],
  ])("is no report where it is %s", (_, line) => {
    expect(reportsIn(line)).toEqual([]);
  });
});
