import { isSyntaxError, runsOthers } from "../../records/flyway";
import type { HalfApplied } from "../../records/record";
import { withoutPasswords } from "../../records/work";
import { type Statement, splitScript } from "../check/split";
import { readStatement } from "../check/syntax";

/** A file that failed half way, and what is known of that. */
export interface Failure {
  /** The content that failed. */
  readonly text: string;
  readonly halfApplied: HalfApplied;
  /** The server's code of the failure; null where there is none. */
  readonly errorCode: number | null;
}

/** What is left to do of a file that failed half way. */
export interface Resumption {
  /** The file without what of it landed. */
  readonly text: string;
  /** The lines of the given content: ` ` stays, `-` goes, `+` stands in the place of the one before. */
  readonly difference: readonly string[];
}

/** What of a file landed cannot be told statement by statement; the message says why. */
export class Untold extends Error {
  override readonly name = "Untold";
}

/** What a resumed file begins with. */
const HEADER = "-- Resumed: what its first try did is left out.\n";

/** The connection was lost: https://dev.mysql.com/doc/mysql-errors/8.4/en/client-error-reference.html */
const LOST = [2006, 2013, 2055];

/**
 * What a file is to be without the statements of it that landed: those before the one that failed, but what only holds for a session.
 *
 * @param corrected the whole file, corrected from the statement on that failed
 * @throws Untold where that would be a guess
 */
export function planResume({ text, halfApplied, errorCode }: Failure, corrected: string): Resumption {
  const { statements } = splitScript(text);
  const failed = failedIn(statements, halfApplied);
  const before = statements.slice(0, failed);
  const broken = statements[failed] as Statement;
  requireKnown(halfApplied);
  if (errorCode === null || errorCode <= 0 || LOST.includes(errorCode)) {
    throw new Untold("its connection was lost, so that the server may have gone on with the last statement");
  }
  requireMade(before, halfApplied);
  const kinds = before.map(kindOf);
  const lastDefinition = kinds.lastIndexOf("definition");
  const unsettled = before.filter((_, at) => kinds[at] === "rows" && at > lastDefinition);
  requireUndone(broken, { before, unsettled, halfApplied, errorCode });
  const landed = new Set(before.keys());
  for (const [at, kind] of kinds.entries()) {
    if (kind === "session" || (kind === "rows" && at > lastDefinition)) landed.delete(at);
  }
  if ([...landed].some((at) => kinds[at] === "rows")) requireNoMemory(corrected);
  return without(corrected, landed, before);
}

/** The place of the statement that failed. */
function failedIn(statements: readonly Statement[], { line, statement }: HalfApplied): number {
  if (line === null || statement === null) {
    throw new Untold("its run was ended from outside, and has not told how far it was");
  }
  const isIt = (text: string) => {
    const shown = words(withoutPasswords(text));
    return shown === words(statement) || (statement.length >= 2_000 && shown.startsWith(words(statement)));
  };
  const found = statements.flatMap((each, at) => (each.line === line && isIt(each.text) ? [at] : []));
  const [at] = found;
  if (found.length !== 1 || at === undefined) {
    throw new Untold(`the statement that failed is not found in line ${line} of it`);
  }
  return at;
}

/** A statement's text, as Flyway and a person may part it differently. */
function words(text: string): string {
  return text.trim().replace(/\s+/g, " ");
}

function requireKnown({ changes, moreChanges, otherSchemas = [] }: HalfApplied): void {
  if (changes === null) throw new Untold("the schema could not be looked at");
  if (moreChanges > 0) throw new Untold("it changed more than the run record has room for");
  if (otherSchemas.length > 0) {
    throw new Untold(`what it did in other schemas (${otherSchemas.join(", ")}) is not known`);
  }
}

/**
 * What running a statement leaves.
 *
 * `definition`: what is committed at once, with all before it; `rows`: what the next definition commits; `session`: what the rest of the
 * file needs again; `nothing`: neither.
 */
type Kind = "definition" | "rows" | "session" | "nothing";

const DEFINITION =
  /^((CREATE|ALTER|DROP|RENAME)\s+(OR\s+REPLACE\s+)?(ALGORITHM\s*=\s*\w+\s+)?(DEFINER\s*=\s*\S+\s+)?(SQL\s+SECURITY\s+\w+\s+)?(UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+|ONLINE\s+|OFFLINE\s+|IGNORE\s+)*(TABLE|INDEX|VIEW|PROCEDURE|FUNCTION|TRIGGER|EVENT)|TRUNCATE(\s+TABLE)?)\b(?![\s\S]*\b(SONAME|START\s+TRANSACTION)\b)/i;
const ROWS = /^(INSERT|REPLACE|UPDATE|DELETE)\b(?![\s\S]*:=)/i;
const NOTHING = /^((SHOW|DESCRIBE|DESC)\b|SELECT\s+(x|\d+)(\s+AS\s+\w+)?$)/i;

/** A value that is the same whenever it is read. */
const VALUE = String.raw`(?:x|-?\d+(?:\.\d+)?|[A-Z]\w*|@@(?!identity|insert_id|last_insert_id|warning_count|error_count)[\w.]+)`;
const TARGET = String.raw`(?:@\w+|(?:SESSION\s+|LOCAL\s+|@@|@@SESSION\.|@@LOCAL\.)?(?!autocommit|password|global|persist|role|default|statement|transaction)\w+)`;
const SESSION = new RegExp(
  `^SET\\s+(?:NAMES\\s+\\S+(?:\\s+COLLATE\\s+\\S+)?|CHARACTER\\s+SET\\s+\\S+|${TARGET}\\s*=\\s*${VALUE}(?:\\s*,\\s*${TARGET}\\s*=\\s*${VALUE})*)$`,
  "i",
);

function kindOf(statement: Statement): Kind {
  const text = withoutTexts(statement.text);
  if (DEFINITION.test(text)) return "definition";
  if (ROWS.test(text)) return "rows";
  if (SESSION.test(text)) return "session";
  if (NOTHING.test(text)) return "nothing";
  const shown = words(withoutPasswords(statement.text)).slice(0, 60);
  throw new Untold(`what the statement in line ${statement.line} does is not told by its words: ${shown}`);
}

/** A statement with `x` for each text and each name in quotes, without comments, and out of MySQL's own. */
function withoutTexts(text: string): string {
  return text
    .replace(
      /(--[ \t][^\n]*|#[^\n]*|\/\*(?![!+M])[\s\S]*?\*\/)|'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"|`[^`]*`/g,
      (_, comment) => (comment === undefined ? "x" : " "),
    )
    .replace(/^\s*\/\*M?!\d*([^*]*)\*\/\s*$/, "$1")
    .trim();
}

interface Circumstances {
  readonly before: readonly Statement[];
  /** The rows before the statement that no definition has committed. */
  readonly unsettled: readonly Statement[];
  readonly halfApplied: HalfApplied;
  readonly errorCode: number;
}

/** Requires that nothing of the statement that failed is done, nor of the rows that are not committed. */
function requireUndone(
  broken: Statement,
  { before, unsettled, halfApplied, errorCode }: Circumstances,
): void {
  const text = withoutTexts(broken.text);
  const isOne = !runsOthers(text) && !text.includes(";");
  const isUnread = isSyntaxError({ sqlErrorCode: errorCode }) && !ROWS.test(text) && isOne;
  const kind = isUnread ? undefined : kindOf(broken);
  if (kind === "definition") {
    requireWhole(broken);
    const [first] = unsettled; // the definition may have committed them, or have been refused before that
    if (first) throw new Untold(`whether the rows of line ${first.line} are there is not known`);
  }
  const rows = kind === "rows" ? [...unsettled, broken] : unsettled;
  const trigger = before.find((statement) =>
    /^CREATE\b[\s\S]*\bTRIGGER\b/i.test(withoutTexts(statement.text)),
  );
  if (trigger && rows.length > 0) {
    throw new Untold(`what the trigger of line ${trigger.line} has written is not known`);
  }
  for (const statement of rows) requireTakenBack(statement, halfApplied);
}

/** Requires that a definition which failed is done as a whole or not at all. */
function requireWhole({ text, line }: Statement): void {
  const plain = withoutTexts(text);
  const isOfMany = /^(DROP|RENAME)\b[^;]*,/i.test(plain);
  const isFilled = /^CREATE\b[^(]*\bTABLE\b[\s\S]*\bSELECT\b/i.test(plain) || /^TRUNCATE/i.test(plain);
  const isReplacing = /^CREATE\s+OR\s+REPLACE\b(?![^(]*\bVIEW\b)/i.test(plain);
  if (isOfMany || isFilled || isReplacing) {
    throw new Untold(`the statement that failed, in line ${line}, may have been done in part`);
  }
}

/** Requires that the tables which landed are there as they were made. */
function requireMade(before: readonly Statement[], { changes }: HalfApplied): void {
  const made = new Map<string, number>();
  const touched = new Set<string>();
  const plain = (table: string) => table.slice(table.lastIndexOf(".") + 1).toLowerCase();
  for (const { text, line } of before) {
    const actions = readStatement(text);
    if ("near" in actions) continue; // its kind says enough
    for (const action of actions) {
      const gone: string[] = [];
      if (action.kind === "drop-table") gone.push(...action.tables);
      if (action.kind === "rename-table") gone.push(...action.pairs.flat());
      if (action.kind === "alter-table" && action.alterations.some(({ kind }) => kind === "rename"))
        gone.push(action.table);
      for (const table of gone) touched.add(plain(table));
      if (action.kind !== "create-table") continue;
      if (action.isTemporary) throw new Untold(`the table of line ${line} was a temporary one, and is gone`);
      if (!action.ifNotExists) made.set(action.table, line);
    }
  }
  const added = new Set(
    changes?.filter(({ kind, before }) => kind === "table" && before === null).map(({ name }) => plain(name)),
  );
  for (const [table, line] of made) {
    if (!added.has(plain(table)) && !touched.has(plain(table))) {
      throw new Untold(`the table ${table} of line ${line} is not among what landed`);
    }
  }
}

/** Functions of the server's that write nothing. */
const HARMLESS = new Set(
  "now current_timestamp curdate curtime utc_timestamp uuid concat md5 sha1 sha2 upper lower trim coalesce ifnull json_object json_array cast values value in and or not".split(
    " ",
  ),
);

/** Requires that the server has taken rows back for sure: they went into one table of InnoDB's, which this file has made. */
function requireTakenBack({ text, line }: Statement, { changes }: HalfApplied): void {
  const target =
    /^(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?(?:INTO\s+)?`?([\w$]+)`?\s*(?:\([^()]*\)\s*)?(?=VALUES?\b|SET\b)|^UPDATE\s+(?:IGNORE\s+)?`?([\w$]+)`?\s+SET\b|^DELETE\s+FROM\s+`?([\w$]+)`?\s*(?=WHERE\b|$)/i.exec(
      text,
    );
  const table = target
    ?.slice(1)
    .find((name) => name !== undefined)
    ?.toLowerCase();
  const rest = withoutTexts(text.slice(target?.[0].length ?? 0));
  const calls = [...rest.matchAll(/([\w$]+)\s*\(/g)].map(([, name = ""]) => name.toLowerCase());
  const isMade = changes?.some(
    ({ kind, name, before, after }) =>
      kind === "table" && before === null && name.toLowerCase() === table && after?.startsWith("InnoDB"),
  );
  if (!isMade || /\b(SELECT|JOIN|TABLE)\b/i.test(rest) || !calls.every((name) => HARMLESS.has(name))) {
    throw new Untold(
      `whether the rows of line ${line} are there is not known: they are not of one table of InnoDB that this file has made`,
    );
  }
}

/** Requires that nothing of a file asks for what the rows that are left out have left in the session. */
function requireNoMemory(text: string): void {
  const asked = /\b(LAST_INSERT_ID|ROW_COUNT|FOUND_ROWS)\b|@@(identity|insert_id|last_insert_id)\b/i.exec(
    text,
  )?.[0];
  if (asked) throw new Untold(`it asks for ${asked}, which is another in a session of its own`);
}

/** A file without some of the statements before the failed one, all of which must be the same in it. */
function without(text: string, landed: ReadonlySet<number>, before: readonly Statement[]): Resumption {
  const { statements } = splitScript(text);
  const plain = (statement: Statement | undefined) => statement?.text.replaceAll("\r\n", "\n");
  const changed = before.find((former, at) => plain(statements[at]) !== plain(former));
  if (changed) {
    throw new Untold(
      `the statement of line ${changed.line} is another in the corrected file: what is before the one that failed must stay as it was`,
    );
  }
  const ranges = [...landed].map((at) => statements[at] as Statement);
  const kept: string[] = [];
  const difference: string[] = [];
  let from = 0;
  let next = 0;
  for (const line of text.split(/(?<=\n)/)) {
    const to = from + line.length;
    let rest = "";
    for (let at = from; at < to; ) {
      const range = ranges[next];
      if (!range || range.start >= to) {
        rest += text.slice(at, to);
        break;
      }
      rest += text.slice(at, Math.max(at, range.start));
      at = Math.min(range.end, to);
      if (range.end > to) break;
      next++;
    }
    from = to;
    const isGone = rest !== line && rest.trim() === "";
    if (!isGone) kept.push(rest);
    difference.push(`${rest === line ? " " : "-"} ${line}`);
    if (rest !== line && !isGone) difference.push(`+ ${rest}`);
  }
  return { text: HEADER + kept.join(""), difference: difference.map((line) => line.trimEnd()) };
}
