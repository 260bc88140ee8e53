import { createHash } from "node:crypto";
import type { RowDataPacket, Connection as Session } from "mysql2/promise";
import { type LockHolder, shownForeignStatement, shownStatement, type Work } from "../records/work";
import { ask } from "./database";

/*
 * What Flyway's connections do, as the server has it: MySQL and MariaDB tell it in tables of their own. What a server does not
 * have, or the user may not see, is not known.
 */

/** How many connections of a Flyway can be told, and how many holders of a lock are. */
const CONNECTIONS = 4;
const HOLDERS = 10;

/** How long a question may take, in milliseconds: the end of Flyway is not to wait for an answer. */
const TIMEOUT = 10_000;

/** Names the connections of a run's Flyway: each holds a named lock of its own, of at most 64 characters. */
export class Marks {
  private readonly locks: readonly string[];

  constructor(bucket: string, commandId: string) {
    const hash = createHash("sha256").update(`${bucket} ${commandId}`).digest("hex").slice(0, 32);
    this.locks = Array.from({ length: CONNECTIONS }, (_, index) => `flyway-on-aws ${hash} ${index}`);
  }

  /** SQL by which a connection takes the first that is free, as an expression. */
  get taking(): string {
    return this.locks.map((lock) => `GET_LOCK('${lock}', 0)`).join(" OR ");
  }

  /** The server's ids of the connections. */
  async connections(session: Session): Promise<number[]> {
    const holders = this.locks.map((lock) => `IS_USED_LOCK('${lock}')`).join(", ");
    const [row] = await ask(session, `SELECT ${holders}`, [], TIMEOUT);
    const ids = Object.values(row ?? {}).filter((id) => id !== null);
    return [...new Set(ids.map(Number))];
  }
}

/** What Flyway's connections do at the moment, and which of them does it. */
export interface Sight extends Pick<Work, "statement" | "isWaiting" | "holders"> {
  readonly connection: number | undefined;
}

const NOTHING: Sight = { connection: undefined, statement: null, isWaiting: false, holders: [] };

/** @throws where the server cannot be asked at all */
export async function lookAtWork(session: Session, marks: Marks): Promise<Sight> {
  const connections = await marks.connections(session);
  if (connections.length === 0) return NOTHING;
  const processes = "SELECT * FROM information_schema.PROCESSLIST WHERE ID IN (?) AND INFO IS NOT NULL";
  const [process] = await ask(session, processes, [connections], TIMEOUT);
  if (!process) return NOTHING;
  const { ID: connection, TIME: seconds, STATE: state, INFO: text } = process;
  const holders = await holdersOf(session, connection);
  const isNamed = /^waiting for .*lock|^User lock$/i.test(state ?? "");
  const isWaiting = isNamed || holders.length > 0;
  const candidates =
    isWaiting && holders.length === 0 ? await transactionsSince(session, connections, seconds) : [];
  return {
    connection,
    statement: {
      text: shownStatement(text),
      seconds: Math.max(Number(seconds), 0),
      state: state ?? "",
      percent: percentOf(process) ?? (await stagePercent(session, connection)),
    },
    isWaiting,
    holders: [
      ...(await describe(session, holders, true)),
      ...(await describe(session, candidates, false)),
    ].slice(0, HOLDERS),
  };
}

/** Ends a connection's statement, which then fails: the connection stays. */
export async function endStatement(session: Session, connection: number): Promise<void> {
  await ask(session, `KILL QUERY ${Number(connection)}`, [], TIMEOUT);
}

/** MariaDB tells the progress of a statement in its process list, by stage. */
function percentOf({ PROGRESS: progress, STAGE: stage, MAX_STAGE: stages }: RowDataPacket): number | null {
  if (!(Number(stages) > 0)) return null;
  return Math.min(100, Math.round(((Number(stage) - 1) * 100 + Number(progress)) / Number(stages)));
}

/** MySQL in its stages, where their consumer is on. */
async function stagePercent(session: Session, connection: number): Promise<number | null> {
  const [stage] = await tryAsk(
    session,
    `SELECT WORK_COMPLETED AS done, WORK_ESTIMATED AS whole FROM performance_schema.events_stages_current
     JOIN performance_schema.threads USING (THREAD_ID) WHERE PROCESSLIST_ID = ? AND WORK_ESTIMATED > 0`,
    [connection],
  );
  return stage ? Math.min(100, Math.floor((100 * Number(stage.done)) / Number(stage.whole))) : null;
}

/** The connections of the locks that one waits for, each by a table that some server has. */
const HOLDERS_OF: readonly string[] = [
  // Of a table's definition
  `SELECT DISTINCT holder.PROCESSLIST_ID AS id
   FROM performance_schema.threads AS waiter
   JOIN performance_schema.metadata_locks AS wanted ON wanted.OWNER_THREAD_ID = waiter.THREAD_ID AND wanted.LOCK_STATUS = 'PENDING'
   JOIN performance_schema.metadata_locks AS held ON held.LOCK_STATUS = 'GRANTED' AND held.OBJECT_TYPE = wanted.OBJECT_TYPE
     AND held.OBJECT_SCHEMA <=> wanted.OBJECT_SCHEMA AND held.OBJECT_NAME <=> wanted.OBJECT_NAME
   JOIN performance_schema.threads AS holder ON holder.THREAD_ID = held.OWNER_THREAD_ID
   WHERE waiter.PROCESSLIST_ID = ? AND holder.PROCESSLIST_ID <> waiter.PROCESSLIST_ID`,
  // Of a row: MySQL's table, MariaDB's
  `SELECT DISTINCT holder.PROCESSLIST_ID AS id
   FROM performance_schema.data_lock_waits AS wait
   JOIN performance_schema.threads AS waiter ON waiter.THREAD_ID = wait.REQUESTING_THREAD_ID
   JOIN performance_schema.threads AS holder ON holder.THREAD_ID = wait.BLOCKING_THREAD_ID
   WHERE waiter.PROCESSLIST_ID = ?`,
  `SELECT DISTINCT holder.trx_mysql_thread_id AS id
   FROM information_schema.INNODB_LOCK_WAITS AS wait
   JOIN information_schema.INNODB_TRX AS waiter ON waiter.trx_id = wait.requesting_trx_id
   JOIN information_schema.INNODB_TRX AS holder ON holder.trx_id = wait.blocking_trx_id
   WHERE waiter.trx_mysql_thread_id = ?`,
];

async function holdersOf(session: Session, connection: number): Promise<number[]> {
  const ids = new Set<number>();
  for (const sql of HOLDERS_OF)
    for (const { id } of await tryAsk(session, sql, [connection])) ids.add(Number(id));
  ids.delete(0); // a transaction without a connection
  return [...ids];
}

/** The connections whose transactions have been open for so long: who holds a lock where the server has no table of locks. */
async function transactionsSince(
  session: Session,
  except: readonly number[],
  seconds: number,
): Promise<number[]> {
  const rows = await tryAsk(
    session,
    `SELECT trx_mysql_thread_id AS id FROM information_schema.INNODB_TRX
     WHERE trx_mysql_thread_id NOT IN (0, ?) AND TIMESTAMPDIFF(SECOND, trx_started, NOW()) >= ? ORDER BY trx_started LIMIT ?`,
    [except, seconds, HOLDERS],
  );
  return rows.map(({ id }) => Number(id));
}

async function describe(
  session: Session,
  connections: readonly number[],
  isCertain: boolean,
): Promise<LockHolder[]> {
  if (connections.length === 0) return [];
  const values = [connections];
  const ages = await tryAsk(
    session,
    `SELECT trx_mysql_thread_id AS id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) AS seconds
     FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id IN (?)`,
    values,
  );
  const statements = await tryAsk(
    session,
    `SELECT PROCESSLIST_ID AS id, SQL_TEXT AS text FROM performance_schema.events_statements_current
     JOIN performance_schema.threads USING (THREAD_ID) WHERE PROCESSLIST_ID IN (?) AND SQL_TEXT IS NOT NULL`,
    values,
  );
  const processes = await tryAsk(
    session,
    "SELECT * FROM information_schema.PROCESSLIST WHERE ID IN (?) ORDER BY ID",
    values,
  );
  return processes.map(({ ID, USER: user, HOST: host, COMMAND: command, TIME: seconds, INFO: info }) => {
    const isOf = ({ id }: RowDataPacket) => Number(id) === Number(ID);
    const text: string | undefined = info ?? statements.find(isOf)?.text;
    const age = ages.find(isOf)?.seconds;
    return {
      connection: Number(ID),
      user,
      host,
      idleSeconds: command === "Sleep" ? Math.max(Number(seconds), 0) : null,
      transactionSeconds: age === undefined ? null : Math.max(Number(age), 0),
      statement: text === undefined ? null : shownForeignStatement(text),
      isCertain,
    };
  });
}

/** No rows where the server has no such table, or the user no right to it. */
async function tryAsk(session: Session, sql: string, values: readonly unknown[]): Promise<RowDataPacket[]> {
  try {
    return await ask(session, sql, values, TIMEOUT);
  } catch (error) {
    if ((error as { sqlState?: unknown }).sqlState === undefined) throw error; // the connection
    return [];
  }
}
