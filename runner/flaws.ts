import type { Encoding } from "../deployment/mapping";
import { type FlywayResult, isCallback, migrationsByFile, STATES, versionIn } from "../records/flyway";
import { fileName, fileOf, type Refusal, type SeenObject } from "../records/record";
import { type Flaw, flawOfName } from "../records/script";
import { isMigration } from "./copy";
import type { Look, UnwritableNames } from "./database";
import { flawOf } from "./script";

/*
 * What Flyway is not to be given, and what it passes over.
 */

/** The files of a bucket, as far as it is told whether Flyway is to have them. */
export interface Files {
  /** Those that are not known to be applied. */
  readonly unapplied: readonly SeenObject[];
  /** Keys of those that have settings of their own beside them: `V1__a.sql.conf`. */
  readonly configured: ReadonlySet<string>;
  readonly location: string;
  readonly encoding: Encoding;
}

/** Flyway from 5 on does not look for it, and would run all files again: https://github.com/flyway/flyway/issues/1848 */
const FORMER_HISTORY = {
  message: "the schema has the table schema_version, which is the history of a Flyway before 5",
  remedy:
    "rename that table to flyway_schema_history, so that Flyway goes on with it, or set baseline_version of this database to the version that the schema is at",
};

function hasFormerHistory({ parts, scripts }: Look): boolean {
  const names = new Set(parts.map(({ name }) => name));
  return (
    scripts.length === 0 &&
    ["script", "checksum", "success"].every((column) => names.has(`schema_version.${column}`))
  );
}

/** Flyway would baseline the schema anew, and run all files again. */
const LOST_HISTORY = {
  message:
    "the schema has tables, and the table flyway_schema_history is gone or empty, though files of this bucket were applied",
  remedy:
    "restore flyway_schema_history, or set baseline_version of this database to the version that the schema is at; to begin anew, drop the schema",
};

/** A bucket, as far as Flyway's history is asked whether it goes with it. */
interface Bucket extends Pick<Files, "unapplied"> {
  readonly objects: readonly SeenObject[];
  /** Keys of files that were applied, as far as it is known. */
  readonly applied: readonly string[];
}

/** What is refused since Flyway would begin anew, on a schema that it does not know; undefined where nothing is. */
export function refusedByHistory(look: Look, bucket: Bucket): Refusal[] | undefined {
  if (hasFormerHistory(look)) {
    return bucket.unapplied.map(({ key }) => ({ key, ...FORMER_HISTORY, holdsBack: true }));
  }
  if (!hasLostHistory(look, bucket)) return undefined;
  return bucket.objects.map(({ key }) => ({ key, ...LOST_HISTORY, holdsBack: true }));
}

/** Whether versions in a bucket were applied, and its schema, which is not empty, has no history. */
function hasLostHistory(
  { parts, scripts }: Look,
  { objects, applied }: Pick<Bucket, "objects" | "applied">,
): boolean {
  if (scripts.length > 0 || !parts.some(({ kind }) => kind === "table")) return false;
  const keys = new Set(objects.map(({ key }) => key));
  return applied.some((key) => keys.has(key) && versionIn(fileName(key)) !== undefined);
}

/** The files that Flyway is not to be given, unless they are applied. */
export async function flawedFiles({ unapplied, configured, location, encoding }: Files): Promise<Refusal[]> {
  const refused: Refusal[] = [];
  for (const { key, size } of unapplied.filter(isMigration)) {
    const flaw =
      (configured.has(key) ? configuredFlaw(key) : undefined) ??
      flawOfName(key) ??
      (await flawOf(fileOf(location, key), size, encoding));
    if (flaw) refused.push({ key, ...flaw, holdsBack: true });
  }
  return refused;
}

/** Keys of the files whose names a history may not be able to hold, for its character set. */
export function namesBeyondAscii({ unapplied }: Pick<Files, "unapplied">): string[] {
  const keys = unapplied.filter(isMigration).map(({ key }) => key);
  return keys.filter((key) => /[^ -~]/.test(key) && !isCallback(fileName(key)));
}

/** The files that Flyway would run and could not write down, or only under another name. */
export function unwritableFiles({ charset, keys }: UnwritableNames): Refusal[] {
  return keys.map((key) => ({
    key,
    message: `Flyway's history cannot hold its name: the character set there is ${charset}`,
    remedy:
      "upload it again under a name in ASCII, and delete this one; or convert the table flyway_schema_history to utf8mb4, or the schema before its first migration",
    holdsBack: true,
  }));
}

function configuredFlaw(key: string): Flaw {
  return {
    message: `${key}.conf is not read here, and this file may not be meant to run without it`,
    remedy: "set flyway_database_settings of this database instead, and delete that one",
  };
}

/** Of what is refused, what has not been applied. */
export function untriedOnly(
  refused: readonly Refusal[],
  info: FlywayResult | null,
  location: string,
  scripts: readonly string[],
): Refusal[] {
  if (!info?.migrations) return refused.filter(({ key }) => !scripts.includes(key));
  const migrations = migrationsByFile(info);
  return refused.filter(
    ({ key }) => STATES[migrations.get(fileOf(location, key))?.state ?? ""] === "untried",
  );
}

/** The .sql files that Flyway passes over without a word. */
export function ignoredFiles(
  objects: readonly SeenObject[],
  info: FlywayResult | null,
  location: string,
): Refusal[] {
  if (!info?.migrations) return [];
  const known = migrationsByFile(info);
  return objects
    .filter(({ key }) => !known.has(fileOf(location, key)) && !isCallback(fileName(key)))
    .map(({ key }) => ({
      key,
      message: key.endsWith(".sql")
        ? "Flyway takes no notice of it: a migration is named V<version>__<description>.sql or R__<description>.sql"
        : "Flyway takes no notice of it: a migration's name ends in .sql, in small letters",
      remedy: "upload it again under such a name, and delete this one",
    }));
}
