import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useCloud, Workspace } from "../support/terraform";

/** A VPC's subnet, as AWS describes it. */
interface Subnet {
  readonly id: string;
  readonly zone: string;
  /** @default true */
  readonly isDefault?: boolean;
}

const cloud = useCloud();
let workspace: Workspace | undefined;

/**
 * Has `terraform test` plan the stack with mocked data sources: a VPC with these subnets, and the zones that offer the
 * host's type. Nothing of AWS is asked.
 *
 * @returns where the host is planned to be, or what the plan is refused with
 */
async function hostSubnet(
  subnets: readonly Subnet[],
  zones: readonly string[],
  variables: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  workspace ??= await Workspace.open(cloud.terraform, cloud.endpoint);
  const override = (target: string, values: object) =>
    `override_data {\n  target = ${target}\n  values = ${JSON.stringify(values)}\n}\n`;
  const test = [
    `mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}
`,
    override("data.aws_vpc.default", { id: "vpc-0" }),
    override("data.aws_subnets.default", { ids: subnets.map(({ id }) => id) }),
    override("data.aws_ec2_instance_type_offerings.flyway_host", { locations: zones }),
    ...subnets.map(({ id, zone, isDefault = true }) =>
      override(`data.aws_subnet.candidate["${id}"]`, { availability_zone: zone, default_for_az: isDefault }),
    ),
    `variables {\n${Object.entries({ lambda_runtime: "nodejs22.x", ...variables })
      .map(([name, value]) => `  ${name} = ${JSON.stringify(value)}\n`)
      .join("")}}\n`,
    `run "plan" {
  command = plan
  assert {
    condition     = aws_instance.flyway_host.subnet_id == null
    error_message = "The host is in \${aws_instance.flyway_host.subnet_id}."
  }
}
`,
  ];
  writeFileSync(join(workspace.folder, "subnets.tftest.hcl"), test.join("\n"));
  return workspace.test();
}

const NAMES = { subnet: "subnet-0", zone: "us-east-1" };
const subnet = (letter: string, zone: string, isDefault?: boolean): Subnet => ({
  id: `${NAMES.subnet}${letter}`,
  zone: NAMES.zone + zone,
  isDefault,
});
const zones = (letters: string) => letters.split("").map((letter) => NAMES.zone + letter);

describe("the host's subnet", () => {
  it.each([
    [
      "is in a zone that offers its type, whatever the order",
      "fea",
      [subnet("1", "e"), subnet("2", "a")],
      "abcdf",
      "2",
    ],
    ["is in the first where all do", "ab", [subnet("3", "b"), subnet("1", "b"), subnet("2", "a")], "ab", "1"],
    [
      "is a default one, not a private one beside it",
      "a",
      [subnet("1", "a", false), subnet("2", "a")],
      "a",
      "2",
    ],
  ] as const)("%s", async (_, __, subnets, offered, expected) => {
    expect(await hostSubnet(subnets, zones(offered))).toContain(`The host is in ${NAMES.subnet}${expected}.`);
  });

  it("is the first of those given that offers its type, default or not", async () => {
    const subnets = [subnet("1", "e", false), subnet("2", "b", false), subnet("3", "a", false)];
    const given = { vpc_id: "vpc-0", subnet_ids: subnets.map(({ id }) => id) };
    expect(await hostSubnet(subnets, zones("ab"), given)).toContain(`The host is in ${NAMES.subnet}2.`);
  });

  it("is refused where no zone offers its type, with both lists and the remedy", async () => {
    const said = await hostSubnet([subnet("1", "e"), subnet("2", "f", false)], zones("ab"));
    expect(said).toContain(
      "No subnet can have the host: t3.micro is offered in us-east-1a, us-east-1b, and the default subnets of the default VPC are in us-east-1e. Name others in subnet_ids, or make one there.",
    );
  });

  it("is not guessed in a VPC that was given without subnets", async () => {
    const said = await hostSubnet([subnet("1", "a")], zones("a"), { vpc_id: "vpc-0" });
    expect(said).toContain('vpc_id is "vpc-0", without subnet_ids: which of its subnets have a way out');
  });
});
