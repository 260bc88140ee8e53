import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ResultSetHeader, RowDataPacket, Connection as Session } from "mysql2/promise";
import type { SchemaChange } from "../records/record";
import type { Credentials } from "./credentials";
import { PARTS } from "./parts";
import { type Connection, caFile } from "./target";

/** A part of a schema, or a schema of the server: what it is, and how it is. */
export interface SchemaPart extends Pick<SchemaChange, "kind" | "name"> {
  /** As a change's `before`, but whole. */
  readonly is: string;
}

/** What a look at a schema saw. */
export interface Look {
  /** By the database's clock, ISO 8601, UTC. */
  readonly time: string;
  readonly parts: readonly SchemaPart[];
  /** The scripts in Flyway's history, as keys of a bucket. */
  readonly scripts: readonly string[];
}

/** How long the runner's own look at a database waits for a connection, in milliseconds. It is never what a run fails by. */
const TIMEOUT = 10_000;

/**
 * Opens a session of the runner's own, for what is not Flyway's business. mysql2 verifies names, so a verified target that is
 * named by an address has none.
 */
export async function openSession(
  { host, port, tls, ca }: Connection,
  { user, password }: Credentials,
  directory: string,
): Promise<Session> {
  const { createConnection } = await import("mysql2/promise"); // only then: it takes its time to load
  const verified = {
    rejectUnauthorized: true,
    verifyIdentity: true,
    ...(ca ? { ca: await readFile(join(directory, caFile(ca.sha256)), "utf8") } : {}),
  };
  const ssl = tls === "verified" ? verified : { rejectUnauthorized: false };
  const session = await createConnection({
    host,
    port,
    user,
    password,
    connectTimeout: TIMEOUT,
    dateStrings: true,
    ...(tls === "cleartext" ? {} : { ssl }),
  });
  try {
    await ask(session, BEGIN);
  } catch (error) {
    session.destroy();
    throw error;
  }
  return session;
}

/**
 * The rows of a query; of a statement that has none, what came of it.
 *
 * @param timeout how long it may take, in milliseconds: a question to a large server takes some seconds
 * @throws where it takes longer: the session is of no use then
 */
export async function ask<T extends RowDataPacket[] | ResultSetHeader = RowDataPacket[]>(
  session: Session,
  sql: string,
  values: readonly unknown[] = [],
  timeout = ANSWER_TIMEOUT,
): Promise<T> {
  const [answer] = await session.query<T>({ sql, values: [...values], timeout });
  return answer;
}

/**
 * What each session begins with, whatever the server's defaults are: times of InnoDB's tables are the system's; what is put
 * together of rows is whole.
 */
const BEGIN =
  "SET SESSION autocommit = 1, time_zone = 'SYSTEM', lock_wait_timeout = 10, group_concat_max_len = 16777216";

/** The server's codes for a table, and a column, of `information_schema` that it has not. */
const UNKNOWN_TABLE = 1109;
const UNKNOWN_COLUMN = 1054;

const ANSWER_TIMEOUT = 60_000;

const TIME = "SELECT DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%dT%H:%i:%sZ') AS time";

/** The parts of a schema, and the schemas of its server. */
export async function lookAtSchema(session: Session, schema: string): Promise<Look> {
  const [now] = await ask(session, TIME);
  const parts: SchemaPart[] = [];
  for (const queries of PARTS) {
    for (const { kind, name, is } of await askFirst(session, queries, schema))
      parts.push({ kind, name, is: String(is) });
  }
  return { time: now?.time, parts, scripts: (await historyOf(session, schema)).map(({ script }) => script) };
}

/**
 * What the first query finds of a schema whose columns the server knows; nothing where it has no such kind of part: MySQL 5.7 has no
 * checks.
 */
async function askFirst(
  session: Session,
  [query = "", ...others]: readonly string[],
  schema: string,
): Promise<RowDataPacket[]> {
  try {
    return await ask(session, query, Array(query.split("?").length - 1).fill(schema));
  } catch (error) {
    const { errno } = error as { errno?: number };
    if (errno === UNKNOWN_TABLE) return [];
    if (errno === UNKNOWN_COLUMN && others.length > 0) return askFirst(session, others, schema);
    throw error;
  }
}

/** What Flyway's history is written in: the table's, that of the schema in which it is made, or of the server where that is made too. */
const CHARSET = `SELECT COALESCE(
    (SELECT CHARACTER_SET_NAME FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'flyway_schema_history' AND COLUMN_NAME = 'script'),
    (SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?),
    @@character_set_server) AS charset`;

/** Names that the character set of Flyway's history has not all letters of. */
export interface UnwritableNames {
  readonly charset: string;
  readonly keys: readonly string[];
}

/** Those of some names that Flyway's history of a schema cannot hold. */
export async function unwritableNames(
  session: Session,
  schema: string,
  keys: readonly string[],
): Promise<UnwritableNames> {
  const [{ charset } = { charset: "" }] = await ask(session, CHARSET, [schema, schema]);
  if (charset === "utf8mb4") return { charset, keys: [] };
  const unwritable: string[] = [];
  for (const key of keys) {
    const [row] = await ask(
      session,
      `SELECT CONVERT(CONVERT(? USING ${charset}) USING utf8mb4) = ? COLLATE utf8mb4_bin AS isWritable`,
      [key, key],
    );
    if (row?.isWritable !== 1) unwritable.push(key);
  }
  return { charset, keys: unwritable };
}

/** What is in Flyway's history of a schema, as rows of text; empty where there is none. */
export async function readHistory(session: Session, schema: string): Promise<string[]> {
  return (await historyOf(session, schema)).map((row) => JSON.stringify(Object.values(row)));
}

async function historyOf(session: Session, schema: string): Promise<RowDataPacket[]> {
  const tables = await ask(
    session,
    "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'flyway_schema_history'",
    [schema],
  );
  if (tables.length === 0) return [];
  return ask(
    session,
    "SELECT installed_rank, version, type, script, checksum, success FROM ??.flyway_schema_history ORDER BY installed_rank",
    [schema],
  );
}

/** Takes a failed migration out of Flyway's history; whether it was there. */
export async function takeOutFailed(session: Session, schema: string, script: string): Promise<boolean> {
  const { affectedRows } = await ask<ResultSetHeader>(
    session,
    "DELETE FROM ??.flyway_schema_history WHERE success = 0 AND script = ?",
    [schema, script],
  );
  return affectedRows > 0;
}

/** Removes Flyway's history of a schema if nothing is applied in it, but a baseline; the scripts that are. */
export async function removeUnappliedHistory(session: Session, schema: string): Promise<string[]> {
  const rows = await historyOf(session, schema);
  const applied = rows.filter(({ success, type }) => success && type !== "BASELINE" && type !== "SCHEMA");
  if (applied.length === 0) {
    await ask<ResultSetHeader>(session, "DROP TABLE IF EXISTS ??.flyway_schema_history", [schema]);
  }
  return applied.map(({ script }) => script);
}

const OTHER_ENGINES = `SELECT 1 FROM information_schema.TABLES WHERE ENGINE <> 'InnoDB'
  AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') LIMIT 1`;

/** Whether all tables take back what a statement wrote that failed: a trigger or a function may write to any of them. */
export async function takesBack(session: Session): Promise<boolean> {
  return (await ask(session, OTHER_ENGINES)).length === 0;
}

/** Whether the server is of a cluster that takes no named locks: Galera's, Percona's. */
export async function isCluster(session: Session): Promise<boolean> {
  return (await ask(session, "SHOW VARIABLES LIKE 'wsrep_on'")).some(({ Value: value }) => value === "ON");
}

/** Ends a session; resolves when its connection is closed, so that it takes none of a limited number. */
export async function closeSession(session: Session): Promise<void> {
  const isClosed = session.end().catch(() => {});
  await Promise.race([isClosed, sleep(TIMEOUT, undefined, { ref: false })]); // a network that is gone does not answer
  session.destroy();
}
