import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target";
import { LambdaPermission } from "@cdktf/provider-aws/lib/lambda-permission";
import { Token } from "cdktf";
import { Construct } from "constructs";
import type { Names } from "../deployment/names";
import { RECONCILE } from "../lambda/command";
import type { Lambda } from "./lambda";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

export interface ReconcileProps {
  readonly names: Names;
  readonly variables: Variables;
  readonly lambda: Lambda;
}

/** The schedule by which the host looks at every bucket: what no event told it, it finds so. */
export class Reconcile extends Construct {
  /** Terraform expression for whether there is a schedule. */
  readonly scheduled: string;

  constructor(scope: Construct, id: string, { names, variables, lambda }: ReconcileProps) {
    super(scope, id);
    const minutes = addressOf(variables.reconcileMinutes);
    this.scheduled = `${minutes} > 0`;
    const count = Token.asNumber(`\${${this.scheduled} ? 1 : 0}`);
    new CloudwatchEventRule(this, "aws_cloudwatch_event_rule.reconcile", {
      count,
      name: names.of("flyway-reconcile"),
      description: "Has the Flyway host look at every bucket",
      // EventBridge knows "1 minute" and "2 minutes", and refuses the other two.
      scheduleExpression: `rate(\${${minutes}} \${${minutes} == 1 ? "minute" : "minutes"})`,
    });
    const permission = new LambdaPermission(this, "aws_lambda_permission.reconcile", {
      count,
      statementId: "allow-execute-from-reconcile",
      action: "lambda:InvokeFunction",
      functionName: lambda.fn.functionName,
      principal: "events.amazonaws.com",
      sourceArn: "${aws_cloudwatch_event_rule.reconcile[0].arn}",
    });
    new CloudwatchEventTarget(this, "aws_cloudwatch_event_target.reconcile", {
      count,
      rule: "${aws_cloudwatch_event_rule.reconcile[0].name}",
      targetId: "function",
      arn: lambda.fn.arn,
      input: JSON.stringify(RECONCILE),
      dependsOn: [permission],
    });
  }
}
