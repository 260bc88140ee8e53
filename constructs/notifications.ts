import { CloudwatchDashboard } from "@cdktf/provider-aws/lib/cloudwatch-dashboard";
import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target";
import { CloudwatchLogSubscriptionFilter } from "@cdktf/provider-aws/lib/cloudwatch-log-subscription-filter";
import { CloudwatchMetricAlarm } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import { LambdaFunctionEventInvokeConfig } from "@cdktf/provider-aws/lib/lambda-function-event-invoke-config";
import { LambdaPermission } from "@cdktf/provider-aws/lib/lambda-permission";
import { SnsTopic } from "@cdktf/provider-aws/lib/sns-topic";
import { SnsTopicPolicy } from "@cdktf/provider-aws/lib/sns-topic-policy";
import { SnsTopicSubscription } from "@cdktf/provider-aws/lib/sns-topic-subscription";
import { type ITerraformDependable, TerraformOutput, Token } from "cdktf";
import { Construct } from "constructs";
import type { Names } from "../deployment/names";
import type { Metric } from "../lambda/metrics";
import { QUIET_STATUSES, STATUS_CHANGE } from "../lambda/notification";
import type { Data } from "./data";
import type { Ec2 } from "./ec2";
import type { Lambda } from "./lambda";
import { grant } from "./policies";
import { RECONCILES } from "./reconcile";

export interface NotificationsProps {
  readonly names: Names;
  readonly data: Data;
}

/** How people hear of what goes wrong: a topic, what is published to it, alarms and a dashboard. */
export class Notifications extends Construct {
  readonly topic: SnsTopic;
  /** Of this deployment's metrics. */
  readonly namespace: string;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: NotificationsProps,
  ) {
    super(scope, id);
    const { names } = props;
    this.namespace = names.of("Flyway");
    // Not encrypted by KMS: alarms cannot use AWS's own key, and what is published leaves by e-mail anyway.
    this.topic = new SnsTopic(this, "aws_sns_topic.notifications", {
      name: names.of("flyway-notifications"),
    });
    new SnsTopicPolicy(this, "aws_sns_topic_policy.notifications", {
      arn: this.topic.arn,
      policy: `\${jsonencode({
        Version = "2012-10-17"
        Statement = [{
          Effect = "Allow"
          Principal = { Service = "cloudwatch.amazonaws.com" }
          Action = "sns:Publish"
          Resource = aws_sns_topic.notifications.arn
          Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
        }]
      })}`,
    });
    const email = new SnsTopicSubscription(this, "aws_sns_topic_subscription.email", {
      topicArn: this.topic.arn,
      protocol: "email",
      endpoint: "${each.value}",
    });
    email.addOverride("for_each", "${toset(var.notification_emails)}");
    new TerraformOutput(this, "output.topic_arn", {
      value: this.topic.arn,
      description: "Where messages on failures are published",
    });
  }

  /** Has everything that fails be heard of. Called once the function exists, which itself needs the topic. */
  watch(ec2: Ec2, lambda: Lambda): void {
    const mayPublish = this.tellOfEvents(lambda);
    this.tellOfCommands(ec2, lambda, mayPublish);
    this.measure(ec2, lambda);
    this.alarm(lambda);
  }

  /** A command that is no success: the function makes a message of it. */
  private tellOfCommands({ document }: Ec2, { fn }: Lambda, mayPublish: ITerraformDependable): void {
    const { names } = this.props;
    const rule = new CloudwatchEventRule(this, "aws_cloudwatch_event_rule.command_status", {
      name: names.of("flyway-command-status"),
      description: "Tells of commands of the Flyway host that are no success",
      eventPattern: JSON.stringify({
        source: ["aws.ssm"],
        "detail-type": [STATUS_CHANGE],
        detail: { "document-name": [document.name], status: [{ "anything-but": QUIET_STATUSES }] },
      }),
    });
    const permission = new LambdaPermission(this, "aws_lambda_permission.command_status", {
      statementId: "allow-execute-from-command-status",
      action: "lambda:InvokeFunction",
      functionName: fn.functionName,
      principal: "events.amazonaws.com",
      sourceArn: rule.arn,
    });
    new CloudwatchEventTarget(this, "aws_cloudwatch_event_target.command_status", {
      rule: rule.name,
      targetId: "function",
      arn: fn.arn,
      dependsOn: [permission, mayPublish],
    });
  }

  /** An event that the function could not handle, three times: Lambda publishes it. */
  private tellOfEvents({ fn, role }: Lambda): ITerraformDependable {
    const { attachment } = grant(this, this.props.names, role, "notification_access", [
      { actions: ["sns:Publish"], resources: [this.topic.arn] },
    ]);
    new LambdaFunctionEventInvokeConfig(this, "aws_lambda_function_event_invoke_config.flyway_trigger", {
      functionName: fn.functionName,
      destinationConfig: { onFailure: { destination: this.topic.arn } },
      dependsOn: [attachment], // Lambda asks whether the function may publish
    });
    return attachment;
  }

  /** The host's output goes to the function, which makes metrics of it. */
  private measure({ logGroup }: Ec2, { fn }: Lambda): void {
    const { names, data } = this.props;
    const permission = new LambdaPermission(this, "aws_lambda_permission.log_group", {
      statementId: "allow-execute-from-log-group",
      action: "lambda:InvokeFunction",
      functionName: fn.functionName,
      principal: "logs.amazonaws.com",
      sourceArn: `${logGroup.arn}:*`,
      sourceAccount: data.callerIdentity.accountId,
    });
    new CloudwatchLogSubscriptionFilter(this, "aws_cloudwatch_log_subscription_filter.flyway_host", {
      name: names.of("flyway-metrics"),
      logGroupName: logGroup.name,
      filterPattern: "", // lines come many in an event; the function finds those that it needs
      destinationArn: fn.arn,
      dependsOn: [permission],
    });
  }

  /** Alarms, and a dashboard that shows what they look at. */
  private alarm({ fn }: Lambda): void {
    const { names, data } = this.props;
    const toTopic = { alarmActions: [this.topic.arn], okActions: [this.topic.arn] };
    const uploads = new CloudwatchMetricAlarm(this, "aws_cloudwatch_metric_alarm.uploads", {
      ...toTopic,
      alarmName: names.of("flyway-uploads"),
      alarmDescription:
        "An upload has waited longer than ${var.upload_alarm_minutes} minutes for the Flyway host to look at it, or " +
        "the host has reconciled nothing for that long. See docs/operations.md.",
      namespace: this.namespace,
      metricName: "OldestUploadSeconds" satisfies Metric,
      statistic: "Maximum",
      comparisonOperator: "GreaterThanThreshold",
      threshold: Token.asNumber("${var.upload_alarm_minutes * 60}"),
      // Long enough to hold a reconcile, else its absence would be an alarm.
      period: Token.asNumber("${max(var.upload_alarm_minutes, 2 * var.reconcile_minutes) * 60}"),
      evaluationPeriods: 1,
      treatMissingData: `\${${RECONCILES} ? "breaching" : "notBreaching"}`,
    });
    const errors = new CloudwatchMetricAlarm(this, "aws_cloudwatch_metric_alarm.function_errors", {
      ...toTopic,
      alarmName: names.of("flyway-function-errors"),
      alarmDescription: "The function that uploads call has failed. See docs/operations.md.",
      namespace: "AWS/Lambda",
      metricName: "Errors",
      dimensions: { FunctionName: fn.functionName },
      statistic: "Sum",
      comparisonOperator: "GreaterThanThreshold",
      threshold: 0,
      period: 300,
      evaluationPeriods: 1,
      treatMissingData: "notBreaching",
    });

    const own = (metric: Metric, stat: string, label: string) => [this.namespace, metric, { stat, label }];
    const ofFunction = (metric: string) => ["AWS/Lambda", metric, "FunctionName", fn.functionName];
    const widget = (title: string, metrics: unknown[][]) => ({
      type: "metric",
      width: 12,
      height: 6,
      properties: { title, metrics, region: data.region.id, view: "timeSeries", stat: "Sum", period: 300 },
    });
    new CloudwatchDashboard(this, "aws_cloudwatch_dashboard.flyway", {
      dashboardName: names.of("flyway"),
      dashboardBody: JSON.stringify({
        widgets: [
          widget("Runs", [
            own("Runs", "Sum", "runs"),
            own("FailedRuns", "Sum", "failed"),
            own("AppliedMigrations", "Sum", "migrations applied"),
          ]),
          widget("Duration of a run, in seconds", [
            own("RunSeconds", "Average", "average"),
            own("RunSeconds", "Maximum", "longest"),
          ]),
          widget("Oldest upload without a verdict, in seconds", [
            own("OldestUploadSeconds", "Maximum", "age"),
          ]),
          widget("The function", [ofFunction("Invocations"), ofFunction("Errors")]),
          // A widget with metrics takes no alarm.
          {
            type: "alarm",
            width: 24,
            height: 2,
            properties: { title: "Alarms", alarms: [uploads.arn, errors.arn] },
          },
        ],
      }),
    });
  }
}
