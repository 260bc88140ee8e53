import type { FailedStatement } from "../records/flyway";

/** White space and comments, but not MySQL's own, which are statements: https://dev.mysql.com/doc/refman/8.4/en/comments.html */
const BLANKS = /^(?:\s+|\ufeff|--(?:[ \t][^\n]*)?(?:\n|$)|#[^\n]*(?:\n|$)|\/\*(?![!+M])[\s\S]*?\*\/)+/;

/**
 * What is done as a whole or not at all, be it for a lock that is not to be had: not CALL, which goes on where it is, nor what
 * reads, for a function in it may write, nor what removes before it makes.
 */
const DEFINITION =
  /^(?!CREATE\s+OR\s+REPLACE\b)(ALTER|CREATE|DROP|RENAME|TRUNCATE|OPTIMIZE)\b(?![\s\S]*\bSELECT\b)/i;

/** The same for rows, if all that it writes to takes back. */
const ROWS = /^(INSERT|UPDATE|DELETE|REPLACE)\b/i;

/**
 * What kind the statement that failed is of, if it is the first of its file, so that none went before it, and is done as a whole or
 * not at all. When in doubt it is not.
 *
 * @param sql the file's content
 * @param prefix what a placeholder begins with
 */
export function firstStatement(
  sql: string,
  { line, statement }: Pick<FailedStatement, "line" | "statement">,
  prefix: string,
): "definition" | "rows" | undefined {
  if (sql.includes(prefix)) return undefined; // Flyway has another text than the file
  const start = BLANKS.exec(sql)?.[0].length ?? 0;
  const text = statement.replace(BLANKS, "").trimEnd();
  const before = sql.split("\n", line - 1).join("\n");
  const isFirst =
    text !== "" &&
    sql.startsWith(text, start) &&
    /^\s*(;|$)/.test(sql.slice(start + text.length)) && // all of it
    !sql.includes(text, start + 1) && // one of two that are alike
    before.replace(BLANKS, "") === "";
  if (!isFirst) return undefined;
  if (DEFINITION.test(text)) return "definition";
  return ROWS.test(text) ? "rows" : undefined;
}

/** What writes rows, or may. */
const WRITES = /\b(INSERT|UPDATE|DELETE|REPLACE|LOAD|IMPORT|CALL|EXECUTE|HANDLER)\b/i;

/** What commits, as definitions do by themselves: https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html */
const COMMITS =
  /\b(CREATE|ALTER|DROP|RENAME|TRUNCATE|COMMIT|BEGIN|START|LOCK|UNLOCK|GRANT|REVOKE|AUTOCOMMIT|ANALYZE|OPTIMIZE|REPAIR|FLUSH|LOAD|CALL|EXECUTE|XA)\b/i;

/**
 * Whether a file cannot have committed rows: then what is left of it, once its connection is gone, is in the schema, if anything is.
 * When in doubt it can.
 *
 * @param prefix what a placeholder begins with
 */
export function isAllOrNothing(sql: string, prefix: string): boolean {
  return !sql.includes(prefix) && !(WRITES.test(sql) && COMMITS.test(sql));
}
