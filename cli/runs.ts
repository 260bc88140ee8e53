import { isApplied } from "../records/judge";
import { parseRecord } from "../records/parse";
import { RECORD_PREFIX, type RunRecord } from "../records/record";
import { type Judgement, verdicts } from "../records/verdict";
import { NOW_PREFIX, type Work } from "../records/work";
import type { Aws, ListedVersion } from "./aws";
import { type LocalFile, md5Of } from "./files";

/*
 * What a bucket says of its runs.
 */

/** A run record's key, by what its name says. */
export interface RecordKey {
  readonly key: string;
  readonly number: number;
  readonly commandId: string;
}

const RECORD_KEY = /^(\d{8})-[^-]*-(.+)[.]json$/;

/** Undefined for what is no record's key. */
function recordKeyOf(key: string): RecordKey | undefined {
  const [, number, commandId] = RECORD_KEY.exec(key.slice(RECORD_PREFIX.length)) ?? [];
  return number && commandId ? { key, number: Number(number), commandId } : undefined;
}

/** The keys of a bucket's run records, oldest first. @param after a number that all are above */
export async function recordKeys(aws: Aws, bucket: string, after = 0): Promise<RecordKey[]> {
  // With what may come behind the number: all of that one's are before it
  const start = after > 0 ? `${RECORD_PREFIX}${String(after).padStart(8, "0")}.` : undefined;
  return (await aws.keys(bucket, RECORD_PREFIX, start)).flatMap((key) => recordKeyOf(key) ?? []);
}

/** Undefined where it is gone, or is none. */
export async function readRecord(
  aws: Aws,
  bucket: string,
  { key }: RecordKey,
): Promise<RunRecord | undefined> {
  const body = await aws.get(bucket, key);
  return body && parseRecord(Buffer.from(body).toString());
}

/** How many records are read at most to find one of a run that saw the bucket. */
export const LOOKS = 20;

/** What a bucket has, and what the newest run that saw it says of that. */
export interface Sight {
  /** What it has now, by key. */
  readonly present: ReadonlyMap<string, ListedVersion>;
  /** Of its run records, oldest first. */
  readonly keys: readonly RecordKey[];
  /** Of the newest run that saw it; undefined where there is none. */
  readonly newest: RunRecord | undefined;
  /** The uploads that it has now. */
  readonly uploads: readonly CurrentVerdict[];
}

export async function lookAt(aws: Aws, bucket: string): Promise<Sight> {
  const [versions, keys] = await Promise.all([aws.versions(bucket), recordKeys(aws, bucket)]);
  const current = versions.filter(({ isLatest, isDeleteMarker }) => isLatest && !isDeleteMarker);
  const newest = await newestListing(aws, bucket, keys);
  return {
    present: new Map(current.map((version) => [version.key, version])),
    keys,
    newest,
    uploads: currentVerdicts(current, newest),
  };
}

async function newestListing(
  aws: Aws,
  bucket: string,
  keys: readonly RecordKey[],
): Promise<RunRecord | undefined> {
  for (const key of keys.slice(-LOOKS).reverse()) {
    const record = await readRecord(aws, bucket, key);
    if (record && record.newestChange !== null) return record;
  }
  return undefined;
}

/** Whether a bucket has a file as it is. An ETag that is no MD5, as of a KMS key or of several parts, says nothing. */
export async function isSame(
  aws: Aws,
  bucket: string,
  { key, content }: LocalFile,
  present: Pick<ListedVersion, "versionId" | "eTag" | "size"> | undefined,
): Promise<boolean> {
  if (!present || present.size !== content.byteLength) return false;
  if (present.eTag === md5Of(content)) return true;
  const body = await aws.get(bucket, key, present.versionId);
  return body !== undefined && Buffer.compare(body, content) === 0;
}

/** What the runs that are under way say. */
export async function work(aws: Aws, bucket: string): Promise<Work[]> {
  const keys = await aws.keys(bucket, NOW_PREFIX);
  const texts = await Promise.all(keys.map((key) => aws.get(bucket, key)));
  return texts.flatMap((text) => {
    try {
      const said = JSON.parse(Buffer.from(text ?? "").toString()) as Work;
      return said.workVersion === 1 ? [said] : [];
    } catch {
      return []; // gone meanwhile, or somebody else's
    }
  });
}

/** An object that a bucket has now, and its verdict by the newest run that saw the bucket. */
export interface CurrentVerdict extends Judgement {
  readonly key: string;
  readonly versionId: string;
  /** ISO 8601. */
  readonly uploadedAt: string;
  /** Whether the newest run had another version of it as applied. */
  readonly isEdited: boolean;
}

function currentVerdicts(current: readonly ListedVersion[], record: RunRecord | undefined): CurrentVerdict[] {
  const judged = verdicts(current, record ? [record] : []);
  const applied = new Set(
    (record?.objects ?? []).filter(({ verdict }) => isApplied(verdict)).map(({ key }) => key),
  );
  return current.flatMap((version) => {
    const judgement = judged.get(version);
    if (!judgement) return []; // no upload that a run looks at
    const { key, versionId, lastModified: uploadedAt } = version;
    const isEdited = judgement.verdict === "pending" && applied.has(key);
    return [{ key, versionId, uploadedAt, isEdited, ...judgement }];
  });
}
