import { type Condition, holds, memberOf } from "./conditions";

/**
 * Rules for settings, as data: `check` holds a default to them, and constructs/rules.ts makes Terraform hold a value to
 * them. Members have the names that they have in a tfvars file, in snake_case.
 */

/** A rule for a variable's value, for each element of its list, or for each key or entry of its map. */
export interface EachRule {
  readonly each: "value" | "element" | "key" | "entry";
  readonly allowed: Condition;
  /** The member of an entry whose value a message names. */
  readonly of?: string;
  /** What a message calls an entry's member whose value is too long, or too many, to be named. */
  readonly name?: string;
  /** What a message says behind what it names: what is wrong, and the remedy. */
  readonly message: string;
}

/** A rule for all of a variable together. */
export type WholeRule =
  /** There is something in it. */
  | { readonly filled: true; readonly message: string }
  /** No two elements of its list are spelled alike. */
  | { readonly distinct: Spelling; readonly message: string }
  /** A member of its map's entries is, in all of them together and with so much beside each, at most so long. */
  | { readonly total: string; readonly beside: number; readonly most: number; readonly message: string };

export type Rule = EachRule | WholeRule;

/** How a name is spelled elsewhere: lower-cased, each `replaced` as `by`, and `suffix` behind it. */
export interface Spelling {
  readonly replaced: string;
  readonly by: string;
  readonly suffix: string;
}

/** The name as it is spelled elsewhere. */
export function spell(name: string, { replaced, by, suffix }: Spelling): string {
  return name.toLowerCase().replaceAll(replaced, by) + suffix;
}

/** A rule for a variable that is one text. */
export function ofValue(matches: string, message: string): EachRule {
  return { each: "value", allowed: { matches }, message };
}

/** A rule for each text of a list. */
export function ofElements(matches: string, message: string): EachRule {
  return { each: "element", allowed: { matches }, message };
}

/** A rule for a member that every entry of a map has. */
export function required(of: string, pattern: string, message: string): EachRule {
  return { each: "entry", of, allowed: { matches: pattern, of }, message };
}

/** A rule for a member that an entry of a map may have. */
export function optional(of: string, pattern: string, message: string): EachRule {
  return {
    each: "entry",
    of,
    allowed: {
      any: [
        { unset: true, of },
        { matches: pattern, of },
      ],
    },
    message,
  };
}

/** How a message names what breaks a rule: a text, and what stands for each `%q` in it. */
export function labelOf(
  variable: string,
  { each, of, name }: EachRule,
): { readonly text: string; readonly parts: readonly ("item" | "key" | "member")[] } {
  if (each === "element") return { text: "%q", parts: ["item"] };
  if (each !== "entry") return { text: `${variable} %q`, parts: ["item"] };
  if (of !== undefined) return { text: `${of} %q of ${variable} %q`, parts: ["member", "key"] };
  return { text: name === undefined ? `${variable} %q` : `${name} of ${variable} %q`, parts: ["key"] };
}

/**
 * Holds the default of a variable to its rules.
 *
 * @throws with the values that break the first broken rule, and the remedy, as Terraform would say it
 */
export function check(variable: string, rules: readonly Rule[], value: unknown): void {
  for (const rule of rules) {
    const breaches = breachesOf(variable, rule, value);
    if (breaches !== undefined) throw new Error(breaches.join(", ") + rule.message);
  }
}

/** How a message names each breach of a rule; undefined where there is none. */
function breachesOf(variable: string, rule: Rule, value: unknown): string[] | undefined {
  if ("filled" in rule) return Object.keys(value as object).length > 0 ? undefined : [];
  if ("total" in rule) {
    const lengths = Object.values(value as Record<string, Record<string, string>>).map(
      (entry) => (entry[rule.total] as string).length + rule.beside,
    );
    return lengths.reduce((sum, length) => sum + length, 0) > rule.most ? [] : undefined;
  }
  let breaches: string[];
  if ("distinct" in rule) {
    const names = value as readonly string[];
    const spellings = names.map((name) => spell(name, rule.distinct));
    const alike = (text: string) => spellings.filter((spelling) => spelling === text).length > 1;
    breaches = names.filter((_, i) => alike(spellings[i] as string)).map((name) => JSON.stringify(name));
  } else {
    breaches = itemsOf(rule.each, value)
      .filter(([, item]) => !holds(rule.allowed, item))
      .map(([key, item]) => label(variable, rule, key, item));
  }
  return breaches.length > 0 ? breaches : undefined;
}

function itemsOf(each: EachRule["each"], value: unknown): (readonly [string, unknown])[] {
  if (each === "value") return [["", value]];
  return Object.entries(value as object).map(([key, item]) => [key, each === "key" ? key : item]);
}

function label(variable: string, rule: EachRule, key: string, item: unknown): string {
  const { text, parts } = labelOf(variable, rule);
  const values = { item, key, member: memberOf(item, rule.of) };
  const quoted = parts.map((name) => JSON.stringify(values[name]));
  return text.replaceAll("%q", () => quoted.shift() as string);
}
