import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { findExecutable, leashed } from "../../local/machine/processes";
import { cachedFolder } from "./cache";

const run = promisify(execFile);

const RELEASE = "5.2.5";

/** How long moto may take until it listens, in milliseconds; here it takes 2 to 5 seconds. */
const START_LIMIT = 120_000;

/**
 * moto's server. It shares plain dictionaries between threads, so here it answers one request at a time; and a request
 * that the SDK repeats, for the answer was lost on a busy machine, gets the first one's answer: the provider fails
 * where it makes a security group's rule twice.
 */
const SERVER = `
import threading
from moto import server
lock, run, answers = threading.Lock(), server.run_simple, {}
def once(app):
    def answer(environ, start_response):
        invocation = environ.get("HTTP_AMZ_SDK_INVOCATION_ID")
        with lock:
            head, body = answers.get(invocation) or ([], None)
            if body is None:
                body = list(app(environ, lambda *said: head.extend(said)))
                if invocation and head[0].startswith("2"):
                    answers[invocation] = head, body
        start_response(*head)
        return body
    return answer
server.run_simple = lambda host, port, app, **options: run(host, port, once(app), **options)
server.main()
`;

/**
 * Says loudly that tests are left out, and why; where CI is set they may not be.
 *
 * @throws Error where CI is set.
 */
export function skipLoudly(what: string, why: string): void {
  const message = `SKIPPED: ${what} because ${why}`;
  if (process.env.CI) throw new Error(`In CI nothing may be ${message}`);
  process.stderr.write(`\n${message}\n\n`);
}

/**
 * Starts a moto server (AWS in Python, for tests) on a free loopback port, with its own copy of AWS's managed
 * policies. It dies with this process. The first start installs it into the cache folder.
 *
 * @returns undefined where Python or the package can't be had, which is said on stderr.
 * @throws Error where CI is set instead of returning undefined; where moto is there but doesn't start.
 */
export async function startMoto(): Promise<{ endpoint: string; stop(): Promise<void> } | undefined> {
  const python = await installed();
  if (!python) return undefined;
  const env = { ...process.env, MOTO_IAM_LOAD_MANAGED_POLICIES: "true" };
  const moto = leashed(python, ["-c", SERVER, "-H", "127.0.0.1", "-p", "0"], { env, stderr: "pipe" });
  try {
    return { endpoint: await announcedEndpoint(moto), stop: () => moto.stop() };
  } catch (error) {
    await moto.stop();
    throw error;
  }
}

/** The address that the server writes to stderr once it listens. */
function announcedEndpoint({ child, exited }: ReturnType<typeof leashed>): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    const fail = (how: string) => reject(new Error(`moto ${how}. It said: ${output.slice(-2000)}`));
    const limit = setTimeout(() => fail(`didn't listen within ${START_LIMIT} ms`), START_LIMIT);
    // Its log is read to the end and forgotten: a full pipe would stop it.
    child.stderr?.on("data", (text) => {
      if (endpointIn(output)) return;
      output += text;
      const endpoint = endpointIn(output);
      if (!endpoint) return;
      clearTimeout(limit);
      resolve(endpoint);
    });
    exited.then((code) => {
      clearTimeout(limit);
      fail(`ended with exit code ${code}`);
    });
  });
}

function endpointIn(log: string): string | undefined {
  return /Running on (http:\/\/127\.0\.0\.1:\d+)\s/.exec(log)?.[1];
}

/** Path of the Python that has moto. */
async function installed(): Promise<string | undefined> {
  const program = (folder: string, name: string) => join(folder, "bin", name);
  const isWhole = (folder: string) =>
    ["python", "moto_server"].every((name) => existsSync(program(folder, name)));
  try {
    const folder = await cachedFolder(`moto-${RELEASE}`, isWhole, async (target) => {
      const python = findExecutable(["python3"], []);
      if (!python) throw new Error("python3 is not on PATH");
      process.stderr.write(`Installing moto ${RELEASE} for the tests, once: about half a minute.\n`);
      await run(python, ["-m", "venv", target]);
      await run(program(target, "python"), ["-m", "pip", "install", "--quiet", `moto[server]==${RELEASE}`]);
    });
    return program(folder, "python");
  } catch (error) {
    return void skipLoudly(
      "tests against moto",
      `moto ${RELEASE} could not be installed: ${(error as Error).message}`,
    );
  }
}
