import type { Connection } from "mysql2/promise";
import type { CheckedScript } from "../check/check";
import type { Algorithm } from "../check/statements";

/** A statement that alters a table that exists, and what the server said of it. */
export interface Alteration {
  readonly key: string;
  /** Of the file's statements, from 0. */
  readonly at: number;
  /** In the file, from 1. */
  readonly line: number;
  readonly table: string;
  readonly algorithm: Algorithm;
}

/** What a statement is tried with, from what disturbs least on. CREATE INDEX takes no INSTANT. */
const TRIES: readonly { readonly algorithm: Algorithm; readonly clause: string }[] = [
  { algorithm: "instant", clause: "ALGORITHM=INSTANT" },
  { algorithm: "inplace", clause: "ALGORITHM=INPLACE, LOCK=NONE" },
  { algorithm: "locked", clause: "ALGORITHM=INPLACE, LOCK=SHARED" },
];

/** "ALGORITHM=… is not supported for this operation", without and with a reason: then the server would do more. */
const UNSUPPORTED = new Set([1845, 1846]);

const NAME = "(?:`(?:[^`]|``)+`|[\\w$\\u0080-\\uffff]+)";
const ALTER_TABLE = new RegExp(
  `^ALTER\\s+(?:IGNORE\\s+)?TABLE\\s+(?:IF\\s+EXISTS\\s+)?${NAME}(?:\\s*\\.\\s*${NAME})?\\s`,
  "i",
);
const INDEX = /^(?:CREATE|DROP)\s/i;

/** What a statement says of it itself. */
const OWN_CLAUSE =
  /\b(?:ALGORITHM|LOCK)\s*=?\s*(?:DEFAULT|INSTANT|INPLACE|NOCOPY|COPY|NONE|SHARED|EXCLUSIVE)\b/i;

/**
 * Runs files once more, statement by statement, and has the server say of each that alters a table that exists how it does it: the
 * server refuses what asks for less than it needs. Best effort: Flyway has run them before, and said what is wrong with them.
 *
 * @param connection whose schema is as it was before the files
 * @param scripts in the order in which Flyway ran them
 */
export async function askOfAlterations(
  connection: Connection,
  scripts: readonly CheckedScript[],
): Promise<Alteration[]> {
  const answers: Alteration[] = [];
  const last = scripts.findLastIndex(({ alterations }) => alterations.size > 0);
  for (const { key, statements, alterations } of scripts.slice(0, last + 1)) {
    for (const [at, { text, line }] of statements.entries()) {
      const table = alterations.get(at);
      const algorithm = await (table === undefined ? runAny(connection, text) : ask(connection, text));
      if (table !== undefined && algorithm) answers.push({ key, at, line, table, algorithm });
    }
  }
  return answers;
}

async function runAny(connection: Connection, text: string): Promise<undefined> {
  await connection.query(text).catch(() => {});
}

/** Undefined where the server does not tell: it takes the statement in no form, or the statement says itself how. */
async function ask(connection: Connection, text: string): Promise<Algorithm | undefined> {
  const forms = OWN_CLAUSE.test(text) ? [] : TRIES.map(({ clause }) => withClause(text, clause));
  let isTold = forms.some((form) => form !== undefined);
  for (const [index, form] of forms.entries()) {
    if (form === undefined) continue;
    try {
      await connection.query(form);
      return TRIES[index]?.algorithm;
    } catch (error) {
      isTold &&= UNSUPPORTED.has((error as { errno?: number }).errno ?? 0);
    }
  }
  try {
    await connection.query(text);
    return isTold ? "copy" : undefined;
  } catch {
    return undefined;
  }
}

/** At the front of an ALTER TABLE, where its partitions may follow; behind an index. */
function withClause(text: string, clause: string): string | undefined {
  if (INDEX.test(text)) {
    return clause.includes("INSTANT") ? undefined : `${text}\n${clause.replace(",", "")}`;
  }
  const head = ALTER_TABLE.exec(text)?.[0];
  return head === undefined ? undefined : `${head}${clause}, ${text.slice(head.length)}`;
}
