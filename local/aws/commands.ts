import { randomUUID } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type * as http from "node:http";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import type { CommandDocument } from "../../constructs/document";
import { type LeashedProcess, leashed } from "../machine/processes";

/** The most parameters in one answer: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html */
const PARAMETERS_PER_PAGE = 10;

/** How many commands the SSM agent has under way at once, CommandWorkersLimit: https://github.com/aws/amazon-ssm-agent */
const WORKERS = 5;

/** How long a command may wait for the host, in seconds: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html */
const DELIVERY_TIMEOUT = 3_600;

/** A command that was sent, as far as anyone asks for it later. */
interface Invocation {
  /** Once the host has taken it. */
  process?: LeashedProcess;
  readonly bucket: string;
  readonly comment: string;
  /** In milliseconds. */
  readonly sentAt: number;
  /** Where `stdout` and `stderr` are. */
  readonly folder: string;
  status: "Pending" | "InProgress" | "Success" | "Failed" | "TimedOut";
  exitCode: number;
  /** Has the host take it; once it has ended, and onFinished was called, `done` is resolved. */
  readonly start: () => void;
  readonly done: Promise<void>;
}

/** A command under way. */
export interface RunningCommand {
  readonly commandId: string;
  readonly bucket: string;
  /** Of the shell that runs the script; its process group is its own. */
  readonly pid: number;
}

/** A command that has ended. */
export interface Finished {
  readonly commandId: string;
  readonly bucket: string;
  readonly status: Invocation["status"];
  readonly exitCode: number;
  /** All of its output, both streams together. */
  readonly output: string;
}

/** A refusal, as the AWS SDK and the CLI read it. */
class ServiceError extends Error {
  constructor(
    readonly type: string,
    message: string,
  ) {
    super(message);
  }
}

export interface CommandsOptions {
  /** Private folder for scripts and logs; must exist. */
  readonly directory: string;
  readonly region: string;
  /** Requests must name it; signatures are not verified. */
  readonly accessKeyId: string;
  /** The instance id that commands may be sent to. */
  readonly hostId: string;
  readonly documentName: string;
  readonly document: CommandDocument;
  /** Parameter Store: name to value. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Secrets Manager: ARN to the secret's string. */
  readonly secrets: ReadonlyMap<string, string>;
  /** The environment of the host's shell; what the SSM agent adds is added here too. */
  readonly hostEnvironment: Readonly<Record<string, string>>;
  /** Called when a command has ended. */
  readonly onFinished: (finished: Finished) => void | Promise<void>;
}

/**
 * A subset of Systems Manager and Secrets Manager for local use: what the function and the host call. A command
 * runs the document's script on this machine, the way the SSM agent does: the parameters are checked against
 * their patterns and written into the script, which `sh -c` runs.
 */
export class Commands {
  private readonly invocations = new Map<string, Invocation>();
  private stopping = false;
  private hostStopped = false;

  constructor(private readonly options: CommandsOptions) {}

  /** Handles a request in AWS's JSON protocol, that is one with an `X-Amz-Target` header. */
  async handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const answer = (status: number, body: unknown) => {
      response.writeHead(status, { "content-type": "application/x-amz-json-1.1" }).end(JSON.stringify(body));
    };
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (!request.headers.authorization?.includes(`Credential=${this.options.accessKeyId}/`)) {
        throw new ServiceError("UnrecognizedClientException", "The access key id is not this chain's");
      }
      const input = JSON.parse(Buffer.concat(chunks).toString() || "{}");
      answer(200, this.call(String(request.headers["x-amz-target"]), input));
    } catch (error) {
      const type = error instanceof ServiceError ? error.type : "InternalServerError";
      answer(type === "InternalServerError" ? 500 : 400, { __type: type, message: (error as Error).message });
    }
  }

  /** Ends every command that still runs; none is told of any more. */
  async stop(): Promise<void> {
    this.stopping = true;
    const stop = async ({ process, done }: Invocation) => {
      await process?.stop(1_000);
      await done;
    };
    const started = [...this.invocations.values()].filter(({ status }) => status !== "Pending");
    await Promise.all(started.map(stop));
  }

  /** Has the host take no command any more; as on AWS, commands that are sent to it wait. What runs goes on. */
  stopHost(): void {
    this.hostStopped = true;
  }

  /** Has the host take what waits, and what comes. */
  startHost(): void {
    this.hostStopped = false;
    this.take();
  }

  get running(): RunningCommand[] {
    return [...this.invocations]
      .filter(([, { status }]) => status === "InProgress")
      .map(([commandId, { bucket, process }]) => ({
        commandId,
        bucket,
        pid: (process as LeashedProcess).pid,
      }));
  }

  /** The commands that the host has not taken yet, oldest first. */
  get waiting(): { readonly commandId: string; readonly bucket: string }[] {
    return [...this.invocations]
      .filter(([, { status }]) => status === "Pending")
      .map(([commandId, { bucket }]) => ({ commandId, bucket }));
  }

  /** Resolves when the commands for a bucket that run now have ended. */
  async untilQuiet(bucket: string): Promise<void> {
    const invocations = [...this.invocations.values()].filter((invocation) => invocation.bucket === bucket);
    await Promise.all(invocations.map(({ done }) => done));
  }

  private call(target: string, input: Record<string, unknown>): unknown {
    switch (target) {
      case "AmazonSSM.GetParameter": {
        const value = this.options.parameters.get(String(input.Name));
        if (value === undefined) throw new ServiceError("ParameterNotFound", `There is no ${input.Name}`);
        return { Parameter: { Name: input.Name, Type: "String", Value: value, Version: 1 } };
      }
      case "AmazonSSM.GetParametersByPath": {
        const path = `${String(input.Path).replace(/\/$/, "")}/`;
        const matches = [...this.options.parameters].filter(
          ([name]) => name.startsWith(path) && !name.slice(path.length).includes("/"),
        );
        const from = Number(input.NextToken ?? 0);
        const to = from + PARAMETERS_PER_PAGE;
        return {
          Parameters: matches
            .slice(from, to)
            .map(([Name, Value]) => ({ Name, Type: "String", Value, Version: 1 })),
          NextToken: to < matches.length ? String(to) : undefined,
        };
      }
      case "secretsmanager.GetSecretValue": {
        const secret = this.options.secrets.get(String(input.SecretId));
        if (secret === undefined)
          throw new ServiceError("ResourceNotFoundException", "There is no such secret");
        return { ARN: input.SecretId, SecretString: secret };
      }
      case "AmazonSSM.SendCommand":
        return this.sendCommand(input as Parameters<Commands["sendCommand"]>[0]);
      case "AmazonSSM.GetCommandInvocation": {
        const invocation = this.invocations.get(String(input.CommandId));
        if (!invocation) throw new ServiceError("InvocationDoesNotExist", `There is no ${input.CommandId}`);
        return {
          ...this.describe(String(input.CommandId), invocation),
          ResponseCode: invocation.exitCode,
          StandardOutputContent: head(join(invocation.folder, "stdout"), 24_000),
          StandardErrorContent: head(join(invocation.folder, "stderr"), 8_000),
        };
      }
      case "AmazonSSM.ListCommandInvocations": {
        const filters = (input.Filters ?? []) as { key: string; value: string }[];
        const after = filters.find(({ key }) => key === "InvokedAfter")?.value ?? 0;
        const equal = filters.filter(({ key }) => key !== "InvokedAfter");
        const described = [...this.invocations]
          .filter(([id]) => input.CommandId === undefined || input.CommandId === id)
          .filter(([, { sentAt }]) => sentAt > new Date(after).getTime())
          .map(([commandId, invocation]) => this.describe(commandId, invocation));
        return {
          CommandInvocations: described.filter((description) =>
            equal.every(({ key, value }) => (description as Record<string, unknown>)[key] === value),
          ),
        };
      }
      case "AmazonSSM.DescribeInstanceInformation": {
        const PingStatus = this.hostStopped ? "ConnectionLost" : "Online";
        return { InstanceInformationList: [{ InstanceId: this.options.hostId, PingStatus }] };
      }
      case "Logs_20140328.FilterLogEvents":
        return { events: this.logEvents(String(input.logStreamNamePrefix)) };
      default:
        throw new ServiceError("NotImplemented", `${target} is not in this subset of AWS`);
    }
  }

  /** The lines of commands' output, as Run Command writes them to CloudWatch; all as of the time when they were sent. */
  private logEvents(prefix: string): object[] {
    const { hostId, document } = this.options;
    return [...this.invocations]
      .filter(([commandId]) => `${commandId}/`.startsWith(prefix))
      .flatMap(([commandId, { folder, sentAt }]) =>
        ["stdout", "stderr"].flatMap((name) => {
          const logStreamName = `${commandId}/${hostId}/${document.mainSteps[0].name}/${name}`;
          const lines = head(join(folder, name), Number.POSITIVE_INFINITY).trimEnd();
          return lines.split("\n").map((message, index) => ({
            ...{ eventId: `${logStreamName}/${index}`, logStreamName, timestamp: sentAt, message },
          }));
        }),
      )
      .filter(({ message }) => message !== "");
  }

  private describe(commandId: string, { comment, status, sentAt }: Invocation): object {
    const { documentName, hostId } = this.options;
    return {
      CommandId: commandId,
      InstanceId: hostId,
      DocumentName: documentName,
      Comment: comment,
      Status: status,
      StatusDetails: status,
      RequestedDateTime: sentAt / 1_000,
    };
  }

  /** Has the host take the oldest commands that wait, as many as it may have under way. */
  private take(): void {
    if (this.hostStopped || this.stopping) return;
    for (const { commandId } of this.waiting) {
      if (this.running.length >= WORKERS) return;
      this.invocations.get(commandId)?.start();
    }
  }

  private sendCommand(input: {
    DocumentName?: string;
    InstanceIds?: string[];
    Parameters?: Record<string, string[]>;
    Comment?: string;
    TimeoutSeconds?: number;
  }): unknown {
    const { directory, document, documentName, hostId } = this.options;
    if (input.DocumentName !== documentName)
      throw new ServiceError("InvalidDocument", `${input.DocumentName}`);
    if (input.InstanceIds?.length !== 1 || input.InstanceIds[0] !== hostId) {
      throw new ServiceError("InvalidInstanceId", `${input.InstanceIds} is not registered`);
    }
    const values = parameterValues(document, input.Parameters ?? {});
    const [{ name, inputs }] = document.mainSteps;
    const fill = (text: string) =>
      text.replace(/\{\{ (\w+) \}\}/g, (_, parameter) => values[parameter] as string);

    const commandId = randomUUID();
    const folder = join(directory, "orchestration", commandId, name);
    mkdirSync(folder, { recursive: true });
    const script = join(folder, "_script.sh");
    writeFileSync(script, `${inputs.runCommand.map(fill).join("\n")}\n`, { mode: 0o700 });

    let end = () => {};
    const invocation: Invocation = {
      bucket: values.Bucket as string,
      comment: input.Comment ?? "",
      sentAt: Date.now(),
      folder,
      status: "Pending",
      exitCode: -1,
      start: () => void this.run(commandId, script, executionTimeout).finally(end),
      done: new Promise((resolve) => {
        end = resolve;
      }),
    };
    this.invocations.set(commandId, invocation);
    const executionTimeout = Number(fill(inputs.timeoutSeconds));
    const undelivered = setTimeout(
      () => {
        if (invocation.status !== "Pending") return;
        invocation.status = "TimedOut";
        void this.finish(commandId, "").finally(end);
      },
      milliseconds((input.TimeoutSeconds ?? DELIVERY_TIMEOUT) + executionTimeout),
    );
    undelivered.unref();
    this.take();
    return {
      Command: { CommandId: commandId, Status: "Pending", InstanceIds: [hostId], DocumentName: documentName },
    };
  }

  /** Runs a command's script; resolves once it has ended and was told of. */
  private async run(commandId: string, script: string, executionTimeout: number): Promise<void> {
    const { hostEnvironment, hostId, region } = this.options;
    const invocation = this.invocations.get(commandId) as Invocation;
    const process = leashed("sh", ["-c", `'${script.replaceAll("'", "'\\''")}'`], {
      cwd: invocation.folder,
      env: {
        ...hostEnvironment,
        SSM_COMMAND_ID: commandId,
        AWS_SSM_INSTANCE_ID: hostId,
        AWS_SSM_REGION_NAME: region,
      },
      stdout: "pipe",
      stderr: "pipe",
    });
    invocation.process = process;
    invocation.status = "InProgress";
    const chunks: Buffer[] = [];
    const written = (["stdout", "stderr"] as const).map((name) => {
      const stream = process.child[name] as Readable;
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      return finished(stream.pipe(createWriteStream(join(invocation.folder, name))));
    });
    const timeout = setTimeout(() => {
      invocation.status = "TimedOut";
      process.stop(0);
    }, milliseconds(executionTimeout));
    const exitCode = await process.exited;
    clearTimeout(timeout);
    await Promise.all(written);
    invocation.exitCode = exitCode;
    if (invocation.status === "InProgress") invocation.status = exitCode === 0 ? "Success" : "Failed";
    this.take();
    await this.finish(commandId, Buffer.concat(chunks).toString());
  }

  private async finish(commandId: string, output: string): Promise<void> {
    if (this.stopping) return;
    const { bucket, status, exitCode } = this.invocations.get(commandId) as Invocation;
    await this.options.onFinished({ commandId, bucket, status, exitCode, output });
  }
}

/** Of so many seconds, as much as a timer takes. */
function milliseconds(seconds: number): number {
  return Math.min(seconds * 1_000, 2 ** 31 - 1);
}

/** What is at a file's beginning, as much as an answer has room for. */
function head(file: string, length: number): string {
  return existsSync(file) ? readFileSync(file, "utf8").slice(0, length) : "";
}

/** The document's parameters with the values sent, checked as Systems Manager checks them. */
function parameterValues(document: CommandDocument, sent: Record<string, string[]>): Record<string, string> {
  const unknown = Object.keys(sent).filter((name) => !(name in document.parameters));
  if (unknown.length > 0) throw new ServiceError("InvalidParameters", `The document has no ${unknown}`);
  return Object.fromEntries(
    Object.entries(document.parameters).map(([name, { allowedPattern, default: fallback }]) => {
      const value = sent[name]?.[0] ?? fallback;
      if (value === undefined || !new RegExp(allowedPattern).test(value)) {
        throw new ServiceError("InvalidParameters", `${name} ${value} does not match ${allowedPattern}`);
      }
      return [name, value];
    }),
  );
}
