import type { Connection } from "mysql2/promise";
import { officialArchives } from "../../deployment/archives";
import { checkDatabases, DEFAULT_FLYWAY_VERSION } from "../../deployment/databases";
import { isMatch, type Mapping } from "../../deployment/mapping";
import { Names } from "../../deployment/names";
import { type Chain, startChain } from "../../local/chain";
import { connectTo } from "../../local/machine/database";
import { describeDownload } from "../../local/machine/downloads";
import { type TableOfSchema, tablesIn } from "../../local/report";
import { versionIn } from "../../records/flyway";
import { fileName, keyOf, type RunRecord } from "../../records/record";
import { type CheckedScript, placeholderPattern, standIn } from "../check/check";
import { type AppliedFile, byVersion } from "../check/files";
import { CliError } from "../exit";
import type { LocalFile } from "../files";
import { type Alteration, askOfAlterations } from "./alterations";
import { type Dump, loadDump } from "./dump";

/** A database whose migrations are rehearsed. */
export interface RehearsedDatabase {
  readonly name: string;
  readonly files: readonly LocalFile[];
  /** The same, read; what could not be is not rehearsed, and has a finding. */
  readonly scripts: readonly CheckedScript[];
  /** As the deployment has it; unset, the defaults. */
  readonly settings?: Mapping;
  /** What is known to be applied; unset, nothing is known. */
  readonly applied?: readonly AppliedFile[];
}

export interface RehearsalInput {
  readonly databases: readonly RehearsedDatabase[];
  /** What the one database begins with; unset, it is empty. */
  readonly dump?: Dump;
  readonly onProgress: (line: string) => void;
}

/** What became of a database's migrations on a database of its own. */
export interface Rehearsal {
  readonly database: string;
  /** What ran: `MySQL 9.7.4`, `MariaDB 11.4.5`. */
  readonly server: string;
  readonly flywayVersion: string;
  readonly record: RunRecord;
  /** How long each file took that was applied, in milliseconds, by key. */
  readonly times: ReadonlyMap<string, number>;
  readonly alterations: readonly Alteration[];
  /** The schema that results. */
  readonly tables: readonly TableOfSchema[];
  /** Placeholders without a value: each stood for its name. */
  readonly unfilled: readonly string[];
}

/** Whether a server only stands in for MySQL. */
export function isStandIn(server: string): boolean {
  return server.startsWith("MariaDB");
}

/**
 * Runs migrations on a throwaway database by the local chain: the host's own program, the real Flyway.
 *
 * @throws CliError where the chain cannot be had here, or a run leaves no record
 */
export async function rehearse({ databases, dump, onProgress }: RehearsalInput): Promise<Rehearsal[]> {
  const names = databases.map(({ name }) => name);
  const complaints: string[] = [];
  const archives = await officialArchives(process.env.MAVEN_REPOSITORY);
  const wanted = databases.find(({ settings }) => settings && settings.flywayVersion in archives)?.settings;
  let chain: Chain;
  onProgress("starting a throwaway database");
  try {
    checkDatabases(names, new Names());
    chain = await startChain({
      ...{ databases: names, archives, flywayVersion: wanted?.flywayVersion ?? DEFAULT_FLYWAY_VERSION },
      ...{ settleSeconds: 0, say: onProgress, complain: (output) => void complaints.push(output) },
      progress: (label, received, total) => onProgress(describeDownload(label, received, total)),
      deliver: () => {}, // the reconcile below looks at every bucket once
    });
  } catch (error) {
    throw new CliError(`Not rehearsed: ${(error as Error).message}`, "mend that, or say --no-rehearsal");
  }
  try {
    const { product } = chain.database;
    const placeholders = new Map(databases.map((database) => [database.name, placeholdersOf(database)]));
    for (const database of databases) {
      const { flywayVersion: _, flywayConf: __, ...settings } = database.settings ?? {};
      const schema = database.settings?.schema ?? database.name;
      const hasHistory = dump && (await begin(chain, schema, dump));
      const newest = dump && !hasHistory ? newestVersion(database.applied ?? []) : undefined;
      const values = placeholders.get(database.name)?.values;
      chain.configure(database.name, {
        ...{ ...settings, schema, ...(values && { placeholders: values }) },
        ...(newest !== undefined && { baselineVersion: newest }),
      });
      const readable = new Set(database.scripts.map(({ key }) => key)); // a name that is wrong holds all others back
      for (const { key, content } of database.files.filter(({ key }) => readable.has(key))) {
        await chain.upload(database.name, key, content);
      }
    }
    onProgress(`rehearsing ${names.join(", ")} on ${product} by Flyway ${chain.flywayVersion}`);
    await chain.reconcile();
    const rehearsals: Rehearsal[] = [];
    for (const database of databases) {
      const record = (await chain.verdicts.records(database.name)).at(-1);
      if (!record) {
        throw new CliError(
          `Not rehearsed: the run for ${database.name} left no record: ${complaints.join("\n")}`,
          "mend that, or say --no-rehearsal",
        );
      }
      rehearsals.push({
        ...{ database: database.name, server: product, flywayVersion: chain.flywayVersion, record },
        times: timesOf(record),
        unfilled: placeholders.get(database.name)?.unfilled ?? [],
        ...(await lookAt(chain, database, record, dump)),
      });
    }
    return rehearsals;
  } finally {
    await chain.stop();
  }
}

/** Makes a schema anew from a dump; whether it has a history of Flyway's then. */
function begin(chain: Chain, schema: string, dump: Dump): Promise<boolean> {
  return connected(chain, async (connection) => {
    await makeAnew(connection, schema, dump);
    const [tables] = await connection.query("SHOW TABLES LIKE 'flyway\\_schema\\_history'");
    if ((tables as unknown[]).length === 0) return false;
    const [rows] = await connection.query("SELECT 1 FROM flyway_schema_history LIMIT 1");
    if ((rows as unknown[]).length > 0) return true;
    await connection.query("DROP TABLE flyway_schema_history"); // a dump without rows: Flyway would take it for a new one
    return false;
  });
}

/** Does something as who looks on. */
async function connected<T>({ database }: Chain, action: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await connectTo(database, database.observer);
  try {
    return await action(connection);
  } finally {
    await connection.end();
  }
}

async function makeAnew(connection: Connection, schema: string, dump: Dump | undefined): Promise<void> {
  await connection.query("DROP DATABASE IF EXISTS ??", [schema]);
  await connection.query("CREATE DATABASE ??", [schema]);
  await connection.query("USE ??", [schema]);
  if (dump) await loadDump(connection, dump);
}

/** The schema that resulted, and what the server says of what changed tables in it. */
function lookAt(
  chain: Chain,
  { scripts, settings, name }: RehearsedDatabase,
  record: RunRecord,
  dump: Dump | undefined,
): Promise<Pick<Rehearsal, "tables" | "alterations">> {
  const schema = settings?.schema ?? name;
  return connected(chain, async (connection) => {
    const tables = await tablesIn(connection, schema);
    const byKey = new Map(scripts.map((script) => [script.key, script]));
    const ran = [...timesOf(record).keys()].flatMap((key) => byKey.get(key) ?? []);
    if (ran.every(({ alterations }) => alterations.size === 0)) return { tables, alterations: [] };
    await makeAnew(connection, schema, dump);
    return { tables, alterations: await askOfAlterations(connection, ran) };
  });
}

function timesOf({ flyway, location }: RunRecord): Map<string, number> {
  const ran = flyway.migrate?.migrations ?? [];
  return new Map(ran.map(({ filepath, executionTime }) => [keyOf(location, filepath), executionTime]));
}

/** Of the versions that are applied, the newest as Flyway's baseline has it. */
function newestVersion(applied: readonly AppliedFile[]): string | undefined {
  const versions = applied.map(({ key }) => key).filter((key) => /^V\d/.test(fileName(key)));
  const newest = versions.sort(byVersion).at(-1);
  return newest === undefined ? undefined : versionIn(fileName(newest));
}

/** The values of a database's placeholders; where the deployment is not known, each stands for its name. */
function placeholdersOf({ files, settings }: RehearsedDatabase): {
  readonly values: Readonly<Record<string, string>> | undefined;
  readonly unfilled: readonly string[];
} {
  if (settings) return { values: settings.placeholders, unfilled: [] };
  const named = files.flatMap(({ content }) =>
    [...Buffer.from(content).toString().matchAll(placeholderPattern())].map(([, name]) => name as string),
  );
  const unfilled = [...new Set(named)].filter((name) => isMatch(name, "placeholder"));
  return { values: Object.fromEntries(unfilled.map((name) => [name, standIn(name)])), unfilled };
}
