import { writeSync } from "node:fs";
import { readEnvironment } from "./environment";
import { Failure } from "./failure";
import { hostOf } from "./host";
import { createLog } from "./log";
import { look } from "./reconcile";
import { Interruption, run } from "./run";
import { validate } from "./validation";

/*
 * The host program, started by assets/host.sh: `run` for the bucket that has its turn and its place, `look` for a
 * reconcile, which hands the buckets that are due on as lines of descriptor 5.
 */

/** The file descriptor that assets/host.sh reads the buckets from that are due. */
const DUE = 5;

async function main(): Promise<number> {
  const environment = readEnvironment(process.env);
  const host = hostOf(environment, createLog(environment.bucket));
  if (process.argv[2] === "look") {
    return look(host, (buckets) => {
      if (buckets.length > 0) writeSync(DUE, `${buckets.join("\n")}\n`);
    });
  }
  // The agent sends none: it kills. systemd does, when the host shuts down, to all that runs.
  const interruption = new Promise<never>((_, reject) => {
    for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => reject(new Interruption(143)));
  });
  interruption.catch(() => {});
  return environment.operation === "validate" ? validate(host, interruption) : run(host, interruption);
}

main().then(
  (code) => process.exit(code),
  (error) => {
    process.stderr.write(
      error instanceof Failure ? `FAILED: ${error.message}\n` : `${error?.stack ?? error}\n`,
    );
    process.exit(1);
  },
);
