import { printable } from "../records/text";
import type { Context } from "./context";
import { EXIT, type ExitCode } from "./exit";
import { readRecord, recordKeys } from "./runs";
import { endOf, runJson } from "./status";
import { table } from "./terminal";

/** How many records are read at once. */
const READS = 16;

/** `flyway-aws history DATABASE`: its runs, the newest first, and what each applied. */
export async function history(
  { aws, deployment, terminal }: Context,
  name: string,
  limit: number,
): Promise<ExitCode> {
  const { bucket } = deployment.database(name);
  const keys = (await recordKeys(aws, bucket)).slice(-limit).reverse();
  const runs = [];
  for (let from = 0; from < keys.length; from += READS) {
    terminal.progress(`reading run records (${from} of ${keys.length})`);
    runs.push(
      ...(await Promise.all(keys.slice(from, from + READS).map((key) => readRecord(aws, bucket, key)))),
    );
  }
  await terminal.endProgress();
  const records = runs.filter((run) => run !== undefined);
  const rows = records.map((run) => {
    const { number, finishedAt, applied } = runJson(run);
    return [String(number), finishedAt, endOf(run), printable(applied.join(", "))];
  });
  terminal.say(
    rows.length > 0 ? await table(["run", "ended", "", "applied"], rows) : "No run has ended yet.",
  );
  terminal.json({ runs: records.map(runJson) });
  return EXIT.success;
}
