import { fileName } from "./record";

/** Which of a bucket's objects are uploads: what a run says something of. */

/** What Flyway runs elsewhere: https://documentation.red-gate.com/fd/script-migrations-273973379.html, and Java's. */
const OTHER_MIGRATION =
  /^([VRUB][^/]*__[^/]*|(before|after)[A-Z][A-Za-z]*(__[^/]*)?)[.](java|class|jar|sh|bash|py|ps1|bat|cmd)$/;

/** Flyway's own settings, and those of one script: https://documentation.red-gate.com/fd/script-configuration-277579005.html */
const SETTINGS = /^(flyway[^/]*[.](conf|toml)|[^/]*[.]sql[.]conf)$/i;

/** A migration that is no SQL. */
export function isOtherMigration(key: string): boolean {
  return OTHER_MIGRATION.test(fileName(key));
}

export function isSettings(key: string): boolean {
  return SETTINGS.test(fileName(key));
}

/** Whether a run has a verdict for an object: a `.sql` file, or what looks as if it were meant for Flyway. */
export function isUpload(key: string): boolean {
  return /[.]sql$/i.test(key) || isOtherMigration(key) || isSettings(key);
}

const byNumber = new Intl.Collator("en", { numeric: true }).compare;

/** The order in which Flyway takes files, wherever they lie: callbacks, versions by number, repeatables. */
export function byFlywayOrder(a: string, b: string): number {
  const rank = (key: string) => (/^V\d/.test(fileName(key)) ? 1 : fileName(key).startsWith("R__") ? 2 : 0);
  const version = (key: string) => fileName(key).replace(/_(?=\d)/g, ".");
  return rank(a) - rank(b) || byNumber(version(a), version(b)) || byNumber(a, b);
}

/** A key as `EncodingType: "url"` has it: as an HTML form would. */
export function decodeKey(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll("+", " "));
}
