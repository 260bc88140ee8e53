import { describe, expect, it } from "vitest";
import { type Block, synthesize } from "./support/synthesis";

const SECRET_ARN =
  "nonsensitive(var.master_password == null) ? try(one(data.aws_rds_cluster.aurora_mysql.master_user_secret[*].secret_arn), null) : one(aws_secretsmanager_secret.master_password[*].arn)";

/** The path of a file of the output folder in a Terraform expression, without the hash in it. */
function withoutHash(expression: unknown): string {
  return String(expression).replace(/\/[0-9A-F]{32}\//, "/HASH/");
}

describe("ec2.tf: the host", () => {
  it("is the contract's", async () => {
    const { at } = await synthesize();
    expect(at("aws_instance.flyway_host")).toMatchObject({
      ami: "${data.aws_ami.flyway_host_ami.id}",
      instance_type: "t3.micro",
      subnet_id: "${local.host_subnet_id}",
      vpc_security_group_ids: ["${aws_security_group.aurora_mysql.id}"],
      iam_instance_profile: "${aws_iam_instance_profile.flyway_host.name}",
    });
  });

  it("runs the newest Amazon Linux 2023 where the contract had Amazon Linux 2", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_ami.flyway_host_ami")).toEqual({
      most_recent: true,
      owners: ["amazon"],
      filter: [
        { name: "name", values: ["al2023-ami-2023.*-x86_64"] },
        { name: "architecture", values: ["x86_64"] },
        { name: "root-device-type", values: ["ebs"] },
        { name: "virtualization-type", values: ["hvm"] },
      ],
    });
  });

  it("takes its metadata only by token, and encrypts a new disk", async () => {
    const { at } = await synthesize();
    expect(at("aws_instance.flyway_host")).toMatchObject({
      metadata_options: { http_endpoint: "enabled", http_tokens: "required" },
      root_block_device: { encrypted: true },
    });
  });

  it("is left as it is where it exists, with what would replace or restart it", async () => {
    const { at } = await synthesize();
    expect(at("aws_instance.flyway_host").lifecycle).toMatchObject({
      ignore_changes: ["ami", "subnet_id", "user_data", "user_data_base64", "root_block_device"],
    });
    expect(at("aws_instance.flyway_host")).not.toHaveProperty("user_data_replace_on_change");
  });

  it("gets user data that depends on nothing", async () => {
    const { at } = await synthesize();
    expect(withoutHash(at("aws_instance.flyway_host").user_data_base64)).toBe(
      '${filebase64("${path.module}/assets/user_data/HASH/user-data.sh")}',
    );
  });

  it("has the contract's log group", async () => {
    const { at } = await synthesize();
    expect(at("aws_cloudwatch_log_group.flyway_host")).toEqual({
      name: "/ssm/runcommand/flyway-host",
      retention_in_days: 30,
    });
  });

  it("is put out, with its log group", async () => {
    const { at } = await synthesize();
    expect(at("output.host_id").value).toBe("${aws_instance.flyway_host.id}");
    expect(at("output.log_group").value).toBe("${aws_cloudwatch_log_group.flyway_host.name}");
  });
});

describe("ec2.tf: what the host may do", () => {
  it("has the contract's role, which EC2 assumes, and profile", async () => {
    const { at } = await synthesize();
    const { assume_role_policy: trust, ...role } = at("aws_iam_role.flyway_host");
    expect(role).toMatchObject({
      name: "flyway-host",
      path: "${var.iam_path}",
      permissions_boundary: "${var.permissions_boundary}",
      tags: { "flyway-region": "${data.aws_region.current.id}" },
      lifecycle: { ignore_changes: ["description", "path"] },
    });
    expect(JSON.parse(trust as string)).toEqual({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" }],
    });
    expect(at("aws_iam_instance_profile.flyway_host")).toEqual({
      name: "flyway-host",
      path: "${aws_iam_role.flyway_host.path}",
      role: "${aws_iam_role.flyway_host.name}",
      lifecycle: { ignore_changes: ["path"] },
    });
  });

  it.each([
    ["cloudwatch_access", "cloudwatch-access"],
    ["s3_access", "s3-access"],
    ["secret_access", "secret-access"],
    ["deployment_access", "deployment-access"],
  ])("has the policy %s, called %s and attached", async (name, inAws) => {
    const { at } = await synthesize();
    expect(at(`aws_iam_policy.${name}`)).toEqual({
      name: inAws,
      policy: `\${data.aws_iam_policy_document.${name}.json}`,
      path: "${aws_iam_role.flyway_host.path}",
      lifecycle: { ignore_changes: ["description", "path"] },
    });
    expect(at(`aws_iam_role_policy_attachment.${name}`)).toEqual({
      role: "${aws_iam_role.flyway_host.name}",
      policy_arn: `\${aws_iam_policy.${name}.arn}`,
    });
  });

  it("is managed by Systems Manager", async () => {
    const { at } = await synthesize();
    expect(at("aws_iam_role_policy_attachment.ssm_managed_instance_core")).toEqual({
      role: "${aws_iam_role.flyway_host.name}",
      policy_arn: "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore",
    });
  });

  it("writes logs into its own group only", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_iam_policy_document.cloudwatch_access").statement).toEqual([
      { actions: ["logs:DescribeLogGroups"], resources: ["*"] },
      {
        actions: ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        resources: [
          "${aws_cloudwatch_log_group.flyway_host.arn}",
          "${aws_cloudwatch_log_group.flyway_host.arn}:*",
        ],
      },
    ]);
  });

  it("gets the archives that are in buckets", async () => {
    const { at } = await synthesize();
    const { dynamic } = at("data.aws_iam_policy_document.s3_access") as { dynamic: Record<string, Block> };
    expect(dynamic.statement).toEqual({
      for_each:
        '${[for arns in [[for a in values(local.flyway_archives) : "arn:${data.aws_partition.current.partition}:s3:::' +
        '${trimprefix(a.url, "s3://")}" if startswith(a.url, "s3://")]] : arns if length(arns) > 0]}',
      content: { actions: ["s3:GetObject"], resources: "${statement.value}" },
    });
  });

  it("reads the artifacts", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_iam_policy_document.s3_access").statement).toEqual([
      { actions: ["s3:GetObject"], resources: ["${aws_s3_bucket.artifacts.arn}/*"] },
    ]);
  });

  it("reads its deployment's parameters, and no other, whatever AWS's policy for the agent says", async () => {
    const { at } = await synthesize();
    const actions = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"];
    const parameters = [
      "arn:${data.aws_partition.current.partition}:ssm:${data.aws_region.current.id}:${data.aws_caller_identity.this.account_id}:parameter/flyway/*",
    ];
    expect(at("data.aws_iam_policy_document.deployment_access").statement).toEqual([
      { actions, resources: parameters },
      { effect: "Deny", actions, not_resources: parameters },
    ]);
  });

  it("comes up once it may do all that but read secrets, and reaches something", async () => {
    const { at } = await synthesize();
    expect([...(at("aws_instance.flyway_host").depends_on as string[])].sort()).toEqual([
      "aws_iam_role_policy_attachment.cloudwatch_access",
      "aws_iam_role_policy_attachment.deployment_access",
      "aws_iam_role_policy_attachment.s3_access",
      "aws_iam_role_policy_attachment.ssm_managed_instance_core",
      "aws_security_group_rule.egress",
    ]);
  });

  it("reads the targets' secrets, and no other", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_iam_policy_document.secret_access").statement).toEqual([
      {
        actions: ["secretsmanager:GetSecretValue"],
        resources: `\${distinct(compact(concat([${SECRET_ARN}], values(var.flyway_targets)[*].secret_arn)))}`,
      },
    ]);
  });
});

describe("ec2.tf: what the host runs", () => {
  it("is a Command document for EC2 instances", async () => {
    const { at } = await synthesize();
    const { content, ...document } = at("aws_ssm_document.flyway_migrate");
    expect(document).toEqual({
      name: "flyway-migrate",
      document_type: "Command",
      document_format: "JSON",
      target_type: "/AWS::EC2::Instance",
    });
    expect(withoutHash(content)).toBe(
      '${replace(file("${path.module}/assets/flyway_migrate/HASH/flyway-migrate.json"), "s3://ARTIFACTS", ' +
        '"s3://${aws_s3_object.runner.bucket}/${aws_s3_object.runner.key}")}',
    );
  });
});
