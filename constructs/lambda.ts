import { DataArchiveFile } from "@cdktf/provider-archive/lib/data-archive-file";
import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import type { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { LambdaFunction } from "@cdktf/provider-aws/lib/lambda-function";
import { LambdaPermission } from "@cdktf/provider-aws/lib/lambda-permission";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import { Fn, TerraformOutput, Token } from "cdktf";
import { Construct } from "constructs";
import { deploymentName, mappingName } from "../deployment/mapping";
import type { Names } from "../deployment/names";
import { fileAsset } from "./asset";
import { bundleFunction, zip } from "./bundle";
import type { Data } from "./data";
import type { Ec2 } from "./ec2";
import type { Notifications } from "./notifications";
import { attachManaged, grant, serviceRole } from "./policies";
import type { S3 } from "./s3";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

export interface LambdaProps {
  readonly names: Names;
  readonly variables: Variables;
  readonly data: Data;
  readonly ec2: Ec2;
  readonly s3: S3;
  readonly notifications: Notifications;
}

/** lambda.tf: the function that an upload calls, and what it may do. */
export class Lambda extends Construct {
  readonly fn: LambdaFunction;
  /** What the function may do. */
  readonly role: IamRole;
  /** Let each bucket call the function; a notification needs them first. */
  readonly permissions: LambdaPermission[];

  constructor(scope: Construct, id: string, props: LambdaProps) {
    super(scope, id);
    const { names, variables, data, ec2, s3, notifications } = props;
    this.role = serviceRole(this, "aws_iam_role.flyway_trigger", {
      name: names.of("flyway-trigger"),
      service: "lambda.amazonaws.com",
      variables,
      data,
    });
    const { role } = this;
    // Not /aws/lambda/flyway-trigger, which Lambda has made by itself where the function ran before.
    const logGroup = new CloudwatchLogGroup(this, "aws_cloudwatch_log_group.flyway_trigger", {
      name: names.of("/flyway/flyway-trigger"),
      retentionInDays: 30,
    });
    const managed = attachManaged(
      this,
      data,
      role,
      "basic_execution_role",
      "service-role/AWSLambdaBasicExecutionRole",
    );
    const ssm = grant(this, names, role, "ssm_access", [
      {
        actions: ["ssm:GetParameter", "ssm:GetParametersByPath"],
        resources: [`${data.arnOf("ssm")}:parameter${mappingName(names.parameters, "*")}`],
      },
      { actions: ["ssm:SendCommand"], resources: [ec2.document.arn, ec2.host.arn] },
      // AWS has no type of resource for these: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
      { actions: ["ssm:GetCommandInvocation", "ssm:ListCommandInvocations"], resources: ["*"] },
    ]);

    // archive_file writes its archive at plan. A saved plan may be applied where no plan was made, so an archive
    // with the same file in it is in its place from the start.
    const file = "index.js";
    const archived = zip(file, bundleFunction());
    const archive = new DataArchiveFile(this, "data.archive_file.flyway_trigger", {
      type: "zip",
      sourceFile: `\${${fileAsset(this, "flyway_trigger", file, bundleFunction())}}`,
      outputPath: `\${${fileAsset(this, "flyway_trigger_zip", "flyway_trigger.zip", archived)}}`,
    });
    const target = {
      instanceId: ec2.host.id,
      documentName: ec2.document.name,
      logGroupName: ec2.logGroup.name,
      settleSeconds: `\${tostring(${addressOf(variables.flywaySettleSeconds)})}`,
      reconcileMinutes: `\${tostring(${addressOf(variables.reconcileMinutes)})}`,
    } as const;
    new SsmParameter(this, "aws_ssm_parameter.flyway_deployment", {
      name: deploymentName(names.parameters),
      description: "Where the commands of this deployment go: for the command flyway-aws",
      type: "String",
      value: Fn.jsonencode(target),
    });
    this.fn = new LambdaFunction(this, "aws_lambda_function.flyway_trigger", {
      functionName: names.of("flyway-trigger"),
      role: role.arn,
      runtime: variables.lambdaRuntime.stringValue,
      handler: "index.handler",
      timeout: 15,
      memorySize: 128,
      filename: archive.outputPath,
      sourceCodeHash: archive.outputBase64Sha256,
      loggingConfig: { logFormat: "Text", logGroup: logGroup.name },
      dependsOn: [managed, ssm.attachment],
      environment: {
        variables: {
          INSTANCE_ID: target.instanceId,
          DOCUMENT_NAME: target.documentName,
          CLOUDWATCH_LOG_GROUP_NAME: target.logGroupName,
          PARAMETERS: names.parameters,
          SETTLE_SECONDS: target.settleSeconds,
          TOPIC_ARN: notifications.topic.arn,
          RECONCILE_MINUTES: target.reconcileMinutes,
          METRICS_NAMESPACE: notifications.namespace,
        },
      },
    });
    const bucket = s3.eachBucket;
    const allowed = {
      action: "lambda:InvokeFunction",
      functionName: this.fn.functionName,
      principal: "s3.amazonaws.com",
      sourceAccount: data.callerIdentity.accountId,
      lifecycle: { createBeforeDestroy: true }, // so that the buckets always have the one or the other
    };
    // Many buckets do not fit into the function's policy; then one statement lets in all of the account's.
    const ofAccount = new LambdaPermission(this, "aws_lambda_permission.account", {
      ...allowed,
      count: Token.asNumber(`\${${s3.fewDatabases} ? 0 : 1}`),
      statementId: "allow-execute-from-account",
    });
    const perBucket = new LambdaPermission(this, "aws_lambda_permission.flyway_trigger", {
      ...allowed,
      forEach: bucket,
      statementId: `allow-execute-from-${bucket.getString("id")}`,
      sourceArn: bucket.getString("arn"),
      dependsOn: [ofAccount], // which is so destroyed only once these are there
    });
    perBucket.addOverride("for_each", `\${${s3.fewDatabases} ? ${s3.bucketsByDatabase} : tomap({})}`);
    this.permissions = [perBucket, ofAccount];

    new TerraformOutput(this, "output.function_name", {
      value: this.fn.functionName,
      description: "The function that an upload calls",
    });
  }
}
