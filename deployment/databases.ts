import type { Names } from "./names";
import { check, type Rule, type Spelling, spell } from "./rules";

/** The Flyway release of a new deployment: the newest whose official bundle could be checked, see archives.ts. */
export const DEFAULT_FLYWAY_VERSION = "11.8.2";

/** The contract's databases. */
export const DEFAULT_DATABASES: readonly string[] = ["Users", "Products"];

/** MySQL's own schemas, and prefixes that S3 keeps for itself. */
const RESERVED = "^(mysql|sys|information_schema|performance_schema)$|^(xn--|sthree-|amzn-s3-demo-)";

/** A database's bucket prefix. S3 knows no capitals and no `_`. */
export function prefixSpelling(names: Names): Spelling {
  return { replaced: "_", by: "-", suffix: names.suffix };
}

/** What the name of a database's bucket begins with. */
export function bucketPrefixOf(database: string, names: Names): string {
  return spell(database, prefixSpelling(names));
}

/** The rules of flyway_managed_databases: a name is a schema and, spelled as S3 takes it, a bucket prefix. */
export function databaseRules(names: Names): readonly Rule[] {
  const longest = 37 - names.suffix.length; // of a bucket's 63 characters, Terraform appends 26 to the prefix
  return [
    {
      filled: true,
      message: 'flyway_managed_databases is empty: name at least one database, as in ["Users"].',
    },
    {
      each: "element",
      allowed: { matches: `^[A-Za-z0-9][A-Za-z0-9_-]{0,${longest - 1}}$` },
      message: `: no valid database. A name is a schema and a bucket prefix: 1 to ${longest} letters, digits, - and _, beginning with a letter or digit.`,
    },
    {
      each: "element",
      allowed: { not: { matches: RESERVED, lowered: true } },
      message: ": the name belongs to MySQL or S3. Choose another for the database.",
    },
    {
      distinct: prefixSpelling(names),
      message:
        ": the lower-cased names make one bucket prefix (_ counts as -). Rename or remove all but one of them.",
    },
  ];
}

/**
 * Holds names of databases to their rules, for whoever has them before Terraform does.
 *
 * @throws with the names that break a rule and what to do
 */
export function checkDatabases(databases: readonly string[], names: Names): void {
  check("flyway_managed_databases", databaseRules(names), databases);
}
