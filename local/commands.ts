import { randomUUID } from "node:crypto";
import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import type * as http from "node:http";
import { join } from "node:path";
import type { CommandDocument } from "../constructs/document";
import { type LeashedProcess, leashed } from "./processes";

/** A command that was sent, as far as anyone asks for it later. */
interface Invocation {
  readonly process: LeashedProcess;
  status: "InProgress" | "Success" | "Failed" | "TimedOut";
  exitCode: number;
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
  readonly onFinished: (finished: {
    commandId: string;
    bucket: string;
    exitCode: number;
    log: string;
  }) => void | Promise<void>;
}

/**
 * A subset of Systems Manager and Secrets Manager for local use: what the function and the host call. A command
 * runs the document's script on this machine, the way the SSM agent does: the parameters are checked against
 * their patterns and written into the script, which `sh -c` runs.
 */
export class Commands {
  private readonly invocations = new Map<string, Invocation>();

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

  /** Ends every command that still runs. */
  async stop(): Promise<void> {
    await Promise.all([...this.invocations.values()].map(({ process }) => process.stop(1_000)));
  }

  private call(target: string, input: Record<string, unknown>): unknown {
    switch (target) {
      case "AmazonSSM.GetParameter": {
        const value = this.options.parameters.get(String(input.Name));
        if (value === undefined) throw new ServiceError("ParameterNotFound", `There is no ${input.Name}`);
        return { Parameter: { Name: input.Name, Type: "String", Value: value, Version: 1 } };
      }
      case "AmazonSSM.GetParametersByPath": {
        const found = [...this.options.parameters].filter(
          ([name]) => name.slice(0, name.lastIndexOf("/")) === input.Path,
        );
        return {
          Parameters: found.map(([Name, Value]) => ({ Name, Type: "String", Value, Version: 1 })),
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
          CommandId: input.CommandId,
          InstanceId: this.options.hostId,
          Status: invocation.status,
          ResponseCode: invocation.exitCode,
        };
      }
      default:
        throw new ServiceError("NotImplemented", `${target} is not in this subset of AWS`);
    }
  }

  private sendCommand(input: {
    DocumentName?: string;
    InstanceIds?: string[];
    Parameters?: Record<string, string[]>;
  }): unknown {
    const { directory, document, documentName, hostId, region } = this.options;
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

    const log = join(folder, "output");
    const output = createWriteStream(log);
    const process = leashed("sh", ["-c", `'${script.replaceAll("'", "'\\''")}'`], {
      cwd: folder,
      env: {
        ...this.options.hostEnvironment,
        SSM_COMMAND_ID: commandId,
        AWS_SSM_INSTANCE_ID: hostId,
        AWS_SSM_REGION_NAME: region,
      },
      stdout: "pipe",
      stderr: "pipe",
    });
    process.child.stdout?.pipe(output, { end: false });
    process.child.stderr?.pipe(output, { end: false });
    const invocation: Invocation = { process, status: "InProgress", exitCode: -1 };
    this.invocations.set(commandId, invocation);
    const timeout = setTimeout(
      () => {
        invocation.status = "TimedOut";
        process.stop(0);
      },
      Math.min(Number(fill(inputs.timeoutSeconds)) * 1_000, 2 ** 31 - 1),
    );
    process.exited.then((exitCode) => {
      clearTimeout(timeout);
      invocation.exitCode = exitCode;
      if (invocation.status === "InProgress") invocation.status = exitCode === 0 ? "Success" : "Failed";
      output.end(() =>
        this.options.onFinished({ commandId, bucket: values.Bucket as string, exitCode, log }),
      );
    });
    return {
      Command: { CommandId: commandId, Status: "Pending", InstanceIds: [hostId], DocumentName: documentName },
    };
  }
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
