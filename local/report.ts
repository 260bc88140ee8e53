import type { RowDataPacket } from "mysql2/promise";
import type { Chain } from "./chain";
import { connectTo } from "./machine/database";

/** Prints each database's tables with their columns, and Flyway's history. */
export async function report(chain: Chain, say: (line: string) => void): Promise<void> {
  const connection = await connectTo(chain.database, chain.database.observer);
  try {
    for (const schema of Object.keys(chain.buckets)) {
      say(`\nDatabase ${schema}`);
      const [columns] = await connection.query<RowDataPacket[]>(
        `SELECT TABLE_NAME AS \`table\`, COLUMN_NAME AS \`column\`, COLUMN_TYPE AS type
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME <> 'flyway_schema_history'
         ORDER BY TABLE_NAME, ORDINAL_POSITION`,
        [schema],
      );
      for (const table of new Set(columns.map((column) => column.table as string))) {
        const columnsOfTable = columns.filter((column) => column.table === table);
        say(`  ${table} (${columnsOfTable.map(({ column, type }) => `${column} ${type}`).join(", ")})`);
      }
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
