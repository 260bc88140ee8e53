/*
 * Cuts a script into statements as Flyway does (MySQLParser of flyway-mysql): by `;` or what DELIMITER says, and a routine's block as
 * a whole.
 */

/** A comment of one line, without what it begins with. */
export interface Comment {
  /** In the file, from 1. */
  readonly line: number;
  readonly text: string;
}

/** A statement of a script. */
export interface Statement {
  /** Where it begins in the file, from 1. */
  readonly line: number;
  /** Where it begins in the text, and what is behind it and its delimiter, by characters from 0. */
  readonly start: number;
  readonly end: number;
  /** Without the comments before it and without the delimiter. */
  readonly text: string;
  /** The comments of one line between the statement before and this one. */
  readonly comments: readonly Comment[];
}

export interface Script {
  readonly statements: readonly Statement[];
  /** The comments of one line that stand before no statement: within one, or behind the last. */
  readonly strayComments: readonly Comment[];
}

/** What a script is made of. A quote or a comment that does not end goes on to the end. */
const TOKEN = new RegExp(
  [
    "(?<line>--[^\\n]*|#[^\\n]*)",
    "(?<block>/\\*(?![!+])[\\s\\S]*?(?:\\*/|$))",
    ...["'", '"'].map((quote) => `${quote}(?:[^\\\\${quote}]+|\\\\[\\s\\S]|\\\\$)*(?:${quote}|$)`),
    "`[^`]*(?:`|$)",
    "(?<word>[\\w$\\u0080-\\uffff]+)",
    "(?<space>\\s+)",
    "/\\*[!+]",
    "[\\s\\S]",
  ].join("|"),
  "gy",
);

/** What a block, or a part of one, begins with. */
const OPENS = new Set(["CASE", "BEGIN"]);

/** The same, where a statement may begin; elsewhere IF and REPEAT are functions. */
const OPENS_STATEMENT = new Set(["IF", "LOOP", "WHILE", "REPEAT"]);

/** What a statement within a block may stand behind. */
const BEFORE_STATEMENT = new Set([";", ")", ":", "THEN", "ELSE", "BEGIN", "DO", "LOOP", "REPEAT", "ROW"]);

export function splitScript(text: string): Script {
  const statements: Statement[] = [];
  const strayComments: Comment[] = [];
  let comments: Comment[] = [];
  let delimiter = ";";
  let line = 1;
  /** Of the statement that has begun; undefined between two. */
  let start: { readonly at: number; readonly line: number } | undefined;
  let words: string[] = [];
  let depth = 0;
  let before = "";
  let end = 0;
  const finish = (at: number, behind: number) => {
    if (start) {
      const whole = { line: start.line, start: start.at, end: behind };
      statements.push({ ...whole, text: text.slice(start.at, at).trimEnd(), comments });
    } else strayComments.push(...comments);
    [start, words, depth, before, comments] = [undefined, [], 0, "", []];
  };
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const change = start ? null : delimiterAt(text, at);
    if (change) {
      delimiter = change[1] as string;
      TOKEN.lastIndex = at + change[0].length;
      line += change[0].split("\n").length - 1;
      continue;
    }
    if (text.startsWith(delimiter, at) && depth === 0) {
      finish(at, at + delimiter.length);
      TOKEN.lastIndex = at + delimiter.length;
      continue;
    }
    const match = TOKEN.exec(text) as RegExpExecArray;
    // DELIMITER $$ may stand behind a word with no space
    const cut = match.groups?.word === undefined ? -1 : match[0].indexOf(delimiter);
    const token = cut > 0 ? match[0].slice(0, cut) : match[0];
    TOKEN.lastIndex = at + token.length;
    const groups = match.groups as Record<string, string | undefined>;
    if (groups.line !== undefined) {
      const comment = { line, text: token.replace(/^(--|#)/, "").trim() };
      (start ? strayComments : comments).push(comment);
    } else if (groups.space === undefined && groups.block === undefined) {
      start ??= { at, line };
      end = TOKEN.lastIndex;
      if (groups.word !== undefined) {
        const word = token.toUpperCase();
        if (words.length < 20) words.push(word);
        if (delimiter === ";" && isRoutine(words)) depth = depthAfter(word, before, depth);
        before = before === "END" && CLOSED.has(word) ? "END OF" : word;
      } else before = token;
    }
    line += token.split("\n").length - 1;
  }
  const last = Math.max(end, start?.at ?? 0);
  finish(last, last);
  return { statements, strayComments };
}

/** Flyway takes the word wherever a statement may begin, and the next line where it stands alone in its own. */
function delimiterAt(text: string, at: number): RegExpExecArray | null {
  const pattern = /DELIMITER(?![\p{L}\p{N}_$.])(?:\n|[ \t]*)(\S+)[^\n\r]*/iuy;
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Whether a statement that begins so may have a block. */
function isRoutine([first, ...words]: readonly string[]): boolean {
  const object = words.find((word) =>
    /^(PROCEDURE|FUNCTION|TRIGGER|EVENT|TABLE|VIEW|INDEX|USER)$/.test(word),
  );
  return first === "CREATE" && object !== undefined && !/^(TABLE|VIEW|INDEX|USER)$/.test(object);
}

/** What END may have behind it: it closes that. */
const CLOSED = new Set(["CASE", "IF", "LOOP", "WHILE", "REPEAT"]);

function depthAfter(word: string, before: string, depth: number): number {
  if (before === "END" && CLOSED.has(word)) return depth;
  if (word === "END") return Math.max(0, depth - 1);
  const opens = OPENS.has(word) || (OPENS_STATEMENT.has(word) && BEFORE_STATEMENT.has(before));
  return opens ? depth + 1 : depth;
}
