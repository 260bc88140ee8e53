import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { S3Event } from "aws-lambda";
import { commandDocument } from "../constructs/document";
import type { FlywayArchives } from "../deployment/archives";
import { EVERY_BUCKET } from "../deployment/command";
import { bucketPrefixOf } from "../deployment/databases";
import { archiveName, deploymentName, type Mapping, mappingName, targetName } from "../deployment/mapping";
import { Names } from "../deployment/names";
import { RECONCILE } from "../lambda/command";
import { type Message, STATUS_CHANGE } from "../lambda/notification";
import { Commands, type RunningCommand } from "./aws/commands";
import { type Faults, serveAws } from "./aws/endpoint";
import { LocalFunction } from "./aws/function";
import { LocalS3 } from "./aws/s3/server";
import { Topic } from "./aws/topic";
import { type Database, startDatabase, targetOf } from "./machine/database";
import type { Progress } from "./machine/downloads";
import { findFlyway } from "./machine/flyway";
import { leashed } from "./machine/processes";
import { installRunner } from "./machine/runner";
import { missingPrograms } from "./machine/tools";
import { Verdicts } from "./verdicts";

const REGION = "eu-central-1";
const HOST_ID = "i-00000000000000000";
const DOCUMENT = "flyway-migrate";
const CONF = "local.conf";
const NAMES = new Names();
const TOPIC = `arn:aws:sns:${REGION}:000000000000:flyway-notifications`;
const LOG_GROUP = "/ssm/runcommand/flyway-host";
const SECRET = `arn:aws:secretsmanager:${REGION}:000000000000:secret:local`;

export interface ChainOptions {
  /** The databases: each gets a bucket and a schema of its name. */
  readonly databases: readonly string[];
  readonly flywayVersion: string;
  readonly archives: FlywayArchives;
  /**
   * How long, in seconds, a bucket must be still before it is migrated.
   * @default 2, as on AWS
   */
  readonly settleSeconds?: number;
  /**
   * The folder where the host installs Flyway's releases.
   * @default in the cache, shared by all chains
   */
  readonly releases?: string;
  /** Takes a line for a person. */
  readonly say: (line: string) => void;
  /** Takes the output of a run, or of the function, that ended without a verdict. */
  readonly complain: (output: string) => void;
  /**
   * Takes each message that people would be sent.
   * @default none
   */
  readonly onMessage?: (message: Message) => void;
  /**
   * Stands between S3 and the function: delivers an event never, late or twice.
   * @default each event once, at once
   */
  readonly deliver?: (event: S3Event, invoke: Chain["invoke"]) => void;
  /** @default each request to AWS is handled */
  readonly faults?: Faults;
  /**
   * Path of the database server to start.
   * @default the one on PATH, else MariaDB's binaries
   */
  readonly program?: string;
  readonly progress: Progress;
}

/** A running chain: everything between an upload and the database, on this machine. */
export interface Chain {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Database to bucket. */
  readonly buckets: Readonly<Record<string, string>>;
  readonly database: Database;
  /** What the database's certificate is verified with, in a file. */
  readonly caFile: string;
  readonly flywayVersion: string;
  /** Uploads a migration, as any S3 client does. */
  upload(database: string, key: string, body: string | Uint8Array): Promise<void>;
  readonly verdicts: Verdicts;
  /** Parameter Store, by name: mappings, targets, archives. */
  readonly parameters: Map<string, string>;
  /** Changes a database's mapping, as an apply of another flyway_database_settings does. */
  configure(database: string, change: Partial<Mapping>): void;
  /** Secrets Manager, by ARN. */
  readonly secrets: Map<string, string>;
  /** What people would have been sent so far, oldest first. */
  readonly messages: readonly Message[];
  /** Hands the function an event, with Lambda's retries; resolves when it has ended, well or not. */
  invoke(event: unknown): Promise<void>;
  /** The commands that run now. */
  readonly running: readonly RunningCommand[];
  /** The host's Systems Manager: the host can be stopped. */
  readonly commands: Pick<Commands, "stopHost" | "startHost" | "waiting">;
  /** Has the host look at every bucket, as the schedule does; resolves when it has. */
  reconcile(): Promise<void>;
  /** Ends everything; leaves no process, no port and no file but the cache. */
  stop(): Promise<void>;
}

/**
 * Starts the chain. What is real: the function's bundle, the Command document and its script, Flyway, the
 * database. What stands in for AWS listens on loopback only.
 *
 * @throws if a part cannot be had here, with what to install; whatever was started is ended first
 */
export async function startChain(options: ChainOptions): Promise<Chain> {
  const missing = missingPrograms();
  if (missing.length > 0) throw new Error(`Programs are missing here:\n${missing.join("\n")}`);
  const directory = mkdtempSync(join(tmpdir(), "flyway-chain-"));
  // Does nothing but go with us, even when we are killed, and take the folder with it.
  const keeper = leashed("sleep", ["2147483647"], { cleanup: directory });
  const undo: (() => Promise<void>)[] = [() => keeper.stop()];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    return await start(options, directory, undo, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  options: ChainOptions,
  directory: string,
  undo: (() => Promise<void>)[],
  stop: () => Promise<void>,
): Promise<Chain> {
  const folder = (name: string) => {
    const path = join(directory, name);
    mkdirSync(path);
    return path;
  };
  const flyway = await findFlyway(options.flywayVersion, options.archives, directory, options.progress);
  const database = await startDatabase(folder("database"), options);
  undo.push(() => database.stop());

  // What stands in for AWS: one server for S3, Systems Manager, Secrets Manager and SNS.
  const accessKeyId = `LOCAL${randomBytes(8).toString("hex").toUpperCase()}`;
  const secretAccessKey = randomBytes(20).toString("hex");
  const aws = await serveAws(
    (request, response) => {
      if (request.headers["x-amz-target"]) return commands.handle(request, response);
      return topic.takes(request) ? topic.handle(request, response) : s3.handle(request, response);
    },
    options.faults ?? (() => undefined),
  );
  undo.push(() => aws.close());
  const endpoint = aws.url;
  const awsEnvironment = {
    ...withoutAws(process.env),
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_DEFAULT_REGION: REGION,
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_ENDPOINT_URL: endpoint,
  };
  const s3 = new LocalS3({ directory: folder("s3"), region: REGION, accessKeyId });
  const topic = new Topic({ arn: TOPIC, accessKeyId, onMessage: options.onMessage ?? (() => {}) });
  const parameters = new Map<string, string>();
  const caFile = join(directory, "ca.pem");
  const target = targetOf(database, SECRET, caFile);
  parameters.set(targetName(NAMES.parameters, CONF), JSON.stringify(target));
  parameters.set(archiveName(NAMES.parameters, flyway.version), JSON.stringify(flyway.archive));
  const deployment = {
    instanceId: HOST_ID,
    documentName: DOCUMENT,
    logGroupName: LOG_GROUP,
    settleSeconds: String(options.settleSeconds ?? 2),
    reconcileMinutes: "15",
  };
  parameters.set(deploymentName(NAMES.parameters), JSON.stringify(deployment));
  const login = { username: database.user, password: database.password };
  const secrets = new Map([[SECRET, JSON.stringify(login)]]);
  const commands = new Commands({
    directory: folder("commands"),
    region: REGION,
    accessKeyId,
    hostId: HOST_ID,
    documentName: DOCUMENT,
    document: commandDocument(NAMES.parameters, installRunner(folder("runner"))),
    parameters,
    secrets,
    hostEnvironment: {
      ...awsEnvironment,
      PATH: [dirname(process.execPath), process.env.PATH].join(delimiter), // of the host's Node.js
      HOST_ROOT: join(directory, "host"),
      HOST_RELEASES: options.releases ?? flyway.releases,
    },
    onFinished: async ({ commandId, bucket, status, exitCode, output }) => {
      void fn.invoke(statusEvent(commandId, status));
      const names = bucket === EVERY_BUCKET ? Object.keys(buckets) : [databaseOf(bucket)];
      const news = await Promise.all(names.map((name) => verdicts.update(name))).catch((error) => [
        options.complain(String(error)),
      ]);
      if (exitCode === 0 || news.some(Boolean)) return;
      if (bucket === EVERY_BUCKET) options.complain(output);
      else complain(names[0] as string, output);
    },
  });
  undo.push(() => commands.stop());

  const fn = new LocalFunction({
    directory: folder("function"),
    environment: {
      PATH: process.env.PATH ?? "",
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_ENDPOINT_URL: endpoint,
      INSTANCE_ID: deployment.instanceId,
      DOCUMENT_NAME: deployment.documentName,
      CLOUDWATCH_LOG_GROUP_NAME: deployment.logGroupName,
      PARAMETERS: NAMES.parameters,
      SETTLE_SECONDS: deployment.settleSeconds,
      TOPIC_ARN: TOPIC,
      RECONCILE_MINUTES: deployment.reconcileMinutes,
      METRICS_NAMESPACE: "Flyway",
    },
    onFailure: (event, error) => {
      // Lambda's own record: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
      const record = { requestPayload: event, responsePayload: { errorMessage: error } };
      topic.publish({ subject: "", text: JSON.stringify(record) });
      const output = `The function gave up: ${error}`;
      const { Records: records } = event as Partial<S3Event>;
      if (records === undefined) return options.complain(output);
      for (const { s3: source } of records) complain(databaseOf(source.bucket.name), output);
    },
  });
  undo.push(() => fn.stop());

  const invoke = (event: unknown) => fn.invoke(event);
  const deliver = options.deliver ?? ((event) => void invoke(event));
  const buckets: Record<string, string> = {};
  for (const schema of options.databases) {
    const bucket = `${bucketPrefixOf(schema, NAMES)}${new Date().toISOString().replace(/\D/g, "")}${randomBytes(4).toString("hex")}`;
    buckets[schema] = bucket;
    s3.createBucket(bucket);
    const mapping: Mapping = { schema, flywayVersion: flyway.version, flywayConf: CONF };
    parameters.set(mappingName(NAMES.parameters, bucket), JSON.stringify(mapping));
    s3.notify(bucket, { suffix: ".sql" }, (event) => deliver(event, invoke));
  }
  const databaseOf = (bucket: string) =>
    Object.keys(buckets).find((name) => buckets[name] === bucket) as string;
  const verdicts = new Verdicts(s3, buckets);
  const complain = (name: string, output: string) => {
    options.complain(output);
    verdicts.fail(name, `A run for ${name} ended without a verdict`);
  };

  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ region: REGION, endpoint, credentials, forcePathStyle: true });
  return {
    endpoint,
    region: REGION,
    accessKeyId,
    secretAccessKey,
    buckets,
    database,
    caFile,
    flywayVersion: flyway.version,
    upload: async (database, key, body) => {
      await client.send(new PutObjectCommand({ Bucket: buckets[database], Key: key, Body: body }));
    },
    verdicts,
    parameters,
    configure: (database, change) => {
      const name = mappingName(NAMES.parameters, buckets[database] as string);
      const mapping = JSON.parse(parameters.get(name) as string) as Mapping;
      parameters.set(name, JSON.stringify({ ...mapping, ...change }));
    },
    secrets,
    messages: topic.messages,
    commands,
    invoke,
    get running() {
      return commands.running;
    },
    reconcile: async () => {
      await fn.invoke(RECONCILE);
      await commands.untilQuiet(EVERY_BUCKET);
    },
    stop,
  };
}

/** What EventBridge tells the function of a command that has ended. */
function statusEvent(commandId: string, status: string): object {
  return {
    source: "aws.ssm",
    "detail-type": STATUS_CHANGE,
    region: REGION,
    detail: { "command-id": commandId, "document-name": DOCUMENT, "instance-id": HOST_ID, status },
  };
}

/** An environment without anything that AWS's programs or Flyway would read. */
function withoutAws(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value === undefined || /^(AWS|FLYWAY)_/.test(name) ? [] : [[name, value]],
    ),
  );
}
