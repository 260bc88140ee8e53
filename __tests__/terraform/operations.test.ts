import { beforeAll, describe, expect, it } from "vitest";
import {
  changes,
  type Plan,
  REGION,
  type State,
  useWorkspace,
  type Values,
  valuesOf,
} from "../support/terraform";

const stage = useWorkspace();

/** moto's account. */
const ACCOUNT = "123456789012";

/** A policy's longest: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const POLICY_LENGTH = 6_144;

const FIRST = {
  reconcile_minutes: 1,
  flyway_record_days: 30,
  upload_alarm_minutes: 45,
  notification_emails: ["team@example.com"],
};

let state: State;
let secondPlan: Plan;

function values(address: string, of: State = state): Values {
  return valuesOf(of, address);
}

function statements(policy: string): Values[] {
  return JSON.parse(values(policy).policy).Statement;
}

// These build on each other: one deployment and one change of it.
describe("what people hear of", () => {
  beforeAll(async () => {
    if (!stage.workspace) return;
    await stage.workspace.apply(FIRST);
    state = await stage.workspace.state();
    stage.workspace.ignoreWhatMotoLoses();
    secondPlan = await stage.workspace.plan(FIRST);
  });

  it("is there after one apply: a second changes nothing", () => {
    expect(changes(secondPlan)).toEqual({});
  });

  it("goes to one topic, which alarms of this account may publish to", () => {
    const { arn } = values("aws_sns_topic.notifications");
    expect(arn).toBe(`arn:aws:sns:${REGION}:${ACCOUNT}:flyway-notifications`);
    expect(statements("aws_sns_topic_policy.notifications")).toEqual([
      {
        Effect: "Allow",
        Principal: { Service: "cloudwatch.amazonaws.com" },
        Action: "sns:Publish",
        Resource: arn,
        Condition: { StringEquals: { "aws:SourceAccount": ACCOUNT } },
      },
    ]);
    expect(state.outputs.topic_arn?.value).toBe(arn);
  });

  it("reaches the addresses that were given", () => {
    expect(values('aws_sns_topic_subscription.email["team@example.com"]')).toMatchObject({
      topic_arn: values("aws_sns_topic.notifications").arn,
      protocol: "email",
      endpoint: "team@example.com",
    });
  });

  it("is each end of our document's commands that is no success", () => {
    expect(JSON.parse(values("aws_cloudwatch_event_rule.command_status").event_pattern)).toEqual({
      source: ["aws.ssm"],
      "detail-type": ["EC2 Command Invocation Status-change Notification"],
      detail: {
        "document-name": ["flyway-migrate"],
        status: [
          { "anything-but": ["Pending", "InProgress", "In Progress", "Delayed", "Cancelling", "Success"] },
        ],
      },
    });
  });

  it.each([
    ["aws_cloudwatch_event_rule.command_status", "aws_lambda_permission.command_status"],
    ["aws_cloudwatch_event_rule.reconcile[0]", "aws_lambda_permission.reconcile[0]"],
  ])("has %s call the function, by a permission of its own", (rule, permission) => {
    const fn = values("aws_lambda_function.flyway_trigger");
    expect(values(permission)).toMatchObject({
      action: "lambda:InvokeFunction",
      function_name: fn.function_name,
      principal: "events.amazonaws.com",
      source_arn: values(rule).arn,
    });
    expect(values(rule.replace("_rule", "_target"))).toMatchObject({
      rule: values(rule).name,
      arn: fn.arn,
    });
  });

  it("is each event that the function fails on three times, and the function may publish it", () => {
    const { arn } = values("aws_sns_topic.notifications");
    expect(values("aws_lambda_function_event_invoke_config.flyway_trigger")).toMatchObject({
      function_name: "flyway-trigger",
      maximum_retry_attempts: 2,
      destination_config: [{ on_failure: [{ destination: arn }], on_success: [] }],
    });
    expect(statements("aws_iam_policy.notification_access")).toEqual([
      { Effect: "Allow", Action: "sns:Publish", Resource: arn },
    ]);
  });

  it("is measured by the function, to which the log group hands the host's output", () => {
    const fn = values("aws_lambda_function.flyway_trigger");
    expect(values("aws_cloudwatch_log_subscription_filter.flyway_host")).toMatchObject({
      log_group_name: "/ssm/runcommand/flyway-host",
      filter_pattern: "",
      destination_arn: fn.arn,
    });
    expect(values("aws_lambda_permission.log_group")).toMatchObject({
      principal: "logs.amazonaws.com",
      source_arn: `${values("aws_cloudwatch_log_group.flyway_host").arn}:*`,
      source_account: ACCOUNT,
    });
    expect(fn.environment[0].variables).toMatchObject({
      TOPIC_ARN: values("aws_sns_topic.notifications").arn,
      METRICS_NAMESPACE: "Flyway",
      RECONCILE_MINUTES: "1",
    });
  });

  it("is an upload that waits too long, or no reconcile for as long", () => {
    expect(values("aws_cloudwatch_metric_alarm.uploads")).toMatchObject({
      namespace: "Flyway",
      metric_name: "OldestUploadSeconds",
      statistic: "Maximum",
      comparison_operator: "GreaterThanThreshold",
      threshold: 45 * 60,
      period: 45 * 60,
      evaluation_periods: 1,
      treat_missing_data: "breaching",
      alarm_actions: [values("aws_sns_topic.notifications").arn],
      ok_actions: [values("aws_sns_topic.notifications").arn],
    });
  });

  it("is on a dashboard, whose metrics are the alarms' and the function's", () => {
    const { widgets } = JSON.parse(values("aws_cloudwatch_dashboard.flyway").dashboard_body);
    const shown = widgets.flatMap((widget: Values) =>
      (widget.properties.metrics ?? []).map((metric: unknown[]) => metric[1]),
    );
    expect(new Set(shown)).toEqual(
      new Set([
        "Runs",
        "FailedRuns",
        "AppliedMigrations",
        "RunSeconds",
        "OldestUploadSeconds",
        "Invocations",
        "Errors",
      ]),
    );
    const alarms = widgets.flatMap((widget: Values) => widget.properties.alarms ?? []);
    expect(alarms).toEqual(
      ["uploads", "function_errors"].map((name) => values(`aws_cloudwatch_metric_alarm.${name}`).arn),
    );
  });

  it("is looked for every minute, and the host may list the mappings for it", () => {
    expect(values("aws_cloudwatch_event_rule.reconcile[0]").schedule_expression).toBe("rate(1 minute)");
    expect(statements("aws_iam_policy.deployment_access")).toContainEqual({
      Effect: "Allow",
      Action: ["ssm:GetParametersByPath", "ssm:GetParameters", "ssm:GetParameter"],
      Resource: `arn:aws:ssm:${REGION}:${ACCOUNT}:parameter/flyway/*`,
    });
  });

  it("keeps run records as long as was asked for, and migrations for ever", () => {
    const { rule } = values('aws_s3_bucket_lifecycle_configuration.this["Users"]');
    expect(rule).toMatchObject([
      {
        id: "run-records",
        status: "Enabled",
        filter: [{ prefix: ".flyway/runs/" }],
        expiration: [{ days: 30 }],
        noncurrent_version_expiration: [{ noncurrent_days: 1 }],
      },
      {
        id: "run-record-markers",
        status: "Enabled",
        filter: [{ prefix: ".flyway/runs/" }],
        expiration: [{ expired_object_delete_marker: true }],
      },
    ]);
  });

  it("needs no policy that is longer than IAM takes", () => {
    const policies = state.resources.filter(({ address }) => address.startsWith("aws_iam_policy."));
    expect(policies.length).toBeGreaterThan(5);
    for (const { address, values } of policies) {
      expect(values.policy.length, address).toBeLessThan(POLICY_LENGTH);
    }
  });

  describe("with reconcile and the removal of records switched off, and one address more", () => {
    const off = {
      ...FIRST,
      reconcile_minutes: 0,
      flyway_record_days: 0,
      notification_emails: ["team@example.com", "boss@example.com"],
    };
    let plan: Plan;
    let after: State;
    beforeAll(async () => {
      if (!stage.workspace) return;
      plan = await stage.workspace.plan(off);
      await stage.workspace.apply(off);
      after = await stage.workspace.state();
    });

    it("loses the schedule and the buckets' rules, gains a subscription, and changes nothing but the alarm and what the function knows", () => {
      expect(changes(plan)).toEqual({
        "aws_cloudwatch_event_rule.reconcile[0]": "delete",
        "aws_cloudwatch_event_target.reconcile[0]": "delete",
        "aws_lambda_permission.reconcile[0]": "delete",
        'aws_s3_bucket_lifecycle_configuration.this["Products"]': "delete",
        'aws_s3_bucket_lifecycle_configuration.this["Users"]': "delete",
        'aws_sns_topic_subscription.email["boss@example.com"]': "create",
        "aws_cloudwatch_metric_alarm.uploads": "update",
        "aws_lambda_function.flyway_trigger": "update",
      });
    });

    it("takes silence for no alarm", () => {
      expect(values("aws_cloudwatch_metric_alarm.uploads", after).treat_missing_data).toBe("notBreaching");
    });
  });
});
