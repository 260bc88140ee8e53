import { CloudwatchDashboard } from "@cdktf/provider-aws/lib/cloudwatch-dashboard";
import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target";
import { CloudwatchLogSubscriptionFilter } from "@cdktf/provider-aws/lib/cloudwatch-log-subscription-filter";
import { CloudwatchMetricAlarm } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import { LambdaFunctionEventInvokeConfig } from "@cdktf/provider-aws/lib/lambda-function-event-invoke-config";
import { LambdaPermission } from "@cdktf/provider-aws/lib/lambda-permission";
import { type ITerraformDependable, Token } from "cdktf";
import { Construct } from "constructs";
import type { Names } from "../deployment/names";
import type { Metric } from "../lambda/metrics";
import { QUIET_STATUSES, STATUS_CHANGE } from "../lambda/notification";
import type { Data } from "./data";
import type { Ec2 } from "./ec2";
import type { Lambda } from "./lambda";
import type { Notifications } from "./notifications";
import { grant } from "./policies";
import type { Reconcile } from "./reconcile";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

export interface MonitoringProps {
  readonly names: Names;
  readonly variables: Variables;
  readonly data: Data;
  readonly ec2: Ec2;
  readonly lambda: Lambda;
  readonly notifications: Notifications;
  readonly reconcile: Reconcile;
}

/** Has everything that fails be heard of: what is published to the topic, alarms, and a dashboard. */
export class Monitoring extends Construct {
  constructor(
    scope: Construct,
    id: string,
    private readonly props: MonitoringProps,
  ) {
    super(scope, id);
    const mayPublish = this.tellOfEvents();
    this.tellOfCommands(mayPublish);
    this.measure();
    this.alarm();
  }

  /** A command that is no success: the function makes a message of it. */
  private tellOfCommands(mayPublish: ITerraformDependable): void {
    const { names, ec2, lambda } = this.props;
    const { fn } = lambda;
    const rule = new CloudwatchEventRule(this, "aws_cloudwatch_event_rule.command_status", {
      name: names.of("flyway-command-status"),
      description: "Tells of commands of the Flyway host that are no success",
      eventPattern: JSON.stringify({
        source: ["aws.ssm"],
        "detail-type": [STATUS_CHANGE],
        detail: { "document-name": [ec2.document.name], status: [{ "anything-but": QUIET_STATUSES }] },
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
  private tellOfEvents(): ITerraformDependable {
    const { names, lambda, notifications } = this.props;
    const { fn, role } = lambda;
    const { topic } = notifications;
    const { attachment } = grant(this, names, role, "notification_access", [
      { actions: ["sns:Publish"], resources: [topic.arn] },
    ]);
    new LambdaFunctionEventInvokeConfig(this, "aws_lambda_function_event_invoke_config.flyway_trigger", {
      functionName: fn.functionName,
      destinationConfig: { onFailure: { destination: topic.arn } },
      dependsOn: [attachment], // Lambda asks whether the function may publish
    });
    return attachment;
  }

  /** The host's output goes to the function, which makes metrics of it. */
  private measure(): void {
    const { names, data, ec2, lambda } = this.props;
    const { fn } = lambda;
    const { logGroup } = ec2;
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
  private alarm(): void {
    const { names, variables, data, lambda, notifications, reconcile } = this.props;
    const { fn } = lambda;
    const { topic, namespace } = notifications;
    const minutes = addressOf(variables.uploadAlarmMinutes);
    const toTopic = { alarmActions: [topic.arn], okActions: [topic.arn] };
    const uploads = new CloudwatchMetricAlarm(this, "aws_cloudwatch_metric_alarm.uploads", {
      ...toTopic,
      alarmName: names.of("flyway-uploads"),
      alarmDescription:
        `An upload has waited longer than \${${minutes}} minutes for the Flyway host to look at it, or ` +
        "the host has reconciled nothing for that long. See docs/operations.md.",
      namespace,
      metricName: "OldestUploadSeconds" satisfies Metric,
      statistic: "Maximum",
      comparisonOperator: "GreaterThanThreshold",
      threshold: Token.asNumber(`\${${minutes} * 60}`),
      // Long enough to hold a reconcile, else its absence would be an alarm.
      period: Token.asNumber(`\${max(${minutes}, 2 * ${addressOf(variables.reconcileMinutes)}) * 60}`),
      evaluationPeriods: 1,
      treatMissingData: `\${${reconcile.scheduled} ? "breaching" : "notBreaching"}`,
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

    const ofRuns = (metric: Metric, stat: string, label: string) => [namespace, metric, { stat, label }];
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
            ofRuns("Runs", "Sum", "runs"),
            ofRuns("FailedRuns", "Sum", "failed"),
            ofRuns("AppliedMigrations", "Sum", "migrations applied"),
          ]),
          widget("Duration of a run, in seconds", [
            ofRuns("RunSeconds", "Average", "average"),
            ofRuns("RunSeconds", "Maximum", "longest"),
          ]),
          widget("Oldest upload without a verdict, in seconds", [
            ofRuns("OldestUploadSeconds", "Maximum", "age"),
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
