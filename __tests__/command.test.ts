import { describe, expect, it } from "vitest";
import { commandFor, reconcileCommand } from "../deployment/command";
import { decodeKey, readEnvironment, uploadsOf } from "../lambda/command";
import { uploadRecord as record, TEST_EVENT } from "./support/events";

const environment = {
  instanceId: "i-0123456789abcdef0",
  documentName: "flyway-migrate",
  logGroupName: "/ssm/runcommand/flyway-host",
  parameters: "/flyway",
  settleSeconds: "2",
  topicArn: "arn:aws:sns:eu-central-1:123456789012:flyway-notifications",
  reconcileMinutes: 15,
  metricsNamespace: "Flyway",
};

const none = { buckets: new Map(), ignored: [] };

describe("the uploads of an event", () => {
  it("are those of every record, by bucket, in the event's order", () => {
    const event = {
      Records: [
        record("users", "V2__b.sql"),
        record("products", "V1__p.sql"),
        record("users", "V1__a.sql", "ObjectCreated:CompleteMultipartUpload"),
        record("products", "R__v.sql", "ObjectCreated:Copy"),
      ],
    };
    expect(uploadsOf(event)).toEqual({
      ...none,
      buckets: new Map([
        ["users", ["V2__b.sql", "V1__a.sql"]],
        ["products", ["V1__p.sql", "R__v.sql"]],
      ]),
    });
  });

  it("are none where there are no records", () => {
    expect(uploadsOf({ Records: [] })).toEqual(none);
  });

  it("have decoded keys", () => {
    const event = { Records: [record("users", "release+2/V1__a%2Bb+%C3%84.sql")] };
    expect(uploadsOf(event).buckets).toEqual(new Map([["users", ["release 2/V1__a+b Ä.sql"]]]));
  });

  it("are told from others by the decoded key", () => {
    const event = { Records: [record("users", "V1__a%2Esql")] };
    expect(uploadsOf(event).buckets.get("users")).toEqual(["V1__a.sql"]);
  });

  it("leave S3's test event out", () => {
    expect(uploadsOf(TEST_EVENT)).toEqual({
      ...none,
      ignored: [{ reason: "S3's test event", record: TEST_EVENT }],
    });
  });

  it.each<[string, unknown]>([
    ["null", null],
    ["undefined", undefined],
    ["a string", "hello"],
    ["a number", 1],
    ["an array", []],
    ["an empty object", {}],
    ["Records that are no array", { Records: {} }],
    ["Records that are a string", { Records: "x" }],
    ["an event of EventBridge's", { source: "aws.s3", "detail-type": "Object Created", detail: {} }],
  ])("leave out %s", (_, event) => {
    expect(uploadsOf(event)).toEqual({ ...none, ignored: [{ reason: "no Records", record: event }] });
  });

  it.each<[string, unknown]>([
    [
      "SNS",
      { EventSource: "aws:sns", Sns: { Message: JSON.stringify({ Records: [record("u", "a.sql")] }) } },
    ],
    ["SQS", { eventSource: "aws:sqs", body: "{}" }],
    ["nobody", { ...record("users", "V1__a.sql"), eventSource: undefined }],
    ["S3 without a bucket", { ...record("users", "V1__a.sql"), s3: { object: { key: "V1__a.sql" } } }],
    ["S3 without a key", { ...record("users", "V1__a.sql"), s3: { bucket: { name: "users" }, object: {} } }],
    ["S3 with a key that is no string", record("users", 1 as unknown as string)],
    ["S3 without s3", { eventSource: "aws:s3", eventName: "ObjectCreated:Put" }],
    ["null", null],
    ["a string", "aws:s3"],
  ])("leave out a record of %s, and take the others", (_, foreign) => {
    const event = { Records: [foreign, record("users", "V1__a.sql")] };
    expect(uploadsOf(event)).toEqual({
      buckets: new Map([["users", ["V1__a.sql"]]]),
      ignored: [{ reason: "not a record of S3's", record: foreign }],
    });
  });

  it.each(["ObjectRemoved:Delete", "ObjectRestore:Completed", "s3:ObjectCreated", ""])(
    "leave out %j",
    (name) => {
      const other = record("users", "V1__a.sql", name);
      expect(uploadsOf({ Records: [other] })).toEqual({
        ...none,
        ignored: [{ reason: "not an upload", record: other }],
      });
    },
  );

  it.each(["V1__a.sql.bak", "V1__a.SQL", "sql", "a/", ".flyway/runs/20260101T000000-x.json", "V1__a.sql+"])(
    "leave out the object %s",
    (key) => {
      const other = record("users", key);
      expect(uploadsOf({ Records: [other] })).toEqual({
        ...none,
        ignored: [{ reason: "not a .sql object", record: other }],
      });
    },
  );

  it.each(["__proto__", "constructor", "toString"])("may be of a bucket called %s", (bucket) => {
    expect(uploadsOf({ Records: [record(bucket, "V1__a.sql")] }).buckets.get(bucket)).toEqual(["V1__a.sql"]);
  });
});

describe("a key", () => {
  it.each([
    ["V1__a.sql", "V1__a.sql"],
    ["a+b.sql", "a b.sql"],
    ["a%20b.sql", "a b.sql"],
    ["a%2Bb.sql", "a+b.sql"],
    ["a%252Bb.sql", "a%2Bb.sql"],
    ["%C3%84nderung%E2%82%AC.sql", "Änderung€.sql"],
    ["%F0%9F%98%80.sql", "😀.sql"],
    ["a%26b%3Dc%27d%22e.sql", "a&b=c'd\"e.sql"],
    ["release%2F2/V1__a.sql", "release/2/V1__a.sql"],
    ["", ""],
  ])("written as %s is %s", (encoded, key) => {
    expect(decodeKey(encoded)).toBe(key);
  });

  it.each([
    ["a bare percent", "100%+a.sql", "100% a.sql"],
    ["no hex digits", "%ZZ.sql", "%ZZ.sql"],
    ["half an escape", "a.sql%C3", "a.sql%C3"],
    ["Latin 1", "%C4.sql", "%C4.sql"],
    ["a lone surrogate", "%ED%A0%80.sql", "%ED%A0%80.sql"],
  ])("with %s stays readable and is no error", (_, encoded, key) => {
    expect(decodeKey(encoded)).toBe(key);
  });
});

describe("the command for a bucket", () => {
  it("sends the document to the host, with the bucket alone: the host reads its mapping", () => {
    expect(commandFor("users1", environment)).toEqual({
      DocumentName: "flyway-migrate",
      InstanceIds: ["i-0123456789abcdef0"],
      Parameters: {
        Bucket: ["users1"],
        SettleSeconds: ["2"],
        executionTimeout: ["36000"],
      },
      MaxConcurrency: "1",
      Comment: "Flyway: users1",
      CloudWatchOutputConfig: {
        CloudWatchLogGroupName: "/ssm/runcommand/flyway-host",
        CloudWatchOutputEnabled: true,
      },
    });
  });

  it("has a comment within Systems Manager's 100 characters for the longest bucket", () => {
    const { Comment } = commandFor("a".repeat(63), environment);
    expect((Comment as string).length).toBeLessThanOrEqual(100);
  });
});

describe("the command for every bucket", () => {
  const now = Date.UTC(2026, 10, 26, 12);

  it("is as one for a bucket, but expires when the next is due", () => {
    const { Parameters, TimeoutSeconds, ...rest } = reconcileCommand(environment, now);
    const { Parameters: others, ...same } = commandFor("*", environment);
    expect(rest).toEqual(same);
    expect(TimeoutSeconds).toBe(900);
    expect(Parameters).toEqual({ ...others, ExpiresAt: [String(now / 1_000 + 900)] });
  });

  it("expires after an hour where there is no schedule", () => {
    const { Parameters, TimeoutSeconds } = reconcileCommand({ ...environment, reconcileMinutes: 0 }, now);
    expect([TimeoutSeconds, Parameters?.ExpiresAt]).toEqual([3_600, [String(now / 1_000 + 3_600)]]);
  });
});

describe("the environment", () => {
  const variables = {
    INSTANCE_ID: "i-0123456789abcdef0",
    DOCUMENT_NAME: "flyway-migrate",
    CLOUDWATCH_LOG_GROUP_NAME: "/ssm/runcommand/flyway-host",
    PARAMETERS: "/flyway",
    SETTLE_SECONDS: "2",
    TOPIC_ARN: environment.topicArn,
    RECONCILE_MINUTES: "15",
    METRICS_NAMESPACE: "Flyway",
  };

  it("is read from seven variables", () => {
    expect(readEnvironment({ ...variables, OTHER: "x" })).toEqual(environment);
  });

  it("may have a wait of no seconds", () => {
    expect(readEnvironment({ ...variables, SETTLE_SECONDS: "0" }).settleSeconds).toBe("0");
  });

  it.each(Object.keys(variables))("is refused without %s", (name) => {
    expect(() => readEnvironment({ ...variables, [name]: undefined })).toThrow(
      `The function's environment lacks ${name}: see aws_lambda_function.flyway_trigger`,
    );
  });

  it("is refused with an empty variable", () => {
    expect(() => readEnvironment({ ...variables, INSTANCE_ID: "" })).toThrow("lacks INSTANCE_ID:");
  });

  it("is refused with all that it lacks", () => {
    expect(() => readEnvironment({})).toThrow(
      "lacks INSTANCE_ID, DOCUMENT_NAME, CLOUDWATCH_LOG_GROUP_NAME, PARAMETERS, SETTLE_SECONDS, TOPIC_ARN, RECONCILE_MINUTES, METRICS_NAMESPACE:",
    );
  });
});
