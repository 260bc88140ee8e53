import { describe, expect, it } from "vitest";
import { type Invocation, type Message, messageOf, statusChangeOf } from "../lambda/notification";
import type { RunRecord } from "../records/record";
import { STATUS_CHANGE_EVENT } from "./support/events";
import { judged, recordOf } from "./support/records";

const change = { commandId: "c-1", instanceId: "i-1", status: "Failed", region: "eu-central-1" };
/** A run whose second file failed, and held back a third. */
const half = recordOf({
  exitCode: 1,
  objects: [
    judged("V1__a.sql", "applied"),
    judged("release/V2__Größe b.sql", "failed", "Script failed\nSQL State  : 42S21", "correct it"),
    judged("V3__c.sql", "refused", "held back: Script failed", "nothing with this file"),
  ],
});

const command: Invocation = {
  Comment: "Flyway: users1",
  StatusDetails: "Failed",
  ResponseCode: 1,
  StandardOutputContent:
    "10:00:00 users1: migrating schema Users with Flyway 11.8.2\nSELECT 1 FROM V9__x.sql",
  StandardErrorContent: "",
};

function message(invocation: Invocation, records: readonly RunRecord[] = [], more: object = {}): Message {
  return messageOf({
    change,
    invocation,
    records,
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
  it("names database, bucket, files, what was applied before, and status, as the record has them", () => {
    const notice = message(command, [half]);
    expect(notice.subject).toBe("Flyway: Users: Failed");
    expect(line(notice, "Database")).toBe("Users");
    expect(line(notice, "Bucket")).toBe("users1");
    expect(line(notice, "Files")).toBe("release/V2__Größe b.sql");
    expect(line(notice, "Applied")).toBe("V1__a.sql");
    expect(line(notice, "Status")).toBe("Failed, exit code 1");
  });

  it("gives the reason and the remedy, and nothing of the output", () => {
    const { text } = message(command, [half]);
    expect(text).toContain(
      "Reason:\nrelease/V2__Größe b.sql:\nScript failed\nSQL State  : 42S21\nTo do: correct it\n",
    );
    expect(text).not.toContain("V9__x.sql");
    expect(text).not.toContain("held back");
  });

  it("gives one reason of several files once", () => {
    const objects = ["V1__a.sql", "V1__b.sql"].map((key) => judged(key, "refused", "two of one version"));
    const { text } = message(command, [recordOf({ objects })]);
    expect(text).toContain("Reason:\nV1__a.sql, V1__b.sql:\ntwo of one version\n");
  });

  it("gives the record's own reason where no file has one, and a repair that was refused", () => {
    const none = message(command, [recordOf({ reason: "cannot list the bucket" })]);
    expect(none.text).toContain("Reason:\ncannot list the bucket\n");
    expect(line(none, "Applied")).toBe("nothing");
    const repair = message(command, [recordOf({ repairRefused: "there is nothing to repair" })]);
    expect(repair.text).toContain("The repair was refused: there is nothing to repair");
  });

  it("has no control character of a name or of a reason", () => {
    const objects = [judged("V1__\x1b[31m.sql", "failed", "a\x07b")];
    const { text } = message(command, [recordOf({ objects })]);
    expect(text).toContain("V1__\\x1b[31m.sql:\na\\x07b");
    expect(text).not.toContain("\x1b");
  });

  it("names the first of many files, and how many there are", () => {
    const objects = Array.from({ length: 1_000 }, (_, index) => judged(`V${index}__a.sql`, "failed", "no"));
    const notice = message(command, [recordOf({ objects })]);
    expect(line(notice, "Files")).toMatch(/^V0__a\.sql, .*V19__a\.sql, and 980 more$/);
    expect(notice.text.length).toBeLessThan(3_000);
  });

  it("says where the log is", () => {
    const { text } = message(command, [half]);
    expect(text).toContain("/ssm/runcommand/flyway-host, the streams that begin with c-1/i-1/");
    expect(text).toContain(
      "https://eu-central-1.console.aws.amazon.com/systems-manager/run-command/c-1/i-1?region=eu-central-1",
    );
  });

  it("gives the host's own reason once, though it is in both outputs", () => {
    const notice = message({
      Comment: "Flyway: users1",
      StandardOutputContent: "cannot list the bucket\n",
      StandardErrorContent: "10:00:00 users1: FAILED: cannot list the bucket\n",
    });
    expect(notice.text.match(/cannot list the bucket/g)).toHaveLength(1);
    expect(line(notice, "Files")).toBe("none named");
    expect(line(notice, "Applied")).toBe("not known");
  });

  it("has the schema for a database, and else the bucket, where the run did not say", () => {
    const silent = { Comment: "Flyway: users1" };
    expect(line(message(silent, [], { schema: "Users" }), "Database")).toBe("Users");
    expect(line(message(silent), "Database")).toBe("users1");
    expect(line(message({ Comment: "by hand" }), "Database")).toBe("unknown");
  });

  it("names each database that a reconcile failed for, and no other", () => {
    const products = recordOf({ schema: "Products", bucket: "products1" });
    const notice = message({ Comment: "Flyway: *" }, [half, products]);
    expect(line(notice, "Database")).toBe("Users, Products");
    expect(line(notice, "Bucket")).toBe("users1, products1");
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

  it("has the end of an output that is long", () => {
    const { text } = message({ ...command, StandardOutputContent: `${"x\ny".repeat(9_000)}\nthe end` });
    expect(text).toContain("the end");
    expect(text.length).toBeLessThan(5_000);
  });
});

describe("a subject", () => {
  it("is fewer than 100 characters, for however many databases", () => {
    const many = Array.from({ length: 20 }, (_, i) => recordOf({ schema: `Database_${i}`, bucket: `b${i}` }));
    const { subject } = message({ Comment: "Flyway: *" }, many);
    expect(subject).toMatch(/^Flyway: Database_0, Database_1, .*\.\.\.$/);
    expect(subject.length).toBe(99);
  });

  it("is printable ASCII in one line", () => {
    const { subject } = message({ Comment: "Flyway: a\nß" });
    expect(subject).toBe("Flyway: a??: Failed");
  });

  it("begins with the deployment", () => {
    expect(message(command, [half], { deployment: "Flyway-dev" }).subject).toBe("Flyway-dev: Users: Failed");
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
