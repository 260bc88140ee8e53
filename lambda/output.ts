import { EVERY_BUCKET } from "../deployment/command";
import { isMatch } from "../deployment/mapping";
import { type ReconcileReport, type RunReport, reportIn, reportsIn } from "../records/report";

/** A line in which the host says what it does for a bucket, and how one begins that says why it gives up. */
const PROGRESS = /^\d\d:\d\d:\d\d (\S+): (.*)$/;
const FAILED = "FAILED: ";

/** What a run says for each file that it has applied: not why it failed. */
const APPLIED = /^applied .+\.sql$/;

/** How a stack trace of Node.js goes on. */
const STACK = /^\s+at /;

/** Folders of the host that a path begins with: the copy of a bucket, what is the host's own, the agent's. */
const FOLDERS =
  /(?:\/[^\s/()]+)*\/copies\/[^\s/]+\/sql\/|\/(?:opt\/flyway|var\/lib\/amazon\/ssm)\/(?:[^\s/]+\/)*/g;

/** A text without the folders of the host: of a file in the copy of a bucket, its key is left. */
export function withoutFolders(text: string): string {
  return text.replace(FOLDERS, "");
}

/** The runs that have reported that they were no success, one of each bucket. */
export function failedReportsIn(output: string): RunReport[] {
  const failed = reportsIn(output).filter(
    (report): report is RunReport =>
      report.flyway === "run" && report.exitCode !== 0 && isMatch(report.bucket, "bucket"),
  );
  return [...new Map(failed.map((report) => [report.bucket, report])).values()];
}

/** The bucket that a command was for, or EVERY_BUCKET; undefined where its output does not say. */
export function bucketIn(output: string): string | undefined {
  const reports = reportsIn(output);
  if (reports.some(({ flyway }) => flyway === "reconcile")) return EVERY_BUCKET;
  const said = output.split("\n").flatMap((line) => PROGRESS.exec(line)?.[1] ?? []);
  const buckets = [...reports.flatMap((report) => (report.flyway === "run" ? report.bucket : [])), ...said];
  return buckets.find((bucket) => isMatch(bucket, "bucket"));
}

/** Why the host gave up on buckets, by bucket, and then what else it complained of them. */
export function complaintsIn(stderr: string): Map<string, string> {
  const lines = stderr.split("\n").flatMap((line) => {
    const [, bucket = "", words = ""] = PROGRESS.exec(line) ?? [];
    return isMatch(bucket, "bucket") ? [{ bucket, words, isFailure: words.startsWith(FAILED) }] : [];
  });
  const complaints = new Map<string, string>();
  for (const { bucket, words, isFailure } of lines) {
    if (isFailure) complaints.set(bucket, words.slice(FAILED.length));
  }
  for (const { bucket, words, isFailure } of lines) {
    const before = complaints.get(bucket);
    if (before !== undefined && !isFailure) complaints.set(bucket, `${before}\n${withoutFolders(words)}`);
  }
  return complaints;
}

/**
 * How many runs a reconcile has started whose end its output does not tell, as of one that was killed, or one that is
 * behind the output's 24,000 characters; undefined where it is not known how many there were.
 */
export function unreportedIn(output: string): number | undefined {
  const reports = reportsIn(output);
  const look = lookIn(output);
  if (look?.due === undefined) return undefined;
  const passed = output.match(/^\d\d:\d\d:\d\d \S+: a run is under way$/gm) ?? [];
  return Math.max(0, look.due - reports.filter(({ flyway }) => flyway === "run").length - passed.length);
}

/** How many buckets a reconcile could not look at, and how many of these the one before could not for the same reason. */
export function failedLooksIn(output: string): { readonly failed: number; readonly repeated: number } {
  const { failed = 0, repeated = 0 } = lookIn(output) ?? {};
  return { failed, repeated };
}

function lookIn(output: string): ReconcileReport | undefined {
  return reportsIn(output).find((report): report is ReconcileReport => report.flyway === "reconcile");
}

/** The output without progress and reports, why the host gave up first: what a run that has left no record gives as the reason. */
export function reasonIn(stdout: string, stderr: string): string {
  const failures: string[] = [];
  const others: string[] = [];
  for (const line of `${stdout}\n${stderr}`.split("\n").map((text) => text.trimEnd())) {
    const words = PROGRESS.exec(line)?.[2];
    if (words?.startsWith(FAILED)) failures.push(words.slice(FAILED.length));
    else if (line !== "" && words === undefined && isWord(line)) others.push(line);
  }
  return withoutFolders([...new Set([...failures, ...others])].join("\n"));
}

function isWord(line: string): boolean {
  return !APPLIED.test(line) && !STACK.test(line) && reportIn(line) === undefined;
}
