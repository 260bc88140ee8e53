import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Topic } from "../local/aws/topic";

const ARN = "arn:aws:sns:eu-central-1:000000000000:flyway-notifications";

let server: Server;
let topic: Topic;
let heard: string[];

beforeEach(async () => {
  heard = [];
  topic = new Topic({ arn: ARN, accessKeyId: "LOCAL", onMessage: ({ subject }) => void heard.push(subject) });
  server = createServer((request, response) => {
    if (topic.takes(request)) void topic.handle(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** Publishes as the function does. */
async function publish(input: object = {}, accessKeyId = "LOCAL"): Promise<string | undefined> {
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = { accessKeyId, secretAccessKey: "x" };
  const sns = new SNSClient({ region: "eu-central-1", endpoint, credentials, maxAttempts: 1 });
  const message = { TopicArn: ARN, Subject: "Flyway: Users: Failed", Message: "a\nb & c = ü" };
  const { MessageId } = await sns.send(new PublishCommand({ ...message, ...input }));
  return MessageId;
}

describe("the local topic", () => {
  it("keeps what the AWS SDK publishes to it, and tells of it", async () => {
    expect(await publish()).toMatch(/^[0-9a-f-]{36}$/);
    await publish({ Subject: undefined, Message: "no subject" });
    expect(topic.messages).toEqual([
      { subject: "Flyway: Users: Failed", text: "a\nb & c = ü" },
      { subject: "", text: "no subject" },
    ]);
    expect(heard).toEqual(["Flyway: Users: Failed", ""]);
  });

  it.each([
    ["a topic that is not there", { TopicArn: `${ARN}-dev` }, "NotFound"],
    ["a subject of 100 characters", { Subject: "x".repeat(100) }, "InvalidParameter"],
    ["a subject in two lines", { Subject: "a\nb" }, "InvalidParameter"],
    ["a message without text", { Message: "" }, "InvalidParameter"],
  ])("refuses %s", async (_, input, code) => {
    await expect(publish(input)).rejects.toMatchObject({ Code: code });
    expect(topic.messages).toEqual([]);
  });

  it("refuses another chain's access key", async () => {
    await expect(publish({}, "OTHER")).rejects.toMatchObject({ Code: "InvalidClientTokenId" });
  });
});
