import { isMatch, MAPPING_PATH, type Mapping, parseMapping, targetName } from "../deployment/mapping";
import { forEach } from "../deployment/pool";
import { versionOf } from "../records/record";
import { isNoBucket } from "./aws";
import { listBucket } from "./bucket";
import { Failure, messageOf, orFail } from "./failure";
import { fingerprintOf } from "./fingerprint";
import { foldersOf, type Host } from "./host";
import { createLog } from "./log";

/** How many buckets are looked at at once. */
const LOOKS = 8;

/** What a look at one bucket found. */
interface Finding {
  /** Whether a run is to be started: the bucket, its mapping or its target is not as it was judged, or a record waits. */
  readonly isDue: boolean;
  /** How long its oldest upload waits for a run, in seconds. */
  readonly age: number;
}

/**
 * Looks at every bucket that has a mapping.
 *
 * @param onDue takes the buckets that a run is to be started for
 * @returns the exit code: 0 if all could be looked at
 */
export async function look(host: Host, onDue: (buckets: readonly string[]) => void): Promise<number> {
  const { environment, aws, log } = host;
  const { parameters, runnerSha256: runner } = environment;
  const { operation } = environment;
  if (operation !== "migrate") throw new Failure(`a ${operation} is of one bucket`);
  const path = `${parameters}/${MAPPING_PATH}`;
  const values = await orFail(
    aws.parametersBelow(path),
    `cannot read the mappings below ${path}`,
    log.complain,
  );
  const mappings = [...values]
    .map(([name, value]) => [name.slice(path.length + 1), name, value] as const)
    .filter(([bucket]) => isMatch(bucket, "bucket"));
  const targets = new Map<string, Promise<string | undefined>>();
  const targetOf = (name: string) => {
    // Where there is none, its buckets' runs say what is wrong
    if (!targets.has(name))
      targets.set(
        name,
        aws.parameter(name).catch(() => undefined),
      );
    return targets.get(name);
  };
  const due: string[] = [];
  const ages: number[] = [];
  let failed = 0;
  let repeated = 0;
  await forEach(mappings, LOOKS, async ([bucket, name, value]) => {
    try {
      const mapping = mappingOf(name, value);
      const target = mapping && (await targetOf(targetName(parameters, mapping.flywayConf)));
      const { isDue, age } = await lookAt(bucket, mapping, target);
      if (isDue) due.push(bucket);
      ages.push(age);
      remember(bucket, undefined);
    } catch (error) {
      failed++;
      complain(bucket, error);
      if (!remember(bucket, messageOf(error))) repeated++;
    }
  });
  onDue(due.sort());
  log.report({
    flyway: "reconcile",
    buckets: mappings.length,
    failed,
    repeated,
    due: due.length,
    oldestUploadSeconds: Math.max(0, ...ages),
  });
  return failed === 0 ? 0 : 1;

  async function lookAt(bucket: string, mapping: Mapping | undefined, target?: string): Promise<Finding> {
    const listing = await listBucket(aws, bucket);
    const { state, spool } = foldersOf(host, bucket);
    const seenVersions = state.seen();
    const waiting = listing.objects.filter((object) => seenVersions && !seenVersions.has(versionOf(object)));
    const ages = waiting.map(({ lastModified }) =>
      Math.floor((listing.now - Date.parse(lastModified)) / 1_000),
    );
    const fingerprint = fingerprintOf({ objects: listing.objects, mapping, target, runner });
    return { isDue: !state.isJudged(fingerprint) || !spool.isEmpty, age: Math.max(0, ...ages) };
  }

  /** Keeps why a bucket could not be looked at; whether that is new. */
  function remember(bucket: string, reason: string | undefined): boolean {
    const { state } = foldersOf(host, bucket);
    const isNew = state.lookFailure !== reason;
    try {
      if (isNew) state.lookFailure = reason;
    } catch (error) {
      log.complain(String(error)); // a full disk is told of by the runs
    }
    return isNew;
  }

  function complain(bucket: string, error: unknown): void {
    const bucketLog = createLog(bucket);
    bucketLog.complain(messageOf(error));
    if (isNoBucket(error))
      bucketLog.complain("the bucket is gone, but has a mapping: apply the Terraform configuration");
    bucketLog.complain("FAILED: cannot list the bucket");
  }
}

/** Undefined where it is none: the bucket's run says what is wrong. */
function mappingOf(name: string, value: string): Mapping | undefined {
  try {
    return parseMapping(name, value);
  } catch {
    return undefined;
  }
}
