import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { command, findTerraform, homeFolder, succeed, synthesizeInto, type Terraform } from "./terraform";

/** Mocked providers; what they check must look like what it is. Provider 5.100 does not know the default runtime. */
const MOCKS = `
variables {
  lambda_runtime = "nodejs22.x"
}
mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}
mock_provider "archive" {}
`;

/** One run of `terraform test`: https://developer.hashicorp.com/terraform/language/tests */
export interface Run {
  readonly command: "plan" | "apply";
  readonly variables?: Readonly<Record<string, unknown>>;
  /** What the data sources read, by address. */
  readonly data?: Readonly<Record<string, object>>;
  /** Conditions that must hold afterwards, in Terraform's language. */
  readonly assert?: readonly string[];
  /** The only objects that are planned, with what they need. */
  readonly target?: readonly string[];
}

/** What a run came to. */
export interface Result {
  readonly status: string | undefined;
  /** The details of all errors. */
  readonly errors: readonly string[];
}

/** https://developer.hashicorp.com/terraform/internals/machine-readable-ui */
interface Line {
  readonly "@testrun"?: string;
  readonly test_run?: { readonly status: string };
  readonly diagnostic?: { readonly severity: string; readonly summary: string; readonly detail: string };
}

function block({ command, variables = {}, data = {}, assert = [], target = [] }: Run, name: string): string {
  const lines = [
    `command = ${command}`,
    ...(target.length > 0 ? [`plan_options {\n target = [${target}]\n}`] : []),
    `variables {\n${Object.entries(variables)
      .map(([n, value]) => `${n} = ${JSON.stringify(value)}\n`)
      .join("")}}`,
    ...Object.entries(data).map(
      ([address, values]) => `override_data {\n target = ${address}\n values = ${JSON.stringify(values)}\n}`,
    ),
    ...assert.map(
      (condition) => `assert {\n condition = ${condition}\n error_message = "It does not hold."\n}`,
    ),
  ];
  return `run "${name}" {\n${lines.join("\n")}\n}\n`;
}

const nameOf = (title: string) => title.replaceAll(/\W+/g, "_");

/**
 * Has `terraform test` do these runs of the stack, each by itself, with mocked providers: nothing is called. Where there
 * is no Terraform the test file's tests are skipped.
 *
 * @returns what a run came to, by its name; once the tests run
 */
export function useTerraformTest(runs: Readonly<Record<string, Run>>): (title: string) => Result {
  let terraform: Terraform | undefined;
  let lines: readonly Line[] = [];
  beforeAll(async () => {
    terraform = await findTerraform();
    if (!terraform) return;
    const folder = await synthesizeInto(mkdtempSync(join(homeFolder(), "test-")), {});
    // A file each: Terraform skips the runs of a file after one that fails, and keeps a state in between.
    for (const [title, run] of Object.entries(runs)) {
      writeFileSync(join(folder, `${nameOf(title)}.tftest.hcl`), MOCKS + block(run, nameOf(title)));
    }
    await succeed(terraform, folder, ["init", "-input=false", "-no-color"]);
    const { stdout } = await command(terraform, folder, ["test", "-json"], {});
    lines = stdout.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
  });
  beforeEach(({ skip }) => skip(!terraform, "there is no Terraform, see stderr"));
  afterAll(() => rmSync(homeFolder(), { recursive: true, force: true }));
  return (title) => {
    const messages = lines.filter((line) => line["@testrun"] === nameOf(title));
    return {
      status: messages.flatMap(({ test_run }) => test_run?.status ?? []).at(-1),
      errors: messages.flatMap(({ diagnostic }) =>
        diagnostic?.severity === "error" ? [diagnostic.detail || diagnostic.summary] : [],
      ),
    };
  };
}
