import type { SchemaPart } from "./database";

/*
 * What a file of SQL has that changes definitions, by verbs and names: enough to tell which file of several may have made a change. All
 * words are in small letters.
 */

/** A statement that makes, changes or removes something. */
export interface Definition {
  readonly verb: string;
  /** Of what kind that is; empty where it is none that is looked for. */
  readonly object: string;
  /** The first name after that. */
  readonly target: string;
  /** Those of its words that are names, and the keywords that tell what it does beside what it names. */
  readonly words: ReadonlySet<string>;
}

export interface Statements {
  readonly definitions: readonly Definition[];
  /** Whether there is a statement that may do anything: it calls a procedure, or cannot be placed. */
  readonly isOpaque: boolean;
  /** The schemas that it uses, qualifies a name with, makes or removes. */
  readonly schemas: ReadonlySet<string>;
}

/** The names that matter. */
export interface Names {
  readonly all: ReadonlySet<string>;
  readonly schemas: ReadonlySet<string>;
}

export function namesOf(parts: readonly SchemaPart[]): Names {
  const schemas = parts.filter(({ kind }) => kind === "schema").map(({ name }) => name.toLowerCase());
  return { all: new Set(parts.flatMap(({ name }) => wordsOf(name))), schemas: new Set(schemas) };
}

/** The names that a part's is made of. */
export function wordsOf(name: string): string[] {
  return name.toLowerCase().split(".");
}

/**
 * Reads statements up to and with those that begin on a line.
 *
 * @param prefix what a placeholder begins with; undefined where there are none
 * @param lastLine where the statement failed; what cannot be placed is no SQL there. By default all is read, and went well.
 */
export async function statementsIn(
  lines: AsyncIterable<string> | Iterable<string>,
  names: Names,
  prefix: string | undefined,
  lastLine = Number.POSITIVE_INFINITY,
): Promise<Statements> {
  const reader = new Reader(names, prefix, lastLine);
  for await (const line of lines) {
    if (reader.isDone) break;
    reader.read(line);
  }
  reader.endStatement();
  return reader;
}

const DEFINES = new Set(["create", "alter", "drop", "rename"]);

/** Statements that change no definition. */
const DEFINES_NOTHING = new Set(
  `insert update delete replace select with values table do show describe desc explain load handler set use start commit rollback
   savepoint release lock unlock grant revoke flush analyze optimize check checksum repair truncate xa kill help`.split(
    /\s+/,
  ),
);

/** Statements that may do anything, and parts of blocks that are not read as a whole. */
const DOES_ANYTHING = new Set(
  "call execute prepare begin end if else elseif case when while loop repeat until for declare".split(" "),
);

const OBJECTS: Readonly<Record<string, string>> = {
  ...{ table: "table", tables: "table", sequence: "table", view: "view", index: "index" },
  ...{ procedure: "routine", function: "routine", package: "routine", trigger: "trigger", event: "event" },
  ...{ database: "schema", schema: "schema" },
};

/** What an ALTER TABLE may do without a name of it, and where a CREATE TABLE takes its columns from. */
const KEYWORDS = new Set(
  "convert index key unique fulltext spatial foreign references check drop change select like".split(" "),
);

/** How much of a statement's beginning is kept, in words and dots: `CREATE … DEFINER = … SQL SECURITY … VIEW …` is long. */
const HEAD = 24;

/** The longest identifier of MySQL, in characters. */
const IDENTIFIER = 64;

interface Word {
  readonly text: string;
  readonly isQuoted: boolean;
}

class Reader implements Statements {
  readonly definitions: Definition[] = [];
  readonly schemas = new Set<string>();
  isOpaque = false;
  private line = 0;
  private delimiter = ";";
  private token: RegExp;
  /** What ends the text, comment or quoted name that is open; null outside of those. */
  private open: "'" | '"' | "`" | "*/" | null = null;
  private statement: { line: number; head: Word[]; words: Set<string>; last: string } | undefined;

  constructor(
    private readonly names: Names,
    private readonly prefix: string | undefined,
    private readonly lastLine: number,
  ) {
    this.token = tokenOf(this.delimiter, prefix);
  }

  /** Whether no other statement is to be read. */
  get isDone(): boolean {
    return this.line >= this.lastLine && !this.statement;
  }

  read(line: string): void {
    this.line++;
    const delimiter = !this.statement && !this.open ? /^\s*delimiter\s+(\S+)/i.exec(line)?.[1] : undefined;
    if (delimiter && delimiter.length > IDENTIFIER) {
      this.isOpaque = true;
      return;
    }
    if (delimiter) {
      this.delimiter = delimiter;
      this.token = tokenOf(delimiter, this.prefix);
      return;
    }
    for (let at = 0; at < line.length; ) {
      if (this.open) {
        at = this.close(line, at, this.open);
        continue;
      }
      this.token.lastIndex = at;
      const match = this.token.exec(line);
      if (!match) break;
      at = this.token.lastIndex;
      const text = match[0];
      if (text === this.delimiter) this.endStatement();
      else if (/^(#|--)/.test(text)) break;
      else if (text === "/*") this.open = "*/";
      else if (text === "'" || text === '"' || text === "`") this.open = text;
      else if (text === this.prefix)
        this.isOpaque = true; // Flyway has another text than the file
      else if (text === ".") this.dot();
      else if (!/^[/*]/.test(text)) this.word(text, false); // MySQL's own comments are statements
    }
  }

  endStatement(): void {
    const { statement } = this;
    if (!statement) return;
    this.statement = undefined;
    const { line, head, words } = statement;
    const verb = head[0]?.text ?? "";
    if (DEFINES.has(verb)) this.define(verb, head, words);
    else if (verb === "use") this.enter(head[1]?.text);
    else if (DEFINES_NOTHING.has(verb) || /^begin( work)?$/.test(head.map(({ text }) => text).join(" ")))
      return;
    else this.isOpaque ||= DOES_ANYTHING.has(verb) || line < this.lastLine;
  }

  private define(verb: string, head: readonly Word[], words: ReadonlySet<string>): void {
    const at = head.findIndex(({ text, isQuoted }) => !isQuoted && Object.hasOwn(OBJECTS, text));
    const object = OBJECTS[head[at]?.text ?? ""] ?? "";
    const rest = head
      .slice(at + 1)
      .filter(({ text, isQuoted }) => isQuoted || !/^(if|not|exists)$/.test(text))
      .map(({ text }) => text);
    const target = (rest[1] === "." ? rest[2] : rest[0]) ?? "";
    if (object === "schema") for (const word of words) this.enter(word);
    if (object === "schema" || words.size > 0) this.definitions.push({ verb, object, target, words });
  }

  private enter(schema = ""): void {
    if (this.names.schemas.has(schema)) this.schemas.add(schema);
  }

  private word(text: string, isQuoted: boolean): void {
    const word = text.toLowerCase();
    this.statement ??= { line: this.line, head: [], words: new Set(), last: "" };
    const { head, words, last } = this.statement;
    if (head.length < HEAD) head.push({ text: word, isQuoted });
    if (!isQuoted && KEYWORDS.has(word)) words.add(word);
    if (last === "rename" && !/^(column|index|key)$/.test(word)) words.add(RENAMES);
    for (const name of isQuoted ? wordsOf(word) : [word]) if (this.names.all.has(name)) words.add(name);
    this.statement.last = word;
  }

  private dot(): void {
    if (!this.statement) return;
    this.enter(this.statement.last);
    if (this.statement.head.length < HEAD) this.statement.head.push({ text: ".", isQuoted: false });
  }

  /** Where what is open ends; a name in quotes is a word. */
  private close(line: string, at: number, end: string): number {
    const isText = end === "'" || end === '"';
    let to = at;
    while (to < line.length && !line.startsWith(end, to)) to += isText && line[to] === "\\" ? 2 : 1;
    if (to >= line.length) return line.length;
    this.open = null;
    const length = to - at;
    if ((end === "`" || end === '"') && length <= IDENTIFIER) this.word(line.slice(at, to), true);
    return to + end.length;
  }
}

/** Among a definition's words: it gives a table another name. */
export const RENAMES = "rename to";

/** What is told apart outside of quotes. */
function tokenOf(delimiter: string, prefix: string | undefined): RegExp {
  const marks = [delimiter, ...(prefix === undefined ? [] : [prefix])];
  const mark = marks.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  return new RegExp(
    `${mark}|(?:(?!${mark})[\\w$\\u0080-\\uffff])+|['"\`.]|--(?=\\s|$)|#|/\\*M?!\\d*|/\\*|\\*/`,
    "g",
  );
}
