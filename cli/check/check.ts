import { join } from "node:path";
import type { Mapping } from "../../deployment/mapping";
import { fileName } from "../../records/record";
import {
  type AppliedFile,
  byVersion,
  type CheckedFile,
  checkFiles,
  type Objection,
  type ReadFile,
} from "./files";
import { type Finding, isRule, RULES, type RuleName, type Severities, suggestion } from "./rules";
import { type Comment, type Script, type Statement, splitScript } from "./split";
import { type Algorithm, asTold, objectionsTo, withoutPrimaryKey } from "./statements";
import { type Action, readStatement } from "./syntax";
import { Tables } from "./tables";

/** A database's migrations, and what is known of it. */
export interface CheckInput {
  /** Its name, which is its schema's. */
  readonly database: string;
  /** All that its bucket is to hold; what is no upload is passed over. */
  readonly files: readonly CheckedFile[];
  /** Where they are: what findings call a file that is gone. Unset, that is its key. */
  readonly folder?: string;
  /** As the deployment has them; unset, the mapping's defaults. */
  readonly settings?: Pick<
    Mapping,
    | "encoding"
    | "outOfOrder"
    | "placeholders"
    | "placeholderReplacement"
    | "placeholderPrefix"
    | "placeholderSuffix"
  >;
  /**
   * What the database is known to have. Then a table exists where one of these has made it, and their statements are not checked.
   * Unset, nothing is known: all files are checked, and a table exists where an earlier file has made it.
   */
  readonly applied?: readonly AppliedFile[];
  /**
   * Whether the files are all that there are, so that one that is applied and not among them is missing.
   * @default true
   */
  readonly isWhole?: boolean;
  /** What the rules count as; unset, their defaults. */
  readonly severities?: Severities;
  /** What a MySQL said of statements that alter a table; unset, none was asked. */
  readonly answers?: Answers;
  /** What a rehearsal has against files; told of those that have no error otherwise. */
  readonly rehearsed?: readonly Objection[];
}

/** What a server said of statements that alter a table. */
export interface Answers {
  /** Its name and version. */
  readonly server: string;
  /** By the statement: placeOf. */
  readonly algorithms: ReadonlyMap<string, Algorithm>;
}

/** A file of which the statements could be read. */
export interface CheckedScript {
  readonly key: string;
  /** With placeholders put in: of one that has no value, its name. */
  readonly statements: readonly Statement[];
  /** Those that alter a table that exists, by their index: what it is called. None of a file that is applied. */
  readonly alterations: ReadonlyMap<number, string>;
  /** The tables that it makes. */
  readonly made: ReadonlySet<string>;
}

export interface CheckResult {
  /** In the order in which Flyway takes the files, by line. */
  readonly findings: Finding[];
  readonly scripts: readonly CheckedScript[];
}

/** Names a statement of a file by its index. */
export function placeOf(key: string, at: number): string {
  return `${at} ${key}`;
}

/**
 * Finds what speaks against migrations, without a database: by their names and content, and by what their statements do.
 */
export function checkMigrations({
  database,
  files,
  folder,
  settings = {},
  applied,
  isWhole = true,
  severities = {},
  answers,
  rehearsed = [],
}: CheckInput): CheckResult {
  const { objections, readable } = checkFiles({
    files,
    applied: applied ?? [],
    encoding: settings.encoding ?? "UTF-8",
    outOfOrder: settings.outOfOrder ?? false,
    isWhole,
  });
  const tables = new Tables(database);
  const scripts = readable.map((file): CheckedScript => {
    tables.begin(applied && file.isApplied);
    const script = splitScript(withoutPlaceholders(file.text, database, settings));
    const { against, alterations, made } = checkScript(script, file, tables, answers);
    if (!file.isApplied) objections.push(...against);
    const { key, isApplied } = file;
    return { key, statements: script.statements, alterations: isApplied ? new Map() : alterations, made };
  });
  const paths = new Map(files.map(({ key, path }) => [key, path ?? key]));
  const severityOf = (rule: RuleName) => severities[rule] ?? RULES[rule];
  const wrong = new Set(objections.filter(({ rule }) => severityOf(rule) === "error").map(({ key }) => key));
  const findings = [...objections, ...rehearsed.filter(({ key }) => !wrong.has(key))]
    .sort((a, b) => byVersion(a.key, b.key) || a.line - b.line)
    .flatMap(({ key, line, rule, message, remedy }) => {
      const severity = severityOf(rule);
      return severity === "off"
        ? []
        : [
            {
              file: paths.get(key) ?? (folder === undefined ? key : join(folder, key)),
              line,
              rule,
              severity,
              message,
              remedy,
            },
          ];
    });
  return { findings, scripts };
}

/** Puts a placeholder's value in its place, or its name where the value is not known. */
function withoutPlaceholders(text: string, database: string, settings: CheckInput["settings"] = {}): string {
  if (settings.placeholderReplacement === false) return text;
  return text.replace(placeholderPattern(settings), (_, name: string) => {
    if (name === "flyway:defaultSchema" || name === "flyway:database") return database;
    return settings.placeholders?.[name] ?? standIn(name);
  });
}

/** What stands for a placeholder of which the value is not known. */
export function standIn(name: string): string {
  return name.replace(/\W/g, "_");
}

/** Finds placeholders; its group is the name. */
export function placeholderPattern(settings: CheckInput["settings"] = {}): RegExp {
  const escaped = (mark: string) => mark.replace(/[^\w]/g, "\\$&");
  const prefix = escaped(settings.placeholderPrefix ?? "${");
  const suffix = escaped(settings.placeholderSuffix ?? "}");
  return new RegExp(`${prefix}([\\w:.-]+?)${suffix}`, "g");
}

interface Checked {
  readonly statement: Statement;
  readonly actions: readonly Action[];
  readonly isRead: boolean;
}

/** What a statement begins with that MySQL commits at once. */
const DDL = /^(CREATE|ALTER|DROP|RENAME|TRUNCATE)\b(?!\s+TEMPORARY\b)/i;

/** What may run again, though it has run before. */
const REPEATS = /^\w+\s+(OR\s+REPLACE|[\s\S]{0,200}?\bIF\s+(NOT\s+)?EXISTS)\b/i;

function checkScript(
  { statements, strayComments }: Script,
  { key }: ReadFile,
  tables: Tables,
  answers: Answers | undefined,
): { readonly against: Objection[] } & Pick<CheckedScript, "alterations" | "made"> {
  const objections: { readonly at: number; readonly objection: Objection }[] = [];
  const object = (at: number, against: Omit<Objection, "key" | "line">, line?: number) =>
    objections.push({ at, objection: { key, line: line ?? (statements[at]?.line as number), ...against } });
  const checked = statements.map((statement, at): Checked => {
    const actions = readStatement(statement.text);
    if (!("near" in actions)) return { statement, actions, isRead: true };
    const lines = statement.text.split("\n").length;
    object(at, unparsed(actions.near), statement.line + Math.min(actions.line, lines - 1));
    return { statement, actions: [], isRead: false };
  });
  const made = new Set(
    checked.flatMap(({ actions }) =>
      actions.flatMap((action) => (action.kind === "create-table" ? [action.table] : [])),
    ),
  );
  /** Tables of this file that have no primary key yet, and the statements that make them. */
  const keyless = new Map<string, number>();
  const alterations = new Map<number, string>();
  for (const [at, { actions }] of checked.entries()) {
    const algorithm = answers?.algorithms.get(placeOf(key, at));
    for (const action of actions) {
      const altered = action.kind === "alter-table" && tables.find(action.table).exists;
      if (altered) alterations.set(at, action.table);
      const seen = objectionsTo(action, tables, made);
      const isTold = altered && answers && algorithm;
      const told = isTold ? asTold(seen, action.table, algorithm, answers.server) : seen;
      for (const against of told) object(at, against);
      noteKeys(action, at, keyless);
    }
  }
  for (const [table, at] of keyless) object(at, withoutPrimaryKey(table));
  const ddl = checked
    .map(({ statement: { text } }, at) => ({ text, at }))
    .filter(({ text }) => DDL.test(text) && !REPEATS.test(text));
  if (/^V/.test(fileName(key)) && ddl.length > 1) {
    object((ddl[1] as { at: number }).at, severalDdl(ddl.map(({ at }) => statements[at]?.line as number)));
  }
  const markers = checked.map(({ statement }) => markersIn(statement.comments));
  const used = new Set<Marker>();
  const left = objections.filter(({ at, objection }) => {
    const accepting = markers[at]?.filter(({ rule }) => rule === objection.rule) ?? [];
    for (const marker of accepting) used.add(marker);
    return !accepting.some(({ reason }) => reason !== "");
  });
  const stray = markersIn(strayComments);
  const unread = markers.filter((_, at) => checked[at]?.isRead === false).flat();
  const ofMarkers = [...markers.flat(), ...stray].flatMap((marker) => {
    const against = againstMarker(marker, used.has(marker) || unread.includes(marker));
    return against ? [{ key, line: marker.line, ...against }] : [];
  });
  return { against: [...left.map(({ objection }) => objection), ...ofMarkers], alterations, made };
}

function unparsed(near: string): Omit<Objection, "key" | "line"> {
  const place = near.length > 40 ? `${near.slice(0, 40)}…` : near;
  return {
    rule: "unparsed",
    message: `the statement cannot be read here, from ${JSON.stringify(place)} on: only the server can tell what it does`,
    remedy: "try it on a database of the same MySQL",
  };
}

function severalDdl(lines: readonly number[]): Omit<Objection, "key" | "line"> {
  const shown = lines.slice(0, 5).join(", ") + (lines.length > 5 ? ", …" : "");
  return {
    rule: "several-ddl",
    message: `${lines.length} statements change definitions, in lines ${shown}: MySQL commits each, so that those before one that fails stay`,
    remedy: "put each into a version of its own",
  };
}

function noteKeys(action: Action, at: number, keyless: Map<string, number>): void {
  if (action.kind === "create-table" && action.hasPrimaryKey === false && !action.isTemporary) {
    keyless.set(action.table, at);
  }
  if (action.kind === "drop-table") for (const table of action.tables) keyless.delete(table);
  if (action.kind !== "alter-table") return;
  const isKeyed = action.alterations.some(
    (alteration) =>
      (alteration.kind === "add-key" && alteration.key === "primary") ||
      (alteration.kind === "add-column" && alteration.column.isPrimary),
  );
  if (isKeyed) keyless.delete(action.table);
}

/** A comment that accepts a rule for the statement behind it. */
interface Marker {
  readonly line: number;
  /** Empty where it has another form. */
  readonly rule: string;
  /** Empty where there is none. */
  readonly reason: string;
}

function markersIn(comments: readonly Comment[]): Marker[] {
  return comments.flatMap(({ line, text }) => {
    const words = /^flyway-aws:\s*(.*)$/.exec(text)?.[1];
    if (words === undefined) return [];
    const [, rule = "", reason = ""] = /^allow\s+([^\s:]+)\s*:?\s*(.*)$/.exec(words) ?? [];
    return [{ line, rule, reason }];
  });
}

const FORM = "write -- flyway-aws: allow drop-column: the reason, directly before the statement";

function againstMarker(
  { rule, reason }: Marker,
  isUsed: boolean,
): { readonly rule: RuleName; readonly message: string; readonly remedy: string } | undefined {
  if (!isRule(rule)) {
    const message =
      rule === "" ? "it does not say what it allows" : `there is no rule "${rule}"${suggestion(rule)}`;
    return { rule: "allow-unknown-rule", message, remedy: FORM };
  }
  if (reason === "") {
    return { rule: "allow-without-reason", message: `it accepts ${rule} without a reason`, remedy: FORM };
  }
  if (isUsed) return undefined;
  const message = `nothing is found here that it accepts: ${rule}`;
  return { rule: "allow-nothing", message, remedy: "take it out, or put it directly before the statement" };
}
