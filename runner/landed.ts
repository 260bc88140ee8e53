import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { decode } from "../deployment/decode";
import type { Encoding } from "../deployment/mapping";
import { type FailedStatement, STATES } from "../records/flyway";
import { type FlywayInfo, type HalfApplied, keyOf, type SchemaChange } from "../records/record";
import { mayHavePassword, withoutPasswords } from "../records/work";
import { changesOf, type Doings, type PartChange } from "./attribution";
import type { Look, SchemaPart } from "./database";
import { messageOf } from "./failure";
import type { Log } from "./log";
import { type Names, namesOf, statementsIn } from "./statements";

/** The most changes that a record lists. */
const CHANGES = 200;

/** How much of a statement a record has, in characters. */
const STATEMENT_LENGTH = 2_000;

/** How much of how a part is a record has, in characters. */
const PART_LENGTH = 200;

/** The file that failed; line and statement are null where a run was killed and left no word of it. */
export type FailedFile = { readonly file: string } & (
  | Pick<FailedStatement, "line" | "statement">
  | { readonly line: null; readonly statement: null }
);

/**
 * The files other than the failed one that were applied since the schema was looked at, as paths: they were not in the
 * history then, or, as a repeatable one, are so since a later second.
 */
export function othersApplied(
  info: FlywayInfo | null,
  { file, location }: { readonly file: string; readonly location: string },
  before: Look | undefined,
): string[] {
  if (!before) return [];
  const former = new Set(before.scripts);
  const isNew = (key: string, time = "") => !former.has(key) || time > before.time;
  return (info?.migrations ?? [])
    .filter(({ state, filepath }) => STATES[state] === "applied" && filepath !== "" && filepath !== file)
    .filter(({ filepath, installedOnUTC }) => isNew(keyOf(location, filepath), installedOnUTC))
    .map(({ filepath }) => filepath);
}

/** Those of some names that a file's SQL has in it, in small letters. By line, for a file may have 50 MB. */
export async function namesIn(
  lines: AsyncIterable<string>,
  names: ReadonlySet<string>,
  lastLine = Number.POSITIVE_INFINITY,
): Promise<Set<string>> {
  const hits = new Set<string>();
  let line = 0;
  for await (const text of lines) {
    if (++line > lastLine) break;
    for (const word of text.toLowerCase().split(/[\s`"'(),;.=]+/)) if (names.has(word)) hits.add(word);
  }
  return hits;
}

/** What a file does, or has done when it failed on a line. */
async function doingsIn(
  file: string,
  names: Names,
  { encoding, placeholderPrefix }: Reading,
  line?: number,
): Promise<Doings> {
  const lines = () => linesOf(file, encoding);
  const { definitions, isOpaque, schemas } = await statementsIn(lines(), names, placeholderPrefix, line);
  if (!isOpaque) return { definitions, isOpaque, schemas, names: new Set() };
  const all = await namesIn(lines(), names.all, line);
  return {
    definitions,
    isOpaque,
    schemas: new Set([...all].filter((name) => names.schemas.has(name))),
    names: all,
  };
}

/** The lines of a file; of the usual encoding as they come, for it may have 50 MB. */
export async function* linesOf(file: string, encoding: Encoding): AsyncGenerator<string> {
  if (encoding !== "UTF-8") yield* decode(await readFile(file), encoding).split(/\r?\n/);
  else yield* createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
}

/** How Flyway reads a bucket's files. */
export interface Reading {
  readonly encoding: Encoding;
  /** What a placeholder begins with in them; undefined where there are none. */
  readonly placeholderPrefix: string | undefined;
}

export interface LandedInput extends Reading {
  readonly failed: FailedFile;
  readonly location: string;
  /** The schema of the bucket. */
  readonly schema: string;
  readonly before: Look | undefined;
  readonly after: Look | undefined;
  /** Paths of other files that were applied since. */
  readonly others: readonly string[];
  /** Whether a run that was killed had begun with the file: it may have gone further. */
  readonly isKilled: boolean;
  readonly log: Pick<Log, "complain">;
}

/** What a file that failed has left in the schema: MySQL cannot take DDL back. Where the files cannot be read, that is not known. */
export async function landed(input: LandedInput): Promise<HalfApplied> {
  const { failed, location, others, log } = input;
  const whole = {
    key: keyOf(location, failed.file),
    line: failed.line,
    statement: failed.statement?.slice(0, STATEMENT_LENGTH) ?? null,
    applied: others.map((file) => keyOf(location, file)),
  };
  try {
    return { ...whole, ...(await changesIn(input)) };
  } catch (error) {
    log.complain(`what ${whole.key} has left in the schema cannot be told: ${messageOf(error)}`);
    return { ...whole, changes: null, moreChanges: 0, otherSchemas: [] };
  }
}

async function changesIn(
  input: LandedInput,
): Promise<Pick<HalfApplied, "changes" | "moreChanges" | "otherSchemas">> {
  const { failed, schema, before, after, others, isKilled } = input;
  const parts = [...(before?.parts ?? []), ...(after?.parts ?? [])];
  const names = namesOf(parts);
  const own = await doingsIn(failed.file, names, input, isKilled ? undefined : (failed.line ?? undefined));
  const doings: Doings[] = [];
  for (const other of others) doings.push(await doingsIn(other, names, input));
  const changes = before && after ? changesOf(own, doings, changesBetween(before.parts, after.parts)) : null;
  return {
    changes: changes?.slice(0, CHANGES).map(shortened) ?? null,
    moreChanges: Math.max((changes?.length ?? 0) - CHANGES, 0),
    otherSchemas: otherSchemas(parts, schema).filter((name) => own.schemas.has(name.toLowerCase())),
  };
}

/** The server's schemas but the bucket's, whose name may have another case on the server. */
function otherSchemas(parts: readonly SchemaPart[], schema: string): string[] {
  const all = new Set(parts.filter(({ kind }) => kind === "schema").map(({ name }) => name));
  const own = all.has(schema) ? schema : schema.toLowerCase();
  return [...all].filter((name) => name !== own).sort();
}

function shortened({ before, after, ...change }: SchemaChange): SchemaChange {
  const isSecret = mayHavePassword(change.name);
  return { ...change, before: begin(before, isSecret), after: begin(after, isSecret) };
}

/** @param isSecret whether what a column has by default may be a password */
function begin(part: string | null, isSecret: boolean): string | null {
  const shown = isSecret ? part?.replace(/ (DEFAULT|AS|COMMENT) [\s\S]*/, " $1 …") : part;
  const text = shown == null ? null : withoutPasswords(shown);
  return text !== null && text.length > PART_LENGTH ? `${text.slice(0, PART_LENGTH - 1)}…` : text;
}

function changesBetween(before: readonly SchemaPart[], after: readonly SchemaPart[]): PartChange[] {
  const id = ({ kind, name }: SchemaPart) => `${kind} ${name}`;
  const former = new Map(before.map((part) => [id(part), part]));
  const present = new Map(after.map((part) => [id(part), part]));
  return [...new Set([...former.keys(), ...present.keys()])]
    .sort()
    .filter((id) => former.get(id)?.is !== present.get(id)?.is)
    .map((id) => {
      const { kind, name } = (present.get(id) ?? former.get(id)) as SchemaPart;
      return { kind, name, before: former.get(id)?.is ?? null, after: present.get(id)?.is ?? null };
    });
}
