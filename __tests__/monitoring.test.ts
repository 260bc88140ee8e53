import { describe, expect, it } from "vitest";
import { METRICS } from "../lambda/metrics";
import { statusChangeOf } from "../lambda/notification";
import { type Block, synthesize } from "./support/synthesis";

const TOPIC = "${aws_sns_topic.notifications.arn}";

describe("the function", () => {
  it("may publish to the topic, and to no other", async () => {
    const { at } = await synthesize();
    expect(at("data.aws_iam_policy_document.notification_access").statement).toEqual([
      { actions: ["sns:Publish"], resources: [TOPIC] },
    ]);
    expect(at("aws_iam_role_policy_attachment.notification_access").role).toBe(
      "${aws_iam_role.flyway_trigger.name}",
    );
  });
});

describe("a command's status", () => {
  it("reaches the function by an event that the function reads, unless it is of no interest", async () => {
    const { at } = await synthesize();
    const pattern = JSON.parse(at("aws_cloudwatch_event_rule.command_status").event_pattern as string);
    expect(pattern.source).toEqual(["aws.ssm"]);
    expect(pattern.detail).toEqual({
      "document-name": ["${aws_ssm_document.flyway_migrate.name}"],
      status: [
        { "anything-but": ["Pending", "InProgress", "In Progress", "Delayed", "Cancelling", "Success"] },
      ],
    });
    const detail = { "command-id": "c", "instance-id": "i", status: "Failed" };
    const [type] = pattern["detail-type"];
    expect(statusChangeOf({ "detail-type": type, region: "r", detail })).toBeDefined();
  });
});

describe("an event that the function fails on", () => {
  it("goes to the topic, once the function may publish there", async () => {
    const { at } = await synthesize();
    expect(at("aws_lambda_function_event_invoke_config.flyway_trigger")).toEqual({
      function_name: "${aws_lambda_function.flyway_trigger.function_name}",
      destination_config: { on_failure: { destination: TOPIC } },
      depends_on: ["aws_iam_role_policy_attachment.notification_access"],
    });
  });
});

describe("the host's log group", () => {
  it("hands everything to the function, once it may: lines come many in an event", async () => {
    const { at } = await synthesize();
    expect(at("aws_cloudwatch_log_subscription_filter.flyway_host")).toEqual({
      name: "flyway-metrics",
      log_group_name: "${aws_cloudwatch_log_group.flyway_host.name}",
      filter_pattern: "",
      destination_arn: "${aws_lambda_function.flyway_trigger.arn}",
      depends_on: ["aws_lambda_permission.log_group"],
    });
    expect(at("aws_lambda_permission.log_group")).toMatchObject({
      principal: "logs.amazonaws.com",
      source_arn: "${aws_cloudwatch_log_group.flyway_host.arn}:*",
      source_account: "${data.aws_caller_identity.this.account_id}",
    });
  });
});

describe("the alarms", () => {
  it("go off, and off again, to the topic", async () => {
    const { at } = await synthesize();
    for (const name of ["uploads", "function_errors"]) {
      expect(at(`aws_cloudwatch_metric_alarm.${name}`)).toMatchObject({
        alarm_actions: [TOPIC],
        ok_actions: [TOPIC],
      });
    }
  });

  it("are of uploads that wait too long, in a time that holds a reconcile; silence is one while it is on", async () => {
    const { at } = await synthesize();
    expect(at("aws_cloudwatch_metric_alarm.uploads")).toMatchObject({
      namespace: "Flyway",
      metric_name: "OldestUploadSeconds",
      statistic: "Maximum",
      comparison_operator: "GreaterThanThreshold",
      threshold: "${var.upload_alarm_minutes * 60}",
      period: "${max(var.upload_alarm_minutes, 2 * var.reconcile_minutes) * 60}",
      evaluation_periods: 1,
      treat_missing_data: '${var.reconcile_minutes > 0 ? "breaching" : "notBreaching"}',
    });
  });

  it("are of the function's errors; where nothing is uploaded there are none", async () => {
    const { at } = await synthesize();
    expect(at("aws_cloudwatch_metric_alarm.function_errors")).toMatchObject({
      namespace: "AWS/Lambda",
      metric_name: "Errors",
      dimensions: { FunctionName: "${aws_lambda_function.flyway_trigger.function_name}" },
      statistic: "Sum",
      comparison_operator: "GreaterThanThreshold",
      threshold: 0,
      treat_missing_data: "notBreaching",
    });
  });
});

describe("the dashboard", () => {
  it("shows each metric that the function makes", async () => {
    const { at } = await synthesize();
    const { widgets } = JSON.parse(at("aws_cloudwatch_dashboard.flyway").dashboard_body as string);
    const metrics = widgets.flatMap(
      ({ properties }: { properties: Block }) => properties.metrics ?? [],
    ) as unknown[][];
    const names = metrics.filter(([namespace]) => namespace === "Flyway").map(([, name]) => name);
    expect(new Set(names)).toEqual(new Set(Object.keys(METRICS)));
  });

  // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
  it("has widgets as CloudWatch takes them: metrics with a region, or alarms, and never both", async () => {
    const { at } = await synthesize();
    const { widgets } = JSON.parse(at("aws_cloudwatch_dashboard.flyway").dashboard_body as string);
    expect(widgets.length).toBeGreaterThan(0);
    for (const { type, width, height, properties } of widgets) {
      expect(["metric", "alarm"]).toContain(type);
      expect(width >= 1 && width <= 24 && height >= 1 && height <= 1_000).toBe(true);
      const { metrics, region, alarms, annotations, view } = properties;
      if (type === "metric") {
        expect(metrics.length).toBeGreaterThan(0);
        expect(region).toBe("${data.aws_region.current.id}");
        expect(["timeSeries", "singleValue", "gauge", "bar", "pie", "table"]).toContain(view);
        expect([alarms, annotations?.alarms]).toEqual([undefined, undefined]);
      } else {
        expect(alarms.length >= 1 && alarms.length <= 100).toBe(true);
        expect([metrics, annotations]).toEqual([undefined, undefined]);
      }
    }
  });

  it("shows both alarms", async () => {
    const { at } = await synthesize();
    const { widgets } = JSON.parse(at("aws_cloudwatch_dashboard.flyway").dashboard_body as string);
    expect(widgets.flatMap(({ properties }: { properties: Block }) => properties.alarms ?? [])).toEqual([
      "${aws_cloudwatch_metric_alarm.uploads.arn}",
      "${aws_cloudwatch_metric_alarm.function_errors.arn}",
    ]);
  });
});
