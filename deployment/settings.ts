import type { Condition } from "./conditions";
import { ENCODINGS, type Encoding, PATTERNS } from "./mapping";
import { type EachRule, ofValue, optional, type Rule } from "./rules";

/** What differs for one database. In a tfvars file the names are those of the members, in snake_case. */
export interface DatabaseSettings {
  /**
   * The schema that its migrations go to.
   * @default the database's name
   */
  readonly schema?: string;
  /**
   * The Flyway release that migrates it.
   * @default flyway_version
   */
  readonly flywayVersion?: string;
  /**
   * Names its target: `flyway_conf`, or a key of `flyway_targets`.
   * @default flyway_conf
   */
  readonly flywayConf?: string;
  /**
   * Whether a version below the newest applied one is applied too; else it is refused.
   * https://documentation.red-gate.com/fd/flyway-out-of-order-setting-277579004.html
   * @default false
   */
  readonly outOfOrder?: boolean;
  /**
   * What `${name}` stands for in its migrations, by name. No secrets: Parameter Store and the host's process
   * list show them. https://documentation.red-gate.com/fd/flyway-placeholders-namespace-277579006.html
   * @default none
   */
  readonly placeholders?: Readonly<Record<string, string>>;
  /**
   * Whether placeholders are put in; if not, `${name}` stands for itself, as in data.
   * https://documentation.red-gate.com/fd/flyway-placeholder-replacement-setting-277579009.html
   * @default true
   */
  readonly placeholderReplacement?: boolean;
  /**
   * What a placeholder begins with.
   * @default "${"
   */
  readonly placeholderPrefix?: string;
  /**
   * What it ends with.
   * @default "}"
   */
  readonly placeholderSuffix?: string;
  /**
   * How its migrations are encoded, all of them.
   * https://documentation.red-gate.com/fd/flyway-encoding-setting-277578985.html
   * @default "UTF-8"
   */
  readonly encoding?: Encoding;
  /**
   * The version that a schema gets which is not empty and has no history yet: migrations up to it are skipped.
   * https://documentation.red-gate.com/fd/flyway-baseline-version-setting-277578968.html
   * @default "0": none is skipped
   */
  readonly baselineVersion?: string;
  /**
   * How long, in seconds, a statement waits for a table that another transaction uses, before the migration fails: meanwhile
   * all others wait behind it. https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_lock_wait_timeout
   * @default 300
   */
  readonly lockWaitTimeout?: number;
  /**
   * How long, in seconds, a migration may take; then the statement under way is ended, and its file has failed.
   * @default as long as the document's executionTimeout lets it
   */
  readonly migrationTimeout?: number;
}

/** What a message says of a Flyway release that is none. */
export const NO_VERSION = " is no Flyway version: use one such as 11.8.2.";

/** The same of a target's name. */
export const NO_CONF =
  " is no valid name: use 1 to 100 letters, digits, . _ and -, beginning with a letter or digit.";

/** The rule of flyway_version. */
export const VERSION_RULE: Rule = ofValue(PATTERNS.flywayVersion, NO_VERSION);

/** The rule of flyway_conf. */
export const CONF_RULE: Rule = ofValue(PATTERNS.flywayConf, NO_CONF);

/** The rules of flyway_database_settings. */
export const SETTINGS_RULES: readonly Rule[] = [
  optional(
    "schema",
    PATTERNS.schema,
    " is no valid schema: use 1 to 64 letters, digits, - and _, beginning with a letter or digit.",
  ),
  optional("flyway_version", PATTERNS.flywayVersion, NO_VERSION),
  optional("flyway_conf", PATTERNS.flywayConf, NO_CONF),
  mark("placeholder_prefix"),
  mark("placeholder_suffix"),
  optional("encoding", PATTERNS.encoding, ` is no encoding that is known here: use ${ENCODINGS.join(", ")}.`),
  optional(
    "baseline_version",
    PATTERNS.baselineVersion,
    " is no version: use digits, with . or _ between them, such as 1 or 2.1.",
  ),
  ...["lock_wait_timeout", "migration_timeout"].map((of) =>
    optional(of, PATTERNS.seconds, " is no time: use whole seconds, 1 to 9999999."),
  ),
  placeholders(
    "keys",
    PATTERNS.placeholder,
    " has no valid name: use 1 to 64 letters, digits, _ and -, beginning with a letter.",
  ),
  placeholders(
    "values",
    PATTERNS.placeholderValue,
    " has a value with a line break, {{ or other than printable ASCII: leave that out.",
  ),
];

/** Parameter Store refuses what has `{{` in it. */
function mark(of: string): EachRule {
  const taken: Condition = {
    all: [{ matches: PATTERNS.placeholderMark, of }, { not: { matches: "[{][{]", of } }],
  };
  return {
    ...{ each: "entry", of, allowed: { any: [{ unset: true, of }, taken] } },
    message:
      " is no mark of a placeholder: use 1 to 10 printable ASCII characters without white space, quotes and {{.",
  };
}

function placeholders(every: "keys" | "values", matches: string, message: string): EachRule {
  return { each: "entry", name: "a placeholder", allowed: { every, of: "placeholders", matches }, message };
}
