import { type FailedStatement, failedStatementIn, isSyntaxError, runsOthers } from "../records/flyway";
import type { FlywayError } from "../records/record";

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
 * @param prefix what a placeholder begins with; undefined where there are none
 */
export function firstStatement(
  sql: string,
  { line, statement }: Pick<FailedStatement, "line" | "statement">,
  prefix: string | undefined,
): "definition" | "rows" | undefined {
  if (prefix !== undefined && sql.includes(prefix)) return undefined; // Flyway has another text than the file
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

/** What a statement is read without: its comments, but MySQL's own, and what stands in quotes. */
const COMMENTS = /--(?:[ \t][^\n]*)?(?:\n|$)|#[^\n]*|\/\*(?![!+M])[\s\S]*?\*\//;
const QUOTES = /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"|`[^`]*`/;
const APART = new RegExp(`(${COMMENTS.source})|${QUOTES.source}`, "g");

/**
 * A definition that is in the bucket's schema once it is committed, and that nothing which only adds can take out again: of no other
 * schema, and not only where it is not there.
 */
const ADDS =
  /^(CREATE (UNIQUE |FULLTEXT |SPATIAL )?(TABLE|INDEX)|ALTER TABLE [^ .]+ ADD(?! PARTITION)) (?![^(]*[.])(?!.*\b(IF|SELECT|DROP|RENAME)\b)/;

/** What only a commit makes last. */
const WRITES_ROWS =
  /^((INSERT|UPDATE|DELETE|REPLACE|SELECT|WITH|DO|VALUES) |SET (@(?!@)|NAMES )[^,]*$)(?!.*\bINTO (OUTFILE|DUMPFILE)\b)/;

/**
 * Whether a file, and the callbacks around it, cannot have committed anything that is not in the schema: they only have rows, which
 * are committed at its end, or it begins with a definition that adds something. When in doubt they can.
 *
 * @param scripts the file's content, and those of the callbacks
 * @param prefix what a placeholder begins with; undefined where there are none
 */
export function isAllOrNothing(scripts: readonly string[], prefix: string | undefined): boolean {
  const statements = scripts.map((sql) => plainStatements(sql, prefix));
  if (!statements.every((known) => known !== undefined)) return false;
  const all = statements.flat();
  const isKnown = all.every((statement) => ADDS.test(statement) || WRITES_ROWS.test(statement));
  return isKnown && all.findIndex((statement) => ADDS.test(statement)) <= 0;
}

/** A script without the statement of an error, if the server could not read that, so that it did nothing of it. */
export function withoutUnread(sql: string, error: FlywayError): string {
  const statement = isSyntaxError(error) ? failedStatementIn(error)?.statement : undefined;
  return statement && !runsOthers(statement) ? sql.replace(statement, "") : sql;
}

/** The statements of a script, in capitals, without what stands in quotes; undefined where they cannot be told apart. */
function plainStatements(sql: string, prefix: string | undefined): string[] | undefined {
  if (prefix !== undefined && sql.includes(prefix)) return undefined; // Flyway has another text than the file
  const plain = sql.replace(APART, (_, comment) => (comment === undefined ? "x" : " "));
  if (/['"`]|\/\*|\bDELIMITER\b/i.test(plain)) return undefined;
  return plain
    .split(";")
    .map((statement) => `${statement.trim().replace(/\s+/g, " ").toUpperCase()} `)
    .filter((statement) => statement !== " ");
}
