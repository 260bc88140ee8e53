import { describe, expect, it } from "vitest";
import {
  type FailedRun,
  type Invocation,
  isRepetition,
  type Message,
  messageOf,
  statusChangeOf,
} from "../lambda/notification";
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
    judged("V3__c.sql", "refused", "held back by release/V2__Größe b.sql"),
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
    runs: records.map(runOf),
    logGroupName: "/ssm/runcommand/flyway-host",
    deployment: "Flyway",
    ...more,
  });
}

function runOf(record: RunRecord): FailedRun {
  const { bucket, schema: database, isRepetition } = record;
  return { bucket, database, record, isRepetition };
}

/** The same of a run that has left no record. */
function lost(bucket: string, database = bucket): FailedRun {
  return { bucket, database, isRepetition: false };
}

/** The reason that a message gives. */
function reasonIn({ text }: Message): string {
  return /\nReason:\n([\s\S]*)\n\nLog group:/.exec(text)?.[1] as string;
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
    const repair = message(command, [
      recordOf({ operation: "repair", repairRefused: "there is nothing to repair" }),
    ]);
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
    const notice = message(
      {
        Comment: "Flyway: users1",
        StandardOutputContent: "cannot list the bucket\n",
        StandardErrorContent: "10:00:00 users1: FAILED: cannot list the bucket\n",
      },
      [],
      { runs: [lost("users1", "Users")] },
    );
    expect(reasonIn(notice)).toBe("cannot list the bucket");
    expect(line(notice, "Database")).toBe("Users");
    expect(line(notice, "Files")).toBe("none named");
    expect(line(notice, "Applied")).toBe("not known");
  });

  it("has no name of a database where nothing says for which the command was", () => {
    expect(line(message({ Comment: "by hand" }), "Database")).toBe("unknown");
  });

  it("says first that a repair was refused, then what failed", () => {
    const record = recordOf({
      ...half,
      operation: "repair",
      repairRefused: "a repair would hide this: an edit",
    });
    expect(reasonIn(message(command, [record]))).toMatch(
      /^The repair was refused: a repair would hide this: an edit\n\nrelease\/V2__Größe b\.sql:\nScript failed/,
    );
  });

  it("names no file for an outage, however many wait, and says what to do about it", () => {
    const error = {
      errorCode: "DB_CONNECTION",
      message: "Unable to obtain connection from database: Access denied",
      sqlState: "28000",
      sqlErrorCode: 1045,
    };
    const notice = message(command, [
      recordOf({
        exitCode: 1,
        objects: ["V1__a.sql", "V2__b.sql"].map((key) => judged(key, "failed", error.message)),
        flyway: { migrate: { error }, info: null, validate: null, repair: null },
      }),
    ]);
    expect(line(notice, "Files")).toBe("none named");
    expect(reasonIn(notice)).toMatch(
      /^Unable to obtain connection from database: Access denied\nTo do: nothing with /,
    );
  });

  it("does not take a callback for a file that was applied", () => {
    const objects = [judged("afterMigrate.sql", "applied", "a callback"), judged("V1__a.sql", "applied")];
    const notice = message(command, [recordOf({ objects, repairRefused: "no" })]);
    expect(line(notice, "Applied")).toBe("V1__a.sql");
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

  it("has no folder of the host", () => {
    const root = "/opt/flyway/copies/users1/sql";
    const said = `Script failed\nLocation   : ${root}/release/V2__b.sql (${root}/release/V2__b.sql)\nLine       : 1`;
    const clean = "Script failed\nLocation   : release/V2__b.sql (release/V2__b.sql)\nLine       : 1";
    expect(reasonIn(message({ ...command, StandardOutputContent: said }))).toBe(clean);
    const objects = [judged("release/V2__b.sql", "failed", said)];
    expect(reasonIn(message(command, [recordOf({ objects })]))).toBe(`release/V2__b.sql:\n${clean}`);
    const script =
      "/var/lib/amazon/ssm/i-1/document/orchestration/c-1/run/_script.sh: line 7: node: not found";
    expect(reasonIn(message({ ...command, StandardErrorContent: script }))).toContain(
      "_script.sh: line 7: node",
    );
    const stack = "Error: no\n    at look (/opt/flyway/runner/a1.cjs:1:2)\n";
    expect(reasonIn(message({ ...command, StandardOutputContent: "", StandardErrorContent: stack }))).toBe(
      "Error: no",
    );
  });

  it("keeps the names of parameters, which look like paths", () => {
    const missing = "Bucket users1 has no mapping: parameter /flyway/s3-mapping/users1 does not exist.";
    expect(reasonIn(message(command, [recordOf({ reason: missing })]))).toBe(missing);
  });
});

describe("a reason that is long", () => {
  const ERROR = `Script V2__b.sql failed\nSQL State  : 42000\nError Code : 1064\nLine       : 12\nStatement  : `;
  const long = (letter: string) => ERROR + letter.repeat(20_000);

  it("has its beginning, that is the error, and its remedy", () => {
    const reason = reasonIn(
      message(command, [recordOf({ objects: [judged("V2__b.sql", "failed", long("x"), "mend it")] })]),
    );
    expect(reason).toMatch(
      /^V2__b\.sql:\nScript V2__b\.sql failed\nSQL State {2}: 42000\n[\s\S]* : x+…\nTo do: mend it$/,
    );
    expect(reason.length).toBeLessThanOrEqual(4_000);
    expect(reason.length).toBeGreaterThan(3_900);
  });

  it("has the error of each file, and what a short one leaves goes to the others", () => {
    const objects = [
      judged("V1__a.sql", "failed", long("x")),
      judged("V2__b.sql", "failed", "short"),
      judged("V3__c.sql", "refused", long("y")),
    ];
    const reason = reasonIn(message(command, [recordOf({ objects })]));
    expect(reason.length).toBeLessThanOrEqual(4_000);
    expect(reason.match(/Line {7}: 12/g)).toHaveLength(2);
    expect(reason).toContain("V2__b.sql:\nshort\n");
    expect(reason.split("\n\n").map(({ length }) => length > 1_900)).toEqual([true, false, true]);
  });

  it("has the errors of the first files of many, as a whole, and says how many there are", () => {
    const objects = Array.from({ length: 30 }, (_, index) =>
      judged(`V${index}__a.sql`, "failed", long(`${index}`)),
    );
    const reason = reasonIn(message(command, [recordOf({ objects })]));
    expect(reason.match(/Line {7}: 12\nStatement {2}: \d+…/g)).toHaveLength(5);
    expect(reason).toMatch(/\nand 25 reasons more, which the run record has$/);
  });

  it("has the error of files with long names", () => {
    const objects = Array.from({ length: 30 }, (_, index) =>
      judged(`${index}${"k".repeat(900)}.sql`, "failed", "no"),
    );
    expect(reasonIn(message(command, [recordOf({ objects })]))).toMatch(/^0k{247}…\nno$/);
  });

  it("has its beginning where the run has left no record, without what the run did before", () => {
    const applied = Array.from({ length: 400 }, (_, index) => `applied V${index}__a.sql`).join("\n");
    const reason = reasonIn(
      message({ ...command, StandardOutputContent: `10:00:00 users1: migrating\n${applied}\n${long("x")}` }),
    );
    expect(reason.slice(0, ERROR.length)).toBe(ERROR);
    expect(reason).toHaveLength(4_000);
    expect(reason).toMatch(/x…$/);
  });

  it("begins with why the host gave up", () => {
    const reason = reasonIn(
      message({
        ...command,
        StandardErrorContent: `${"a package manager's words\n".repeat(9)}10:00:01 users1: FAILED: cannot install tar`,
      }),
    );
    expect(reason).toBe("cannot install tar\nSELECT 1 FROM V9__x.sql\na package manager's words");
  });
});

describe("a message of a reconcile", () => {
  const reconcile: Invocation = { Comment: "Flyway: *", StatusDetails: "Failed" };
  const known = { ...half, bucket: "known1", schema: "Known", isRepetition: true };

  it("says nothing of a run that failed by what the one before it had failed by", () => {
    const notice = message(reconcile, [known, half]);
    expect(line(notice, "Database")).toBe("Users");
    expect(line(notice, "Bucket")).toBe("users1");
  });

  it("says of which database each reason is", () => {
    const products = recordOf({ schema: "Products", bucket: "products1", reason: "no secret" });
    expect(reasonIn(message(reconcile, [half, products]))).toMatch(
      /^Users: release\/V2__Größe b\.sql:\nScript failed[\s\S]*\n\nProducts: no secret$/,
    );
  });

  it("names a bucket that cannot be looked at, with what the host complains of it", () => {
    const notice = message(
      {
        ...reconcile,
        StandardErrorContent:
          "10:00:00 gone1: NoSuchBucket\n10:00:00 gone1: the bucket is gone, but has a mapping\n10:00:00 gone1: FAILED: cannot list the bucket\n10:00:00 other1: x",
      },
      [],
      { runs: [runOf(half), lost("gone1", "Gone")] },
    );
    expect(line(notice, "Database")).toBe("Users, Gone");
    expect(line(notice, "Applied")).toBe("V1__a.sql; not known of Gone");
    expect(reasonIn(notice)).toMatch(
      /\n\nGone: cannot list the bucket\nNoSuchBucket\nthe bucket is gone, but has a mapping$/,
    );
  });

  it("says how many of its runs have not told what became of them", () => {
    const report = { flyway: "reconcile", buckets: 3, failed: 0, due: 3, oldestUploadSeconds: 0 };
    const notice = message({ ...reconcile, StandardOutputContent: JSON.stringify(report) }, [known]);
    expect(line(notice, "Database")).toBe("reconcile");
    expect(reasonIn(notice)).toMatch(/^3 of the runs have no report in the command's output/);
  });
});

describe("a command that repeats a failure", () => {
  const repeated = [runOf({ ...half, isRepetition: true })];
  const look = { flyway: "reconcile", buckets: 3, failed: 0, due: 2, oldestUploadSeconds: 0 };
  const run = { flyway: "run", database: "Users", bucket: "users1", exitCode: 1, applied: 0, seconds: 1 };
  const reconcile = (...reports: object[]): Invocation => ({
    Comment: "Flyway: *",
    StatusDetails: "Failed",
    StandardOutputContent: reports.map((report) => JSON.stringify(report)).join("\n"),
  });

  it("is one whose only run does", () => {
    expect(isRepetition(change, command, repeated)).toBe(true);
    expect(isRepetition(change, command, [runOf(half)])).toBe(false);
    expect(isRepetition(change, command, [lost("users1")])).toBe(false);
    expect(isRepetition(change, command, [])).toBe(false);
  });

  it("is none that was ended from outside", () => {
    expect(isRepetition(change, { ...command, StatusDetails: "Cancelled" }, repeated)).toBe(false);
  });

  it("is a reconcile whose failed runs all do", () => {
    expect(isRepetition(change, reconcile(look, run, { ...run, exitCode: 0 }), repeated)).toBe(true);
    expect(isRepetition(change, reconcile(look, run, run), [...repeated, runOf(half)])).toBe(false);
  });

  it("is no reconcile of which something is not known", () => {
    expect(isRepetition(change, reconcile(look, run), repeated)).toBe(false);
    expect(isRepetition(change, reconcile({ ...look, due: undefined }, run, run), repeated)).toBe(false);
  });

  it("is a reconcile that could not look at a bucket, as the one before could not", () => {
    const looks = (repeated: number) => reconcile({ ...look, failed: 1, repeated }, run, run);
    const gone = { ...lost("gone1"), isRepetition: true };
    expect(isRepetition(change, looks(1), [...repeated, gone])).toBe(true);
    expect(isRepetition(change, looks(0), [...repeated, gone])).toBe(false);
  });

  it("is a reconcile beside which another run is under way", () => {
    const { StandardOutputContent: output, ...rest } = reconcile(look, run);
    const stdout = `${output}\n10:00:00 long1: a run is under way`;
    expect(isRepetition(change, { ...rest, StandardOutputContent: stdout }, repeated)).toBe(true);
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
    const { subject } = message({}, [], { runs: [lost("a\nß")] });
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
