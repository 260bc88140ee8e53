import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  GetCommandInvocationCommand,
  GetParametersByPathCommand,
  ListCommandInvocationsCommand,
  paginateGetParametersByPath,
  SendCommandCommand,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Commands, type Finished } from "../local/aws/commands";

const HOST = "i-00000000000000000";

let directory: string;
let server: Server;
let commands: Commands;
let ssm: SSMClient;
let finished: Finished[];
let parameters: Map<string, string>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "commands-"));
  finished = [];
  parameters = new Map();
  commands = new Commands({
    directory,
    region: "eu-central-1",
    accessKeyId: "LOCAL",
    hostId: HOST,
    documentName: "say",
    document: {
      schemaVersion: "2.2",
      description: "Says what it is told, and ends as it is told",
      parameters: {
        Bucket: { type: "String", description: "", allowedPattern: "^[a-z*]+$" },
        Code: { type: "String", description: "", allowedPattern: "^[0-9]+$", default: "0" },
        Timeout: { type: "String", description: "", allowedPattern: "^[0-9]+$", default: "60" },
        Wait: { type: "String", description: "", allowedPattern: "^[0-9]+$", default: "0" },
      },
      mainSteps: [
        {
          action: "aws:runShellScript",
          name: "say",
          inputs: {
            timeoutSeconds: "{{ Timeout }}",
            runCommand: [
              "#!/bin/sh",
              "sleep '{{ Wait }}'",
              "echo 'said {{ Bucket }}'; echo 'wrong {{ Bucket }}' >&2",
              "exit '{{ Code }}'",
            ],
          },
        },
      ],
    },
    parameters,
    secrets: new Map(),
    hostEnvironment: { PATH: process.env.PATH as string },
    onFinished: (invocation) => void finished.push(invocation),
  });
  server = createServer((request, response) => void commands.handle(request, response));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  ssm = new SSMClient({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: "eu-central-1",
    credentials: { accessKeyId: "LOCAL", secretAccessKey: "x" },
    maxAttempts: 1,
  });
});
afterEach(async () => {
  ssm.destroy();
  await commands.stop();
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

async function send(
  bucket: string,
  extras: Record<string, string> = {},
  TimeoutSeconds?: number,
): Promise<string> {
  const values = Object.entries({ Bucket: bucket, ...extras }).map(([name, value]) => [name, [value]]);
  const input = { DocumentName: "say", InstanceIds: [HOST], Comment: `about ${bucket}`, TimeoutSeconds };
  const { Command } = await ssm.send(
    new SendCommandCommand({ ...input, Parameters: Object.fromEntries(values) }),
  );
  return Command?.CommandId as string;
}

const invocation = (id: string) =>
  ssm.send(new GetCommandInvocationCommand({ CommandId: id, InstanceId: HOST }));

describe("a command", () => {
  it("is asked for its comment, its status and each of its outputs", async () => {
    const id = await send("users", { Code: "3" });
    await commands.untilQuiet("users");
    expect(await invocation(id)).toMatchObject({
      CommandId: id,
      InstanceId: HOST,
      DocumentName: "say",
      Comment: "about users",
      Status: "Failed",
      ResponseCode: 3,
      StandardOutputContent: "said users\n",
      StandardErrorContent: "wrong users\n",
    });
  });

  it.each([
    ["Success", {}],
    ["Failed", { Code: "1" }],
    ["TimedOut", { Timeout: "1", Wait: "60" }],
  ])("that ends as %s is told as such", async (status, values) => {
    const commandId = await send("users", values);
    await commands.untilQuiet("users");
    expect(finished).toMatchObject([{ commandId, bucket: "users", status }]);
  });

  it("is told of with both outputs", async () => {
    await send("users");
    await commands.untilQuiet("users");
    expect(finished[0]?.output.split("\n").sort()).toEqual(["", "said users", "wrong users"]);
  });

  it("that is ended with the chain is not told of", async () => {
    await send("users", { Wait: "60" });
    await commands.stop();
    expect(finished).toEqual([]);
  });

  it("of another bucket is not waited for", async () => {
    await send("slow", { Wait: "60" });
    await send("users");
    await commands.untilQuiet("users");
    expect(finished.map(({ bucket }) => bucket)).toEqual(["users"]);
  });
});

/** The ids of the commands that have a status, oldest first. */
async function listed(status: string): Promise<(string | undefined)[]> {
  const Filters = [
    { key: "DocumentName" as const, value: "say" },
    { key: "Status" as const, value: status },
  ];
  const { CommandInvocations = [] } = await ssm.send(new ListCommandInvocationsCommand({ Filters }));
  return CommandInvocations.map(({ CommandId }) => CommandId);
}

describe("a stopped host", () => {
  it("has commands wait, and takes them in their order once it is started", async () => {
    commands.stopHost();
    const ids = [await send("users"), await send("users")];
    expect(await listed("Pending")).toEqual(ids);
    expect(commands.waiting).toEqual(ids.map((commandId) => ({ commandId, bucket: "users" })));
    expect(await invocation(ids[0] as string)).toMatchObject({
      Status: "Pending",
      StandardOutputContent: "",
    });
    commands.startHost();
    await commands.untilQuiet("users");
    expect(await listed("Success")).toEqual(ids);
    expect(await listed("Pending")).toEqual([]);
  });

  it("does not get a command whose time has gone", async () => {
    commands.stopHost();
    const commandId = await send("users", { Timeout: "1" }, 0);
    await commands.untilQuiet("users");
    expect(finished).toMatchObject([{ commandId, status: "TimedOut", output: "" }]);
    commands.startHost();
    expect(commands.running).toEqual([]);
  });
});

describe("the agent", () => {
  it("has five commands under way at once", async () => {
    for (let n = 1; n <= 7; n++) await send("users", { Wait: n === 1 ? "1" : "60" });
    expect([commands.running.length, commands.waiting.length]).toEqual([5, 2]);
    await expect.poll(() => commands.waiting.length, { timeout: 10_000 }).toBe(1);
    expect(commands.running).toHaveLength(5);
  });
});

describe("the parameters by path", () => {
  it("are those right below it, ten at a time", async () => {
    const below = Array.from({ length: 23 }, (_, i) => `/flyway/s3-mapping/bucket${i}`);
    for (const name of below) parameters.set(name, "{}");
    for (const name of ["/flyway/s3-mapping-dev/a", "/flyway/s3-mapping/a/b", "/flyway/target/x"]) {
      parameters.set(name, "{}");
    }
    const pages: string[][] = [];
    for await (const page of paginateGetParametersByPath({ client: ssm }, { Path: "/flyway/s3-mapping" })) {
      pages.push((page.Parameters ?? []).map(({ Name }) => Name as string));
    }
    expect(pages.map((page) => page.length)).toEqual([10, 10, 3]);
    expect(pages.flat()).toEqual(below);
  });

  it("may be none", async () => {
    const answer = await ssm.send(new GetParametersByPathCommand({ Path: "/flyway/s3-mapping/" }));
    expect(answer.Parameters).toEqual([]);
    expect(answer.NextToken).toBeUndefined();
  });
});
