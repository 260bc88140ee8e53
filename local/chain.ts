import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FlywayArchives } from "../constructs/archives";
import { commandDocument } from "../constructs/document";
import { type Mapping, mappingName } from "../lambda/mapping";
import { RECORD_PREFIX, type RunRecord } from "../records/record";
import { type Judgement, type UploadedVersion, verdicts } from "../records/verdict";
import { Commands } from "./commands";
import { type Database, startDatabase } from "./database";
import type { Progress } from "./downloads";
import { findFlyway } from "./flyway";
import { LocalFunction } from "./function";
import { leashed } from "./processes";
import { LocalS3 } from "./s3";
import { installTools, missingPrograms } from "./tools";

const REGION = "eu-central-1";
const HOST_ID = "i-00000000000000000";
const DOCUMENT = "flyway-migrate";
const CONF = "local.conf";
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
   * Uses the stand-ins for `aws` and `jq` even where the real ones are on PATH.
   * @default false
   */
  readonly standIns?: boolean;
  /** Takes a line for a person. */
  readonly say: (line: string) => void;
  readonly progress: Progress;
}

/** The verdict of one upload. */
export interface UploadVerdict extends Judgement {
  readonly database: string;
  readonly key: string;
  readonly versionId: string;
  /** ISO 8601. */
  readonly uploadedAt: string;
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
  readonly flywayVersion: string;
  /** The AWS CLI, or its stand-in, bound to this chain. */
  readonly aws: string;
  /** The environment in which `aws` works. */
  readonly awsEnvironment: Readonly<Record<string, string>>;
  /** The verdicts of every upload to a database's bucket so far. */
  verdicts(database: string): Promise<UploadVerdict[]>;
  /** Resolves with the verdict of the newest version of a key, once it has one. */
  verdict(database: string, key: string): Promise<UploadVerdict>;
  /** Calls back with each upload's verdict as it comes, and again should it change. */
  onVerdict(listener: (verdict: UploadVerdict) => void): void;
  /** Calls back with the output of each run that left no record. */
  onTrouble(listener: (message: string) => void): void;
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
  const directory = mkdtempSync(join(tmpdir(), "flyway-chain-"));
  const folder = (name: string) => {
    const path = join(directory, name);
    mkdirSync(path);
    return path;
  };
  // Does nothing but go with us, and take the folder with it.
  const keeper = leashed("sleep", ["2147483647"], { cleanup: directory });
  const undo: (() => Promise<void>)[] = [() => keeper.stop()];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const missing = missingPrograms();
    if (missing.length > 0) throw new Error(`Programs are missing here:\n${missing.join("\n")}`);
    const flyway = await findFlyway(options.flywayVersion, options.archives, directory, options.progress);
    const database = await startDatabase(folder("database"), options);
    undo.push(() => database.stop());

    const accessKeyId = `LOCAL${randomBytes(8).toString("hex").toUpperCase()}`;
    const secretAccessKey = randomBytes(20).toString("hex");
    const s3 = new LocalS3({ directory: folder("s3"), region: REGION, accessKeyId });
    const parameters = new Map<string, string>();
    const server = createServer((request, response) =>
      request.headers["x-amz-target"] ? commands.handle(request, response) : s3.handle(request, response),
    );
    const endpoint = await listen(server);
    undo.push(() => close(server));
    const tools = installTools(folder("bin"), endpoint, { standIns: options.standIns });
    for (const line of tools.said) options.say(line);
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

    const listeners: ((verdict: UploadVerdict) => void)[] = [];
    const troubles: ((message: string) => void)[] = [];
    const trouble = (message: string) => {
      for (const listener of troubles) listener(message);
    };
    const commands: Commands = new Commands({
      directory: folder("commands"),
      region: REGION,
      accessKeyId,
      hostId: HOST_ID,
      documentName: DOCUMENT,
      document: commandDocument(),
      parameters,
      secrets: new Map([[SECRET, JSON.stringify({ username: database.user, password: database.password })]]),
      hostEnvironment: () => ({
        ...awsEnvironment,
        PATH: `${join(directory, "bin")}:${process.env.PATH}`,
        HOST_ROOT: join(directory, "host"),
        HOST_RELEASES: flyway.releases,
      }),
      onFinished: ({ bucket, exitCode, log }) => {
        void announce(bucket).then((news) => {
          if (news === 0 && exitCode !== 0) trouble(readFileSync(log, "utf8"));
        });
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
        INSTANCE_ID: HOST_ID,
        DOCUMENT_NAME: DOCUMENT,
        CLOUDWATCH_LOG_GROUP_NAME: "/ssm/runcommand/flyway-host",
        SETTLE_SECONDS: String(options.settleSeconds ?? 2),
      },
      log: (line) => {
        if (line.startsWith('{"level":"error"')) trouble(line);
      },
      onFailure: (event, error) => trouble(`The function gave up: ${error}\n${JSON.stringify(event)}`),
    });
    undo.push(() => fn.stop());

    parameters.set(`/flyway/archive/${flyway.version}`, JSON.stringify(flyway.archive));
    const target = { url: `jdbc:mysql://${database.host}:${database.port}`, secret: SECRET };
    parameters.set(`/flyway/target/${CONF}`, JSON.stringify(target));
    const buckets: Record<string, string> = {};
    for (const schema of options.databases) {
      const prefix = schema.toLowerCase().replaceAll("_", "-");
      const bucket = `${prefix}${new Date().toISOString().replace(/\D/g, "")}${randomBytes(4).toString("hex")}`;
      buckets[schema] = bucket;
      s3.createBucket(bucket);
      const mapping: Mapping = { schema, flywayVersion: flyway.version, flywayConf: CONF };
      parameters.set(mappingName(bucket), JSON.stringify(mapping));
      s3.notify(bucket, { suffix: ".sql" }, (event) => void fn.invoke(event));
    }

    const judge = async (name: string): Promise<UploadVerdict[]> => {
      const bucket = buckets[name] as string;
      const versions: UploadedVersion[] = s3.versions(bucket);
      const records = await Promise.all(
        versions
          .filter(({ key, isDeleteMarker }) => key.startsWith(RECORD_PREFIX) && !isDeleteMarker)
          .map(async ({ key }) => JSON.parse(String(await s3.read(bucket, key))) as RunRecord),
      );
      const judged = verdicts(versions, records);
      return versions.flatMap(({ key, versionId, lastModified }) => {
        const judgement = judged.get(versionId);
        return judgement ? [{ database: name, key, versionId, uploadedAt: lastModified, ...judgement }] : [];
      });
    };
    const announced = new Map<string, string>();
    /** Tells the listeners what is new in a bucket; returns how much that is. */
    const announce = async (bucket: string): Promise<number> => {
      const name = Object.keys(buckets).find((key) => buckets[key] === bucket) as string;
      const news = (await judge(name)).filter(
        ({ versionId, verdict, message }) =>
          verdict !== "pending" && announced.get(versionId) !== `${verdict} ${message}`,
      );
      for (const judged of news) {
        announced.set(judged.versionId, `${judged.verdict} ${judged.message}`);
        for (const listener of listeners) listener(judged);
      }
      return news.length;
    };

    return {
      endpoint,
      region: REGION,
      accessKeyId,
      secretAccessKey,
      buckets,
      database,
      flywayVersion: flyway.version,
      aws: tools.aws,
      awsEnvironment,
      verdicts: judge,
      verdict: (name, key) =>
        new Promise((resolve, reject) => {
          const look = async () => {
            const newest = (await judge(name)).find((judged) => judged.key === key);
            if (newest && newest.verdict !== "pending") resolve(newest);
          };
          listeners.push((judged) => {
            if (judged.database === name && judged.key === key) look().catch(reject);
          });
          troubles.push((message) => reject(new Error(message)));
          look().catch(reject);
        }),
      onVerdict: (listener) => listeners.push(listener),
      onTrouble: (listener) => troubles.push(listener),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** An environment without anything that AWS's programs or Flyway would read. */
function withoutAws(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value === undefined || /^(AWS|FLYWAY)_/.test(name) ? [] : [[name, value]],
    ),
  );
}
