import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { expect, vi } from "vitest";
import { officialArchives } from "../../constructs/archives";
import { commandDocument } from "../../constructs/document";
import { DEFAULT_FLYWAY_VERSION } from "../../constructs/variables";
import { type Mapping, mappingName } from "../../lambda/mapping";
import { Commands } from "../../local/commands";
import { type Database, startDatabase } from "../../local/database";
import { findFlyway } from "../../local/flyway";
import { leashed } from "../../local/processes";
import { LocalS3, type ObjectVersion } from "../../local/s3/server";
import { installTools } from "../../local/tools";
import { RECORD_PREFIX, type RunRecord } from "../../records/record";
import { type Judgement, verdicts } from "../../records/verdict";

const REGION = "eu-central-1";
const KEY = "local";
const SECRET = "the secret";

/** What the document's parameters say, and what a host's environment may add. */
export interface RunOptions {
  readonly operation?: "migrate" | "repair";
  /** @default "0" */
  readonly settleSeconds?: string;
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

/** Where a migration waits until a test lets it go on: by a lock of the database that the test holds. */
export interface Gate {
  /** The statement that waits. */
  readonly sql: string;
  /** Resolves once a migration waits at it. */
  reached(): Promise<void>;
  open(): Promise<void>;
}

/**
 * A host without function and events, so that a test alone decides when it runs: a real S3 API, Parameter Store and
 * secrets in memory, a real database, and the document's script with the real Flyway.
 */
export interface TestHost {
  readonly s3: LocalS3;
  readonly database: Database;
  readonly parameters: Map<string, string>;
  readonly secrets: Map<string, string>;
  /** `HOST_ROOT`: another one is another host. */
  readonly root: string;
  readonly flywayVersion: string;
  /** Decides the fate of each request to AWS: an HTTP status is answered at once; undefined lets it pass. */
  fault: (request: IncomingMessage) => number | undefined | Promise<number | undefined>;
  /** Makes a bucket with a mapping to a schema of its name, unless told otherwise. */
  bucket(name: string, mapping?: Partial<Mapping>): void;
  put(bucket: string, key: string, body: string | Uint8Array): Promise<void>;
  remove(bucket: string, key: string): Promise<void>;
  gate(name: string): Promise<Gate>;
  start(bucket: string, options?: RunOptions): StartedRun;
  run(bucket: string, options?: RunOptions): Promise<Finished>;
  /** The bucket's records, in the order of their names. */
  records(bucket: string): Promise<RunRecord[]>;
  /** Key to the verdict of its newest version. */
  verdicts(bucket: string): Promise<Record<string, Judgement>>;
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
  const flyway = await findFlyway(
    flywayVersion,
    await officialArchives(process.env.MAVEN_REPOSITORY),
    directory,
    progress,
  );
  const database = await startDatabase(folder("database"), { say: () => {}, progress });
  const s3 = new LocalS3({ directory: folder("s3"), region: REGION, accessKeyId: KEY });
  const target = { url: `jdbc:mysql://${database.host}:${database.port}`, secret: SECRET };
  const parameters = new Map([
    ["/flyway/target/local.conf", JSON.stringify(target)],
    [`/flyway/archive/${flyway.version}`, JSON.stringify(flyway.archive)],
  ]);
  const login = JSON.stringify({ username: database.user, password: database.password });
  const secrets = new Map([[SECRET, login]]);
  const commands = new Commands({
    directory: folder("commands"),
    region: REGION,
    accessKeyId: KEY,
    hostId: "i-0",
    documentName: "flyway-migrate",
    document: commandDocument("/flyway"),
    parameters,
    secrets,
    hostEnvironment: {},
    onFinished: () => {},
  });
  const server = createServer(async (request, response) => {
    const status = await host.fault(request);
    if (status !== undefined) return void response.writeHead(status).end();
    if (request.headers["x-amz-target"]) return commands.handle(request, response);
    return s3.handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const bin = join(directory, "bin");
  installTools(bin, endpoint, { standIns: true }); // they start in a tenth of the AWS CLI's time
  const root = join(directory, "host");
  const scripts = folder("scripts");
  const runs = new Set<StartedRun>();
  let number = 0;

  const request = async (method: string, bucket: string, key: string, body?: string | Uint8Array) => {
    const path = key.split("/").map(encodeURIComponent).join("/");
    const headers = { authorization: `AWS4-HMAC-SHA256 Credential=${KEY}/` };
    const sent = body === undefined ? {} : { body: typeof body === "string" ? body : new Uint8Array(body) };
    const answer = await fetch(`${endpoint}/${bucket}/${path}`, { method, headers, ...sent });
    if (!answer.ok) throw new Error(`${method} ${key}: ${answer.status} ${await answer.text()}`);
  };

  const host: TestHost = {
    s3,
    database,
    parameters,
    secrets,
    root,
    flywayVersion,
    fault: () => undefined,
    bucket(name, mapping = {}) {
      s3.createBucket(name);
      const whole: Mapping = { schema: name, flywayVersion, flywayConf: "local.conf", ...mapping };
      parameters.set(mappingName("/flyway", name), JSON.stringify(whole));
    },
    put: (bucket, key, body) => request("PUT", bucket, key, body),
    remove: (bucket, key) => request("DELETE", bucket, key),
    async gate(name) {
      const { host, port, user, password } = database;
      const connection = await createConnection({ host, port, user, password });
      await connection.query("DO GET_LOCK(?, 0)", [name]);
      const sql = `DO GET_LOCK('${name}', 600), RELEASE_LOCK('${name}')`;
      const running = "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO = ?";
      return {
        sql: `${sql};`,
        reached: () =>
          vi.waitFor(
            async () => {
              const [rows] = await connection.query<RowDataPacket[]>(running, [sql]);
              expect(rows).not.toEqual([]);
            },
            { timeout: 240_000, interval: 50 },
          ),
        open: () => connection.end(),
      };
    },
    start(bucket, { operation = "migrate", settleSeconds = "0", env = {}, under = [] } = {}) {
      const commandId = `command-${++number}`;
      const script = join(scripts, `${commandId}.sh`);
      const values: Record<string, string> = {
        Bucket: bucket,
        Operation: operation,
        SettleSeconds: settleSeconds,
      };
      const lines = commandDocument("/flyway").mainSteps[0].inputs.runCommand;
      const filled = lines.join("\n").replace(/\{\{ (\w+) \}\}/g, (_, name) => values[name] as string);
      writeFileSync(script, filled, { mode: 0o700 });
      const [program = script, ...args] = [...under, script];
      const child = spawn(program, program === script ? [] : args, {
        cwd: directory,
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          PATH: bin + delimiter + process.env.PATH,
          HOME: process.env.HOME,
          AWS_ACCESS_KEY_ID: KEY,
          AWS_SECRET_ACCESS_KEY: "local",
          AWS_DEFAULT_REGION: REGION,
          HOST_ROOT: root,
          HOST_RELEASES: flyway.releases,
          SSM_COMMAND_ID: commandId,
          AWS_SSM_INSTANCE_ID: "i-0",
          RETRY_SECONDS: "0",
          ...env,
        },
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
    async stop() {
      for (const { pid } of runs) {
        try {
          process.kill(-pid, "SIGKILL");
        } catch {
          // it has ended
        }
      }
      await database.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await keeper.stop();
    },
  };
  return host;
}
