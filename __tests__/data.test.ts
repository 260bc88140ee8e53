import { describe, expect, it } from "vitest";
import { synthesize } from "./support/synthesis";

describe("data.tf", () => {
  it("takes the VPC that was given, else the default VPC", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_vpc.default")).toMatchObject({
      id: "${var.vpc_id}",
      default: "${var.vpc_id == null ? true : null}",
    });
  });

  it("uses the subnets that were given, else all of the VPC's", async () => {
    const { at } = await synthesize();
    expect(at("local.subnet_ids").value).toBe(
      "${coalescelist(var.subnet_ids, data.aws_subnets.default.ids)}",
    );
  });

  it("takes the subnets of that VPC", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_subnets.default")).toEqual({
      filter: [{ name: "vpc-id", values: ["${data.aws_vpc.default.id}"] }],
    });
  });

  it("asks which zones offer the host's type, which is the host's", async () => {
    const { at } = await synthesize();
    const type = at("aws_instance.flyway_host").instance_type;
    expect(at("data.aws_ec2_instance_type_offerings.flyway_host")).toEqual({
      filter: [{ name: "instance-type", values: [type] }],
      location_type: "availability-zone",
    });
  });

  it("takes the region and the account that Terraform runs in", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_region.current")).toEqual({});
    expect(at("data.aws_caller_identity.this")).toEqual({});
  });
});
