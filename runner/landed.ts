import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { FailedStatement } from "../records/flyway";
import { type FlywayInfo, type HalfApplied, keyOf, type SchemaChange } from "../records/record";
import type { Look, SchemaPart } from "./database";

/** The most changes that a record lists. */
const CHANGES = 200;

/** How much of a statement a record has, in characters. */
const STATEMENT_LENGTH = 2_000;

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

/** The names in small letters of all parts. */
export function namesOf(parts: readonly SchemaPart[]): Set<string> {
  return new Set(parts.flatMap(({ name }) => name.toLowerCase().split(".")));
}

/** Those of some names that a file's SQL has in it. By line, for a file may have 50 MB. */
export async function namesIn(
  file: string,
  names: ReadonlySet<string>,
  lines = Number.POSITIVE_INFINITY,
): Promise<Set<string>> {
  const hits = new Set<string>();
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(file) })) {
    if (++line > lines) break;
    for (const word of text.toLowerCase().split(/[\s`"(),;.]+/)) if (names.has(word)) hits.add(word);
  }
  return hits;
}

export interface LandedInput {
  readonly failed: FailedFile;
  readonly location: string;
  readonly before: Look | undefined;
  readonly after: Look | undefined;
  /** Paths of other files that were applied since. */
  readonly others: readonly string[];
  /** The names that the failed file has up to the statement that failed. */
  readonly ownNames: ReadonlySet<string>;
  readonly otherNames: ReadonlySet<string>;
}

/** What a file that failed has left in the schema: MySQL cannot take DDL back. */
export function landed(input: LandedInput): HalfApplied {
  const { failed, location, before, after, others, ownNames, otherNames } = input;
  const changes = before && after ? changesBetween(before.parts, after.parts) : null;
  const relevant = changes
    ?.filter(({ name }) => others.length === 0 || areIn(name, ownNames))
    .map((change) => ({ ...change, shared: areIn(change.name, otherNames) }));
  return {
    key: keyOf(location, failed.file),
    line: failed.line,
    statement: failed.statement?.slice(0, STATEMENT_LENGTH) ?? null,
    applied: others.map((file) => keyOf(location, file)),
    changes: relevant?.slice(0, CHANGES) ?? null,
    moreChanges: Math.max((relevant?.length ?? 0) - CHANGES, 0),
  };
}

function areIn(name: string, names: ReadonlySet<string>): boolean {
  return name
    .toLowerCase()
    .split(".")
    .every((word) => word === "primary" || names.has(word));
}

function changesBetween(
  before: readonly SchemaPart[],
  after: readonly SchemaPart[],
): Omit<SchemaChange, "shared">[] {
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
