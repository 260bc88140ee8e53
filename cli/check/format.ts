import type { RehearsalOutput } from "../rehearsal/report";
import type { Finding } from "./rules";

/** A line for each finding: `file:line: rule: what: remedy`. */
export function formatText(findings: readonly Finding[]): string {
  return findings
    .map(({ file, line, rule, message, remedy }) => `${file}:${line}: ${rule}: ${message}: ${remedy}\n`)
    .join("");
}

/** What `--format json` prints. */
export interface CheckOutput {
  /** How many of each severity there are. */
  readonly errors: number;
  readonly warnings: number;
  readonly findings: readonly Finding[];
  /** Of each database; none where they were left out. */
  readonly rehearsals: readonly RehearsalOutput[];
}

export function outputOf(findings: readonly Finding[], rehearsals: readonly RehearsalOutput[]): CheckOutput {
  const count = (severity: string) => findings.filter((finding) => finding.severity === severity).length;
  return { errors: count("error"), warnings: count("warning"), findings, rehearsals };
}

/**
 * Workflow commands, which GitHub shows beside the line of a pull request:
 * https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message
 */
export function formatGithub(findings: readonly Finding[]): string {
  return findings
    .map(
      ({ file, line, rule, severity, message, remedy }) =>
        `::${severity} file=${property(file)},line=${line},title=${property(rule)}::${data(`${message}: ${remedy}`)}\n`,
    )
    .join("");
}

function data(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function property(text: string): string {
  return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
