import type { HalfApplied } from "../../records/record";
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
  /** The lines of the given content that are left out, from 1, with what stands in them. */
  readonly landed: readonly { readonly line: number; readonly text: string }[];
}

/** What of a file landed cannot be told statement by statement; the message says why. */
export class Untold extends Error {
  override readonly name = "Untold";
}

/** What a resumed file begins with. */
const HEADER = "-- Resumed: what its first try did is left out.\n";

/** https://mariadb.com/kb/en/e1064/ */
const SYNTAX_ERROR = 1064;

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
  const kinds = before.map(kindOf);
  const lastDefinition = kinds.lastIndexOf("definition");
  const unsettled = before.filter((_, at) => kinds[at] === "rows" && at > lastDefinition);
  requireMade(before, halfApplied);
  const isNothingDone = errorCode === SYNTAX_ERROR && !RUNS_OTHERS.test(broken.text);
  const kind = isNothingDone ? "session" : kindOf(broken);
  if (kind === "definition") requireWhole(broken);
  if (kind === "rows") unsettled.push(broken);
  // A definition may have committed the rows before it, or have been refused before that
  const [first] = unsettled;
  if (first && kind === "definition") {
    throw new Untold(`whether the rows of line ${first.line} are there is not known`);
  }
  for (const statement of unsettled) requireTakenBack(statement, halfApplied);
  const landed = new Set(before.flatMap((_, at) => (isLanded(kinds[at], at, lastDefinition) ? [at] : [])));
  return without(corrected, landed, before);
}

function isLanded(kind: Kind | undefined, at: number, lastDefinition: number): boolean {
  return kind === "definition" || kind === "nothing" || (kind === "rows" && at < lastDefinition);
}

/** The place of the statement that failed. */
function failedIn(statements: readonly Statement[], { line, statement }: HalfApplied): number {
  if (line === null || statement === null) {
    throw new Untold("its run was ended from outside, and has not told how far it was");
  }
  const begins = (text: string) =>
    words(text).startsWith(words(statement)) || words(statement).startsWith(words(text));
  const found = statements.flatMap((each, at) => (each.line === line && begins(each.text) ? [at] : []));
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
 * `definition`: what is committed at once; `rows`: what the next definition commits; `session`: what the rest of the file needs again;
 * `nothing`: neither.
 */
type Kind = "definition" | "rows" | "session" | "nothing";

const DEFINITION =
  /^(CREATE|ALTER|DROP|RENAME|TRUNCATE)\s+(OR\s+REPLACE\s+)?(ALGORITHM\s*=\s*\w+\s+)?(DEFINER\s*=\s*\S+\s+)?(SQL\s+SECURITY\s+\w+\s+)?(UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+|ONLINE\s+|OFFLINE\s+|IGNORE\s+)*(TABLE|INDEX|VIEW|PROCEDURE|FUNCTION|TRIGGER|EVENT)\b/i;
const TRUNCATE = /^TRUNCATE\s/i;
const ROWS = /^(INSERT|REPLACE|UPDATE|DELETE)\b/i;
const SESSION =
  /^SET\s+(?!(GLOBAL|PERSIST|PERSIST_ONLY|PASSWORD|ROLE|DEFAULT|@@GLOBAL)\b)(?![\s\S]*\b(autocommit|global)\b)/i;
const NOTHING = /^(SHOW|DESCRIBE|DESC|EXPLAIN|ANALYZE|OPTIMIZE|CHECK|UNLOCK)\b/i;

/** What runs statements of its own: one of those may be what the server cannot read, behind others that it did. */
const RUNS_OTHERS = /\b(CALL|EXECUTE|BEGIN)\b/i;

function kindOf({ text, line }: Statement): Kind {
  if (DEFINITION.test(text) || TRUNCATE.test(text)) return "definition";
  if (ROWS.test(text)) return "rows";
  if (SESSION.test(text)) return "session";
  if (NOTHING.test(text)) return "nothing";
  throw new Untold(
    `what the statement in line ${line} does is not told by its words: ${words(text).slice(0, 60)}`,
  );
}

/** A definition that may be done in part. */
function requireWhole({ text, line }: Statement): void {
  const isOfMany = /^(DROP\s+(TABLE|VIEW)|RENAME\s+TABLE)\b[^;]*,/i.test(text);
  const isFilled = /^CREATE\b[\s\S]*\bTABLE\b[\s\S]*\bSELECT\b/i.test(text) || /^TRUNCATE/i.test(text);
  const isReplacing = /^CREATE\s+OR\s+REPLACE\b/i.test(text);
  if (isOfMany || isFilled || isReplacing) {
    throw new Untold(`the statement that failed, in line ${line}, may have been done in part`);
  }
}

/** The tables that landed must be there as they were made. */
function requireMade(before: readonly Statement[], { changes }: HalfApplied): void {
  const gone = new Set<string>();
  for (const statement of [...before].reverse()) {
    const actions = readStatement(statement.text);
    if ("near" in actions) continue; // its kind says enough
    for (const action of actions) {
      if (action.kind === "drop-table") for (const table of action.tables) gone.add(table.toLowerCase());
      if (action.kind === "rename-table") for (const [from] of action.pairs) gone.add(from.toLowerCase());
      if (action.kind !== "create-table") continue;
      if (action.isTemporary) {
        throw new Untold(`the table of line ${statement.line} was a temporary one, and is gone`);
      }
      const isThere = changes?.some(
        ({ kind, name, before }) => kind === "table" && before === null && isSameName(name, action.table),
      );
      if (!isThere && !gone.has(action.table.toLowerCase()) && !action.ifNotExists) {
        throw new Untold(`the table ${action.table} of line ${statement.line} is not among what landed`);
      }
    }
  }
}

/** Rows are taken back for sure where they went into tables of InnoDB that this file has made. */
function requireTakenBack({ text, line }: Statement, { changes }: HalfApplied): void {
  const table =
    /^\w+\s+(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|QUICK|IGNORE)\s+)*(?:INTO\s+|FROM\s+)?`?([\w$]+)`?(?=[\s(]|$)/i.exec(
      text,
    )?.[1];
  const isMade = changes?.some(
    ({ kind, name, before, after }) =>
      kind === "table" &&
      before === null &&
      (after ?? "").startsWith("InnoDB") &&
      isSameName(name, table ?? ""),
  );
  if (!isMade || /\b(SELECT|JOIN)\b/i.test(text)) {
    throw new Untold(
      `whether the rows of line ${line} are there is not known: its table is not of InnoDB and made by this file`,
    );
  }
}

function isSameName(name: string, other: string): boolean {
  return name.toLowerCase() === other.toLowerCase();
}

/** A file without some of the statements before the failed one, which must be the same in it. */
function without(text: string, landed: ReadonlySet<number>, before: readonly Statement[]): Resumption {
  const { statements } = splitScript(text);
  let left = "";
  let from = 0;
  for (const [at, former] of before.entries()) {
    const statement = statements[at];
    if (statement === undefined || words(statement.text) !== words(former.text)) {
      throw new Untold(
        `the statement of line ${former.line} landed, and is another in the corrected file: leave it there as it was`,
      );
    }
    if (!landed.has(at)) continue;
    left += text.slice(from, statement.start);
    from = statement.end;
    // The line goes with it, if there is nothing else in it
    const rest = /^[ \t]*\r?\n/.exec(text.slice(from));
    if (!rest || !/(^|\n)[ \t]*$/.test(left)) continue;
    left = left.replace(/[ \t]+$/, "");
    from += rest[0].length;
  }
  return {
    text: HEADER + left + text.slice(from),
    landed: [...landed].map((at) => {
      const { line, text } = statements[at] as Statement;
      return { line, text };
    }),
  };
}
