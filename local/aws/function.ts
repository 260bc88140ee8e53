import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bundleFunction } from "../../constructs/bundle";

/** Waits before an event is delivered again, in milliseconds. Lambda waits one minute, then two. */
const RETRY_DELAYS = [1_000, 2_000];

/** What Lambda's runtime does for the bundle: hands it events and tells what becomes of them. */
const RUNTIME = `
const { handler } = require("./index.js");
process.on("message", ({ id, event }) => {
  handler(event).then(() => process.send({ id }), (error) => process.send({ id, error: String(error) }));
});
process.on("disconnect", () => process.exit());
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {}); // ends with its parent
`;

export interface LocalFunctionOptions {
  /** Private folder for the bundle; must exist. */
  readonly directory: string;
  /** The function's whole environment. */
  readonly environment: Record<string, string>;
  /** Called when an event has failed for the third time: the on-failure destination. */
  readonly onFailure: (event: unknown, error: string) => void;
}

/** Runs the function's real bundle in a process of its own, with Lambda's retries. What it logs is in `output`. */
export class LocalFunction {
  private readonly process: ChildProcess;
  private readonly waiting = new Map<number, (error: string | undefined) => void>();
  private invocations = 0;
  private stopping = false;

  constructor(private readonly options: LocalFunctionOptions) {
    writeFileSync(join(options.directory, "index.js"), bundleFunction());
    const runtime = join(options.directory, "runtime.js");
    writeFileSync(runtime, RUNTIME);
    const log = openSync(join(options.directory, "output"), "a");
    this.process = fork(runtime, {
      env: options.environment,
      execArgv: [],
      stdio: ["ignore", log, log, "ipc"],
    });
    closeSync(log);
    this.process.on("message", ({ id, error }: { id: number; error?: string }) => {
      this.waiting.get(id)?.(error);
      this.waiting.delete(id);
    });
    this.process.on("exit", () => {
      for (const settle of this.waiting.values()) settle("the function's process ended");
    });
  }

  /** Invokes the function asynchronously, as S3 does. */
  async invoke(event: unknown): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const error = await this.attempt(event);
      if (error === undefined || this.stopping) return;
      const delay = this.process.connected ? RETRY_DELAYS[attempt] : undefined;
      if (delay === undefined) return this.options.onFailure(event, error);
      await sleep(delay, undefined, { ref: false });
    }
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    this.stopping = true;
    if (!this.process.connected) return;
    const exited = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.disconnect();
    await exited;
  }

  private attempt(event: unknown): Promise<string | undefined> {
    const id = this.invocations++;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.process.send({ id, event }, (error) => {
        if (error) resolve(error.message);
      });
    });
  }
}
