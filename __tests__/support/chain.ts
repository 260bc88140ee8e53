import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import type { RowDataPacket } from "mysql2/promise";
import { officialArchives } from "../../deployment/archives";
import { DEFAULT_FLYWAY_VERSION } from "../../deployment/databases";
import { type Chain, type ChainOptions, startChain } from "../../local/chain";
import { connectTo } from "../../local/machine/database";
import type { UploadVerdict } from "../../local/verdicts";
import type { RunRecord } from "../../records/record";
import { mysqld } from "./mysql";
import { objectPath, recordsIn, s3Request } from "./s3";

/** Starts a chain for tests: quiet, and with a short wait for the bucket to be still. */
export async function startTestChain(options: Partial<ChainOptions> = {}): Promise<Chain> {
  return startChain({
    databases: ["Users", "Products"],
    flywayVersion: DEFAULT_FLYWAY_VERSION,
    archives: await officialArchives(process.env.MAVEN_REPOSITORY),
    settleSeconds: 0,
    say: () => {},
    complain: () => {},
    progress: () => {},
    program: mysqld(),
    ...options,
  });
}

/** Uploads a migration and waits for its verdict. */
export async function migrate(
  chain: Chain,
  database: string,
  key: string,
  sql: string,
): Promise<UploadVerdict> {
  await upload(chain, database, key, sql);
  return chain.verdicts.wait(database, key);
}

/** Deletes a migration from its bucket. */
export async function remove(chain: Chain, database: string, key: string): Promise<void> {
  await s3Request(chain, "DELETE", objectPath(chain.buckets[database] as string, key));
}

/** Uploads a migration by a bare request: for many at once. */
export async function put(chain: Chain, database: string, key: string, sql: string): Promise<void> {
  await s3Request(chain, "PUT", objectPath(chain.buckets[database] as string, key), sql);
}

/** The run records in a database's bucket, in the order of the runs. */
export async function records(chain: Chain, database: string): Promise<RunRecord[]> {
  return recordsIn(chain, chain.buckets[database] as string);
}

/** Uploads a migration with AWS's SDK. */
export async function upload(chain: Chain, database: string, key: string, sql: string): Promise<void> {
  await chain.upload(database, key, sql);
}

/** The rows of a query, as the database's observer. */
export async function query(chain: Pick<Chain, "database">, sql: string): Promise<RowDataPacket[]> {
  const connection = await connectTo(chain.database, chain.database.observer);
  try {
    return (await connection.query<RowDataPacket[]>(sql))[0];
  } finally {
    await connection.end();
  }
}

/** A statement that makes a table. */
export const table = (name: string) => `CREATE TABLE ${name} (id int);`;

/** The versions in Flyway's history, in the order in which they were applied; none of them failed. */
export async function applied(where: Pick<Chain, "database">, schema: string): Promise<string[]> {
  const rows = await query(
    where,
    `SELECT version, success FROM ${schema}.flyway_schema_history WHERE version > 0 ORDER BY installed_rank`,
  );
  const failed = rows.filter(({ success }) => !success);
  if (failed.length > 0)
    throw new Error(`${schema} has failed migrations: ${failed.map(({ version }) => version)}`);
  return rows.map(({ version }) => version);
}

/** A table's columns with their types, in order. */
export async function columns(
  chain: Pick<Chain, "database">,
  schema: string,
  table: string,
): Promise<string[]> {
  const rows = await query(
    chain,
    `SELECT CONCAT(COLUMN_NAME, ' ', DATA_TYPE) AS c FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = '${schema}' AND TABLE_NAME = '${table}' ORDER BY ORDINAL_POSITION`,
  );
  return rows.map(({ c }) => c as string);
}

/** Command lines of the processes that name a text, ours excepted. Linux only. */
export function processesNaming(text: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return ""; // it has ended meanwhile
      }
    })
    .filter((line) => line.includes(text));
}

/** Whether something listens on a loopback port. */
export function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
