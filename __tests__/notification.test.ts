import { describe, expect, it } from "vitest";
import { type Invocation, type Message, messageOf, statusChangeOf } from "../lambda/notification";
import { STATUS_CHANGE_EVENT } from "./support/events";

const change = { commandId: "c-1", instanceId: "i-1", status: "Failed", region: "eu-central-1" };
const failed = (database: string, bucket: string) =>
  JSON.stringify({ flyway: "run", database, bucket, exitCode: 1, applied: 1, seconds: 3 });

/** The output of a run whose second file failed. */
const half: Invocation = {
  Comment: "Flyway: users1",
  StatusDetails: "Failed",
  ResponseCode: 1,
  StandardOutputContent: [
    "10:00:00 users1: migrating schema Users with Flyway 11.8.2",
    "applied V1__a.sql",
    "Script release/V2__b.sql failed",
    "SQL State  : 42S21",
    "Location   : /opt/flyway/work/users1/sql/release/V2__b.sql (/opt/flyway/work/users1/sql/release/V2__b.sql)",
    "Statement  : ALTER TABLE a ADD b int",
    failed("Users", "users1"),
  ].join("\n"),
  StandardErrorContent: "",
};

function message(invocation: Invocation, more: object = {}): Message {
  return messageOf({
    change,
    invocation,
    logGroupName: "/ssm/runcommand/flyway-host",
    deployment: "Flyway",
    ...more,
  });
}

/** A line of a message: `Database:  Users` is `Users`. */
function line({ text }: Message, name: string): string | undefined {
  return new RegExp(`^${name}: +(.*)$`, "m").exec(text)?.[1];
}

describe("a message", () => {
  it("names database, bucket, files, what was applied before, and status", () => {
    const told = message(half);
    expect(told.subject).toBe("Flyway: Users: Failed");
    expect(line(told, "Database")).toBe("Users");
    expect(line(told, "Bucket")).toBe("users1");
    expect(line(told, "Files")).toBe("release/V2__b.sql");
    expect(line(told, "Applied")).toBe("V1__a.sql");
    expect(line(told, "Status")).toBe("Failed, exit code 1");
  });

  it("gives Flyway's reason, without progress and without what is for machines", () => {
    const { text } = message(half);
    expect(text).toContain("Reason:\nScript release/V2__b.sql failed\nSQL State  : 42S21\n");
    expect(text).not.toContain("migrating schema");
    expect(text).not.toContain('"flyway"');
  });

  it("says where the log is", () => {
    const { text } = message(half);
    expect(text).toContain("/ssm/runcommand/flyway-host, the streams that begin with c-1/i-1/");
    expect(text).toContain(
      "https://eu-central-1.console.aws.amazon.com/systems-manager/run-command/c-1/i-1?region=eu-central-1",
    );
  });

  it("gives the host's own reason once, though it is in both outputs", () => {
    const told = message({
      Comment: "Flyway: users1",
      StandardOutputContent: "cannot list the bucket\n",
      StandardErrorContent: "10:00:00 users1: FAILED: cannot list the bucket\n",
    });
    expect(told.text.match(/cannot list the bucket/g)).toHaveLength(1);
    expect(line(told, "Files")).toBe("none named");
    expect(line(told, "Applied")).toBe("nothing");
  });

  it("has the schema for a database, and else the bucket, where the run did not say", () => {
    const silent = { Comment: "Flyway: users1" };
    expect(line(message(silent, { schema: "Users" }), "Database")).toBe("Users");
    expect(line(message(silent), "Database")).toBe("users1");
    expect(line(message({ Comment: "by hand" }), "Database")).toBe("unknown");
  });

  it("names each database that a reconcile failed for, and no other", () => {
    const told = message({
      Comment: "Flyway: *",
      StandardOutputContent: [
        failed("Users", "users1"),
        failed("Orders", "orders1").replace('"exitCode":1', '"exitCode":0'),
        failed("Products", "products1"),
      ].join("\n"),
    });
    expect(line(told, "Database")).toBe("Users, Products");
    expect(line(told, "Bucket")).toBe("users1, products1");
    expect(message({ Comment: "Flyway: *" }).subject).toBe("Flyway: reconcile: Failed");
  });

  it.each([
    ["Undeliverable", "The host could not be reached"],
    ["Delivery Timed Out", "The host did not take the command in time"],
    ["DeliveryTimedOut", "The host did not take the command in time"],
    ["Execution Timed Out", "The run took longer than its executionTimeout"],
    ["Cancelled", "The command was cancelled."],
    [
      "Cancelled",
      "A run that is killed leaves no record; the next one, at the next reconcile or upload, brings",
    ],
    ["TimedOut", "A run that is killed leaves no record"],
    ["ExecutionTimedOut", "A run that is killed leaves no record"],
  ])("explains %s, which left no output", (status, explanation) => {
    expect(message({ Comment: "Flyway: users1", StatusDetails: status }).text).toContain(explanation);
  });

  it("says so where there is neither output nor explanation", () => {
    expect(message({ Comment: "Flyway: users1" }).text).toContain("The run left no output.");
  });

  it("has the end of a reason that is long", () => {
    const { text } = message({ ...half, StandardOutputContent: `${"x\ny".repeat(9_000)}\nthe end` });
    expect(text).toContain("the end");
    expect(text.length).toBeLessThan(5_000);
  });
});

describe("a subject", () => {
  it("is fewer than 100 characters, for however many databases", () => {
    const many = Array.from({ length: 20 }, (_, i) => failed(`Database_${i}`, `b${i}`)).join("\n");
    const { subject } = message({ Comment: "Flyway: *", StandardOutputContent: many });
    expect(subject).toMatch(/^Flyway: Database_0, Database_1, .*\.\.\.$/);
    expect(subject.length).toBe(99);
  });

  it("is printable ASCII in one line", () => {
    const { subject } = message({ Comment: "Flyway: a\nß" });
    expect(subject).toBe("Flyway: a??: Failed");
  });

  it("begins with the deployment", () => {
    expect(message(half, { deployment: "Flyway-dev" }).subject).toBe("Flyway-dev: Users: Failed");
  });
});

describe("an event on a command", () => {
  const event = STATUS_CHANGE_EVENT;

  it("is read", () => {
    expect(statusChangeOf(event)).toEqual({
      commandId: "e8d3c0e4-71f7-4491-898f-c9b35bee5f3b",
      instanceId: "i-9bb89e2b",
      status: "Success",
      region: "us-east-1",
    });
  });

  it.each([
    null,
    {},
    { ...event, "detail-type": "EC2 Command Status-change Notification" },
    { ...event, detail: { ...event.detail, status: undefined } },
    { ...event, detail: undefined },
  ])("is not %j", (other) => {
    expect(statusChangeOf(other)).toBeUndefined();
  });
});
