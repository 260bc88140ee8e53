import { describe, expect, it } from "vitest";
import { synthesize } from "./support/synthesis";

describe("data.tf", () => {
  it("takes the default VPC", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_vpc.default")).toEqual({ default: true });
  });

  it("takes the subnets of that VPC", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_subnets.default")).toEqual({
      filter: [{ name: "vpc-id", values: ["${data.aws_vpc.default.id}"] }],
    });
  });

  it("takes the region and the account that Terraform runs in", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_region.current")).toEqual({});
    expect(at("data.aws_caller_identity.this")).toEqual({});
  });
});
