import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BuildOptions, buildSync } from "esbuild";
import { findExecutable } from "../../local/machine/processes";
import { query } from "../support/chain";
import type { TestHost } from "../support/host";
import { PROJECT } from "../support/project";
import { measure, type Sample } from "./measure";
import { findDbmate, findMigrate } from "./peers";

/** How the runner is bundled too. */
const BUNDLE: BuildOptions = {
  bundle: true,
  minify: true,
  platform: "node",
  format: "cjs",
  mainFields: ["module", "main"],
};

/** A piece of work, and another program that does the same. */
export interface Line {
  readonly work: string;
  readonly peer: string;
  /** How much of the peer's the work is to take at most; undefined where there is no aim. */
  readonly aim: { readonly cpu?: number; readonly wall?: number };
  /** How often both are measured, in turn. */
  readonly times: number;
  /** Prepares one turn; returns the two pieces, each measured once. */
  turn(
    index: number,
  ): Promise<{ readonly work: () => Promise<Sample>; readonly peer: () => Promise<Sample> }>;
}

const sql = (table: string) => `CREATE TABLE ${table} (id int);`;

/** Flyway as a person would run it, with the bundle's own settings: on a folder, in a schema. */
function bareFlyway(host: TestHost, schema: string, folder: string, command: string): Promise<Sample> {
  const { port, user, password } = host.database;
  const url = `jdbc:mysql://localhost:${port}?useSsl=true&trustServerCertificate=true`;
  const program = join(host.releases, host.flywayVersion, "flyway");
  const options = [
    "-driver=org.mariadb.jdbc.Driver",
    `-schemas=${schema}`,
    `-locations=filesystem:${folder}`,
  ];
  const env = { PATH: process.env.PATH, FLYWAY_URL: url, FLYWAY_USER: user, FLYWAY_PASSWORD: password };
  return measure([program, ...options, command], { env });
}

function folderOf(host: TestHost, name: string, files: Readonly<Record<string, string>> = {}): string {
  const folder = `${host.root}-${name}`;
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return folder;
}

function filesOf(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `V${index + 1}__t.sql`,
      `CREATE TABLE t${index + 1} (id int);`,
    ]),
  );
}

/** Uploads files, some at a time. */
async function upload(
  host: TestHost,
  bucket: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const queue = Object.entries(files).values();
  const workers = Array.from({ length: 16 }, async () => {
    for (const [key, text] of queue) await host.put(bucket, key, text);
  });
  await Promise.all(workers);
}

/** What a run for a bucket takes: the host's script and all that it starts. */
function runOf(host: TestHost, bucket: string, env: Readonly<Record<string, string>> = {}): Promise<Sample> {
  const { words, environment } = host.commandOf(bucket, { env });
  return measure(words, { env: environment });
}

/** An upload, and the same content again, in a bucket that fills. */
export function uploadLines(host: TestHost, times: number): Line[] {
  const folder = folderOf(host, "plain");
  host.bucket("uploads");
  let number = 0;
  const next = async (isNew: boolean) => {
    if (isNew || number === 0) number++;
    const file = `V${number}__t.sql`;
    await host.put("uploads", file, sql(`t${number}`));
    if (!isNew) await host.run("uploads"); // it is applied; then uploaded again
    if (!isNew) await host.put("uploads", file, sql(`t${number}`));
    writeFileSync(join(folder, file), sql(`t${number}`));
  };
  const peer = () => bareFlyway(host, "plain", folder, "migrate");
  return [
    {
      work: "one upload with a new file",
      peer: "bare flyway migrate of the same file",
      aim: { cpu: 1, wall: 1.3 },
      times,
      turn: async () => {
        await next(true);
        return { work: () => runOf(host, "uploads"), peer };
      },
    },
    {
      work: "the same content again",
      peer: "bare flyway migrate of one file",
      aim: { cpu: 0.15 },
      times,
      turn: async () => {
        await next(false);
        number++;
        writeFileSync(join(folder, `V${number}__t.sql`), sql(`t${number}`));
        return { work: () => runOf(host, "uploads"), peer };
      },
    },
  ];
}

/** The same content again beside programs without a JVM, which find nothing new in a folder; those that can be had. */
export async function nothingNewLines(host: TestHost, times: number): Promise<Line[]> {
  const { port, user, password } = host.database;
  const login = `${user}:${encodeURIComponent(password)}`;
  const migrate = await findMigrate();
  const dbmate = await findDbmate();
  const migrateFolder = folderOf(host, "migrate", { "1_t.up.sql": sql("t") });
  const dbmateFolder = folderOf(host, "dbmate", {
    "1_t.sql": `-- migrate:up\n${sql("t")}\n-- migrate:down\n`,
  });
  const migrateUrl = `mysql://${login}@tcp(127.0.0.1:${port})/migrated?tls=skip-verify`;
  const dbmateUrl = `mysql://${login}@127.0.0.1:${port}/dbmated?tls=skip-verify`;
  const env = { PATH: process.env.PATH, DATABASE_URL: dbmateUrl };
  const line = (name: string, words: readonly string[]): Line => ({
    work: "the same content again",
    peer: `${name} with nothing new`,
    aim: {},
    times,
    turn: async (index) => {
      const peer = () => measure(words, { env });
      if (index === 0) {
        host.bucket(name);
        await query(host, "CREATE DATABASE IF NOT EXISTS migrated");
        await host.put(name, "V1__t.sql", sql("t"));
        await host.run(name);
        await peer();
      }
      await host.put(name, "V1__t.sql", sql("t"));
      return { work: () => runOf(host, name), peer };
    },
  });
  const dbmateOptions = ["--migrations-dir", dbmateFolder, "--no-dump-schema"];
  return [
    ...(migrate
      ? [line("golang-migrate", [migrate, "-path", migrateFolder, "-database", migrateUrl, "up"])]
      : []),
    ...(dbmate ? [line("dbmate", [dbmate, ...dbmateOptions, "up"])] : []),
  ];
}

/** A reconcile of buckets in which nothing has changed. */
export function reconcileLine(host: TestHost, buckets: number, times: number): Line {
  const folder = folderOf(host, "info", filesOf(1));
  let isReady = false;
  return {
    work: `reconcile of ${buckets} unchanged buckets`,
    peer: "one bare flyway info",
    aim: { cpu: 1 },
    times,
    turn: async () => {
      if (!isReady) {
        for (let index = 0; index < buckets; index++) host.bucket(`same${index}`);
        await host.run("*", { env: { MAX_RUNS: "2" } });
        await bareFlyway(host, "info", folder, "migrate");
        isReady = true;
      }
      return { work: () => runOf(host, "*"), peer: () => bareFlyway(host, "info", folder, "info") };
    },
  };
}

/** Many files at once in one bucket. */
export function filesLine(host: TestHost, count: number, times: number): Line {
  return {
    work: `${count} new files in one bucket`,
    peer: "one bare flyway migrate over the folder",
    aim: { cpu: 1.1, wall: 1.1 },
    times,
    turn: async (index) => {
      const bucket = `files${count}-${index}`;
      host.bucket(bucket);
      await upload(host, bucket, filesOf(count));
      const folder = folderOf(host, `folder${count}`, filesOf(count));
      return {
        work: () => runOf(host, bucket),
        peer: () => bareFlyway(host, `plain${count}_${index}`, folder, "migrate"),
      };
    },
  };
}

/** A new file in each of many databases. */
export function databasesLine(host: TestHost, count: number, places: number): Line {
  return {
    work: `a new file in each of ${count} databases`,
    peer: `${count} bare migrates, ${places} at a time`,
    aim: { cpu: 1.1, wall: 1.1 },
    times: 1,
    turn: async () => {
      const names = Array.from({ length: count }, (_, index) => `many${index}`);
      for (const name of names) {
        host.bucket(name);
        await host.put(name, "V1__t.sql", sql("t"));
      }
      const folder = folderOf(host, "many", filesOf(1));
      const { port, user, password } = host.database;
      const url = `jdbc:mysql://localhost:${port}?useSsl=true&trustServerCertificate=true`;
      const program = join(host.releases, host.flywayVersion, "flyway");
      const flyway = `'${program}' -driver=org.mariadb.jdbc.Driver -locations=filesystem:'${folder}' -schemas="plain_$1" migrate`;
      const all = `printf '%s\\n' ${names.join(" ")} | xargs -n 1 -P ${places} bash -c '${flyway.replaceAll("'", "'\\''")}' bash`;
      const env = { PATH: process.env.PATH, FLYWAY_URL: url, FLYWAY_USER: user, FLYWAY_PASSWORD: password };
      return {
        work: () => runOf(host, "*", { MAX_RUNS: String(places) }),
        peer: () => measure(["bash", "-c", all], { env }),
      };
    },
  };
}

/** One new file in a bucket with many; undefined where there is no AWS CLI. */
export function listingLine(host: TestHost, count: number, times: number): Line | undefined {
  const aws = findExecutable(["aws"], []);
  if (!aws) return undefined;
  const files = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`R__t${index}.sql`, `SELECT ${index};`]),
  );
  const folder = folderOf(host, "synced");
  const { environment } = host.commandOf("listed");
  const program = join(folder, "..", "copy.cjs");
  buildSync({ ...BUNDLE, entryPoints: [join(__dirname, "copy.ts")], outfile: program });
  const work = () =>
    measure([process.execPath, program, "listed", `${host.root}-copied`], { env: environment });
  const sync = () =>
    measure([aws, "s3", "sync", "s3://listed", folder, "--exclude", ".flyway/*", "--only-show-errors"], {
      env: { ...environment, HOME: process.env.HOME },
    });
  return {
    work: `the copy of a bucket of ${count} files, one of them new`,
    peer: "aws s3 sync",
    aim: { cpu: 0.5 },
    times,
    turn: async (index) => {
      if (index === 0) {
        host.bucket("listed");
        await upload(host, "listed", files);
        await sync();
        await work();
      }
      await host.put("listed", `R__new${index}.sql`, "SELECT 1;");
      return { work, peer: sync };
    },
  };
}

/** The stack's JSON. Terraform is measured where it can have its providers: `eval` what TF_CLI_CONFIG_FILE is to be before. */
export function synthLines(folder: string, times: number): Line[] {
  const env = { ...process.env, CI: "true", CHECKPOINT_DISABLE: "1" };
  const work = () => measure(["npm", "run", "-s", "export", "--", folder], { cwd: PROJECT, env });
  const terraform = findExecutable(["terraform"], []);
  const lines: Line[] = [
    {
      work: "npm run export",
      peer: "cdktf synth",
      aim: { wall: 0.1 },
      times,
      turn: async () => ({
        work,
        peer: () => measure(["npx", "cdktf", "synth", "--output", `${folder}-cdktf`], { cwd: PROJECT, env }),
      }),
    },
  ];
  if (!terraform) return lines;
  const validate: Line = {
    work: "npm run export",
    peer: "terraform validate",
    aim: { wall: 0.2 },
    times,
    turn: async (index) => {
      if (index === 0) {
        await work();
        execFileSync(terraform, ["init", "-backend=false", "-no-color"], { cwd: folder, env, stdio: "pipe" });
      }
      return { work, peer: () => measure([terraform, "validate"], { cwd: folder, env }) };
    },
  };
  return [...lines, validate];
}

/** The name and size of the machine, for whoever reads the figures. */
export function machine(): string {
  const model = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown";
  const count = execFileSync("nproc", { encoding: "utf8" }).trim();
  return `${count} × ${model}`;
}

/** Drops what the lines have made in the database, so that the next does not pay for it. */
export async function clear(host: TestHost): Promise<void> {
  const rows = await query(host, "SHOW DATABASES");
  for (const { Database: name } of rows as { Database: string }[]) {
    if (!/^(mysql|sys|information_schema|performance_schema)$/.test(name))
      await query(host, `DROP DATABASE \`${name}\``);
  }
}
