/** What a value must be, or its member `of`. Patterns are such that JavaScript and Terraform (RE2) read alike. */
export type Condition =
  | {
      readonly matches: string;
      readonly of?: string;
      /** Whether the value is lower-cased before. */
      readonly lowered?: boolean;
      /** Whether the pattern takes capitals for small letters. */
      readonly caseless?: boolean;
    }
  /** Whether it has no value. */
  | { readonly unset: true; readonly of?: string }
  /** Whether it is this text; `otherwise` stands for a value that is not there. */
  | { readonly is: string; readonly of: string; readonly otherwise: string }
  /** Whether each key, or each value, of a map of texts matches. */
  | { readonly every: "keys" | "values"; readonly of: string; readonly matches: string }
  | { readonly not: Condition }
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] };

/** A member of a value; without a name, the value itself. */
export function memberOf(value: unknown, member: string | undefined): unknown {
  return member === undefined ? value : (value as Record<string, unknown>)[member];
}

/** Whether a value is as a condition wants it. */
export function holds(condition: Condition, value: unknown): boolean {
  if ("all" in condition) return condition.all.every((part) => holds(part, value));
  if ("any" in condition) return condition.any.some((part) => holds(part, value));
  if ("not" in condition) return !holds(condition.not, value);
  const member = memberOf(value, condition.of);
  if ("is" in condition) return (member ?? condition.otherwise) === condition.is;
  if ("unset" in condition) return member === undefined || member === null;
  if ("every" in condition) {
    const texts = Object[condition.every]((member ?? {}) as Record<string, string>);
    return texts.every((text) => new RegExp(condition.matches).test(text));
  }
  if (typeof member !== "string" && typeof member !== "number") return false;
  const { matches, lowered, caseless } = condition;
  const text = String(member);
  return new RegExp(matches, caseless ? "i" : "").test(lowered ? text.toLowerCase() : text);
}
