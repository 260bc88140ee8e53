import type { GetCommandInvocationCommandOutput } from "@aws-sdk/client-ssm";
import type { JudgedObject, RunRecord } from "../records/record";
import { reportIn } from "../records/report";
import { printable, textOf } from "../records/text";
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

/** How long a reason is in a message at most, in characters; the record and the log have it all. */
const REASON_LENGTH = 4_000;

/** How many files are named that have one reason. */
const KEYS = 20;

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
  /** Those that the command's runs have left and that are no success; none where they were killed, or never began. */
  readonly records: readonly RunRecord[];
  /** What the bucket's mapping says, where it can be read. */
  readonly schema?: string;
  readonly logGroupName: string;
  /** The deployment: what a subject begins with. */
  readonly deployment: string;
}

/** What people are told of a command that was no success: what its records say, and else what the command itself does. */
export function messageOf(input: MessageInput): Message {
  const { change, invocation, records, schema, logGroupName, deployment } = input;
  const { commandId, instanceId, region } = change;
  const { StandardOutputContent: stdout = "", StandardErrorContent: stderr = "", ResponseCode } = invocation;
  const bucket = bucketOf(invocation);
  const everything = bucket === EVERY_BUCKET ? "reconcile" : undefined;
  const schemas = list(records.map((record) => record.schema || record.bucket));
  const databases = schemas || schema || everything || bucket || "unknown";
  const buckets = list(records.map((record) => record.bucket)) || (everything ? "all" : bucket) || "unknown";
  const objects = records.flatMap((record) => record.objects);
  const applied = objects.filter(({ verdict }) => verdict === "applied");
  const status = (invocation.StatusDetails || change.status).replaceAll(" ", "");
  const reason =
    records.map(reasonOf).join("\n\n").slice(0, REASON_LENGTH) || reasonIn(`${stderr}\n${stdout}`);
  const lines = [
    `Database:  ${databases}`,
    `Bucket:    ${buckets}`,
    `Files:     ${list(objects.filter(isAtFault).map(({ key }) => key)) || "none named"}`,
    `Applied:   ${list(applied.map(({ key }) => key)) || (records.length > 0 ? "nothing" : "not known")}`,
    `Status:    ${status}${ResponseCode !== undefined && ResponseCode > 0 ? `, exit code ${ResponseCode}` : ""}`,
    "",
    "Reason:",
    [EXPLANATIONS[status], reason].filter(Boolean).join("\n") || "The run left no output.",
    "",
    `Log group: ${logGroupName}, the streams that begin with ${commandId}/${instanceId}/`,
    `Command:   ${commandId}`,
    `Console:   https://${consoleHost(region)}/systems-manager/run-command/${commandId}/${instanceId}?region=${region}`,
  ];
  return { subject: subjectOf(`${deployment}: ${databases}: ${status}`), text: printable(lines.join("\n")) };
}

/** Whether a file is what a run failed by, and not just held back by another. */
function isAtFault({ verdict, message }: JudgedObject): boolean {
  return verdict === "failed" || (verdict === "refused" && !message.startsWith("held back: "));
}

/** What a record gives as the reason for its end; what several files have in common, once. */
function reasonOf({ objects, reason, repairRefused }: RunRecord): string {
  const keys = new Map<string, string[]>();
  for (const object of objects.filter(isAtFault)) {
    const text = textOf(object);
    keys.set(text, [...(keys.get(text) ?? []), object.key]);
  }
  const files = [...keys].map(([text, named]) => `${named.slice(0, KEYS).join(", ")}:\n${text}`);
  const refusal = repairRefused === null ? [] : [`The repair was refused: ${repairRefused}`];
  return [...refusal, ...(files.length > 0 ? files : [reason ?? ""])].filter(Boolean).join("\n\n");
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

/** The output without progress and reports: what a run that has left no record gives as the reason for its end. */
function reasonIn(output: string): string {
  const lines = output
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && reportIn(line) === undefined)
    .flatMap((line) => {
      const progress = /^\d\d:\d\d:\d\d (\S+): (.*)$/.exec(line);
      if (!progress) return [line];
      const failure = progress[2]?.startsWith("FAILED: ") ? progress[2].slice("FAILED: ".length) : undefined;
      return failure === undefined ? [] : [failure];
    });
  return [...new Set(lines)].join("\n").slice(-REASON_LENGTH);
}

/** Each once, the first of many. */
function list(values: readonly string[]): string {
  const all = [...new Set(values)];
  const more = all.length > KEYS ? `, and ${all.length - KEYS} more` : "";
  return all.slice(0, KEYS).join(", ") + more;
}
