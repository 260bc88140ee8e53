/** Another connection, whose lock is waited for. */
export interface LockHolder {
  /** The server's id of the connection. */
  readonly connection: number;
  readonly user: string;
  /** Where it comes from, as the server has it: address and port. */
  readonly host: string;
  /** How long it has done nothing, in seconds; null where it is at work. */
  readonly idleSeconds: number | null;
  /** How long its transaction is open, in seconds; null where it has none, or the server does not tell. */
  readonly transactionSeconds: number | null;
  /** What it does, or has done last, without the values in it; null where the server does not tell. */
  readonly statement: string | null;
  /** Whether the server names it as the holder; else its transaction was open when the wait began, and it may be it. */
  readonly isCertain: boolean;
}

/** What a migration executes at the moment. */
export interface WorkingStatement {
  /** Its first 2,000 characters, up to a password. */
  readonly text: string;
  /** How long already. */
  readonly seconds: number;
  /** What the server does with it, in its own words: `altering table`. */
  readonly state: string;
  /** How far the server is with it; null where it does not tell. */
  readonly percent: number | null;
}

/**
 * What a run does while it migrates for longer than a few seconds: `.flyway/now/<command id>.json` in its bucket, written every 15
 * seconds and when a wait begins or ends, and gone when the run is.
 */
export interface Work {
  readonly workVersion: 1;
  readonly commandId: string;
  readonly bucket: string;
  readonly schema: string;
  /** When the migration began, and when this was seen: ISO 8601, UTC, by the host's clock. */
  readonly startedAt: string;
  readonly seenAt: string;
  /** Null between two statements. */
  readonly statement: WorkingStatement | null;
  /** Whether the statement waits for a lock. */
  readonly isWaiting: boolean;
  /** Who holds it; none where the server does not tell. At most 10. */
  readonly holders: readonly LockHolder[];
}

/** Where it is. */
export const NOW_PREFIX = ".flyway/now/";

/** How much of a statement is kept, and how much of it a line has, in characters. */
const TEXT_LENGTH = 2_000;
const LINE_LENGTH = 200;

/** A statement of the migration as it is shown: without what stands behind the word that a password follows. */
export function shownStatement(sql: string): string {
  return withoutPasswords(sql.slice(0, TEXT_LENGTH));
}

/** The same of a statement of others: without its values too, which are theirs. */
export function shownForeignStatement(sql: string): string {
  return withoutValues(shownStatement(sql));
}

/** A statement with `?` for each value in it. */
export function withoutValues(sql: string): string {
  return withoutTexts(sql, "?").replace(/\b(0x[0-9a-f]+|\d+(\.\d+)?(e[+-]?\d+)?)\b/gi, "?");
}

/** A line for people. */
export function describeWork(work: Pick<Work, "statement" | "isWaiting" | "holders">): string {
  const { statement, isWaiting, holders } = work;
  if (!statement) return "between two statements";
  const { text, seconds, state, percent } = statement;
  const progress = [state, ...(percent === null ? [] : [`${percent} %`])].filter(Boolean).join(", ");
  const line = `${isWaiting ? "waiting" : "working"} for ${seconds} s (${progress}): ${inLine(text)}`;
  return isWaiting ? [line, ...holderLines(holders)].join("\n") : line;
}

/** Who holds, or held, a lock, a line each. */
export function holderLines(holders: readonly LockHolder[], tense: "is" | "was" = "is"): string[] {
  if (holders.length === 0) return [`By whom the lock ${tense} held is not known.`];
  return holders.map(({ isCertain, connection, user, host, ...rest }) => {
    const facts = [
      rest.idleSeconds === null ? "at work" : `idle for ${rest.idleSeconds} s`,
      ...(rest.transactionSeconds === null ? [] : [`in a transaction for ${rest.transactionSeconds} s`]),
      rest.statement === null
        ? "its statement is not known"
        : `its last statement: ${inLine(rest.statement)}`,
    ];
    const holds = isCertain ? `${tense} held` : tense === "is" ? "may be held" : "may have been held";
    return `The lock ${holds} by connection ${connection} of ${user}@${host}, ${facts.join(", ")}`;
  });
}

function inLine(sql: string): string {
  const line = sql.trim().replace(/\s+/g, " ");
  return line.length > LINE_LENGTH ? `${line.slice(0, LINE_LENGTH)}…` : line;
}

/** What makes a login, or gives one a password, or is of MySQL's own schema, however what follows is written. */
const LOGIN =
  /\b(?:(?:CREATE|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:USER|SERVER)\b|GRANT\b|CHANGE\s+(?:MASTER|REPLICATION)\b|CONNECTION\s*=|authentication_string\b|mysql`?\s*\.\s*`?\w+)/i;

/** What a password follows, or stands before: `password_hash`, `MASTER_PASSWORD`, `user_pwd`. */
const PASSWORD = /\b(?:IDENTIFIED\b|\w*(?:PASSW(?:OR)?D|PASSPHRASE|PWD)\w*)/i;

/** Whether a password may stand in a text, or is what a name is of. */
export function mayHavePassword(text: string): boolean {
  return withoutPasswords(text) !== text;
}

/** A statement up to where a password may stand; of that, and of one that is of a login, what is in quotes is left out. */
export function withoutPasswords(sql: string): string {
  const word = PASSWORD.exec(sql);
  const text = (word ? `${withoutTexts(sql.slice(0, word.index + word[0].length), "'…'")} …` : sql).replace(
    /:\/\/[^\s:@/'"]+:[^\s@'"]+@/g,
    "://…@",
  );
  const login = LOGIN.exec(text);
  if (!login) return text;
  const end = login.index + login[0].length;
  return text.slice(0, end) + withoutTexts(text.slice(end), "'…'");
}

/** A statement with something else for each text in quotes, also for one that does not end. */
function withoutTexts(sql: string, instead: string): string {
  return sql.replace(/'(?:[^'\\]|\\[\s\S]|'')*('|$)|"(?:[^"\\]|\\[\s\S]|"")*("|$)/g, instead);
}
