import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { commandDocument } from "../../constructs/document";
import { officialArchives } from "../../deployment/archives";
import { DEFAULT_FLYWAY_VERSION } from "../../deployment/databases";
import { type Mapping, mappingName, type Target } from "../../deployment/mapping";
import { Commands } from "../../local/aws/commands";
import { type Faults, serveAws } from "../../local/aws/endpoint";
import { LocalS3, type ObjectVersion } from "../../local/aws/s3/server";
import { type Database, startDatabase, targetOf } from "../../local/machine/database";
import { findFlyway } from "../../local/machine/flyway";
import { leashed } from "../../local/machine/processes";
import { installRunner } from "../../local/machine/runner";
import { RECORD_PREFIX, type RunRecord } from "../../records/record";
import { type Judgement, verdicts } from "../../records/verdict";
import { NEWER, newerArchive } from "./flyway";
import { mysqld } from "./mysql";
import { objectPath, s3Request } from "./s3";

const REGION = "eu-central-1";
const KEY = "local";
const SECRET = "the secret";

/** What the document's parameters say, and what a host's environment may add. */
export interface RunOptions {
  readonly operation?: "migrate" | "repair";
  /** @default "0" */
  readonly settleSeconds?: string;
  /** @default "0", never */
  readonly expiresAt?: string;
  /** Added to the environment of the script: `MAX_RUNS`, `RETRY_SECONDS`, another `HOST_ROOT` or `PATH`. */
  readonly env?: Readonly<Record<string, string>>;
  /** A command that starts the script, whose path is added to it. */
  readonly under?: readonly string[];
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A run under way. Its process group is its own, so that it can be killed with or without its children. */
export interface StartedRun {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly finished: Promise<Finished>;
}

/**
 * A host without function and events, so that a test alone decides when it runs: a real S3 API, Parameter Store and
 * secrets in memory, a real database, and the document's script with the real Flyway.
 */
export interface TestHost {
  readonly s3: LocalS3;
  readonly database: Database;
  /** Where that is; the parameter's content. */
  readonly target: Target;
  readonly parameters: Map<string, string>;
  readonly secrets: Map<string, string>;
  /** `HOST_ROOT`: another one is another host. */
  readonly root: string;
  readonly flywayVersion: string;
  /** `HOST_RELEASES`; the release is there once the host has run. */
  readonly releases: string;
  /** From now on, asks this first about each request to AWS. */
  intercept(faults: Faults): void;
  /** The end of it. */
  letThrough(): void;
  /** Makes a bucket with a mapping to a schema of its name, unless told otherwise. */
  bucket(name: string, mapping?: Partial<Mapping>): void;
  put(bucket: string, key: string, body: string | Uint8Array<ArrayBuffer>): Promise<void>;
  remove(bucket: string, key: string): Promise<void>;
  /** The words of the command that a run is, and its environment. */
  commandOf(
    bucket: string,
    options?: RunOptions,
  ): { readonly words: readonly string[]; readonly environment: NodeJS.ProcessEnv };
  start(bucket: string, options?: RunOptions): StartedRun;
  run(bucket: string, options?: RunOptions): Promise<Finished>;
  /** The bucket's records, in the order of their names. */
  records(bucket: string): Promise<RunRecord[]>;
  /** Key to the verdict of its newest version. */
  verdicts(bucket: string): Promise<Record<string, Judgement>>;
  /** That of one object, which must be there. */
  verdictOf(bucket: string, key: string): Promise<Judgement>;
  stop(): Promise<void>;
}

export async function startTestHost(flywayVersion = DEFAULT_FLYWAY_VERSION): Promise<TestHost> {
  const directory = mkdtempSync(join(tmpdir(), "host-"));
  const keeper = leashed("sleep", ["2147483647"], { cleanup: directory });
  const folder = (name: string) => {
    mkdirSync(join(directory, name));
    return join(directory, name);
  };
  const progress = () => {};
  const flyway =
    flywayVersion === NEWER
      ? { version: NEWER, archive: await newerArchive(directory), releases: join(directory, "releases") }
      : await findFlyway(
          flywayVersion,
          await officialArchives(process.env.MAVEN_REPOSITORY),
          directory,
          progress,
        );
  const database = await startDatabase(folder("database"), { say: () => {}, progress, program: mysqld() });
  const s3 = new LocalS3({ directory: folder("s3"), region: REGION, accessKeyId: KEY });
  const caFile = join(directory, "ca.pem");
  const target = targetOf(database, SECRET, caFile);
  const parameters = new Map([
    ["/flyway/target/local.conf", JSON.stringify(target)],
    [`/flyway/archive/${flyway.version}`, JSON.stringify(flyway.archive)],
  ]);
  const login = JSON.stringify({ username: database.user, password: database.password });
  const secrets = new Map([[SECRET, login]]);
  const runner = installRunner(folder("runner"));
  const commands = new Commands({
    directory: folder("commands"),
    region: REGION,
    accessKeyId: KEY,
    hostId: "i-0",
    documentName: "flyway-migrate",
    document: commandDocument("/flyway", runner),
    parameters,
    secrets,
    hostEnvironment: {},
    onFinished: () => {},
  });
  const noFaults: Faults = () => undefined;
  let interceptor = noFaults;
  const aws = await serveAws(
    (request, response) =>
      request.headers["x-amz-target"] ? commands.handle(request, response) : s3.handle(request, response),
    (request) => interceptor(request),
  );
  const access = { endpoint: aws.url, accessKeyId: KEY };
  const root = join(directory, "host");
  const scripts = folder("scripts");
  const runs = new Set<StartedRun>();
  let number = 0;

  const host: TestHost = {
    s3,
    database,
    target,
    parameters,
    secrets,
    root,
    flywayVersion,
    releases: flyway.releases,
    intercept(faults) {
      interceptor = faults;
    },
    letThrough() {
      interceptor = noFaults;
    },
    bucket(name, mapping = {}) {
      s3.createBucket(name);
      const whole: Mapping = { schema: name, flywayVersion, flywayConf: "local.conf", ...mapping };
      parameters.set(mappingName("/flyway", name), JSON.stringify(whole));
    },
    async put(bucket, key, body) {
      await s3Request(access, "PUT", objectPath(bucket, key), body);
    },
    async remove(bucket, key) {
      await s3Request(access, "DELETE", objectPath(bucket, key));
    },
    commandOf(
      bucket,
      { operation = "migrate", settleSeconds = "0", expiresAt = "0", env = {}, under = [] } = {},
    ) {
      const commandId = `command-${++number}`;
      const script = join(scripts, `${commandId}.sh`);
      const values: Record<string, string> = {
        Bucket: bucket,
        Operation: operation,
        SettleSeconds: settleSeconds,
        ExpiresAt: expiresAt,
      };
      const lines = commandDocument("/flyway", runner).mainSteps[0].inputs.runCommand;
      const filled = lines.join("\n").replace(/\{\{ (\w+) \}\}/g, (_, name) => values[name] as string);
      writeFileSync(script, filled, { mode: 0o700 });
      const environment = {
        PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
        HOME: process.env.HOME,
        NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS, // of whoever stands between this machine and the world
        AWS_ACCESS_KEY_ID: KEY,
        AWS_SECRET_ACCESS_KEY: "local",
        AWS_ENDPOINT_URL: aws.url,
        AWS_DEFAULT_REGION: REGION,
        HOST_ROOT: root,
        HOST_RELEASES: flyway.releases,
        SSM_COMMAND_ID: commandId,
        AWS_SSM_INSTANCE_ID: "i-0",
        RETRY_SECONDS: "0",
        ...env,
      };
      return { words: [...under, script], environment };
    },
    start(bucket, options) {
      const { words, environment } = host.commandOf(bucket, options);
      const [program, ...args] = words as [string, ...string[]];
      const child = spawn(program, args, {
        cwd: directory,
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
        env: environment,
      });
      const closed = once(child, "close");
      const finished = Promise.all([
        text(child.stdout as NodeJS.ReadableStream),
        text(child.stderr as NodeJS.ReadableStream),
        closed,
      ]).then(([stdout, stderr]) => ({ code: child.exitCode ?? -1, stdout, stderr }));
      const run: StartedRun = { child, pid: child.pid as number, finished };
      runs.add(run);
      return run;
    },
    run: (bucket, options) => host.start(bucket, options).finished,
    async records(bucket) {
      const names = s3
        .versions(bucket)
        .filter(({ key, isDeleteMarker }) => key.startsWith(RECORD_PREFIX) && !isDeleteMarker)
        .map(({ key }) => key);
      return Promise.all(
        names.map(async (key) => JSON.parse(String(await s3.read(bucket, key))) as RunRecord),
      );
    },
    async verdicts(bucket) {
      const judged = [...verdicts(s3.versions(bucket), await host.records(bucket))] as [
        ObjectVersion,
        Judgement,
      ][];
      return Object.fromEntries(judged.reverse().map(([{ key }, judgement]) => [key, judgement]));
    },
    async verdictOf(bucket, key) {
      const judgement = (await host.verdicts(bucket))[key];
      if (!judgement) throw new Error(`there is no ${key} in the bucket ${bucket}`);
      return judgement;
    },
    async stop() {
      for (const { pid } of runs) {
        try {
          process.kill(-pid, "SIGKILL");
        } catch {
          // it has ended
        }
      }
      await database.stop();
      await aws.close();
      await keeper.stop();
    },
  };
  return host;
}
