import { OPERATIONS, type Operation } from "../records/record";

/** What a run is asked to do, and where: the environment of the process, read here and nowhere else. */
export interface Environment {
  /** `BUCKET`: the bucket to look at; `*` for every one that has a mapping. */
  readonly bucket: string;
  /** `DUE`: whether a reconcile has found that the bucket is to be looked at. */
  readonly isDue: boolean;
  /** `OPERATION`. */
  readonly operation: Operation;
  /** `SETTLE_SECONDS`: how long a bucket must be still before it is migrated. */
  readonly settleSeconds: number;
  /** `PARAMETERS`: what the names of this deployment's parameters begin with: `/flyway`. */
  readonly parameters: string;
  /** `RUNNER_SHA256`: of this program. */
  readonly runnerSha256: string;
  /** `HOST_ROOT`: folder for locks, copies of buckets, state and records. */
  readonly root: string;
  /**
   * `HOST_RELEASES`: folder for Flyway's releases.
   * @default `$HOST_ROOT/releases`
   */
  readonly releases: string;
  /**
   * `RETRY_SECONDS`: how long a database that cannot be reached or written to is tried again.
   * @default 180
   */
  readonly retrySeconds: number;
  /**
   * `STALL_SECONDS`: how long a download may stand still.
   * @default 60
   */
  readonly stallSeconds: number;
  /** `SSM_COMMAND_ID`, by the agent. */
  readonly commandId: string;
  /** `AWS_SSM_INSTANCE_ID`, by the agent. */
  readonly instanceId: string;
  /** `AWS_DEFAULT_REGION`, else `AWS_SSM_REGION_NAME`, by the agent. */
  readonly region: string;
  /** All of it, for the programs that a run starts. */
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/** @throws with the names of variables that are missing */
export function readEnvironment(env: Record<string, string | undefined>): Environment {
  const missing = [
    "BUCKET",
    "OPERATION",
    "SETTLE_SECONDS",
    "PARAMETERS",
    "RUNNER_SHA256",
    "HOST_ROOT",
  ].filter((name) => !env[name]);
  if (missing.length > 0) throw new Error(`The environment lacks ${missing.join(", ")}: see assets/host.sh`);
  const root = env.HOST_ROOT as string;
  return {
    bucket: env.BUCKET as string,
    isDue: Boolean(env.DUE),
    operation: OPERATIONS.find((name) => name === env.OPERATION) ?? "migrate",
    settleSeconds: Number(env.SETTLE_SECONDS),
    parameters: env.PARAMETERS as string,
    runnerSha256: env.RUNNER_SHA256 as string,
    root,
    releases: env.HOST_RELEASES || `${root}/releases`,
    retrySeconds: Number(env.RETRY_SECONDS ?? 180),
    stallSeconds: Number(env.STALL_SECONDS ?? 60),
    commandId: env.SSM_COMMAND_ID || "unknown",
    instanceId: env.AWS_SSM_INSTANCE_ID || "unknown",
    region: env.AWS_DEFAULT_REGION || env.AWS_SSM_REGION_NAME || "",
    variables: env,
  };
}
