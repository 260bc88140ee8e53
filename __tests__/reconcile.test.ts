import { describe, expect, it } from "vitest";
import { isReconcile } from "../lambda/command";
import { synthesize } from "./support/synthesis";

const COUNT = "${var.reconcile_minutes > 0 ? 1 : 0}";

describe("the reconcile", () => {
  it("is a schedule, unless it is switched off", async () => {
    const { at } = await synthesize();
    expect(at("aws_cloudwatch_event_rule.reconcile")).toEqual({
      count: COUNT,
      name: "flyway-reconcile",
      description: "Has the Flyway host look at every bucket",
      schedule_expression:
        'rate(${var.reconcile_minutes} ${var.reconcile_minutes == 1 ? "minute" : "minutes"})',
    });
  });

  it("calls the function with what the function takes for a reconcile, once that is permitted", async () => {
    const { at } = await synthesize();
    const { input, ...target } = at("aws_cloudwatch_event_target.reconcile");
    expect(target).toEqual({
      count: COUNT,
      rule: "${aws_cloudwatch_event_rule.reconcile[0].name}",
      target_id: "function",
      arn: "${aws_lambda_function.flyway_trigger.arn}",
      depends_on: ["aws_lambda_permission.reconcile"],
    });
    expect(isReconcile(JSON.parse(input as string))).toBe(true);
  });

  it("lets this one schedule call the function", async () => {
    const { at } = await synthesize();
    expect(at("aws_lambda_permission.reconcile")).toEqual({
      count: COUNT,
      statement_id: "allow-execute-from-reconcile",
      action: "lambda:InvokeFunction",
      function_name: "${aws_lambda_function.flyway_trigger.function_name}",
      principal: "events.amazonaws.com",
      source_arn: "${aws_cloudwatch_event_rule.reconcile[0].arn}",
    });
  });
});
