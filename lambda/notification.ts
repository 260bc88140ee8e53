import type { GetCommandInvocationCommandOutput } from "@aws-sdk/client-ssm";
import { COMMENT, EVERY_BUCKET } from "../deployment/command";
import { filesAtFault } from "../records/fault";
import { isCallback } from "../records/flyway";
import { fileName, type RunRecord } from "../records/record";
import { printable } from "../records/text";
import { bucketIn, complaintsIn, failedLooksIn, reasonIn, unreportedIn } from "./output";
import { cut, list, REASON_LENGTH, type Reason, reasonsIn, textOfReasons } from "./reason";

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

/** The bucket that a command was for, or EVERY_BUCKET: by its comment, or for one that a person sent by its output. */
export function bucketOf(invocation: Invocation): string | undefined {
  const {
    Comment: comment = "",
    StandardOutputContent: stdout = "",
    StandardErrorContent: stderr = "",
  } = invocation;
  return comment.startsWith(COMMENT) ? comment.slice(COMMENT.length) : bucketIn(`${stdout}\n${stderr}`);
}

export interface Message {
  readonly subject: string;
  readonly text: string;
}

/** A run that was no success, or that there should have been. */
export interface FailedRun {
  readonly bucket: string;
  /** The schema of its bucket, and else the bucket. */
  readonly database: string;
  /** What it has left; undefined where it was killed, never began, or its record cannot be read. */
  readonly record?: RunRecord;
  /** Whether the run before it failed by the same, so that people have heard of it. */
  readonly isRepetition: boolean;
}

export interface MessageInput {
  readonly change: StatusChange;
  readonly invocation: Invocation;
  /** Of a reconcile, each that has failed. */
  readonly runs: readonly FailedRun[];
  readonly logGroupName: string;
  /** The deployment: what a subject begins with. */
  readonly deployment: string;
}

/** What people are told of a command that was no success: what its records say, and else what the command itself does. */
export function messageOf(input: MessageInput): Message {
  const { change, invocation, logGroupName, deployment } = input;
  const { commandId, instanceId, region } = change;
  const { ResponseCode: exitCode = 0 } = invocation;
  const isReconcile = bucketOf(invocation) === EVERY_BUCKET;
  const runs = isReconcile ? input.runs.filter((run) => !run.isRepetition) : input.runs;
  const databases = list(runs.map(({ database }) => database)) || (isReconcile ? "reconcile" : "unknown");
  const buckets = list(runs.map(({ bucket }) => bucket)) || (isReconcile ? "all" : "unknown");
  const status = statusOf(change, invocation);
  const files = runs.flatMap(({ record }) => (record ? filesAtFault(record) : []));
  const lines = [
    `Database:  ${databases}`,
    `Bucket:    ${buckets}`,
    `Files:     ${list(files.map(({ key }) => key)) || "none named"}`,
    `Applied:   ${appliedBy(runs)}`,
    `Status:    ${status}${exitCode > 0 ? `, exit code ${exitCode}` : ""}`,
    "",
    "Reason:",
    [EXPLANATIONS[status], reasonOf(invocation, runs)].filter(Boolean).join("\n") ||
      "The run left no output.",
    "",
    `Log group: ${logGroupName}, the streams that begin with ${commandId}/${instanceId}/`,
    `Command:   ${commandId}`,
    `Console:   https://${consoleHost(region)}/systems-manager/run-command/${commandId}/${instanceId}?region=${region}`,
  ];
  return { subject: subjectOf(`${deployment}: ${databases}: ${status}`), text: printable(lines.join("\n")) };
}

/** The status of a command, without spaces. */
function statusOf(change: StatusChange, { StatusDetails }: Invocation): string {
  return (StatusDetails || change.status).replaceAll(" ", "");
}

/**
 * Whether a command has failed by nothing but what people have heard of: all that it did is known, and each of its runs that
 * failed did by what the one before it had failed by.
 */
export function isRepetition(
  change: StatusChange,
  invocation: Invocation,
  runs: readonly FailedRun[],
): boolean {
  const { StandardOutputContent: stdout = "" } = invocation;
  const { failed, repeated } = failedLooksIn(stdout);
  const isComplete =
    bucketOf(invocation) !== EVERY_BUCKET || (unreportedIn(stdout) === 0 && failed === repeated);
  const isAll = runs.length > 0 && runs.every((run) => run.isRepetition);
  return isAll && isComplete && statusOf(change, invocation) === "Failed";
}

/** The files that runs have applied. Callbacks are run, not applied. */
function appliedBy(runs: readonly FailedRun[]): string {
  const records = runs.flatMap(({ record }) => record ?? []);
  if (records.length === 0) return "not known";
  const applied = records
    .flatMap(({ objects }) => objects)
    .filter(({ key, verdict }) => verdict === "applied" && !isCallback(fileName(key)));
  const others = list(runs.filter(({ record }) => !record).map(({ database }) => database));
  return `${list(applied.map(({ key }) => key)) || "nothing"}${others && `; not known of ${others}`}`;
}

function reasonOf(invocation: Invocation, runs: readonly FailedRun[]): string {
  const { StandardOutputContent: stdout = "", StandardErrorContent: stderr = "" } = invocation;
  const complaints = complaintsIn(stderr);
  const isReconcile = bucketOf(invocation) === EVERY_BUCKET;
  const reasons = runs.flatMap(({ bucket, database, record }): Reason[] => {
    const message =
      complaints.get(bucket) ?? "its run left no record that can be read; the log has its output";
    const own = record ? reasonsIn(record) : isReconcile ? [{ heading: "", message, remedy: null }] : [];
    return runs.length === 1
      ? own
      : own.map((reason) => ({ ...reason, heading: `${database}: ${reason.heading}` }));
  });
  const unreported = isReconcile ? (unreportedIn(stdout) ?? 0) : 0;
  const rest = `${unreported} of the runs have no report in the command's output: they were killed, or it was too long.`;
  const texts = [textOfReasons(reasons), ...(unreported > 0 ? [rest] : [])].filter(Boolean);
  return texts.join("\n\n") || cut(reasonIn(stdout, stderr), REASON_LENGTH);
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
