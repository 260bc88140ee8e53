import { setTimeout as sleep } from "node:timers/promises";
import type { Chain } from "../../local/chain";
import { connectTo } from "../../local/machine/database";
import { query } from "./chain";

/** Where a migration waits until a test lets it go on: by a lock of the database that the test holds. */
export interface Gate {
  /** The statement that waits. */
  readonly sql: string;
  /** Whether a migration waits at it. */
  isReached(): Promise<boolean>;
  /** Resolves once a migration waits at it. */
  reached(): Promise<void>;
  open(): Promise<void>;
}

/** The statement that waits, without its semicolon, where `named` is an SQL expression for the lock's name. */
export function waitAt(named: string): string {
  return `DO GET_LOCK(${named}, 600), RELEASE_LOCK(${named})`;
}

/**
 * Shuts a gate.
 *
 * @param lock the name of the lock
 * @param named how the statement names it, if not as it is
 */
export async function gate(where: Pick<Chain, "database">, lock: string, named = `'${lock}'`): Promise<Gate> {
  const connection = await connectTo(where.database, where.database.observer);
  await connection.query("DO GET_LOCK(?, 0)", [lock]);
  const sql = waitAt(named);
  const waiting = `SELECT 1 FROM information_schema.PROCESSLIST
                   WHERE STATE = 'User lock' AND INFO = ${connection.escape(sql)}`;
  const isReached = async () => (await query(where, waiting)).length > 0;
  return {
    sql: `${sql};`,
    isReached,
    reached: () => until("a migration at the gate", isReached),
    open: () => connection.end(),
  };
}

/** Resolves once a condition holds. @throws if it does not within four minutes */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 240_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await sleep(30);
  }
}
