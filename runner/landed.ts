import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { FailedStatement } from "../records/flyway";
import { type FlywayInfo, type HalfApplied, keyOf, type SchemaChange } from "../records/record";
import { changesOf, type Doings, type PartChange } from "./attribution";
import type { Look, SchemaPart } from "./database";
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
  const isNew = (key: string, time = "") => (former.has(key) ? time > before.time : time >= before.time);
  return (info?.migrations ?? [])
    .filter(({ state, filepath }) => state === "Success" && filepath !== "" && filepath !== file)
    .filter(({ filepath, installedOnUTC }) => isNew(keyOf(location, filepath), installedOnUTC))
    .map(({ filepath }) => filepath);
}

/** Those of some names that a file's SQL has in it, in small letters. By line, for a file may have 50 MB. */
export async function namesIn(
  file: string,
  names: ReadonlySet<string>,
  lines = Number.POSITIVE_INFINITY,
): Promise<Set<string>> {
  const hits = new Set<string>();
  let line = 0;
  for await (const text of linesOf(file)) {
    if (++line > lines) break;
    for (const word of text.toLowerCase().split(/[\s`"'(),;.=]+/)) if (names.has(word)) hits.add(word);
  }
  return hits;
}

/** What a file does, or has done when it failed on a line. */
async function doingsIn(file: string, names: Names, line?: number): Promise<Doings> {
  const { definitions, isOpaque, schemas } = await statementsIn(linesOf(file), names, line);
  if (!isOpaque) return { definitions, isOpaque, schemas, names: new Set() };
  const all = await namesIn(file, names.all, line);
  return {
    definitions,
    isOpaque,
    schemas: new Set([...all].filter((name) => names.schemas.has(name))),
    names: all,
  };
}

function linesOf(file: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
}

export interface LandedInput {
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
}

/** What a file that failed has left in the schema: MySQL cannot take DDL back. */
export async function landed(input: LandedInput): Promise<HalfApplied> {
  const { failed, location, schema, before, after, others, isKilled } = input;
  const parts = [...(before?.parts ?? []), ...(after?.parts ?? [])];
  const names = namesOf(parts);
  const own = await doingsIn(failed.file, names, isKilled ? undefined : (failed.line ?? undefined));
  const doings: Doings[] = [];
  for (const other of others) doings.push(await doingsIn(other, names));
  const changes = before && after ? changesOf(own, doings, changesBetween(before.parts, after.parts)) : null;
  return {
    key: keyOf(location, failed.file),
    line: failed.line,
    statement: failed.statement?.slice(0, STATEMENT_LENGTH) ?? null,
    applied: others.map((file) => keyOf(location, file)),
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
  return { ...change, before: begin(before), after: begin(after) };
}

function begin(text: string | null): string | null {
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
