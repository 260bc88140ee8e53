import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join, resolve, sep } from "node:path";
import { parseArgs } from "node:util";
import { type FlywayArchives, officialArchives } from "../deployment/archives";
import { checkDatabases, DEFAULT_DATABASES, DEFAULT_FLYWAY_VERSION } from "../deployment/databases";
import { Names } from "../deployment/names";
import type { Message } from "../lambda/notification";
import { isApplied } from "../records/judge";
import { byFlywayOrder } from "../records/upload";
import { type Chain, startChain } from "./chain";
import { describeDownload, type Progress } from "./machine/downloads";
import { report } from "./report";
import type { UploadVerdict } from "./verdicts";

const USAGE = `npm start                      migrates the examples, shows the databases, ends
npm start -- --serve           keeps the chain up and prints the verdict of each upload

  --migrations DIR       another folder of migrations, one sub-folder per database (migrations/)
  --flyway-version V     another Flyway (${DEFAULT_FLYWAY_VERSION})
  --flyway-url URL       where to download it from, for a version that is not known here
  --flyway-sha256 SUM    and its SHA-256
  --ready-file FILE      with --serve: writes how to connect, as JSON, once uploads are accepted
  --reconcile-minutes N  with --serve: how often every bucket is looked at (15); 0 switches it off`;

const say = (line: string) => console.log(line);

/** On a terminal one line that is rewritten, else a line per call. */
const progress: Progress = (label, received, total) => {
  const line = describeDownload(label, received, total);
  if (!process.stdout.isTTY) return say(line);
  process.stdout.write(`\r${line}\x1b[K${received === total ? "\n" : ""}`);
};

async function main(): Promise<number> {
  const { values: options } = parseArgs({
    options: {
      serve: { type: "boolean" },
      migrations: { type: "string" },
      "flyway-version": { type: "string" },
      "flyway-url": { type: "string" },
      "flyway-sha256": { type: "string" },
      "ready-file": { type: "string" },
      "reconcile-minutes": { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (options.help) {
    say(USAGE);
    return 0;
  }
  const readyFile = options["ready-file"] && resolve(options["ready-file"]);
  if (readyFile && !options.serve) throw new Error("--ready-file goes with --serve");
  const reconcileMinutes = minutes(options["reconcile-minutes"] ?? "15");
  if (options["reconcile-minutes"] && !options.serve)
    throw new Error("--reconcile-minutes goes with --serve");
  const migrations = resolve(options.migrations ?? join(__dirname, "..", "migrations"));
  const files = readMigrations(migrations);
  if (!options.serve && [...files.values()].every((keys) => keys.length === 0)) {
    throw new Error(
      `There is no .sql file in ${migrations}: put one into a sub-folder named after its database`,
    );
  }
  const flywayVersion = options["flyway-version"] ?? DEFAULT_FLYWAY_VERSION;
  const archives: FlywayArchives = {
    ...(await officialArchives(process.env.MAVEN_REPOSITORY)),
    ...archiveOption(flywayVersion, options["flyway-url"], options["flyway-sha256"]),
  };

  const chain = await startChain({
    databases: [...files.keys()],
    flywayVersion,
    archives,
    say,
    complain: (output) => console.error(output),
    onMessage: options.serve ? printMessage : undefined,
    progress,
  });
  if (readyFile) process.once("exit", () => rmSync(readyFile, { force: true }));
  const interrupted = untilSignal();
  try {
    say(`S3 at ${chain.endpoint}, ${chain.database.product}, Flyway ${chain.flywayVersion}`);
    if (chain.database.product.startsWith("MariaDB")) {
      say("MariaDB stands in for MySQL. To use a MySQL of your own, put its mysqld on PATH.");
    }
    say("");
    const uploads = uploadAll(chain, migrations, files);
    const outcome = await Promise.race([uploads, interrupted]);
    if (typeof outcome === "number") return outcome;
    await report(chain, say);
    if (!options.serve) return outcome.every(({ verdict }) => isApplied(verdict)) ? 0 : 1;

    chain.verdicts.onVerdict((upload) => print(upload, (Date.now() - Date.parse(upload.uploadedAt)) / 1000));
    say(howTo(chain));
    if (readyFile) writeReadyFile(readyFile, chain);
    if (reconcileMinutes > 0) setInterval(() => chain.reconcile(), reconcileMinutes * 60_000).unref();
    await interrupted;
    return 0;
  } finally {
    await chain.stop();
  }
}

/** @throws if it is no number that Terraform's reconcile_minutes would take */
function minutes(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) <= 720) return Number(text);
  throw new Error(`--reconcile-minutes is ${text}: use a whole number from 0 to 720`);
}

/** Database to its files, as keys; the stack's own databases first, then by name. */
function readMigrations(folder: string): Map<string, string[]> {
  let entries: string[];
  try {
    entries = readdirSync(folder).filter((name) => statSync(join(folder, name)).isDirectory());
  } catch (error) {
    throw new Error(`--migrations ${folder} cannot be read: ${(error as Error).message}`);
  }
  const databases = [
    ...DEFAULT_DATABASES.filter((name) => entries.includes(name)),
    ...entries.filter((name) => !DEFAULT_DATABASES.includes(name)).sort(),
  ];
  if (databases.length === 0) throw new Error(`${folder} has no sub-folder: make one per database`);
  checkDatabases(databases, new Names());
  return new Map(
    databases.map((database) => {
      const keys = readdirSync(join(folder, database), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".sql") && statSync(join(folder, database, name)).isFile())
        .map((name) => name.replaceAll(sep, "/"));
      return [database, keys.sort(byFlywayOrder)] as const;
    }),
  );
}

function archiveOption(version: string, url?: string, sha256?: string): FlywayArchives {
  if (!url && !sha256) return {};
  if (!url || !sha256) throw new Error("--flyway-url and --flyway-sha256 go together");
  return { [version]: { url, sha256 } };
}

/** Uploads one file after the other, each once the one before has its verdict. */
async function uploadAll(
  chain: Chain,
  folder: string,
  files: ReadonlyMap<string, readonly string[]>,
): Promise<UploadVerdict[]> {
  const verdicts: UploadVerdict[] = [];
  for (const [database, keys] of files) {
    for (const key of keys) {
      const start = Date.now();
      await chain.upload(database, key, readFileSync(join(folder, database, key)));
      const verdict = await chain.verdicts.wait(database, key);
      print(verdict, (Date.now() - start) / 1000);
      verdicts.push(verdict);
    }
  }
  return verdicts;
}

function print(upload: UploadVerdict, seconds: number): void {
  const name = `${upload.database}/${upload.key}`;
  say(`${name.padEnd(48)}  ${upload.verdict.padEnd(16)} ${seconds.toFixed(1)} s`);
  if (upload.message) say(upload.message.trim().replaceAll(/^/gm, "    "));
}

/** What people would be sent. */
function printMessage({ subject, text }: Message): void {
  say(`Message: ${subject}\n${text.replaceAll(/^/gm, "    ")}`);
}

function howTo({ endpoint, region, accessKeyId, secretAccessKey, buckets, database, caFile }: Chain): string {
  const client = database.product.startsWith("MariaDB") ? "mariadb" : "mysql";
  return `
Upload a migration:
  export AWS_ACCESS_KEY_ID=${accessKeyId} AWS_SECRET_ACCESS_KEY=${secretAccessKey} AWS_DEFAULT_REGION=${region}
${Object.values(buckets)
  .map((bucket) => `  aws --endpoint-url ${endpoint} s3 cp V3__….sql s3://${bucket}/`)
  .join("\n")}
Look into the database:
  MYSQL_PWD=${database.password} ${client} --host=${database.host} --port=${database.port} --user=${database.user} --ssl-ca='${caFile}'
Ctrl-C ends it and leaves nothing behind.
`;
}

/** Whole or not at all, and for this user's eyes only. */
function writeReadyFile(file: string, chain: Chain): void {
  const { endpoint, region, accessKeyId, secretAccessKey, buckets } = chain;
  const { host, port, ca, user, password } = chain.database;
  const ready = {
    endpoint,
    region,
    accessKeyId,
    secretAccessKey,
    buckets,
    database: { host, port, ca, user, password },
  };
  writeFileSync(`${file}.partial`, `${JSON.stringify(ready, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.partial`, file);
}

/** Resolves with the exit code of the first signal; a second one ends at once. */
function untilSignal(): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      const code = 128 + constants.signals[signal];
      process.once(signal, () => {
        process.once(signal, () => process.exit(code));
        resolve(code);
      });
    }
  });
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
