import { describe, expect, it } from "vitest";
import { type Run, useTerraformTest } from "../support/terraform-test";

/** A subnet: where it is, and whether it is the default one there. */
interface Subnet {
  readonly zone: string;
  readonly default?: boolean;
}

/** A region and a VPC, and what is asked for. */
interface Layout {
  readonly title: string;
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
    title: "a zone without the type listed first",
    offering: ["us-east-1b", "us-east-1a"],
    subnets: { "subnet-3e": E, "subnet-2b": B, "subnet-1a": A },
    host: "subnet-1a",
  },
  {
    title: "the same subnets listed in another order",
    offering: ["us-east-1a", "us-east-1b"],
    subnets: { "subnet-2b": B, "subnet-1a": A, "subnet-3e": E },
    host: "subnet-1a",
  },
  {
    title: "the first id in a zone without the type",
    offering: ["us-east-1a", "us-east-1b"],
    subnets: { "subnet-1e": E, "subnet-2b": B, "subnet-3a": A },
    host: "subnet-2b",
  },
  {
    title: "a subnet of one's own in the default VPC",
    offering: ["us-east-1a", "us-east-1b"],
    subnets: { "subnet-0p": PRIVATE, "subnet-1e": E, "subnet-2b": B },
    host: "subnet-2b",
  },
  {
    title: "default subnets only where the type is not offered",
    offering: ["us-east-1b", "us-east-1a"],
    subnets: { "subnet-0": PRIVATE, "subnet-1": E },
    refused: `The host's type t3.micro is offered in us-east-1a, us-east-1b, and ${REMEDY_OF_DEFAULT}`,
  },
  {
    title: "a region without the type",
    offering: [],
    subnets: { "subnet-1": A, "subnet-2": B },
    refused: `The host's type t3.micro is offered in no zone of this region, and ${REMEDY_OF_DEFAULT}`,
  },
  {
    title: "given subnets, whose order counts and not their ids'",
    offering: ["us-east-1a", "us-east-1b"],
    subnets: { "subnet-1": A, "subnet-2": B, "subnet-3": E },
    variables: { subnet_ids: ["subnet-3", "subnet-2", "subnet-1"] },
    host: "subnet-2",
  },
  {
    title: "given subnets that are no default ones",
    offering: ["us-east-1a"],
    subnets: { "subnet-1": A, "subnet-2": PRIVATE, "subnet-3": E },
    variables: { vpc_id: "vpc-0123", subnet_ids: ["subnet-3", "subnet-2"] },
    host: "subnet-2",
  },
  {
    title: "given subnets only where the type is not offered",
    offering: ["us-east-1b", "us-east-1c"],
    subnets: { "subnet-1": A, "subnet-2": B, "subnet-3": E },
    variables: { subnet_ids: ["subnet-3", "subnet-1"] },
    refused:
      "The host's type t3.micro is offered in us-east-1b, us-east-1c, and none of subnet_ids is there. Give one that is.",
  },
  {
    title: "a VPC without subnets given",
    offering: ["us-east-1a"],
    subnets: { "subnet-1": A, "subnet-2": B },
    variables: { vpc_id: "vpc-0123" },
    refused:
      'vpc_id is "vpc-0123", without subnet_ids: which of its subnets have a way out cannot be seen. Name two or more, in two Availability Zones, in subnet_ids.',
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

/** A layout as a plan of the stack. */
function run(layout: Layout): Run {
  const { offering, subnets, variables, host } = layout;
  const filterValues = `jsonencode({ for f in ${HOST}.filter : f.name => sort(f.values) })`;
  return {
    command: "plan",
    variables,
    data: {
      "data.aws_vpc.default": { id: "vpc-0123" },
      "data.aws_subnets.default": { ids: Object.keys(subnets) },
      "data.aws_ec2_instance_type_offerings.flyway_host": { locations: offering },
      [HOST]: { ids: answer(layout) },
    },
    assert:
      host === undefined
        ? []
        : [
            `aws_instance.flyway_host.subnet_id == "${host}"`,
            `${filterValues} == jsonencode(${JSON.stringify(filters(layout))})`,
          ],
  };
}

describe("the subnet of a new host", () => {
  const result = useTerraformTest(Object.fromEntries(LAYOUTS.map((layout) => [layout.title, run(layout)])));

  it.each(LAYOUTS.map(({ title, host, refused }) => [title, host ?? "refused", refused] as const))(
    "with %s is %s",
    (title, _, refused) => {
      expect(result(title)).toEqual(
        refused === undefined ? { status: "pass", errors: [] } : { status: "error", errors: [refused] },
      );
    },
  );
});
