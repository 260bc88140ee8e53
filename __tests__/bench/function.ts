import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleFunction } from "../../constructs/bundle";
import { findExecutable } from "../../local/machine/processes";
import type { TestHost } from "../support/host";
import { PROJECT } from "../support/project";
import type { Line } from "./lines";
import { measure } from "./measure";

/** The event of one upload. */
const event = (bucket: string) => ({
  Records: [
    {
      eventSource: "aws:s3",
      eventName: "ObjectCreated:Put",
      s3: { bucket: { name: bucket }, object: { key: "V1__a.sql" } },
    },
  ],
});

/**
 * The function beside the contract's, each in a process of its own: the import alone, and with 100 invocations. Undefined where
 * there is no Python with boto3.
 *
 * @param python which has boto3
 */
export async function functionLines(
  host: TestHost,
  python: string | undefined,
  times: number,
): Promise<Line[]> {
  const program = python ?? findExecutable(["python3"], []);
  if (!program) return [];
  const folder = mkdtempSync(join(tmpdir(), "function-"));
  writeFileSync(join(folder, "index.js"), bundleFunction());
  const { environment } = host.commandOf("invoked");
  // Systems Manager as either of the two needs it: the local one knows our document alone
  const server = createServer((request, response) => {
    request.resume();
    const isSend = request.headers["x-amz-target"] === "AmazonSSM.SendCommand";
    const mapping = JSON.stringify({ schema: "s", flywayVersion: "11.8.2", flywayConf: "c" });
    const answer = isSend ? { Command: { CommandId: "c" } } : { Parameter: { Value: mapping } };
    response.setHeader("content-type", "application/x-amz-json-1.1");
    response.end(JSON.stringify(answer));
  });
  server.listen(0, "127.0.0.1").unref();
  await once(server, "listening");
  const env = {
    ...environment,
    AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    AWS_REGION: environment.AWS_DEFAULT_REGION,
    INSTANCE_ID: "i-0",
    DOCUMENT_NAME: "flyway-migrate",
    CLOUDWATCH_LOG_GROUP_NAME: "logs",
    PARAMETERS: "/flyway",
    SETTLE_SECONDS: "0",
    TOPIC_ARN: "t",
    RECONCILE_MINUTES: "15",
    METRICS_NAMESPACE: "Flyway",
    PYTHONDONTWRITEBYTECODE: "1", // into the contract's folder
  };
  const contract = join(PROJECT, "__tests__", "terraform", "contract");
  const json = JSON.stringify(event("invoked"));
  const ours = (count: number) =>
    `const { handler } = require("./index.js");
     (async () => { for (let n = 0; n < ${count}; n++) await handler(${json}); })();`;
  const theirs = (count: number) =>
    `import sys; sys.path.insert(0, ${JSON.stringify(contract)}); import index\nfor n in range(${count}): index.lambda_handler(${json}, None)`;
  const line = (work: string, peer: string, count: number): Line => ({
    work,
    peer,
    aim: { wall: 1 / 3 },
    times,
    turn: async () => ({
      work: () => measure([process.execPath, "-e", ours(count)], { cwd: folder, env }),
      peer: () => measure([program, "-c", theirs(count)], { cwd: folder, env }),
    }),
  });
  return [
    line("the function's import", "that of the contract's, in Python", 0),
    line("the function's import and 100 invocations", "the same of the contract's", 100),
  ];
}
