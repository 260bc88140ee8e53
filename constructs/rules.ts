import type { TerraformVariableValidationConfig } from "cdktf";
import type { Condition } from "../deployment/conditions";
import { type EachRule, labelOf, type Rule, type Spelling } from "../deployment/rules";

/**
 * The validation by which Terraform holds a variable to a rule.
 *
 * @param loop what Terraform's `for` calls a value or an element, `v`, or a key and an entry, `k, v`
 */
export function validationOf(variable: string, loop: string, rule: Rule): TerraformVariableValidationConfig {
  const all = `var.${variable}`;
  const [key, item = key] = loop.split(", ") as [string, string?];
  if ("filled" in rule) return { condition: `\${length(${all}) > 0}`, errorMessage: rule.message };
  if ("distinct" in rule) {
    const bySpelling = `{ for ${item} in ${all} : ${spellingOf(item, rule.distinct)} => ${item}... }`;
    return {
      condition: `\${length(${bySpelling}) == length(${all})}`,
      errorMessage: `\${join(", ", flatten([for ${item}s in values(${bySpelling}) : formatlist("%q", ${item}s) if length(${item}s) > 1]))}${rule.message}`,
    };
  }
  if ("total" in rule) {
    const lengths = `[for ${item} in values(${all}) : length(${item}.${rule.total}) + ${rule.beside}]`;
    return {
      condition: `\${sum(concat([0], ${lengths})) <= ${rule.most}}`,
      errorMessage: rule.message,
    };
  }
  const over = {
    value: `${item} in [${all}]`,
    element: `${item} in ${all}`,
    key: `${key} in keys(${all})`,
    entry: `${key}, ${item} in ${all}`,
  }[rule.each];
  const allowed = expressionOf(rule.allowed, rule.each === "key" ? key : item);
  return {
    condition: `\${alltrue([for ${over} : try(${allowed}, false)])}`,
    errorMessage: `\${join(", ", [for ${over} : try(${label(variable, rule, key, item)}, "null") if !try(${allowed}, false)])}${rule.message}`,
  };
}

function label(variable: string, rule: EachRule, key: string, item: string): string {
  const { text, parts } = labelOf(variable, rule);
  const values = { item: rule.each === "key" ? key : item, key, member: `${item}.${rule.of}` };
  return `format("${text}", ${parts.map((name) => values[name]).join(", ")})`;
}

/** The Terraform expression for whether a value, an expression itself, is as a condition wants it. */
export function expressionOf(condition: Condition, value: string): string {
  if ("all" in condition) return condition.all.map((part) => expressionOf(part, value)).join(" && ");
  if ("any" in condition) {
    const parts = condition.any.map((part) => {
      const expression = expressionOf(part, value);
      return "all" in part ? `(${expression})` : expression;
    });
    return parts.join(" || ");
  }
  if ("not" in condition) return `!${expressionOf(condition.not, value)}`;
  const member = condition.of === undefined ? value : `${value}.${condition.of}`;
  if ("is" in condition) return `coalesce(${member}, "${condition.otherwise}") == "${condition.is}"`;
  if ("unset" in condition) return `${member} == null`;
  if ("every" in condition) {
    return `alltrue([for p in ${condition.every}(${member}) : ${matching(condition.matches, "p")}])`;
  }
  const pattern = condition.caseless ? `(?i)${condition.matches}` : condition.matches;
  return matching(pattern, condition.lowered ? `lower(${member})` : member);
}

/** The Terraform expression for whether a value matches a pattern. */
function matching(pattern: string, value: string): string {
  return `can(regex("${pattern.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}", ${value}))`;
}

/** The Terraform expression for a name as it is spelled elsewhere. */
export function spellingOf(name: string, { replaced, by, suffix }: Spelling): string {
  const text = `replace(lower(${name}), "${replaced}", "${by}")`;
  return suffix === "" ? text : `format("%s${suffix}", ${text})`;
}

/** A validation of a variable that is a whole number, from a least one to a most, where there is one. */
export function wholeNumber(variable: string, from: number, to?: number): TerraformVariableValidationConfig {
  const value = `var.${variable}`;
  const atMost = to === undefined ? "" : ` && ${value} <= ${to}`;
  return {
    condition: `\${${value} >= ${from}${atMost} && floor(${value}) == ${value}}`,
    errorMessage: `${variable} is \${${value}}: use a whole number from ${from}${to === undefined ? "" : ` to ${to}`}.`,
  };
}
