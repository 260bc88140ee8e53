import { TerraformStack, Testing } from "cdktf";
import { beforeAll, describe, expect, it } from "vitest";
import { Flyway } from "../constructs/flyway";
import { officialArchives } from "../deployment/archives";
import { PlatformStack } from "../docs/own-stack";
import { inTemporaryFolder, parse, type Synthesis, synthesize } from "./support/synthesis";

let platform: Synthesis;
beforeAll(async () => {
  const archives = await officialArchives();
  platform = inTemporaryFolder((outdir) =>
    parse(Testing.synth(new PlatformStack(Testing.app({ outdir }), "platform", archives), true)),
  );
});

describe("the constructs in a team's own stack, as docs/own-stack.ts has it", () => {
  it("have the contract's addresses, all of them, but for those of the providers' variables", async () => {
    const addresses = (await synthesize()).addresses;
    const missing = addresses.filter((address) => !platform.addresses.includes(address));
    expect(missing).toEqual(["var.assume_role", "var.aws_region", "var.default_tags"]);
  });

  it("leave the team's own elements what CDKTF calls them", async () => {
    const addresses = (await synthesize()).addresses;
    expect(platform.addresses.filter((address) => !addresses.includes(address))).toEqual([
      "aws_s3_bucket.reports",
      "output.database",
    ]);
    expect(platform.at("output.database").value).toBe("${aws_rds_cluster.aurora_mysql.endpoint}");
  });

  it("bring neither provider nor backend", () => {
    const { backend } = platform.root.terraform as Record<string, unknown>;
    expect(backend).toMatchObject({ s3: { bucket: "platform-states" } });
    expect(platform.root.provider).toEqual({
      aws: [{ region: "eu-central-1", default_tags: [{ tags: { team: "platform" } }] }],
      archive: [{}],
    });
  });

  it("take typed defaults, which a tfvars file calls by its own names", () => {
    expect(platform.at("var.flyway_managed_databases").default).toEqual(["Orders", "Stock"]);
    expect(platform.at("var.flyway_database_settings").default).toEqual({
      Orders: { placeholders: { reports: "s3-reports" }, out_of_order: true },
      Stock: { flyway_conf: "legacy.conf" },
    });
    expect(platform.at("var.flyway_targets").default).toEqual({
      "legacy.conf": {
        url: "jdbc:mysql://legacy.example.com:3306",
        secret_arn: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:legacy-AbCdEf",
        security_group_id: "sg-0123456789abcdef0",
      },
    });
  });

  it("have the stage in their names", () => {
    expect(platform.at("aws_lambda_function.flyway_trigger").function_name).toBe("flyway-trigger-platform");
    expect(platform.at("aws_ssm_parameter.target").name).toBe("/flyway-platform/target/${var.flyway_conf}");
  });

  it("are refused in a stack that would put hashes into their addresses", async () => {
    const archives = await officialArchives();
    inTemporaryFolder((outdir) => {
      const stack = new TerraformStack(Testing.app({ outdir }), "other");
      expect(() => new Flyway(stack, "flyway", { archives })).toThrow(
        'Flyway\'s addresses are not kept in TerraformStack "other": let it extend AddressStack, of constructs/stack.ts.',
      );
    });
  });
});
