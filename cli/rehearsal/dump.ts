import { readFileSync } from "node:fs";
import type { Connection } from "mysql2/promise";
import { type Statement, splitScript } from "../check/split";
import { CliError } from "../exit";

/** A schema to start from, as mysqldump writes it. */
export interface Dump {
  readonly file: string;
  readonly statements: readonly Statement[];
}

/** What would go to another schema than the one that is rehearsed. */
const OTHER_SCHEMA = /^(USE|(CREATE|DROP)\s+(DATABASE|SCHEMA))\b/i;

/** What a dump says of the former server's log, and no server without one takes. */
const OF_THE_LOG = /^SET\s+@@(GLOBAL|SESSION)\.(GTID_PURGED|SQL_LOG_BIN)\b/i;

/** @throws CliError where it cannot be read, or is of more than one schema */
export function readDump(file: string): Dump {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${(error as Error).message}`, "name a dump: docs/cli.md");
  }
  const { statements } = splitScript(text);
  const other = statements.find((statement) => OTHER_SCHEMA.test(opened(statement.text)));
  if (other) {
    throw new CliError(
      `${file}:${other.line}: it changes to another schema: ${other.text.slice(0, 80)}`,
      "dump one schema, without --databases: docs/cli.md",
    );
  }
  return { file, statements: statements.filter(({ text }) => !OF_THE_LOG.test(opened(text))) };
}

/** Without the signs of a comment that MySQL runs. */
function opened(text: string): string {
  return text.replace(/^\/\*!\d*\s*/, "");
}

/** @throws CliError at the statement that the server does not take */
export async function loadDump(connection: Connection, { file, statements }: Dump): Promise<void> {
  for (const { line, text } of statements) {
    try {
      await connection.query(text);
    } catch (error) {
      throw new CliError(
        `${file}:${line}: the server of the rehearsal does not take it: ${(error as Error).message}`,
        "make the dump anew: docs/cli.md; where that server is MariaDB, put a mysqld on PATH",
      );
    }
  }
}
