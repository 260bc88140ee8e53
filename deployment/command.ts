/*
 * What the function, and people, send the host.
 */

/** Where the commands of a deployment go, and what all of them have. */
export interface CommandTarget {
  /** The Flyway host. */
  readonly instanceId: string;
  /** The Command document that the host runs. */
  readonly documentName: string;
  /** Where Run Command writes the host's output. */
  readonly logGroupName: string;
  /** How long a bucket must be still before it is migrated, in seconds. */
  readonly settleSeconds: string;
  /** How often every bucket is looked at; 0 if a person alone asks for it. */
  readonly reconcileMinutes: number;
}

/** A command, as Systems Manager's SendCommand takes it. */
export interface Command {
  readonly DocumentName: string;
  readonly InstanceIds: string[];
  readonly Parameters: Record<string, string[]>;
  readonly MaxConcurrency: string;
  readonly Comment: string;
  readonly CloudWatchOutputConfig: {
    readonly CloudWatchLogGroupName: string;
    readonly CloudWatchOutputEnabled: boolean;
  };
  readonly TimeoutSeconds?: number;
}

/** How long a run may take: ten hours, as the contract has it. Systems Manager allows up to 172,800 s. */
const EXECUTION_TIMEOUT_SECONDS = "36000";

/** Instead of a bucket's name in a command: every bucket that has a mapping. */
export const EVERY_BUCKET = "*";

/** What a command's comment begins with; the bucket follows. */
export const COMMENT = "Flyway: ";

/**
 * The command for one bucket, or for every one. What is done with a bucket, the host reads from its mapping.
 *
 * @param bucket its name, or EVERY_BUCKET
 */
export function commandFor(bucket: string, target: CommandTarget): Command {
  return {
    DocumentName: target.documentName,
    InstanceIds: [target.instanceId],
    Parameters: {
      Bucket: [bucket],
      SettleSeconds: [target.settleSeconds],
      executionTimeout: [EXECUTION_TIMEOUT_SECONDS],
    },
    MaxConcurrency: "1",
    Comment: `${COMMENT}${bucket}`,
    CloudWatchOutputConfig: {
      CloudWatchLogGroupName: target.logGroupName,
      CloudWatchOutputEnabled: true,
    },
  };
}

/** How long a reconcile that a person asks for may wait for the host, where there is no schedule: an hour, in minutes. */
const UNSCHEDULED_MINUTES = 60;

/**
 * The command for every bucket. Once the next one is due it is of no use, so it expires: a host that takes it later, or has no
 * room for it before, ends it at once. Systems Manager itself delivers it for as long as TimeoutSeconds and the execution
 * timeout together: https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
 *
 * @param now in milliseconds, as `Date.now()` has it
 */
export function reconcileCommand(target: CommandTarget, now: number): Command {
  const seconds = (target.reconcileMinutes || UNSCHEDULED_MINUTES) * 60;
  const command = commandFor(EVERY_BUCKET, target);
  return {
    ...command,
    TimeoutSeconds: seconds,
    Parameters: { ...command.Parameters, ExpiresAt: [String(Math.floor(now / 1_000) + seconds)] },
  };
}
