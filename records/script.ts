import { fileName } from "./record";

/** Why Flyway is not to be given a script, and what to do. */
export interface Flaw {
  readonly message: string;
  readonly remedy: string;
}

/** The same, with what it is and where. */
export interface ScriptFlaw extends Flaw {
  readonly kind: "empty" | "unclosed-comment" | "bare-delimiter" | "wrong-encoding";
  /** In the file, from 1. */
  readonly line: number;
}

/** Flyway would take an empty file for applied, and its content for an edit ever after. */
const EMPTY: ScriptFlaw = {
  kind: "empty",
  line: 1,
  message: "it is empty",
  remedy: "upload it again with its statements, or delete it",
};

/**
 * What Flyway's history cannot hold: its columns have 50 characters for a version and 1,000 for a script; a repeatable file is known by
 * its description, which is cut at 200. https://github.com/flyway/flyway/issues/3943
 */
export function flawOfName(key: string): Flaw | undefined {
  const [, kind, version = "", description = ""] =
    /^(V|B|R)(.*?)(?:__(.*))?[.]sql$/.exec(fileName(key)) ?? [];
  const remedy = "upload it again under a shorter name, and delete this one";
  if (version.length > 50) return { message: "its version has more than 50 characters", remedy };
  if (kind === "R" && description.length > 200) {
    return { message: "its description has more than 200 characters", remedy };
  }
  return key.length > 1_000 ? { message: "its key has more than 1,000 characters", remedy } : undefined;
}

/** What is wrong with a file that cannot be decoded. */
export function notIn(encoding: string): Flaw {
  return {
    message: `it is not in ${encoding}, the encoding of this database's files`,
    remedy: `save it as ${encoding} and upload it again, or set encoding of this database to what it is in`,
  };
}

/** What is wrong with a script, by its text; undefined where nothing is. */
export function flawOfText(text: string): ScriptFlaw | undefined {
  if (text.trim() !== "" && !SUSPECT.test(text)) return undefined;
  const scanner = new Scanner();
  scanner.read(text);
  return scanner.end();
}

/** What a script may have a flaw by; else it is not read through. */
const SUSPECT = /\/\*|DELIMITER|\0|\r(?!\n)/i;

/** Flyway takes a carriage return for the end of a comment, the server does not, so that it passes over what follows. */
const LONE_RETURN: Omit<ScriptFlaw, "line"> = {
  kind: "unclosed-comment",
  message: "has a comment with a carriage return in it, behind which Flyway would go on, and the server not",
  remedy: "save it with line feeds as line ends, and upload it again",
};

/** In quotes it is data. */
const NUL: Omit<ScriptFlaw, "line"> = {
  kind: "wrong-encoding",
  message: "has a NUL, as a file in UTF-16 has that is read as if it were in another encoding",
  remedy:
    "take that out, or save it as UTF-8, and upload it again; or set encoding of this database to what it is in",
};

/** What to do where a statement has not ended before a DELIMITER, be it for the delimiter before that. */
export const ABOUT_DELIMITER =
  "end the statement that goes before DELIMITER; a name such as that is written in backticks, `delimiter`; nothing but the delimiter stands behind DELIMITER, no comment either";

/** A keyword of Flyway's, wherever it stands outside of quotes and comments. */
const DELIMITER = /^DELIMITER(?![\p{L}\p{N}_$.])/iu;

/** How much must be there to tell what stands at a place, in characters: the keyword, and what is behind it. */
const LOOK_AHEAD = "DELIMITER ".length;

/** What Flyway's words are made of: `a.delimiter` is one. */
const WORD = /[\p{L}\p{N}_$.]/u;

/** What Java's `trim` takes off. */
const JAVA_BLANKS = /^[\0-\x20]+|[\0-\x20]+$/g;

/** What a script is read as at one place. */
type Part =
  | "statement"
  | "line comment"
  | "behind a return"
  | "block comment"
  | "'"
  | '"'
  | "`"
  | "delimiter";

/**
 * Reads a script as Flyway does (MySQLParser of flyway-mysql), as far as it tells where comments and quoted texts end, and finds
 * what Flyway passes over without a word, or never comes to an end with. statements.ts of the runner reads as the server does: there
 * `--` begins a comment only before white space.
 */
export class Scanner {
  /** Where it is, from 1. */
  private line = 1;
  private part: Part = "statement";
  /** The line in which the part began. */
  private began = 1;
  /** What is left to look at once more is there. */
  private rest = "";
  private delimiter = ";";
  private isInStatement = false;
  private isInWord = false;
  /** Whether the delimiter that is read is in the line behind its keyword. */
  private isNextLine = false;
  private isEmpty = true;
  private flaw: ScriptFlaw | undefined;

  read(text: string): void {
    this.isEmpty &&= text.trim() === "";
    const all = this.rest + text;
    // The longest thing that is looked for as a whole
    const last = all.length - Math.max(LOOK_AHEAD, this.delimiter.length);
    let at = 0;
    while (at < last) at += this.step(all, at);
    this.rest = all.slice(at);
  }

  end(): ScriptFlaw | undefined {
    const all = `${this.rest}\n`;
    for (let at = 0; at < all.length; ) at += this.step(all, at);
    if (this.isEmpty) return EMPTY;
    if (this.part === "delimiter") this.endDelimiter();
    if (this.flaw || this.part !== "block comment") return this.flaw;
    return {
      kind: "unclosed-comment",
      line: this.began,
      message: `the comment that begins with /* in line ${this.began} does not end: Flyway would leave out all that follows, and say that it was applied`,
      remedy: "end the comment with */ and upload it again",
    };
  }

  /** Looks at one place; how many characters are behind it then. */
  private step(text: string, at: number): number {
    const character = text[at] as string;
    if (character === "\n") this.line++;
    switch (this.part) {
      case "statement":
        return this.stepStatement(text, at);
      case "line comment":
        if (character === "\n") this.part = "statement";
        else if (character === "\r") this.part = "behind a return";
        return 1;
      case "behind a return": // before another comment, or the end of the line, it does no harm
        if (character === "\n") this.part = "statement";
        else if (text.startsWith("--", at) || character === "#") this.part = "line comment";
        else if (/\S/.test(character)) {
          this.find(LONE_RETURN);
          this.part = "line comment";
        }
        return 1;
      case "block comment":
        if (!text.startsWith("*/", at)) return 1;
        this.part = "statement";
        return 2;
      case "delimiter":
        if (character !== "\n" && character !== "\r") this.delimiter += character;
        else this.endDelimiter();
        return 1;
      default:
        if (character === "\\" && this.part !== "`") {
          if (text[at + 1] === "\n") this.line++;
          return 2;
        }
        if (character === this.part) this.part = "statement";
        return 1;
    }
  }

  private stepStatement(text: string, at: number): number {
    const isInWord = this.isInWord;
    this.isInWord = false;
    if (text.startsWith(this.delimiter, at)) {
      this.isInStatement = false;
      return this.delimiter.length;
    }
    if (text.startsWith("/*", at)) {
      this.begin("block comment");
      return 2;
    }
    const character = text[at] as string;
    if (character === "\0") this.find(NUL);
    if (text.startsWith("--", at) || character === "#") {
      this.begin("line comment");
      return 1;
    }
    if (!isInWord && DELIMITER.test(text.slice(at, at + LOOK_AHEAD))) return this.beginDelimiter(text, at);
    this.isInStatement ||= /\S/.test(character);
    this.isInWord = WORD.test(character);
    if (character === "'" || character === '"' || character === "`") this.begin(character);
    return 1;
  }

  /** Flyway takes the next character for a part of it, whichever it is, and then all to the line's end. */
  private beginDelimiter(text: string, at: number): number {
    if (this.isInStatement) {
      this.flaw ??= {
        kind: "bare-delimiter",
        line: this.line,
        message: `DELIMITER in line ${this.line} stands inside a statement`,
        remedy: ABOUT_DELIMITER,
      };
    }
    this.isInStatement = false;
    this.begin("delimiter");
    this.delimiter = text.charAt(at + "DELIMITER".length);
    this.isNextLine = this.delimiter === "\n";
    if (this.isNextLine) this.line++;
    return "DELIMITER ".length;
  }

  private find({ message, ...flaw }: Omit<ScriptFlaw, "line">): void {
    this.flaw ??= { ...flaw, line: this.line, message: `line ${this.line} ${message}` };
  }

  private begin(part: Part): void {
    this.part = part;
    this.began = this.line;
  }

  private endDelimiter(): void {
    const delimiter = this.delimiter.replace(JAVA_BLANKS, "");
    const [, more = ""] = /^\S+\s+([\s\S]*)/.exec(delimiter) ?? [];
    this.delimiter = delimiter || ";";
    this.part = "statement";
    const isNone = delimiter === "" || (this.isNextLine && !/^(\w+|[^\w\s]+)$/.test(delimiter));
    // With a comment in it, or another sign, it is a delimiter that does not come, which the server tells
    if (!isNone && (!/\w/.test(more) || /^(--|#|\/\*)/.test(more))) return;
    this.flaw ??= {
      kind: "bare-delimiter",
      line: this.began,
      message: isNone
        ? `DELIMITER in line ${this.began} has nothing behind it: Flyway would take what follows for it, or never come to an end`
        : `DELIMITER in line ${this.began} has more than the delimiter behind it: Flyway would take all of it for that`,
      remedy: "write nothing but the delimiter behind it, such as DELIMITER ; and upload it again",
    };
  }
}
