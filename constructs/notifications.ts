import { SnsTopic } from "@cdktf/provider-aws/lib/sns-topic";
import { SnsTopicPolicy } from "@cdktf/provider-aws/lib/sns-topic-policy";
import { SnsTopicSubscription } from "@cdktf/provider-aws/lib/sns-topic-subscription";
import { TerraformOutput } from "cdktf";
import { Construct } from "constructs";
import type { Names } from "../deployment/names";
import type { Data } from "./data";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

export interface NotificationsProps {
  readonly names: Names;
  readonly variables: Variables;
  readonly data: Data;
}

/** Where people hear of what goes wrong: a topic, and who is subscribed to it. */
export class Notifications extends Construct {
  readonly topic: SnsTopic;
  /** Of this deployment's metrics. */
  readonly namespace: string;

  constructor(scope: Construct, id: string, { names, variables, data }: NotificationsProps) {
    super(scope, id);
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
          Condition = { StringEquals = { "aws:SourceAccount" = ${addressOf(data.callerIdentity)}.account_id } }
        }]
      })}`,
    });
    const email = new SnsTopicSubscription(this, "aws_sns_topic_subscription.email", {
      topicArn: this.topic.arn,
      protocol: "email",
      endpoint: "${each.value}",
    });
    email.addOverride("for_each", `\${toset(${addressOf(variables.notificationEmails)})}`);
    new TerraformOutput(this, "output.topic_arn", {
      value: this.topic.arn,
      description: "Where messages on failures are published",
    });
  }
}
