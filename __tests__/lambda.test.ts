import { describe, expect, it } from "vitest";
import { synthesize } from "./support/synthesis";

const IN_ACCOUNT =
  "arn:${data.aws_partition.current.partition}:ssm:${data.aws_region.current.id}:${data.aws_caller_identity.this.account_id}";

describe("lambda.tf", () => {
  it("has the contract's function, in Node.js where the contract had Python 3.9", async () => {
    const { at } = await synthesize();
    expect(at("aws_lambda_function.flyway_trigger")).toMatchObject({
      function_name: "flyway-trigger",
      role: "${aws_iam_role.flyway_trigger.arn}",
      runtime: "${var.lambda_runtime}",
      handler: "index.handler",
      timeout: 15,
      memory_size: 128,
      filename: "${data.archive_file.flyway_trigger.output_path}",
      source_code_hash: "${data.archive_file.flyway_trigger.output_base64sha256}",
    });
  });

  it("tells the function the host, the document, the log group, the parameters, the wait, the topic and the metrics", async () => {
    const { at } = await synthesize();
    expect(at("aws_lambda_function.flyway_trigger").environment).toEqual({
      variables: {
        INSTANCE_ID: "${aws_instance.flyway_host.id}",
        DOCUMENT_NAME: "${aws_ssm_document.flyway_migrate.name}",
        CLOUDWATCH_LOG_GROUP_NAME: "${aws_cloudwatch_log_group.flyway_host.name}",
        PARAMETERS: "/flyway",
        SETTLE_SECONDS: "${tostring(var.flyway_settle_seconds)}",
        TOPIC_ARN: "${aws_sns_topic.notifications.arn}",
        METRICS_NAMESPACE: "Flyway",
        RECONCILE_MINUTES: "${tostring(var.reconcile_minutes)}",
      },
    });
  });

  it("zips the one file of the function, with what archive 1.3 knows already", async () => {
    const { at } = await synthesize();
    const { source_file: source, output_path: output, ...archive } = at("data.archive_file.flyway_trigger");
    expect(archive).toEqual({ type: "zip" });
    expect(source).toMatch(/^\$\{"\$\{path\.module\}\/assets\/flyway_trigger\/[0-9A-F]{32}\/index\.js"\}$/);
    expect(output).toMatch(
      /^\$\{"\$\{path\.module\}\/assets\/flyway_trigger_zip\/[0-9A-F]{32}\/flyway_trigger\.zip"\}$/,
    );
  });

  it("has the contract's role, which Lambda assumes", async () => {
    const { at } = await synthesize();
    const { assume_role_policy: trust, ...role } = at("aws_iam_role.flyway_trigger");
    expect(role).toMatchObject({
      name: "flyway-trigger",
      path: "${var.iam_path}",
      permissions_boundary: "${var.permissions_boundary}",
      lifecycle: { ignore_changes: ["description", "path"] },
    });
    expect(JSON.parse(trust as string)).toEqual({
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" },
      ],
    });
  });

  it("has a log group of its own, and the function once it may write to it", async () => {
    const { at } = await synthesize();
    expect(at("aws_cloudwatch_log_group.flyway_trigger")).toEqual({
      name: "/flyway/flyway-trigger",
      retention_in_days: 30,
    });
    expect(at("aws_lambda_function.flyway_trigger")).toMatchObject({
      logging_config: { log_format: "Text", log_group: "${aws_cloudwatch_log_group.flyway_trigger.name}" },
      depends_on: [
        "aws_iam_role_policy_attachment.basic_execution_role",
        "aws_iam_role_policy_attachment.ssm_access",
      ],
    });
  });

  it("lets the function write its log", async () => {
    const { at } = await synthesize();
    expect(at("aws_iam_role_policy_attachment.basic_execution_role")).toEqual({
      role: "${aws_iam_role.flyway_trigger.name}",
      policy_arn:
        "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    });
  });

  it("has the contract's policy ssm-access, attached", async () => {
    const { at } = await synthesize();
    expect(at("aws_iam_policy.ssm_access")).toEqual({
      name: "ssm-access",
      policy: "${data.aws_iam_policy_document.ssm_access.json}",
      path: "${aws_iam_role.flyway_trigger.path}",
      lifecycle: { ignore_changes: ["description", "path"] },
    });
    expect(at("aws_iam_role_policy_attachment.ssm_access")).toEqual({
      role: "${aws_iam_role.flyway_trigger.name}",
      policy_arn: "${aws_iam_policy.ssm_access.arn}",
    });
  });

  it("lets the function read the mappings and send the one document to the host", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_iam_policy_document.ssm_access").statement).toEqual([
      {
        actions: ["ssm:GetParameter", "ssm:GetParametersByPath"],
        resources: [`${IN_ACCOUNT}:parameter/flyway/s3-mapping/*`],
      },
      {
        actions: ["ssm:SendCommand"],
        resources: ["${aws_ssm_document.flyway_migrate.arn}", "${aws_instance.flyway_host.arn}"],
      },
      { actions: ["ssm:GetCommandInvocation", "ssm:ListCommandInvocations"], resources: ["*"] },
    ]);
  });

  it("lets nobody run any shell script", async () => {
    expect((await synthesize()).json).not.toContain("AWS-RunShellScript");
  });

  it("lets each bucket, of this account, call the function, up to 40", async () => {
    const { at } = await synthesize();
    expect(at("aws_lambda_permission.flyway_trigger")).toEqual({
      for_each: "${local.few_databases ? local.buckets : tomap({})}",
      statement_id: "allow-execute-from-${each.value.id}",
      action: "lambda:InvokeFunction",
      function_name: "${aws_lambda_function.flyway_trigger.function_name}",
      principal: "s3.amazonaws.com",
      source_arn: "${each.value.arn}",
      source_account: "${data.aws_caller_identity.this.account_id}",
      lifecycle: { create_before_destroy: true },
      depends_on: ["aws_lambda_permission.account"],
    });
  });

  it("lets all buckets of this account call the function by one statement, past 40", async () => {
    const { at } = await synthesize();
    expect(at("aws_lambda_permission.account")).toEqual({
      count: "${local.few_databases ? 0 : 1}",
      statement_id: "allow-execute-from-account",
      action: "lambda:InvokeFunction",
      function_name: "${aws_lambda_function.flyway_trigger.function_name}",
      principal: "s3.amazonaws.com",
      source_account: "${data.aws_caller_identity.this.account_id}",
      lifecycle: { create_before_destroy: true },
    });
  });

  it("puts out the function's name", async () => {
    const { at } = await synthesize();
    expect(at("output.function_name").value).toBe("${aws_lambda_function.flyway_trigger.function_name}");
  });
});
