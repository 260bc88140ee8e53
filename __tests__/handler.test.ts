import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { builtinModules } from "node:module";
import type { AddressInfo } from "node:net";
import { devNull, homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import {
  GetCommandInvocationCommand,
  GetParameterCommand,
  InvalidInstanceId,
  ListCommandInvocationsCommand,
  ParameterNotFound,
  SendCommandCommand,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { mockClient } from "aws-sdk-client-mock";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { bundleFunction } from "../constructs/bundle";
import { commandFor, reconcileCommand } from "../deployment/command";
import { MappingError, mappingName } from "../deployment/mapping";
import { createHandler, type Dependencies } from "../lambda";
import { logEvent, uploadRecord as record, statusChangeEvent, TEST_EVENT } from "./support/events";
import { judged, recordOf } from "./support/records";

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
const mappingOf = (bucket: string) => mappingName(environment.parameters, bucket);
/** The environment of the function's process, with nothing of the machine's own AWS configuration. */
const functionEnvironment = {
  INSTANCE_ID: environment.instanceId,
  DOCUMENT_NAME: environment.documentName,
  CLOUDWATCH_LOG_GROUP_NAME: environment.logGroupName,
  PARAMETERS: environment.parameters,
  SETTLE_SECONDS: environment.settleSeconds,
  TOPIC_ARN: environment.topicArn,
  RECONCILE_MINUTES: String(environment.reconcileMinutes),
  METRICS_NAMESPACE: environment.metricsNamespace,
  AWS_REGION: "eu-central-1",
  AWS_ACCESS_KEY_ID: "test",
  AWS_SECRET_ACCESS_KEY: "test",
  AWS_CONFIG_FILE: devNull,
  AWS_SHARED_CREDENTIALS_FILE: devNull,
};
const usersMapping = { schema: "Users", flywayVersion: "11.8.2", flywayConf: "test_flyway.conf" };
const productsMapping = { ...usersMapping, schema: "Products" };
const upload = (...buckets: string[]) => ({ Records: buckets.map((bucket) => record(bucket, "V1__a.sql")) });

const metadata = { $metadata: {}, message: "no such thing" };
const notFound = new ParameterNotFound(metadata);
const notRegistered = new InvalidInstanceId(metadata);

const NOW = Date.UTC(2026, 10, 26, 12);

const client = new SSMClient({ region: "eu-central-1" });
const ssm = mockClient(client);
const sns = mockClient(new SNSClient({ region: "eu-central-1" }));
const s3Client = new S3Client({ region: "eu-central-1" });
const s3 = mockClient(s3Client);
let logged: Record<string, unknown>[];
let emitted: Record<string, unknown>[];
let slept: number[];

/** The handler with a client that answers as the tests tell it to, and nobody's time wasted. */
function handler(dependencies: Partial<Dependencies> = {}) {
  return createHandler({
    ssm: client,
    sns: sns as unknown as SNSClient,
    s3: async () => s3Client,
    environment,
    log: (entry) => void logged.push(entry),
    emit: (metrics) => void emitted.push(metrics),
    sleep: async (milliseconds) => void slept.push(milliseconds),
    now: () => NOW,
    ...dependencies,
  });
}

const published = () => sns.commandCalls(PublishCommand).map(({ args }) => args[0].input);
const sent = () => ssm.commandCalls(SendCommandCommand).map(({ args }) => args[0].input);

/** What a handler is rejected with. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail("not rejected"),
    (error: unknown) => error,
  );
}

beforeEach(() => {
  ssm.reset();
  sns.reset();
  s3.reset();
  s3.on(ListObjectsV2Command).resolves({});
  sns.on(PublishCommand).resolves({});
  logged = [];
  emitted = [];
  slept = [];
  ssm.on(GetParameterCommand).rejects(notFound);
  ssm
    .on(GetParameterCommand, { Name: mappingOf("users1") })
    .resolves({ Parameter: { Value: JSON.stringify(usersMapping) } });
  ssm
    .on(GetParameterCommand, { Name: mappingOf("products1") })
    .resolves({ Parameter: { Value: JSON.stringify(productsMapping) } });
  ssm.on(SendCommandCommand).resolves({ Command: { CommandId: "c-1" } });
  ssm.on(ListCommandInvocationsCommand).resolves({ CommandInvocations: [] });
});

describe("an upload", () => {
  it("has the host look at its bucket", async () => {
    await handler()(upload("users1"));
    expect(sent()).toEqual([commandFor("users1", environment)]);
  });

  it("is logged in one structured line, with bucket, keys and command id", async () => {
    await handler()({ Records: [record("users1", "V1__a+b.sql"), record("users1", "V2__c.sql")] });
    expect(logged).toEqual([
      {
        level: "info",
        message: "command sent",
        bucket: "users1",
        keys: ["V1__a b.sql", "V2__c.sql"],
        commandId: "c-1",
      },
    ]);
  });

  it("makes one command per bucket, however many records there are", async () => {
    const keys = Array.from({ length: 50 }, (_, i) => `V${i + 1}__a.sql`);
    await handler()({ Records: keys.flatMap((key) => [record("users1", key), record("products1", key)]) });
    expect(sent()).toEqual([commandFor("users1", environment), commandFor("products1", environment)]);
    expect(logged.map(({ bucket, keys }) => [bucket, keys])).toEqual([
      ["users1", keys],
      ["products1", keys],
    ]);
  });

  it("makes another command when its event comes twice: the host sees that it is covered", async () => {
    const handle = handler();
    await handle(upload("users1"));
    await handle(upload("users1"));
    expect(sent()).toHaveLength(2);
  });

  it("has its mapping read anew each time, so that a mended one needs no new function", async () => {
    const handle = handler();
    await expect(handle(upload("stray1"))).rejects.toThrow(MappingError);
    expect(sent()).toEqual([]);
    ssm
      .on(GetParameterCommand, { Name: mappingOf("stray1") })
      .resolves({ Parameter: { Value: JSON.stringify(usersMapping) } });
    await handle(upload("stray1"));
    expect(sent()).toHaveLength(1);
  });

  it("is looked for below the parameters of its own deployment", async () => {
    ssm
      .on(GetParameterCommand, { Name: "/flyway-dev/s3-mapping/users1" })
      .resolves({ Parameter: { Value: JSON.stringify(usersMapping) } });
    ssm.on(GetParameterCommand, { Name: mappingOf("users1") }).rejects(notFound);
    await handler({ environment: { ...environment, parameters: "/flyway-dev" } })(upload("users1"));
    expect(sent()).toHaveLength(1);
  });
});

describe("a reconcile", () => {
  it("has the host look at every bucket, by one command, without a mapping being read", async () => {
    await handler()({ reconcile: true });
    expect(sent()).toEqual([reconcileCommand(environment, NOW)]);
    expect(ssm.commandCalls(GetParameterCommand)).toEqual([]);
    expect(logged).toEqual([{ level: "info", message: "reconcile sent", commandId: "c-1" }]);
  });

  it.each(["Pending", "Delayed"])(
    "is not sent while one is %s, on whichever page it is told",
    async (value) => {
      const of = (comment: string, CommandId: string, InstanceId = environment.instanceId) => ({
        Comment: comment,
        CommandId,
        InstanceId,
      });
      const filters = [
        { key: "DocumentName" as const, value: "flyway-migrate" },
        { key: "Status" as const, value },
        { key: "InvokedAfter" as const, value: "2026-11-26T00:00:00Z" }, // twelve hours before
      ];
      ssm
        .on(ListCommandInvocationsCommand, { Filters: filters })
        .resolves({
          CommandInvocations: [of("Flyway: users1", "c-7"), of("Flyway: *", "c-6", "i-former")],
          NextToken: "more",
        })
        .on(ListCommandInvocationsCommand, { Filters: filters, NextToken: "more" })
        .resolves({ CommandInvocations: [of("Flyway: *", "c-8")] });
      await handler()({ reconcile: true });
      expect(sent()).toEqual([]);
      expect(logged).toEqual([
        { level: "info", message: "no reconcile sent, one waits for the host", commandId: "c-8" },
      ]);
    },
  );

  it("is sent while one waits for a host that was replaced", async () => {
    const former = { Comment: "Flyway: *", CommandId: "c-7", InstanceId: "i-former" };
    ssm.on(ListCommandInvocationsCommand).resolves({ CommandInvocations: [former] });
    await handler()({ reconcile: true });
    expect(sent()).toHaveLength(1);
  });

  it("is sent while uploads wait for the host", async () => {
    const upload = { Comment: "Flyway: users1", CommandId: "c-7" };
    ssm.on(ListCommandInvocationsCommand).resolves({ CommandInvocations: [upload] });
    await handler()({ reconcile: true });
    expect(sent()).toHaveLength(1);
  });

  it("waits for a host that is not registered, and is thrown in the end", async () => {
    ssm.on(SendCommandCommand).rejects(notRegistered);
    expect(await rejection(handler()({ reconcile: true }))).toBe(notRegistered);
    expect(slept).toEqual([1_000, 3_000]);
  });

  it.each([{ reconcile: "yes" }, { reconcile: false }])("is not asked for by %j", async (event) => {
    await handler()(event);
    expect(sent()).toEqual([]);
  });
});

const statusChange = (status: string, commandId = "c-1") =>
  statusChangeEvent({ "command-id": commandId, "instance-id": environment.instanceId, status });

describe("a command that is no success", () => {
  beforeEach(() => {
    ssm.on(GetCommandInvocationCommand).resolves({
      Comment: "Flyway: users1",
      StatusDetails: "Failed",
      ResponseCode: 1,
      StandardErrorContent: "10:00:00 users1: FAILED: cannot copy the bucket; nothing was migrated\n",
    });
  });

  it("is told of by the record that it has left, and not by what its output says", async () => {
    const record = recordOf({
      objects: [judged("größe/V1 a.sql", "applied"), judged("V2__b.sql", "failed", "it failed", "mend it")],
    });
    s3.on(ListObjectsV2Command, { Bucket: "users1", Prefix: ".flyway/runs/" }).resolves({
      Contents: [{ Key: ".flyway/runs/1-x.json" }, { Key: ".flyway/runs/2-c-1.json" }],
    });
    s3.on(GetObjectCommand, { Bucket: "users1", Key: ".flyway/runs/2-c-1.json" }).resolves({
      Body: { transformToString: async () => JSON.stringify(record) } as never,
    });
    await handler()(statusChange("Failed"));
    const [{ Message: text = "" } = {}] = published();
    expect(text).toMatch(/^Files: {5}V2__b\.sql$/m);
    expect(text).toMatch(/^Applied: {3}größe\/V1 a\.sql$/m);
    expect(text).toContain("V2__b.sql:\nit failed\nTo do: mend it");
    expect(text).not.toContain("cannot copy the bucket");
  });

  /** Has the bucket hold the record that command c-1 has left. */
  function leave(bucket: string, record: object) {
    const key = `.flyway/runs/2-c-1.json`;
    s3.on(ListObjectsV2Command, { Bucket: bucket }).resolves({ Contents: [{ Key: key }] });
    s3.on(GetObjectCommand, { Bucket: bucket, Key: key }).callsFake(() => ({
      Body: { transformToString: async () => JSON.stringify(record) },
    }));
  }

  it("is not told of where the run before failed by the same, which the log says", async () => {
    leave("users1", recordOf({ isRepetition: true, objects: [judged("V2__b.sql", "failed", "it failed")] }));
    await handler()(statusChange("Failed"));
    expect(published()).toEqual([]);
    expect(logged).toEqual([
      {
        level: "info",
        message: "not told",
        commandId: "c-1",
        status: "Failed",
        reason: "the run before failed by the same, and was told of",
      },
    ]);
  });

  it("is told of by a record of a former host's, which does not say whether it is a repetition", async () => {
    leave("users1", { ...recordOf({ reason: "no secret" }), isRepetition: undefined });
    await handler()(statusChange("Failed"));
    expect(published()).toMatchObject([{ Message: expect.stringContaining("no secret") }]);
  });

  /** What a reconcile says whose runs of these two buckets have failed. */
  function reconciled(isRepetition: { readonly users1: boolean; readonly products1: boolean }) {
    const reports = Object.entries(isRepetition).map(([bucket, isRepetition]) => {
      const run = {
        flyway: "run",
        database: bucket.slice(0, -1),
        bucket,
        exitCode: 1,
        applied: 0,
        seconds: 1,
      };
      return { ...run, isRepetition };
    });
    const look = { flyway: "reconcile", buckets: 9, failed: 0, due: 2, oldestUploadSeconds: 0 };
    ssm.on(GetCommandInvocationCommand).resolves({
      Comment: "Flyway: *",
      StatusDetails: "Failed",
      StandardOutputContent: [look, ...reports].map((report) => JSON.stringify(report)).join("\n"),
    });
  }

  it("is not told of where all that a reconcile has run for failed by the same before", async () => {
    reconciled({ users1: true, products1: true });
    await handler()(statusChange("Failed"));
    expect(published()).toEqual([]);
    expect(s3.calls()).toEqual([]);
  });

  it("is a reconcile's, told of by what failed anew alone", async () => {
    reconciled({ users1: true, products1: false });
    leave("products1", recordOf({ schema: "Products", bucket: "products1", reason: "no secret" }));
    await handler()(statusChange("Failed"));
    expect(published()).toMatchObject([{ Subject: "Flyway: Products: Failed" }]);
    expect(published()[0]?.Message).not.toContain("users1");
  });

  it.each([
    [0, 1],
    [1, 0],
  ])(
    "is a reconcile that could not look at a bucket, as %i of those before, and has %i messages",
    async (repeated, count) => {
      const look = { flyway: "reconcile", buckets: 9, failed: 1, repeated, due: 0, oldestUploadSeconds: 0 };
      ssm.on(GetCommandInvocationCommand).resolves({
        Comment: "Flyway: *",
        StatusDetails: "Failed",
        StandardOutputContent: JSON.stringify(look),
        StandardErrorContent:
          "10:00:00 users1: NoSuchBucket\n10:00:00 users1: FAILED: cannot list the bucket\n",
      });
      await handler()(statusChange("Failed"));
      expect(published().map(({ Subject: subject }) => subject)).toEqual(
        Array(count).fill("Flyway: Users: Failed"),
      );
    },
  );

  it("is a repair that a person sent without a comment: its output says for which bucket", async () => {
    leave("users1", recordOf({ operation: "repair", repairRefused: "there is nothing to repair" }));
    ssm.on(GetCommandInvocationCommand).resolves({
      StatusDetails: "Failed",
      StandardOutputContent: "10:00:00 users1: migrating schema Users with Flyway 11.8.2\n",
    });
    await handler()(statusChange("Failed"));
    expect(published()).toMatchObject([{ Subject: "Flyway: Users: Failed" }]);
    expect(published()[0]?.Message).toContain(
      "Reason:\nThe repair was refused: there is nothing to repair\n",
    );
  });

  it("is told of by its mapping's schema where its record has none", async () => {
    leave("users1", recordOf({ schema: "", reason: "cannot list the bucket" }));
    await handler()(statusChange("Failed"));
    expect(published()).toMatchObject([{ Subject: "Flyway: Users: Failed" }]);
  });

  it("is told of all the same where its record cannot be read", async () => {
    s3.on(ListObjectsV2Command).rejects(new Error("no"));
    await handler()(statusChange("Failed"));
    expect(published()).toMatchObject([{ Message: expect.stringContaining("cannot copy the bucket") }]);
    expect(logged).toContainEqual(expect.objectContaining({ level: "warn", message: "no record read" }));
  });

  it("is told of, once its output and its bucket's mapping were read", async () => {
    await handler()(statusChange("Failed"));
    expect(ssm.commandCalls(GetCommandInvocationCommand).map(({ args }) => args[0].input)).toEqual([
      { CommandId: "c-1", InstanceId: environment.instanceId },
    ]);
    expect(published()).toEqual([
      {
        TopicArn: environment.topicArn,
        Subject: "Flyway: Users: Failed",
        Message: expect.stringContaining("cannot copy the bucket; nothing was migrated"),
      },
    ]);
    expect(logged).toEqual([
      {
        level: "info",
        message: "told",
        commandId: "c-1",
        status: "Failed",
        subject: "Flyway: Users: Failed",
      },
    ]);
  });

  it.each([
    "Failed",
    "TimedOut",
    "Cancelled",
    "Undeliverable",
    "Terminated",
    "Delivery Timed Out",
    "Unheard-of",
  ])("is one that is %s", async (status) => {
    await handler()(statusChange(status));
    expect(published()).toHaveLength(1);
  });

  it.each(["Success", "Pending", "InProgress", "In Progress", "Delayed", "Cancelling"])(
    "is none that is %s",
    async (status) => {
      await handler()(statusChange(status));
      expect(ssm.calls()).toEqual([]);
      expect(published()).toEqual([]);
    },
  );

  it("is told of once, however often its event comes", async () => {
    const handle = handler();
    await handle(statusChange("Failed"));
    await handle(statusChange("Failed"));
    await handle(statusChange("Failed", "c-2"));
    expect(published()).toHaveLength(2);
    expect(logged.map(({ message, commandId }) => [message, commandId])).toEqual([
      ["told", "c-1"],
      ["not told", "c-1"],
      ["told", "c-2"],
    ]);
  });

  it("is told of by the next attempt when the first could not be published", async () => {
    const failure = new Error("throttled");
    sns.on(PublishCommand).rejectsOnce(failure).resolves({});
    const handle = handler();
    expect(await rejection(handle(statusChange("Failed")))).toBe(failure);
    await handle(statusChange("Failed"));
    expect(published()).toHaveLength(2);
  });

  it("is told of by its bucket where the mapping cannot be read", async () => {
    ssm.on(GetParameterCommand).rejects(notFound);
    await handler()(statusChange("Failed"));
    expect(published()).toMatchObject([{ Subject: "Flyway: users1: Failed" }]);
  });

  it("is thrown for Lambda to try again where Systems Manager does not know it yet", async () => {
    const unknown = Object.assign(new Error("no"), { name: "InvocationDoesNotExist" });
    ssm.on(GetCommandInvocationCommand).rejects(unknown);
    expect(await rejection(handler()(statusChange("Failed")))).toBe(unknown);
    expect(published()).toEqual([]);
  });
});

describe("the host's output", () => {
  it("becomes a line of metrics per report in it", async () => {
    const run = { flyway: "run", database: "Users", bucket: "users1", exitCode: 0, applied: 2, seconds: 12 };
    const message = `10:00:00 users1: migrating\n${JSON.stringify(run)}`;
    await handler()(logEvent([message]));
    expect(emitted).toMatchObject([{ Runs: 1, database: "Users" }]);
    expect([...ssm.calls(), ...sns.calls()]).toEqual([]);
  });
});

describe("what is no upload", () => {
  it("is S3's test event: a log line, no call, no error", async () => {
    await handler()(TEST_EVENT);
    expect(ssm.calls()).toEqual([]);
    expect(logged).toEqual([
      { level: "info", message: "ignored", reason: "S3's test event", record: TEST_EVENT },
    ]);
  });

  it.each<[string, unknown]>([
    ["SNS's", { Records: [{ EventSource: "aws:sns", Sns: { Message: "{}" } }] }],
    ["EventBridge's", { source: "aws.s3", "detail-type": "Object Created", detail: {} }],
    ["an empty event", {}],
    ["null", null],
    ["Records that are no array", { Records: { 0: record("users1", "V1__a.sql") } }],
    ["a deletion", { Records: [record("users1", "V1__a.sql", "ObjectRemoved:Delete")] }],
    ["another file", { Records: [record("users1", "README.md")] }],
  ])("is %s: a log line, no call, no error", async (_, event) => {
    await handler()(event);
    expect(ssm.calls()).toEqual([]);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatchObject({
      level: "info",
      message: "ignored",
      reason: expect.stringMatching(/./),
    });
  });

  it("does not keep an upload beside it from its command", async () => {
    await handler()({ Records: [record("users1", "README.md"), null, record("users1", "V1__a.sql")] });
    expect(sent()).toHaveLength(1);
    expect(logged.map(({ message }) => message)).toEqual(["ignored", "ignored", "command sent"]);
  });
});

describe("a host that is not registered", () => {
  it("is tried again after one second and after three", async () => {
    ssm
      .on(SendCommandCommand)
      .rejectsOnce(notRegistered)
      .rejectsOnce(notRegistered)
      .resolves({ Command: { CommandId: "c-3" } });
    await handler()(upload("users1"));
    expect(slept).toEqual([1_000, 3_000]);
    expect(sent()).toHaveLength(3);
    expect(logged.at(-1)).toMatchObject({ message: "command sent", commandId: "c-3" });
    expect(logged[0]).toEqual({
      level: "warn",
      message: "host not registered",
      bucket: "users1",
      instanceId: "i-0123456789abcdef0",
      delay: 1_000,
    });
  });

  it("is thrown in the end, for Lambda to try again", async () => {
    ssm.on(SendCommandCommand).rejects(notRegistered);
    expect(await rejection(handler()(upload("users1")))).toBe(notRegistered);
    expect(sent()).toHaveLength(3);
    expect(logged.at(-1)).toEqual({
      level: "error",
      message: "no command sent",
      bucket: "users1",
      keys: ["V1__a.sql"],
      error: "InvalidInstanceId",
      reason: "no such thing",
    });
  });

  it("is waited for within the function's 15 seconds", async () => {
    ssm.on(SendCommandCommand).rejects(notRegistered);
    await rejection(handler()(upload("users1")));
    expect(slept.reduce((sum, delay) => sum + delay, 0)).toBeLessThan(10_000);
  });

  it("is the only thing that is tried again here", async () => {
    ssm.on(SendCommandCommand).rejects(Object.assign(new Error("no"), { name: "AccessDeniedException" }));
    await expect(handler()(upload("users1"))).rejects.toThrow("no");
    expect(sent()).toHaveLength(1);
    expect(slept).toEqual([]);
  });
});

describe("a bucket without a good mapping", () => {
  it("is refused when it has none, naming bucket, parameter and remedy", async () => {
    const error = await rejection(handler()(upload("stray1")));
    expect(error).toBeInstanceOf(MappingError);
    expect(error).toHaveProperty(
      "message",
      "Bucket stray1 has no mapping: parameter /flyway/s3-mapping/stray1 does not exist. " +
        "Add its database to flyway_managed_databases and apply, or remove the bucket's notification.",
    );
    expect(sent()).toEqual([]);
  });

  it.each([
    ["does not parse", "{"],
    ["lacks a field", JSON.stringify({ ...usersMapping, schema: undefined })],
    ["would run a command", JSON.stringify({ ...usersMapping, schema: "x'; rm -rf / #" })],
    ["is empty", ""],
  ])("is left to its run where it %s: that leaves a verdict; nothing of it is sent", async (_, value) => {
    ssm.on(GetParameterCommand, { Name: mappingOf("users1") }).resolves({ Parameter: { Value: value } });
    await handler()(upload("users1"));
    expect(sent()).toHaveLength(1);
    expect(JSON.stringify(sent())).not.toContain("rm -rf");
  });

  it("is told from one that may not be read", async () => {
    const denied = Object.assign(new Error("not authorized"), { name: "AccessDeniedException" });
    ssm.on(GetParameterCommand, { Name: mappingOf("users1") }).rejects(denied);
    expect(await rejection(handler()(upload("users1")))).toBe(denied);
  });

  it("does not keep the buckets before and behind it from their commands", async () => {
    const error = await rejection(handler()(upload("users1", "stray1", "products1")));
    expect(error).toBeInstanceOf(MappingError);
    expect(sent().map(({ Comment }) => Comment)).toEqual(["Flyway: users1", "Flyway: products1"]);
    expect(logged.map(({ level, bucket }) => [level, bucket])).toEqual([
      ["info", "users1"],
      ["error", "stray1"],
      ["info", "products1"],
    ]);
  });

  it("is one of several errors when there are several", async () => {
    const error = await rejection(handler()(upload("stray1", "users1", "stray2")));
    expect(error).toBeInstanceOf(AggregateError);
    const { errors, message } = error as AggregateError;
    expect(errors).toEqual([expect.any(MappingError), expect.any(MappingError)]);
    expect(message).toContain("stray1");
    expect(message).toContain("stray2");
    expect(sent()).toHaveLength(1);
  });
});

/** What Systems Manager is to answer, and what it was asked. */
interface FakeSystemsManager {
  readonly endpoint: string;
  readonly operations: string[];
  /** Takes the operation and how often it was asked before. */
  answer: (operation: string, before: number) => [status: number, body: object];
}

const throttled: [number, object] = [400, { __type: "ThrottlingException", message: "Rate exceeded" }];
const answered = (operation: string): [number, object] =>
  operation === "GetParameter"
    ? [200, { Parameter: { Value: JSON.stringify(usersMapping) } }]
    : [200, { Command: { CommandId: "c-9" } }];

describe("Systems Manager over HTTP", () => {
  let server: Server;
  let systemsManager: FakeSystemsManager;

  beforeAll(async () => {
    server = createServer((request, response) => {
      request.resume();
      request.on("end", () => {
        const operation = String(request.headers["x-amz-target"]).replace("AmazonSSM.", "");
        const before = systemsManager.operations.filter((other) => other === operation).length;
        systemsManager.operations.push(operation);
        const [status, body] = systemsManager.answer(operation, before);
        response.writeHead(status, { "content-type": "application/x-amz-json-1.1" });
        response.end(JSON.stringify(body));
      });
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  beforeEach(() => {
    const { port } = server.address() as AddressInfo;
    systemsManager = { endpoint: `http://127.0.0.1:${port}`, operations: [], answer: answered };
    vi.resetModules(); // the function reads its environment once
    vi.spyOn(Math, "random").mockReturnValue(0); // the SDK's waits are random from 0 on: none
    vi.spyOn(console, "log").mockImplementation((line: string) => void logged.push(JSON.parse(line)));
    for (const [name, value] of Object.entries(functionEnvironment)) vi.stubEnv(name, value);
    vi.stubEnv("AWS_ENDPOINT_URL_SSM", systemsManager.endpoint);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  /** The function's own entry point, with the client that it makes. */
  async function entryPoint(): Promise<(event: unknown) => Promise<void>> {
    return (await import("../lambda/index.js")).handler;
  }

  it("is asked for the mapping, then sent the command", async () => {
    await (await entryPoint())(upload("users1"));
    expect(systemsManager.operations).toEqual(["GetParameter", "SendCommand"]);
    expect(logged).toEqual([expect.objectContaining({ message: "command sent", commandId: "c-9" })]);
  });

  it("is asked again when it throttles", async () => {
    systemsManager.answer = (operation, before) => (before < 2 ? throttled : answered(operation));
    await (await entryPoint())(upload("users1"));
    expect(systemsManager.operations).toEqual([
      ...Array.from({ length: 3 }, () => "GetParameter"),
      ...Array.from({ length: 3 }, () => "SendCommand"),
    ]);
    expect(logged).toEqual([expect.objectContaining({ message: "command sent" })]);
  });

  it("makes the function throw when it never stops to throttle", async () => {
    systemsManager.answer = (operation) => (operation === "SendCommand" ? throttled : answered(operation));
    const error = await rejection((await entryPoint())(upload("users1")));
    expect(error).toHaveProperty("name", "ThrottlingException");
    expect(systemsManager.operations.filter((operation) => operation === "SendCommand")).toHaveLength(4);
    expect(logged).toEqual([
      expect.objectContaining({ level: "error", bucket: "users1", error: "ThrottlingException" }),
    ]);
  });

  it("says over the wire that a parameter is missing, which makes a MappingError", async () => {
    systemsManager.answer = () => [400, { __type: "ParameterNotFound" }];
    await expect((await entryPoint())(upload("users1"))).rejects.toThrow(
      "Bucket users1 has no mapping: parameter /flyway/s3-mapping/users1 does not exist.",
    );
  });

  it("is not reached when the environment lacks something, which the error names", async () => {
    vi.stubEnv("DOCUMENT_NAME", "");
    await expect((await entryPoint())(upload("users1"))).rejects.toThrow("environment lacks DOCUMENT_NAME:");
    expect(systemsManager.operations).toEqual([]);
  });

  describe("from the bundle, under plain node", () => {
    let folder: string;
    let bundle: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "bundle-"));
      bundle = join(folder, "index.js");
      writeFileSync(bundle, bundleFunction());
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    /** Calls the bundle's handler in a process that knows nothing but its environment; resolves with its output. */
    async function invoke(event: unknown, env: Record<string, string> = {}): Promise<string> {
      const call = `require(process.argv[1]).handler(JSON.parse(process.argv[2])).catch((error) => { console.log(String(error)); process.exitCode = 1; })`;
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ["-e", call, bundle, JSON.stringify(event)],
        {
          cwd: folder,
          env: { ...functionEnvironment, AWS_ENDPOINT_URL_SSM: systemsManager.endpoint, ...env },
        },
      ).catch((error: { stdout: string }) => error);
      return stdout;
    }

    it("is asked for the mapping, then sent the command", async () => {
      expect(JSON.parse(await invoke(upload("users1")))).toEqual({
        level: "info",
        message: "command sent",
        bucket: "users1",
        keys: ["V1__a.sql"],
        commandId: "c-9",
      });
      expect(systemsManager.operations).toEqual(["GetParameter", "SendCommand"]);
    });

    it("hands on metrics as lines of nothing but JSON, which CloudWatch needs", async () => {
      const report = { flyway: "reconcile", buckets: 2, failed: 0, oldestUploadSeconds: 7 };
      expect(JSON.parse(await invoke(logEvent([JSON.stringify(report)])))).toMatchObject({
        OldestUploadSeconds: 7,
      });
    });

    it("is not reached for S3's test event", async () => {
      expect(JSON.parse(await invoke(TEST_EVENT))).toMatchObject({ message: "ignored" });
      expect(systemsManager.operations).toEqual([]);
    });

    it("is not reached when the environment lacks something", async () => {
      expect(await invoke(upload("users1"), { INSTANCE_ID: "" })).toContain("environment lacks INSTANCE_ID:");
      expect(systemsManager.operations).toEqual([]);
    });
  });
});

describe("the bundle", () => {
  it("is one CommonJS file that exports the handler", () => {
    const module = { exports: {} as Record<string, unknown> };
    new Function("module", "exports", "require", bundleFunction())(module, module.exports, require);
    expect(Object.keys(module.exports)).toEqual(["createHandler", "handler"]);
    expect(module.exports.handler).toBeTypeOf("function");
  });

  it("requires nothing but Node.js", () => {
    const required = [...bundleFunction().matchAll(/\brequire\("([^"]+)"\)/g)].map(
      ([, name]) => name as string,
    );
    expect(required.length).toBeGreaterThan(5);
    const others = required.filter((name) => !builtinModules.includes(name.replace(/^node:/, "")));
    expect(new Set(others)).toEqual(new Set(["@aws-sdk/signature-v4-crt"])); // the SDK goes without where it is not
  });

  it("has no path of this machine in it", () => {
    const project = resolve(__dirname, "..");
    const paths = [`${project}/`, `${homedir()}/`, "node_modules", "flyway-on-aws"];
    expect(paths.filter((path) => bundleFunction().includes(path))).toEqual([]);
  });

  it("is small enough for a quick start", () => {
    expect(Buffer.byteLength(bundleFunction())).toBeLessThan(800_000);
  });
});
