import type { FailedStatement } from "../records/flyway";

/** White space and comments, but not MySQL's own, which are statements: https://dev.mysql.com/doc/refman/8.4/en/comments.html */
const BLANKS = /^(?:\s+|\ufeff|--(?:[ \t][^\n]*)?(?:\n|$)|#[^\n]*(?:\n|$)|\/\*(?![!+M])[\s\S]*?\*\/)+/;

/** What is done as a whole or not at all, be it for a lock that is not to be had: not CALL, which goes on where it is. */
const WHOLE = /^(ALTER|CREATE|DROP|RENAME|TRUNCATE|OPTIMIZE)\b/i;

/** The same for rows of InnoDB. */
const OF_ROWS = /^(INSERT|UPDATE|DELETE|REPLACE)\b/i;

/**
 * Whether the statement that failed is the first of its file, so that none went before it, and one that is done as a whole or not at
 * all. When in doubt it is not.
 *
 * @param sql the file's content
 * @param engines of the tables in the schema
 */
export function isFirstAndWhole(
  sql: string,
  { line, statement }: Pick<FailedStatement, "line" | "statement">,
  engines: readonly string[],
): boolean {
  const start = BLANKS.exec(sql)?.[0].length ?? 0;
  const text = statement.replace(BLANKS, "").trimEnd();
  const before = sql.split("\n", line - 1).join("\n");
  const isFirst =
    text !== "" &&
    sql.startsWith(text, start) &&
    !sql.includes(text, start + 1) && // one of two that are alike
    before.replace(BLANKS, "") === "";
  const isWhole = WHOLE.test(text) || (OF_ROWS.test(text) && engines.every((engine) => engine === "InnoDB"));
  return isFirst && isWhole;
}
