import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleFunction } from "../../constructs/bundle";
import { findExecutable } from "../../local/machine/processes";
import type { TestHost } from "../support/host";
import { PROJECT } from "../support/project";
import type { Line } from "./lines";
import { measure, type Sample } from "./measure";

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

/** How many invocations are measured, after one that has made the connection. */
const WARM = [100, 2_000];

/**
 * The function beside the contract's, each in a process of its own: its import, and invocations without it.
 *
 * @param python which has boto3
 */
export async function functionLines(
  host: TestHost,
  python: string | undefined,
  times: number,
): Promise<Line[]> {
  const found = python ?? findExecutable(["python3"], []);
  if (!found) return [];
  // A version manager's is a script, which takes its own time
  const program = execFileSync(found, ["-c", "import sys; print(sys.executable)"], {
    encoding: "utf8",
  }).trim();
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
  const result = join(folder, "result");
  const ours = `const { handler } = require("./index.js");
    const invoke = () => handler(${json});
    (async () => {
      const count = Number(process.argv[1]);
      if (count === 0) return;
      await invoke();
      const [cpu, start] = [process.cpuUsage(), performance.now()];
      for (let n = 0; n < count; n++) await invoke();
      const [wall, { user, system }] = [performance.now() - start, process.cpuUsage(cpu)];
      require("node:fs").writeFileSync(${JSON.stringify(result)}, (user + system) / 1e6 + " " + wall / 1e3);
    })();`;
  const theirs = `
import sys, time
sys.path.insert(0, ${JSON.stringify(contract)})
import index
invoke = lambda: index.lambda_handler(${json}, None)
count = int(sys.argv[1])
if count > 0:
    invoke()
    cpu, start = time.process_time(), time.perf_counter()
    for n in range(count): invoke()
    with open(${JSON.stringify(result)}, "w") as file:
        file.write(f"{time.process_time() - cpu} {time.perf_counter() - start}")
`;
  const options = { cwd: folder, env };
  const sample = async (words: readonly string[], count: number): Promise<Sample> => {
    const whole = await measure([...words, String(count)], options);
    if (count === 0) return whole;
    const [cpu, wall] = readFileSync(result, "utf8").split(" ").map(Number) as [number, number];
    return { ...whole, cpu, wall };
  };
  const line = (work: string, peer: string, count: number): Line => ({
    work,
    peer,
    aim: { cpu: 1 / 3, wall: 1 / 3 },
    times,
    turn: async () => ({
      work: () => sample([process.execPath, "--no-warnings", "-e", ours], count),
      peer: () => sample([program, "-c", theirs], count),
    }),
  });
  return [
    line("the function's import", "that of the contract's, in Python", 0),
    ...WARM.map((count) =>
      line(`${count} warm invocations of the function`, "those of the contract's", count),
    ),
  ];
}
