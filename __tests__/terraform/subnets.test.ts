import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  command,
  findTerraform,
  homeFolder,
  succeed,
  synthesizeInto,
  type Terraform,
} from "../support/terraform";

/** A subnet: where it is, and whether it is the default one there. */
interface Subnet {
  readonly zone: string;
  readonly default?: boolean;
}

/** A region and a VPC, and what is asked for. */
interface Layout {
  readonly what: string;
  /** The zones that offer the host's type, as EC2 lists them: in no order. */
  readonly offering: readonly string[];
  /** The VPC's subnets, by id, in the order in which EC2 lists them. */
  readonly subnets: Readonly<Record<string, Subnet>>;
  readonly variables?: Readonly<Record<string, unknown>>;
  /** The subnet that a new host gets. */
  readonly host?: string;
  /** Or else why the plan is refused. */
  readonly refused?: string;
}

const A = { zone: "us-east-1a", default: true };
const B = { zone: "us-east-1b", default: true };
const E = { zone: "us-east-1e", default: true };
const PRIVATE = { zone: "us-east-1a" };

const HOST = "data.aws_subnets.flyway_host";
const REMEDY_OF_DEFAULT =
  "the default VPC has no default subnet there. Make one with aws ec2 create-default-subnet, or give subnet_ids.";

const LAYOUTS: readonly Layout[] = [
  {
    what: "a zone without the type listed first",
    offering: ["us-east-1b", "us-east-1a"],
    subnets: { "subnet-3e": E, "subnet-2b": B, "subnet-1a": A },
    host: "subnet-1a",
  },
  {
    what: "the same subnets listed in another order",
    offering: ["us-east-1a", "us-east-1b"],
    subnets: { "subnet-2b": B, "subnet-1a": A, "subnet-3e": E },
    host: "subnet-1a",
  },
  {
    what: "the first id in a zone without the type",
    offering: ["us-east-1a", "us-east-1b"],
    subnets: { "subnet-1e": E, "subnet-2b": B, "subnet-3a": A },
    host: "subnet-2b",
  },
  {
    what: "a subnet of one's own in the default VPC",
    offering: ["us-east-1a", "us-east-1b"],
    subnets: { "subnet-0p": PRIVATE, "subnet-1e": E, "subnet-2b": B },
    host: "subnet-2b",
  },
  {
    what: "default subnets only where the type is not offered",
    offering: ["us-east-1b", "us-east-1a"],
    subnets: { "subnet-0": PRIVATE, "subnet-1": E },
    refused: `The host's type t3.micro is offered in us-east-1a, us-east-1b, and ${REMEDY_OF_DEFAULT}`,
  },
  {
    what: "a region without the type",
    offering: [],
    subnets: { "subnet-1": A, "subnet-2": B },
    refused: `The host's type t3.micro is offered in no zone of this region, and ${REMEDY_OF_DEFAULT}`,
  },
  {
    what: "given subnets, whose order counts and not their ids'",
    offering: ["us-east-1a", "us-east-1b"],
    subnets: { "subnet-1": A, "subnet-2": B, "subnet-3": E },
    variables: { subnet_ids: ["subnet-3", "subnet-2", "subnet-1"] },
    host: "subnet-2",
  },
  {
    what: "given subnets that are no default ones",
    offering: ["us-east-1a"],
    subnets: { "subnet-1": A, "subnet-2": PRIVATE, "subnet-3": E },
    variables: { vpc_id: "vpc-0123", subnet_ids: ["subnet-3", "subnet-2"] },
    host: "subnet-2",
  },
  {
    what: "given subnets only where the type is not offered",
    offering: ["us-east-1b", "us-east-1c"],
    subnets: { "subnet-1": A, "subnet-2": B, "subnet-3": E },
    variables: { subnet_ids: ["subnet-3", "subnet-1"] },
    refused:
      "The host's type t3.micro is offered in us-east-1b, us-east-1c, and none of subnet_ids is there. Give one that is.",
  },
  {
    what: "a VPC without subnets given",
    offering: ["us-east-1a"],
    subnets: { "subnet-1": A, "subnet-2": B },
    variables: { vpc_id: "vpc-0123" },
    refused:
      "VPC vpc-0123 is given without subnet_ids, and it may have subnets that the host or the cluster must not be in. Give those to use, in two Availability Zones, or leave vpc_id unset for the default VPC.",
  },
];

/** Whether EC2 is asked for all subnets: else only for default ones. */
function asksForAll({ variables }: Layout): boolean {
  return variables?.subnet_ids !== undefined;
}

/** The filters of which EC2's answer is made here, as Terraform must ask. */
function filters(layout: Layout): object {
  return {
    "availability-zone": [...layout.offering].sort(),
    "default-for-az": asksForAll(layout) ? ["false", "true"] : ["true"],
    "vpc-id": ["vpc-0123"],
  };
}

/** EC2's answer to them. */
function answer(layout: Layout): string[] {
  const { offering, subnets } = layout;
  return Object.entries(subnets)
    .filter(
      ([, { zone, default: isDefault }]) => offering.includes(zone) && (asksForAll(layout) || isDefault),
    )
    .map(([id]) => id);
}

const name = (layout: Layout) => layout.what.replaceAll(/\W+/g, "_");

function override(target: string, values: object): string {
  return `override_data {\n target = ${target}\n values = ${JSON.stringify(values)}\n}\n`;
}

/** A layout as a run of `terraform test`: https://developer.hashicorp.com/terraform/language/tests */
function run(layout: Layout): string {
  const { offering, subnets, variables = {}, host } = layout;
  const given = Object.entries(variables).map(
    ([variable, value]) => `${variable} = ${JSON.stringify(value)}\n`,
  );
  const expected = `
    assert {
      condition = aws_instance.flyway_host.subnet_id == "${host}"
      error_message = "the host is in \${aws_instance.flyway_host.subnet_id}"
    }
    assert {
      condition = jsonencode({ for f in ${HOST}.filter : f.name => sort(f.values) }) == jsonencode(${JSON.stringify(filters(layout))})
      error_message = jsonencode(${HOST}.filter)
    }`;
  return `run "${name(layout)}" {
    command = plan
    variables {
      ${given.join("")}
    }
    ${override("data.aws_vpc.default", { id: "vpc-0123" })}
    ${override("data.aws_subnets.default", { ids: Object.keys(subnets) })}
    ${override("data.aws_ec2_instance_type_offerings.flyway_host", { locations: offering })}
    ${override(HOST, { ids: answer(layout) })}
    ${host === undefined ? "" : expected}
  }\n`;
}

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
}
mock_provider "archive" {}
`;

/** What `terraform test` says: https://developer.hashicorp.com/terraform/internals/machine-readable-ui */
interface Line {
  readonly "@testrun"?: string;
  readonly test_run?: { readonly status: "pending" | "skip" | "pass" | "fail" | "error" };
  readonly diagnostic?: { readonly severity: string; readonly detail: string };
}

describe("the subnet of a new host", () => {
  let terraform: Terraform | undefined;
  let lines: readonly Line[];
  beforeAll(async () => {
    terraform = await findTerraform();
    if (!terraform) return;
    const folder = await synthesizeInto(mkdtempSync(join(homeFolder(), "subnets-")), {});
    // A file each: Terraform skips the runs of a file after one that fails.
    for (const layout of LAYOUTS)
      writeFileSync(join(folder, `${name(layout)}.tftest.hcl`), MOCKS + run(layout));
    await succeed(terraform, folder, ["init", "-input=false", "-no-color"]);
    const { stdout } = await command(terraform, folder, ["test", "-json"], {});
    lines = stdout.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
  });
  beforeEach(({ skip }) => skip(!terraform, "there is no Terraform, see stderr"));
  afterAll(() => rmSync(homeFolder(), { recursive: true, force: true }));

  it.each(LAYOUTS.map((layout) => [layout.what, layout.host ?? "refused", layout] as const))(
    "with %s is %s",
    (_, __, layout) => {
      const said = lines.filter((line) => line["@testrun"] === name(layout));
      const errors = said.filter(({ diagnostic }) => diagnostic?.severity === "error");
      expect(errors.map(({ diagnostic }) => diagnostic?.detail)).toEqual(
        layout.refused ? [layout.refused] : [],
      );
      const statuses = said.flatMap(({ test_run }) => test_run?.status ?? []);
      expect(statuses.at(-1)).toBe(layout.refused ? "error" : "pass");
    },
  );
});
