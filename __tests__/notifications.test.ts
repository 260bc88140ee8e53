import { describe, expect, it } from "vitest";
import { synthesize } from "./support/synthesis";

const TOPIC = "${aws_sns_topic.notifications.arn}";

describe("the topic", () => {
  it("has a subscription per address", async () => {
    const { at } = await synthesize();
    expect(at("aws_sns_topic_subscription.email")).toEqual({
      for_each: "${toset(var.notification_emails)}",
      topic_arn: TOPIC,
      protocol: "email",
      endpoint: "${each.value}",
    });
  });

  it("has no key of KMS: alarms could not publish with AWS's own", async () => {
    const { at } = await synthesize();
    expect(at("aws_sns_topic.notifications")).toEqual({ name: "flyway-notifications" });
  });

  it("is put out", async () => {
    expect((await synthesize()).at("output.topic_arn").value).toBe(TOPIC);
  });
});
