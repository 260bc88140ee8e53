import { GetParameterCommand, ParameterNotFound, SendCommandCommand, SSMClient } from "@aws-sdk/client-ssm";
import {
  commandFor,
  type Environment,
  EVERY_BUCKET,
  isReconcile,
  readEnvironment,
  uploadsOf,
} from "./command";
import { MappingError, mappingName, parseMapping } from "./mapping";

/** Waits before a host that is not (yet) registered is tried again, in milliseconds. The function has 15 s. */
const HOST_RETRY_DELAYS = [1_000, 3_000];

/** What the handler works with; tests pass their own. */
export interface Dependencies {
  readonly ssm: SSMClient;
  readonly environment: Environment;
  /** Takes one structured line. */
  readonly log: (entry: Record<string, unknown>) => void;
  /** Waits so many milliseconds. */
  readonly sleep: (milliseconds: number) => Promise<void>;
}

/**
 * The trigger: sends one command per bucket in S3's event, and one for every bucket when asked to reconcile. A
 * command says "look at this bucket", so an event that comes twice does no harm.
 *
 * @throws what one bucket met, or an AggregateError for several, after all buckets were tried. Lambda then
 * delivers the event twice more and hands it to the on-failure destination.
 */
export function createHandler({ ssm, environment, log, sleep }: Dependencies) {
  return async (event: unknown): Promise<void> => {
    if (isReconcile(event)) return reconcile();
    return uploads(event);
  };

  async function uploads(event: unknown): Promise<void> {
    const { buckets, ignored } = uploadsOf(event);
    for (const { reason, record } of ignored) log({ level: "info", message: "ignored", reason, record });
    const failures: unknown[] = [];
    for (const [bucket, keys] of buckets) {
      try {
        await checkMapping(bucket);
        const commandId = await send(bucket);
        log({ level: "info", message: "command sent", bucket, keys, commandId });
      } catch (error) {
        const { name, message } = error as Error;
        log({ level: "error", message: "no command sent", bucket, keys, error: name, reason: message });
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join("; "));
  }

  async function reconcile(): Promise<void> {
    const commandId = await send(EVERY_BUCKET);
    log({ level: "info", message: "reconcile sent", commandId });
  }

  async function send(bucket: string): Promise<string | undefined> {
    const command = new SendCommandCommand(commandFor(bucket, environment));
    for (let attempt = 0; ; attempt++) {
      try {
        return (await ssm.send(command)).Command?.CommandId;
      } catch (error) {
        // A host that starts needs a moment to register. Throttling is the SDK's to retry.
        const delay = HOST_RETRY_DELAYS[attempt];
        if ((error as Error).name !== "InvalidInstanceId" || delay === undefined) throw error;
        log({
          level: "warn",
          message: "host not registered",
          bucket,
          instanceId: environment.instanceId,
          delay,
        });
        await sleep(delay);
      }
    }
  }

  /** Refuses here, where it is heard at once, what the host would refuse. */
  async function checkMapping(bucket: string): Promise<void> {
    const name = mappingName(environment.parameters, bucket);
    try {
      const { Parameter } = await ssm.send(new GetParameterCommand({ Name: name }));
      parseMapping(name, Parameter?.Value ?? "");
    } catch (error) {
      if (!(error instanceof ParameterNotFound)) throw error;
      throw new MappingError(
        `Bucket ${bucket} has no mapping: parameter ${name} does not exist. ` +
          "Add its database to flyway_managed_databases and apply, or remove the bucket's notification.",
      );
    }
  }
}

let configured: ReturnType<typeof createHandler> | undefined;

/** Lambda's entry point: reads the environment once, at the first event. */
export const handler = async (event: unknown): Promise<void> => {
  configured ??= createHandler({
    // At most 3.5 s of waiting for a call that is throttled: with the host's delays it fits into the 15 s.
    ssm: new SSMClient({ maxAttempts: 4 }),
    environment: readEnvironment(process.env),
    log: (entry) => console.log(JSON.stringify(entry)),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  });
  await configured(event);
};
