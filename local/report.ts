import type { Connection, RowDataPacket } from "mysql2/promise";
import type { Chain } from "./chain";
import { connectTo } from "./machine/database";

/** A table, or a view, of a schema. */
export interface TableOfSchema {
  readonly name: string;
  /** In order. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** The tables and views of a schema by name, without Flyway's own. */
export async function tablesIn(connection: Connection, schema: string): Promise<TableOfSchema[]> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT TABLE_NAME AS \`table\`, COLUMN_NAME AS name, COLUMN_TYPE AS type
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME <> 'flyway_schema_history'
     ORDER BY TABLE_NAME, ORDINAL_POSITION`,
    [schema],
  );
  return [...new Set(rows.map(({ table }) => table as string))].map((table) => ({
    name: table,
    columns: rows.filter((row) => row.table === table).map(({ name, type }) => ({ name, type })),
  }));
}

/** A table in one line: `users (id int, name varchar(50))`. */
export function describeTable({ name, columns }: TableOfSchema): string {
  return `${name} (${columns.map(({ name, type }) => `${name} ${type}`).join(", ")})`;
}

/** Prints each database's tables with their columns, and Flyway's history. */
export async function report(chain: Chain, say: (line: string) => void): Promise<void> {
  const connection = await connectTo(chain.database, chain.database.observer);
  try {
    for (const schema of Object.keys(chain.buckets)) {
      say(`\nDatabase ${schema}`);
      for (const table of await tablesIn(connection, schema)) say(`  ${describeTable(table)}`);
      const [histories] = await connection.query<RowDataPacket[]>(
        "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'flyway_schema_history'",
        [schema],
      );
      if (histories.length === 0) {
        say("  not migrated yet");
        continue;
      }
      const [history] = await connection.query<RowDataPacket[]>(
        "SELECT version, description, script, success FROM ??.flyway_schema_history ORDER BY installed_rank",
        [schema],
      );
      say("  Flyway's history:");
      for (const { version, description, script, success } of history) {
        say(
          `    ${version ?? "-"}  ${description}${script ? `  (${script})` : ""}  ${success ? "success" : "FAILED"}`,
        );
      }
    }
  } finally {
    await connection.end();
  }
}
