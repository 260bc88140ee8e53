import { DataAwsVpc } from "@cdktf/provider-aws/lib/data-aws-vpc";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import { TerraformAsset, TerraformLocal, TerraformOutput, TerraformVariable, Testing } from "cdktf";
import { Construct } from "constructs";
import { describe, expect, it } from "vitest";
import { AddressStack } from "../constructs/stack";
import { inTemporaryFolder, parse, type Synthesis, synthesize } from "./support/synthesis";

/** Synthesizes what is put into an empty stack. */
function stackOf(fill: (stack: AddressStack) => void): Synthesis {
  return inTemporaryFolder((outdir) => {
    const stack = new AddressStack(Testing.app({ outdir }), "stack");
    new AwsProvider(stack, "provider.aws");
    fill(stack);
    return parse(Testing.synth(stack, true));
  });
}

const PARAMETER = { name: "/a", type: "String", value: "b" };

describe("the stack", () => {
  it("has exactly these addresses", async () => {
    expect((await synthesize()).addresses).toEqual([
      "aws_cloudwatch_dashboard.flyway",
      "aws_cloudwatch_event_rule.command_status",
      "aws_cloudwatch_event_rule.reconcile",
      "aws_cloudwatch_event_target.command_status",
      "aws_cloudwatch_event_target.reconcile",
      "aws_cloudwatch_log_group.flyway_host",
      "aws_cloudwatch_log_group.flyway_trigger",
      "aws_cloudwatch_log_subscription_filter.flyway_host",
      "aws_cloudwatch_metric_alarm.function_errors",
      "aws_cloudwatch_metric_alarm.uploads",
      "aws_db_subnet_group.aurora_mysql",
      "aws_iam_instance_profile.flyway_host",
      "aws_iam_policy.cloudwatch_access",
      "aws_iam_policy.deployment_access",
      "aws_iam_policy.notification_access",
      "aws_iam_policy.s3_access",
      "aws_iam_policy.secret_access",
      "aws_iam_policy.ssm_access",
      "aws_iam_role.flyway_host",
      "aws_iam_role.flyway_trigger",
      "aws_iam_role_policy_attachment.basic_execution_role",
      "aws_iam_role_policy_attachment.cloudwatch_access",
      "aws_iam_role_policy_attachment.deployment_access",
      "aws_iam_role_policy_attachment.notification_access",
      "aws_iam_role_policy_attachment.s3_access",
      "aws_iam_role_policy_attachment.secret_access",
      "aws_iam_role_policy_attachment.ssm_access",
      "aws_iam_role_policy_attachment.ssm_managed_instance_core",
      "aws_instance.flyway_host",
      "aws_lambda_function.flyway_trigger",
      "aws_lambda_function_event_invoke_config.flyway_trigger",
      "aws_lambda_permission.account",
      "aws_lambda_permission.command_status",
      "aws_lambda_permission.flyway_trigger",
      "aws_lambda_permission.log_group",
      "aws_lambda_permission.reconcile",
      "aws_rds_cluster.aurora_mysql",
      "aws_rds_cluster_instance.aurora_mysql",
      "aws_s3_bucket.artifacts",
      "aws_s3_bucket.this",
      "aws_s3_bucket_lifecycle_configuration.this",
      "aws_s3_bucket_notification.this",
      "aws_s3_bucket_policy.this",
      "aws_s3_bucket_public_access_block.artifacts",
      "aws_s3_bucket_public_access_block.this",
      "aws_s3_bucket_versioning.this",
      "aws_s3_object.ca_certificate",
      "aws_s3_object.rds_ca_bundle",
      "aws_s3_object.runner",
      "aws_secretsmanager_secret.master_password",
      "aws_secretsmanager_secret_version.master_password",
      "aws_security_group.aurora_mysql",
      "aws_security_group_rule.egress",
      "aws_security_group_rule.ingress",
      "aws_security_group_rule.targets",
      "aws_sns_topic.notifications",
      "aws_sns_topic_policy.notifications",
      "aws_sns_topic_subscription.email",
      "aws_ssm_document.flyway_migrate",
      "aws_ssm_parameter.flyway_archive",
      "aws_ssm_parameter.flyway_deployment",
      "aws_ssm_parameter.s3_mapping",
      "aws_ssm_parameter.target",
      "aws_ssm_parameter.targets",
      "data.archive_file.flyway_trigger",
      "data.aws_ami.flyway_host_ami",
      "data.aws_caller_identity.this",
      "data.aws_ec2_instance_type_offerings.flyway_host",
      "data.aws_iam_policy_document.cloudwatch_access",
      "data.aws_iam_policy_document.deployment_access",
      "data.aws_iam_policy_document.notification_access",
      "data.aws_iam_policy_document.s3_access",
      "data.aws_iam_policy_document.secret_access",
      "data.aws_iam_policy_document.ssm_access",
      "data.aws_iam_role.flyway_host",
      "data.aws_iam_role.flyway_trigger",
      "data.aws_iam_roles.flyway_host",
      "data.aws_iam_roles.flyway_trigger",
      "data.aws_partition.current",
      "data.aws_rds_cluster.aurora_mysql",
      "data.aws_region.current",
      "data.aws_ssm_parameters_by_path.s3_mapping",
      "data.aws_subnets.default",
      "data.aws_subnets.flyway_host",
      "data.aws_vpc.default",
      "local.buckets",
      "local.databases_by_schema",
      "local.few_databases",
      "local.flyway_archives",
      "local.host_subnet_id",
      "local.mappings",
      "local.subnet_ids",
      "output.buckets",
      "output.cluster_endpoint",
      "output.function_name",
      "output.host_id",
      "output.log_group",
      "output.secret_arn",
      "output.topic_arn",
      "terraform_data.final_snapshot",
      "var.apply_immediately",
      "var.assume_role",
      "var.aws_region",
      "var.default_tags",
      "var.deletion_protection",
      "var.enable_http_endpoint",
      "var.engine_version",
      "var.flyway_archives",
      "var.flyway_conf",
      "var.flyway_database_settings",
      "var.flyway_managed_databases",
      "var.flyway_record_days",
      "var.flyway_settle_seconds",
      "var.flyway_targets",
      "var.flyway_version",
      "var.force_destroy",
      "var.iam_path",
      "var.lambda_runtime",
      "var.master_password",
      "var.master_password_version",
      "var.master_username",
      "var.notification_emails",
      "var.permissions_boundary",
      "var.rds_ca_certificates",
      "var.reconcile_minutes",
      "var.run_record_writers",
      "var.skip_final_snapshot",
      "var.subnet_ids",
      "var.upload_alarm_minutes",
      "var.vpc_id",
    ]);
  });

  it("refers to nothing that it does not have", async () => {
    const { json, addresses } = await synthesize();
    const known = new Set(addresses);
    // The types that are in use, and what Terraform calls var, local and data.
    const types = [...new Set(addresses.map((address) => address.replace(/\.[^.]*$/, "")))];
    const reference = new RegExp(
      `(?<![\\w./-])(?:${types.join("|").replaceAll(".", "\\.")})\\.[a-z]\\w*`,
      "g",
    );
    const references = new Set(
      (json.match(reference) ?? []).filter((address) => !address.startsWith("output.")),
    );
    expect(references.size).toBeGreaterThan(25);
    expect([...references].filter((address) => !known.has(address))).toEqual([]);
  });
});

describe("an address", () => {
  it("is kept without a hash inside nested constructs", () => {
    const { addresses } = stackOf((stack) => {
      const nested = new Construct(new Construct(stack, "outer"), "inner");
      new S3Bucket(nested, "aws_s3_bucket.this");
      new DataAwsVpc(nested, "data.aws_vpc.default");
      new TerraformVariable(nested, "var.flyway_conf", { type: "string" });
      new TerraformLocal(nested, "local.answer", 42);
      new TerraformOutput(nested, "output.answer", { value: 42 });
    });
    expect(addresses).toEqual([
      "aws_s3_bucket.this",
      "data.aws_vpc.default",
      "local.answer",
      "output.answer",
      "var.flyway_conf",
    ]);
  });

  it("is what others refer to", () => {
    const { at } = stackOf((stack) => {
      const bucket = new S3Bucket(new Construct(stack, "a"), "aws_s3_bucket.this");
      const name = new TerraformVariable(new Construct(stack, "b"), "var.name", { type: "string" });
      new SsmParameter(new Construct(stack, "c"), "aws_ssm_parameter.p", {
        ...PARAMETER,
        name: name.stringValue,
        value: bucket.arn,
      });
    });
    expect(at("aws_ssm_parameter.p")).toMatchObject({
      name: "${var.name}",
      value: "${aws_s3_bucket.this.arn}",
    });
  });

  it("may have the name of another type's", () => {
    const { addresses } = stackOf((stack) => {
      new S3Bucket(stack, "aws_s3_bucket.this");
      new SsmParameter(stack, "aws_ssm_parameter.this", PARAMETER);
      new DataAwsVpc(stack, "data.aws_vpc.this");
    });
    expect(addresses).toEqual(["aws_s3_bucket.this", "aws_ssm_parameter.this", "data.aws_vpc.this"]);
  });

  it("is not asked of a team's own elements, which are named as in any other stack of CDKTF", () => {
    const { addresses } = stackOf((stack) => {
      new S3Bucket(stack, "bucket");
      new S3Bucket(new Construct(stack, "logs"), "bucket");
    });
    expect(addresses).toEqual([
      "aws_s3_bucket.bucket",
      expect.stringMatching(/^aws_s3_bucket\.logs_bucket_[0-9A-F]{8}$/),
    ]);
  });

  it("is refused when one of a team's own elements has it", () => {
    expect(() =>
      stackOf((stack) => {
        new S3Bucket(stack, "this");
        new S3Bucket(new Construct(stack, "s3.tf"), "aws_s3_bucket.this");
      }),
    ).toThrow(
      'The address "aws_s3_bucket.this" is taken twice, by stack/this and by stack/s3.tf/aws_s3_bucket.this',
    );
  });

  it("is refused when it is taken by an element of another construct", () => {
    expect(() =>
      stackOf((stack) => {
        new S3Bucket(new Construct(stack, "a.tf"), "aws_s3_bucket.this");
        new S3Bucket(new Construct(stack, "b.tf"), "aws_s3_bucket.this");
      }),
    ).toThrow(
      'The address "aws_s3_bucket.this" is taken twice, by stack/a.tf/aws_s3_bucket.this and by stack/b.tf/aws_s3_bucket.this: rename one',
    );
  });

  it("is refused for a second asset of one name, which would overwrite the first", () => {
    expect(() =>
      stackOf((stack) => {
        new TerraformAsset(new Construct(stack, "a.tf"), "asset.script", { path: __filename }).path;
        new TerraformAsset(new Construct(stack, "b.tf"), "asset.script", { path: __filename }).path;
      }),
    ).toThrow(
      'The address "asset.script" is taken twice, by stack/a.tf/asset.script and by stack/b.tf/asset.script',
    );
  });

  it.each([
    ["no name behind the type", "aws_s3_bucket."],
    ["another resource's type", "aws_s3_bucket_policy.this"],
    ["a type that only begins alike", "aws_s3.this"],
    ["a data source's", "data.aws_s3_bucket.this"],
    ["a key", "aws_s3_bucket.this[0]"],
    ["a name with a space", "aws_s3_bucket.the bucket"],
    ["a name that begins with a digit", "aws_s3_bucket.1st"],
    ["a name in two parts", "aws_s3_bucket.this.that"],
  ])("of a bucket is refused when it is %s", (_, id) => {
    expect(() => stackOf((stack) => new S3Bucket(stack, id))).toThrow(
      `The id "${id}" of stack/${id} is no Terraform address: use "aws_s3_bucket.<name>"`,
    );
  });

  it.each<[string, string, (stack: AddressStack) => unknown]>([
    ["data source", "data.aws_vpc", (stack) => new DataAwsVpc(stack, "aws_vpc.default")],
    ["variable", "var", (stack) => new TerraformVariable(stack, "variable.x", {})],
    ["local", "local", (stack) => new TerraformLocal(stack, "locals.x", 1)],
    ["output", "output", (stack) => new TerraformOutput(stack, "var.x", { value: 1 })],
  ])("is refused when its type is not that of the element, a %s", (_, type, create) => {
    expect(() => stackOf((stack) => void create(stack))).toThrow(`use "${type}.<name>"`);
  });
});

describe("what Terraform creates anew before it destroys the former one", () => {
  it("does not lead to the cluster, whose name AWS gives to one alone", async () => {
    const { addresses, at } = await synthesize();
    const managed = addresses.filter((address) => /^(data\.)?aws_/.test(address));
    const led = (address: string) => {
      const text = JSON.stringify(at(address));
      return managed.filter((other) =>
        new RegExp(`(?<![\\w.])${other.replaceAll(".", "\\.")}(?!\\w)`).test(text),
      );
    };
    const isBefore = (address: string) =>
      (at(address).lifecycle as { create_before_destroy?: boolean } | undefined)?.create_before_destroy ===
      true;
    const reached = new Set(managed.filter(isBefore));
    expect(reached.size).toBeGreaterThan(3);
    for (const address of reached) for (const other of led(address)) reached.add(other);
    expect(reached).toContain("aws_instance.flyway_host");
    expect([...reached].filter((address) => address.startsWith("aws_rds_"))).toEqual([]);
  });
});
