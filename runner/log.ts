import type { Report } from "../records/report";
import { printable } from "../records/text";

/** What a run prints. Everybody who may read the log group reads it, and the function reads the reports in it. */
export interface Log {
  /** A line on what the run does, with the time and the bucket. */
  say(line: string): void;
  /** The same of what went wrong. */
  complain(line: string): void;
  /**
   * A text that others wrote, or that has a part that they did. No line of it can be taken for a report, nor a character for a
   * terminal's command.
   */
  show(text: string): void;
  report(report: Report): void;
}

/**
 * @param bucket names it in each line
 * @param out takes a line for the standard output
 * @param err takes a line for the standard error
 */
export function createLog(
  bucket: string,
  out: (line: string) => void = (line) => void process.stdout.write(`${line}\n`),
  err: (line: string) => void = (line) => void process.stderr.write(`${line}\n`),
): Log {
  const prefixed = (text: string) => {
    const [first, ...others] = printable(text).split("\n");
    return [`${new Date().toISOString().slice(11, 19)} ${bucket}: ${first}`, ...others.map(indented)].join(
      "\n",
    );
  };
  return {
    say: (line) => out(prefixed(line)),
    complain: (line) => err(prefixed(line)),
    show: (text) => out(printable(text).split("\n").map(indented).join("\n")),
    report: (report) => out(JSON.stringify(report)),
  };
}

/** A report begins a line with `{`. */
function indented(line: string): string {
  return line.startsWith("{") ? ` ${line}` : line;
}
