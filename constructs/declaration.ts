import { TerraformVariable, type TerraformVariableValidationConfig } from "cdktf";
import type { Construct } from "constructs";
import { check, type Rule } from "../deployment/rules";
import { validationOf } from "./rules";

/** What a variable is. */
export interface Declaration {
  /** Terraform's type: `list(string)`. */
  readonly type: string;
  readonly description: string;
  /** Null for a variable that may be unset; no other may. */
  readonly default: unknown;
  /** Whether Terraform hides its value. @default false */
  readonly sensitive?: boolean;
  /** What a value must be. @default anything of its type */
  readonly rules?: readonly Rule[];
  /** What the rules call a value, or a key and an entry: see validationOf. @default "v" */
  readonly loop?: string;
  /** Validations that no default here can break. @default none */
  readonly validation?: readonly TerraformVariableValidationConfig[];
}

/**
 * Declares a variable, in a scope.
 *
 * @throws if the default is one that Terraform would refuse as a value
 */
export function declare(scope: Construct, name: string, declaration: Declaration): TerraformVariable {
  const { type, description, sensitive, rules = [], loop = "v", validation = [] } = declaration;
  check(name, rules, declaration.default);
  const validations = [...rules.map((rule) => validationOf(name, loop, rule)), ...validation];
  const variable = new TerraformVariable(scope, `var.${name}`, {
    type,
    description,
    sensitive,
    nullable: declaration.default === null ? undefined : false,
    validation: validations.length > 0 ? validations : undefined,
  });
  // As a prop, CDKTF would fail on null, write a map's keys in snake_case, and have Terraform expand `${`.
  const text = JSON.stringify(declaration.default).replaceAll(/([$%])(?=\{)/g, "$1$1");
  variable.addOverride("default", JSON.parse(text));
  return variable;
}
