import { ADMINISTRATOR, type Permissions, type Request } from "./permissions";
import { REGION } from "./terraform";

/** What a deployment has that requests are about, by ARN. */
export interface Things {
  readonly bucket: string;
  readonly document: string;
  readonly host: string;
  readonly fn: string;
  readonly topic: string;
  readonly secret: string;
  /** What the ARNs of its parameters begin with. */
  readonly parameters: string;
  readonly logGroup: string;
  readonly reconcile: string;
}

/** A request, and what makes it: the AWS CLI's words in the host's script, a command of the SDK in the runner or the function, or who else. */
export interface MadeRequest extends Request {
  readonly origin: string;
}

/** What a deployment has. */
export function thingsOf(of: Permissions, stage = ""): Things {
  const target = of.one("aws_ssm_parameter.target");
  return {
    bucket: of.all("aws_s3_bucket").find(({ bucket }) => !bucket.includes("flyway-artifacts"))?.arn,
    document: of.one("aws_ssm_document.flyway_migrate").arn,
    host: of.one("aws_instance.flyway_host").arn,
    fn: of.one("aws_lambda_function.flyway_trigger").arn,
    topic: of.one("aws_sns_topic.notifications").arn,
    secret: JSON.parse(target.value).secret,
    parameters: `arn:aws:ssm:${REGION}:${of.account}:parameter/flyway${stage}`,
    logGroup: of.one("aws_cloudwatch_log_group.flyway_host").arn,
    reconcile: of.one("aws_cloudwatch_event_rule.reconcile[0]").arn,
  };
}

/** Every request that function, host, agent, schedule, alarms and buckets make. */
export function neededRequests(of: Permissions, things: Things): MadeRequest[] {
  const { bucket, parameters, fn } = things;
  const account = { "aws:SourceAccount": of.account };
  const from = (arn: string) => ({ ...account, "aws:SourceArn": arn });
  const { arn: artifacts } = of.one("aws_s3_bucket.artifacts");
  const host = (origin: string, action: string, on: string) => ({ by: "flyway_host", origin, action, on });
  const func = (origin: string, action: string, on: string) => ({ by: "flyway_trigger", origin, action, on });
  const agent = (action: string, on = "*") => host("the agent", action, on);
  const functionLog = `${of.one("aws_cloudwatch_log_group.flyway_trigger").arn}:log-stream:a`;
  const invokes = (by: string, arn: string) => ({
    ...{ by, origin: "its event", action: "lambda:InvokeFunction", on: fn },
    context: from(arn),
  });
  return [
    host("ListObjectVersionsCommand", "s3:ListBucketVersions", bucket),
    host("GetObjectCommand", "s3:GetObjectVersion", `${bucket}/release/V1__a.sql`),
    host("GetObjectCommand", "s3:GetObject", `${artifacts}/${of.one("aws_s3_object.rds_ca_bundle").key}`),
    host("s3 cp", "s3:GetObject", `${artifacts}/${of.one("aws_s3_object.runner").key}`),
    { by: ADMINISTRATOR, origin: "an upload", action: "s3:PutObject", on: `${bucket}/V1__a.sql` },
    host("PutObjectCommand", "s3:PutObject", `${bucket}/.flyway/runs/00000001-20261126T000000-c.json`),
    host("PutObjectCommand", "s3:PutObject", `${bucket}/.flyway/now/c.json`),
    host("DeleteObjectCommand", "s3:DeleteObjectVersion", `${bucket}/.flyway/now/c.json`),
    ...["s3-mapping/users1", "target/test_flyway.conf", "archive/11.8.2"].map((name) =>
      host("GetParameterCommand", "ssm:GetParameter", `${parameters}/${name}`),
    ),
    host("GetParametersByPathCommand", "ssm:GetParametersByPath", `${parameters}/s3-mapping`),
    host("GetSecretValueCommand", "secretsmanager:GetSecretValue", things.secret),
    agent("ssm:UpdateInstanceInformation", things.host),
    ...["CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"].map((name) =>
      agent(`ssmmessages:${name}`),
    ),
    ...["GetEndpoint", "GetMessages", "AcknowledgeMessage", "SendReply", "DeleteMessage", "FailMessage"].map(
      (name) => agent(`ec2messages:${name}`),
    ),
    agent("logs:DescribeLogGroups"),
    agent("logs:DescribeLogStreams", things.logGroup),
    agent("logs:CreateLogStream", `${things.logGroup}:log-stream:a`),
    agent("logs:PutLogEvents", `${things.logGroup}:log-stream:a`),
    func("GetParameterCommand", "ssm:GetParameter", `${parameters}/s3-mapping/users1`),
    func("SendCommandCommand", "ssm:SendCommand", things.document),
    func("SendCommandCommand", "ssm:SendCommand", things.host),
    func("GetCommandInvocationCommand", "ssm:GetCommandInvocation", "*"),
    func("paginateListCommandInvocations", "ssm:ListCommandInvocations", "*"),
    { ...func("paginateListObjectsV2", "s3:ListBucket", bucket), context: { "s3:prefix": ".flyway/runs/" } },
    func("GetObjectCommand", "s3:GetObject", `${bucket}/.flyway/runs/00000001-20261126T000000-c.json`),
    func("PublishCommand", "sns:Publish", things.topic),
    func("Lambda's log", "logs:CreateLogStream", functionLog),
    func("Lambda's log", "logs:PutLogEvents", functionLog),
    invokes("s3.amazonaws.com", bucket),
    invokes("events.amazonaws.com", things.reconcile),
    invokes("events.amazonaws.com", of.one("aws_cloudwatch_event_rule.command_status").arn),
    invokes("logs.amazonaws.com", `${things.logGroup}:*`),
    ...["uploads", "function_errors"].map((name) => ({
      by: "cloudwatch.amazonaws.com",
      origin: "the alarm",
      action: "sns:Publish",
      on: things.topic,
      context: from(of.one(`aws_cloudwatch_metric_alarm.${name}`).arn),
    })),
    ...[
      ["ec2.amazonaws.com", "flyway_host"],
      ["lambda.amazonaws.com", "flyway_trigger"],
    ].map(([by, role]) => ({
      by: by as string,
      origin: "its service",
      action: "sts:AssumeRole",
      on: of.one(`aws_iam_role.${role}`).arn,
    })),
  ];
}

/** Requests that nobody may make: on what another deployment, or the account, has, and more than is needed of one's own. */
export function forbiddenRequests(of: Permissions, own: Things, foreign: Things): Request[] {
  const elsewhere = "999999999999";
  const record = ".flyway/runs/00000001-20261126T000000-c.json";
  const host = (action: string, ...on: string[]) => on.map((arn) => ({ by: "flyway_host", action, on: arn }));
  const func = (action: string, ...on: string[]) =>
    on.map((arn) => ({ by: "flyway_trigger", action, on: arn }));
  const service = (by: string, action: string, on: string, context: Record<string, string>) => ({
    ...{ by, action, on },
    context: { "aws:SourceAccount": of.account, ...context },
  });
  const invoke = (by: string, context: Record<string, string>) =>
    service(by, "lambda:InvokeFunction", own.fn, context);
  const ssm = `arn:aws:ssm:${REGION}:${of.account}`;
  return [
    ...host("s3:PutObject", `${foreign.bucket}/${record}`, `arn:aws:s3:::somebodys/${record}`),
    ...host("s3:PutObject", `${own.bucket}/V1__a.sql`, `${own.bucket}/.flyway/runs/V1__a.sql`),
    { by: ADMINISTRATOR, action: "s3:PutObject", on: `${own.bucket}/${record}` },
    { by: ADMINISTRATOR, action: "s3:PutObject", on: `${own.bucket}/.flyway/now/c.json` },
    ...host("s3:DeleteObject", `${own.bucket}/V1__a.sql`, `${own.bucket}/${record}`),
    ...host("s3:GetObject", `${foreign.bucket}/V1__a.sql`, "arn:aws:s3:::somebodys/V1__a.sql"),
    ...host("s3:ListBucketVersions", foreign.bucket, "arn:aws:s3:::somebodys"),
    ...["ssm:GetParameter", "ssm:GetParameters"].flatMap((action) =>
      host(action, `${foreign.parameters}/target/a`, `${ssm}:parameter/somebodys`, `${own.parameters}x/a`),
    ),
    ...host("ssm:GetParametersByPath", `${foreign.parameters}/s3-mapping`, `${ssm}:parameter/somebodys`),
    ...host("ssm:PutParameter", `${own.parameters}/target/test_flyway.conf`),
    ...host("secretsmanager:GetSecretValue", foreign.secret, `${own.secret}x`),
    ...host("secretsmanager:PutSecretValue", own.secret),
    ...host("ssm:SendCommand", own.document, own.host),
    ...host("sns:Publish", own.topic),
    ...host("lambda:InvokeFunction", own.fn),
    ...host("logs:CreateLogStream", `${foreign.logGroup}:log-stream:a`),
    ...func("ssm:SendCommand", `${ssm}:document/AWS-RunShellScript`, foreign.document),
    ...func(
      "ssm:SendCommand",
      foreign.host,
      `arn:aws:ec2:${REGION}:${of.account}:instance/i-00000000000000001`,
    ),
    ...func("ssm:GetParameter", `${foreign.parameters}/s3-mapping/users1`, `${own.parameters}/target/a`),
    ...func("ssm:CancelCommand", "*"),
    ...func("sns:Publish", foreign.topic),
    ...func("s3:GetObject", `${own.bucket}/V1__a.sql`),
    ...func("s3:GetObject", `${foreign.bucket}/${record}`),
    ...func("s3:ListBucket", own.bucket),
    ...func("s3:PutObject", `${own.bucket}/${record}`),
    ...func("secretsmanager:GetSecretValue", own.secret),
    ...["flyway_host", "flyway_trigger"].map((role) => ({
      by: role,
      action: "sts:AssumeRole",
      on: of.one(`aws_iam_role.${role}`).arn,
    })),
    invoke("s3.amazonaws.com", { "aws:SourceArn": own.bucket, "aws:SourceAccount": elsewhere }),
    invoke("events.amazonaws.com", { "aws:SourceArn": foreign.reconcile }),
    invoke("logs.amazonaws.com", { "aws:SourceArn": `${foreign.logGroup}:*` }),
    invoke("sns.amazonaws.com", { "aws:SourceArn": own.topic }),
    service("cloudwatch.amazonaws.com", "sns:Publish", own.topic, { "aws:SourceAccount": elsewhere }),
    service("s3.amazonaws.com", "sns:Publish", own.topic, { "aws:SourceArn": own.bucket }),
    service("lambda.amazonaws.com", "sts:AssumeRole", of.one("aws_iam_role.flyway_host").arn, {}),
  ];
}
