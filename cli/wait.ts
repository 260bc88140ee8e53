import { versionOf } from "../records/record";
import { printable } from "../records/text";
import { type Judgement, verdicts } from "../records/verdict";
import { describeWork } from "../records/work";
import type { Aws, ListedVersion } from "./aws";
import type { WaitingContext } from "./context";
import type { Database } from "./deployment";
import { CliError, type ExitCode } from "./exit";
import { conclude, type Outcome } from "./outcome";
import { poll } from "./poll";
import { lookAt, type RecordKey, readRecord, recordKeys, work } from "./runs";

export interface WaitInput {
  readonly aws: Aws;
  readonly database: Database;
  /** The versions whose verdicts are waited for. */
  readonly versions: readonly Pick<ListedVersion, "key" | "versionId">[];
  /** The number of the newest run record before; only what comes after it is read. */
  readonly after: number;
  /** How long it is waited, in seconds. */
  readonly timeout: number;
  /** Takes what is being done meanwhile. */
  readonly onProgress: (line: string) => void;
}

/** The outcome of each version, once it has one, or when the time is over. */
export async function waitForVerdicts(input: WaitInput): Promise<Outcome[]> {
  const { aws, database, versions, timeout, onProgress } = input;
  const waiting = new Map(versions.map((version) => [versionOf(version), version]));
  const judged = new Map<string, Judgement>();
  let { after } = input;
  const look = async () => {
    for (const key of await recordKeys(aws, database.bucket, after)) {
      await take(key);
      after = Math.max(after, key.number);
    }
    return waiting.size === 0 || undefined;
  };
  await poll(timeout, look, async () => {
    const [now] = await work(aws, database.bucket);
    const files = `${waiting.size} of ${versions.length} ${versions.length === 1 ? "file" : "files"}`;
    onProgress(`${database.name}: ${now ? describeWork(now) : `waiting for the verdict of ${files}`}`);
  });
  return versions.map((version) => ({
    ...{ database: database.name, key: version.key, versionId: version.versionId },
    ...(judged.get(versionOf(version)) ?? {
      verdict: "pending",
      message: `no run has told of it within ${timeout} s`,
    }),
  }));

  async function take(key: RecordKey): Promise<void> {
    const record = await readRecord(aws, database.bucket, key);
    if (!record) return;
    // A version that another has taken the place of before a run saw it is known by that one
    const seen = record.objects.map(({ key, versionId, lastModified }) => ({
      ...{ key, versionId, lastModified, isDeleteMarker: false },
    }));
    for (const version of waiting.values()) {
      const own = { ...version, lastModified: record.startedAt, isDeleteMarker: false };
      const newer = seen.filter(
        (other) => other.key === version.key && other.versionId !== version.versionId,
      );
      const judgement = verdicts([...newer, own], [record]).get(own);
      if (!judgement || judgement.verdict === "pending") continue;
      judged.set(versionOf(version), judgement);
      waiting.delete(versionOf(version));
    }
  }
}

/** `flyway-aws wait DATABASE/KEY`: the verdict of what a bucket has now under a key. */
export async function waitForObject(
  { aws, deployment, terminal, timeout }: WaitingContext,
  object: string,
): Promise<ExitCode> {
  const slash = object.indexOf("/");
  if (slash <= 0 || slash === object.length - 1) {
    throw new CliError(
      `${JSON.stringify(object)} names no object`,
      "name the database and the file: flyway-aws wait Users/V7__add_index.sql",
    );
  }
  const database = deployment.database(object.slice(0, slash));
  const key = object.slice(slash + 1);
  const { present, newest, uploads } = await lookAt(aws, database.bucket);
  const version = present.get(key);
  if (!version) {
    throw new CliError(
      `${database.name} has no file ${JSON.stringify(key)} in its bucket`,
      `see what it has: flyway-aws status ${database.name}`,
    );
  }
  const known = uploads.find((upload) => upload.key === key);
  if (!known) throw new CliError(`No run looks at ${JSON.stringify(key)}`, "migrations end in .sql");
  const outcomes =
    known.verdict === "pending"
      ? await waitForVerdicts({
          ...{ aws, database, versions: [version], timeout },
          after: newest?.number ?? 0,
          onProgress: (line) => terminal.progress(printable(line)),
        })
      : [{ database: database.name, ...known }];
  await terminal.endProgress();
  return conclude(outcomes, terminal);
}
