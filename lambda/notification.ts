import type { GetCommandInvocationCommandOutput } from "@aws-sdk/client-ssm";
import { type RunReport, reportIn, reportsIn } from "../records/report";
import { COMMENT, EVERY_BUCKET } from "./command";

/** Systems Manager's event on what became of a command: https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-ssm.html */
export const STATUS_CHANGE = "EC2 Command Invocation Status-change Notification";

/**
 * The statuses that nobody needs to hear of. All others are: AWS spells them in more than one way, and one that
 * is new is hardly a success. https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
 */
export const QUIET_STATUSES = [
  "Pending",
  "InProgress",
  "In Progress",
  "Delayed",
  "Cancelling",
  "Success",
] as const;

/** SNS takes a subject of fewer than 100 characters. */
const SUBJECT_LENGTH = 99;

/** How much of the output a message has, in characters; the log has it all. */
const REASON_LENGTH = 4_000;

/** The agent kills by SIGKILL: https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/executers/executers_unix.go */
const NO_RECORD =
  "A run that is killed leaves no record; the next one, at the next reconcile or upload, brings the verdict.";

/** What a status means that the run itself cannot explain; by status, without spaces. */
const EXPLANATIONS: Readonly<Record<string, string>> = {
  Cancelled: `The command was cancelled. ${NO_RECORD}`,
  TimedOut: `The command was not delivered in time, or its run took longer than its executionTimeout and was killed. ${NO_RECORD}`,
  ExecutionTimedOut: `The run took longer than its executionTimeout and was killed. ${NO_RECORD}`,
  DeliveryTimedOut: "The host did not take the command in time: it is down, or its SSM agent is.",
  Undeliverable: "The host could not be reached: it is down, or its SSM agent is.",
  Terminated: "Systems Manager ended the command before the host had it.",
};

/** What became of a command. */
export interface StatusChange {
  readonly commandId: string;
  readonly instanceId: string;
  readonly status: string;
  readonly region: string;
}

/** Reads Systems Manager's event; undefined for any other. */
export function statusChangeOf(event: unknown): StatusChange | undefined {
  const { detail, region, ...rest } = (event ?? {}) as {
    "detail-type"?: unknown;
    detail?: Record<string, unknown>;
    region?: unknown;
  };
  if (rest["detail-type"] !== STATUS_CHANGE) return undefined;
  const { "command-id": commandId, "instance-id": instanceId, status } = detail ?? {};
  return [commandId, instanceId, status, region].every((value) => typeof value === "string")
    ? ({ commandId, instanceId, status, region } as StatusChange)
    : undefined;
}

/** Whether people should hear of it. */
export function isWorthTelling({ status }: StatusChange): boolean {
  return !(QUIET_STATUSES as readonly string[]).includes(status);
}

/** What Systems Manager knows of the command, as far as a message needs it. */
export type Invocation = Partial<
  Pick<
    GetCommandInvocationCommandOutput,
    "Comment" | "StatusDetails" | "ResponseCode" | "StandardOutputContent" | "StandardErrorContent"
  >
>;

/** The bucket that a command of ours was for, or EVERY_BUCKET; undefined where its comment is not ours. */
export function bucketOf({ Comment: comment = "" }: Invocation): string | undefined {
  return comment.startsWith(COMMENT) ? comment.slice(COMMENT.length) : undefined;
}

export interface Message {
  readonly subject: string;
  readonly text: string;
}

export interface MessageInput {
  readonly change: StatusChange;
  readonly invocation: Invocation;
  /** What the bucket's mapping says, where it can be read. */
  readonly schema?: string;
  readonly logGroupName: string;
  /** The deployment: what a subject begins with. */
  readonly deployment: string;
}

/** What people are told of a command that was no success. */
export function messageOf({ change, invocation, schema, logGroupName, deployment }: MessageInput): Message {
  const { commandId, instanceId, region } = change;
  const { StandardOutputContent: stdout = "", StandardErrorContent: stderr = "", ResponseCode } = invocation;
  const bucket = bucketOf(invocation);
  const runs = reportsIn(stdout).filter(
    (report) => report.flyway === "run" && report.exitCode !== 0,
  ) as RunReport[];
  const everything = bucket === EVERY_BUCKET ? "reconcile" : undefined;
  const databases = list(runs.map(({ database }) => database)) || schema || everything || bucket || "unknown";
  const buckets = list(runs.map(({ bucket: own }) => own)) || (everything ? "all" : bucket) || "unknown";
  const status = (invocation.StatusDetails || change.status).replaceAll(" ", "");
  const reason = reasonIn(`${stderr}\n${stdout}`);
  const lines = [
    `Database:  ${databases}`,
    `Bucket:    ${buckets}`,
    `Files:     ${list(filesIn(reason)) || "none named"}`,
    `Applied:   ${list(appliedIn(stdout)) || "nothing"}`,
    `Status:    ${status}${ResponseCode !== undefined && ResponseCode > 0 ? `, exit code ${ResponseCode}` : ""}`,
    "",
    "Reason:",
    [EXPLANATIONS[status], reason].filter(Boolean).join("\n") || "The run left no output.",
    "",
    `Log group: ${logGroupName}, the streams that begin with ${commandId}/${instanceId}/`,
    `Command:   ${commandId}`,
    `Console:   https://${consoleHost(region)}/systems-manager/run-command/${commandId}/${instanceId}?region=${region}`,
  ];
  return { subject: subjectOf(`${deployment}: ${databases}: ${status}`), text: lines.join("\n") };
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/console_sign-in.html, each partition has its own */
function consoleHost(region: string): string {
  if (region.startsWith("cn-")) return `${region}.console.amazonaws.cn`;
  if (region.startsWith("us-gov-")) return `${region}.console.amazonaws-us-gov.com`;
  return `${region}.console.aws.amazon.com`;
}

/** Printable ASCII, in one line. */
function subjectOf(text: string): string {
  const plain = text.replace(/[^ -~]/g, "?");
  return plain.length <= SUBJECT_LENGTH ? plain : `${plain.slice(0, SUBJECT_LENGTH - 3)}...`;
}

/** The output without progress and reports: what a run gives as the reason for its end. */
function reasonIn(output: string): string {
  const lines = output
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && !APPLIED.test(line) && reportIn(line) === undefined)
    .flatMap((line) => {
      const progress = /^\d\d:\d\d:\d\d (\S+): (.*)$/.exec(line);
      if (!progress) return [line];
      const failure = progress[2]?.startsWith("FAILED: ") ? progress[2].slice("FAILED: ".length) : undefined;
      return failure === undefined ? [] : [failure];
    });
  return [...new Set(lines)].join("\n").slice(-REASON_LENGTH);
}

const APPLIED = /^applied (\S.*)$/;

function appliedIn(stdout: string): string[] {
  return stdout.split("\n").flatMap((line) => APPLIED.exec(line)?.[1] ?? []);
}

/** The migrations that a text names. Where they lie on the host is of no interest. */
function filesIn(text: string): string[] {
  const found = text.match(/[^\s"'`(),:]+\.sql\b/gi) ?? [];
  return found.map((file) => file.replace(/^.*\/sql\//, ""));
}

/** Each once. */
function list(values: readonly string[]): string {
  return [...new Set(values)].join(", ");
}
