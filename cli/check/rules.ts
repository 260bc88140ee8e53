/*
 * The rules by name: docs/rules.md has a section for each.
 */

/** An error makes the check fail; a warning is for a person to weigh. */
export type Severity = "error" | "warning";

/** What stands against a place in a file. */
export interface Finding {
  /** Its path where that was given, else its key. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly rule: RuleName;
  readonly severity: Severity;
  /** What is wrong, in one line. */
  readonly message: string;
  /** What to do, in one line. */
  readonly remedy: string;
}

/** Each rule's severity unless a configuration says otherwise. */
export const RULES = {
  misnamed: "error",
  "not-run": "error",
  "duplicate-version": "error",
  "duplicate-repeatable": "error",
  "duplicate-callback": "error",
  "version-below-newest": "error",
  "applied-edited": "error",
  "applied-missing": "error",
  "wrong-encoding": "error",
  empty: "error",
  "unclosed-comment": "error",
  "bare-delimiter": "error",
  "several-ddl": "warning",
  unparsed: "warning",
  "drop-schema": "error",
  "drop-table": "error",
  "drop-column": "error",
  "drop-partition": "error",
  truncate: "error",
  "rename-table": "error",
  "rename-column": "error",
  "update-without-where": "error",
  "delete-without-where": "error",
  "unique-on-existing": "warning",
  "not-null-without-default": "warning",
  "foreign-key-on-existing": "warning",
  "narrower-type": "error",
  "other-charset": "warning",
  "enum-members": "error",
  "no-primary-key": "warning",
  "blocks-writes": "warning",
  "rebuilds-table": "warning",
  definer: "warning",
  "rehearsal-failed": "error",
  "not-rehearsed": "warning",
  "allow-without-reason": "error",
  "allow-unknown-rule": "error",
  "allow-nothing": "warning",
} as const satisfies Readonly<Record<string, Severity>>;

export type RuleName = keyof typeof RULES;

/** What each rule counts as; `off` leaves its findings out. */
export type Severities = Readonly<Partial<Record<RuleName, Severity | "off">>>;

export function isRule(name: string): name is RuleName {
  return Object.hasOwn(RULES, name);
}

/** A configuration is wrong; the message says where. */
export class SeverityError extends Error {
  override readonly name = "SeverityError";
}

/**
 * Reads the rules' severities out of a configuration: `{ "rules": { "drop-column": "warning", "rename-table": "off" } }`.
 *
 * @param content what the file holds, parsed as JSON
 * @throws SeverityError that names the rule, and what may stand there
 */
export function parseSeverities(content: unknown): Severities {
  if (!isObject(content)) throw new SeverityError('it is no object such as { "rules": { } }');
  const unknown = Object.keys(content).find((member) => member !== "rules");
  if (unknown !== undefined)
    throw new SeverityError(`it has the unknown member "${unknown}", beside "rules"`);
  const rules = content.rules ?? {};
  if (!isObject(rules)) throw new SeverityError('"rules" is no object such as { "drop-column": "warning" }');
  for (const [name, severity] of Object.entries(rules)) {
    if (!isRule(name)) throw new SeverityError(`there is no rule "${name}"${suggestion(name)}`);
    if (!["error", "warning", "off"].includes(severity as string)) {
      throw new SeverityError(
        `the rule "${name}" has the severity ${JSON.stringify(severity)}, not "error", "warning" or "off"`,
      );
    }
  }
  return rules as Severities;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The rules that a name shares a word with. */
export function suggestion(name: string): string {
  const words = name.toLowerCase().split(/[^a-z]+/);
  const near = Object.keys(RULES).filter((rule) => rule.split("-").some((word) => words.includes(word)));
  return near.length === 0 ? "" : `; there are ${near.join(", ")}`;
}
