import { setTimeout as sleep } from "node:timers/promises";
import type { ListObjectVersionsCommandOutput, ObjectVersion } from "@aws-sdk/client-s3";
import type { SeenObject } from "../records/record";
import { FLYWAY_FOLDER, RECORD_PREFIX } from "../records/record";
import { decodeKey, isUpload } from "../records/upload";
import { NOW_PREFIX } from "../records/work";
import type { Aws } from "./aws";
import type { NowVersion } from "./now";

/** What a bucket holds now. */
export interface Listing {
  /** Its uploads but those below `.flyway/`, by key. */
  readonly objects: readonly SeenObject[];
  /** When they last changed, deletions included, by S3's clock; null where there never was one. */
  readonly newestChange: string | null;
  /** The number of the newest run record; 0 where there is none. */
  readonly number: number;
  /** Its key. */
  readonly newestRecord?: string;
  /** What runs have left below `.flyway/now/`: they were killed. */
  readonly leftovers: readonly NowVersion[];
  /** When it was asked for, by S3's clock, in milliseconds. */
  readonly now: number;
}

const RECORD_NUMBER = new RegExp(`^${RECORD_PREFIX.replaceAll(".", "[.]")}(\\d{8})-`);

/** The most times that a bucket is looked at which does not come to rest. */
const ROUNDS = 100;

export async function listBucket(aws: Aws, bucket: string): Promise<Listing> {
  const objects: SeenObject[] = [];
  const records = new Map<number, string>();
  const leftovers: NowVersion[] = [];
  let newest: Date | undefined;
  let clock = 0;
  for await (const { page, now } of aws.versions(bucket)) {
    clock = now;
    for (const { Key, LastModified, VersionId, IsLatest, ETag, Size } of versionsIn(page)) {
      const key = decodeKey(Key as string);
      const changed = LastModified as Date;
      if (key.startsWith(FLYWAY_FOLDER)) {
        const [, number] = RECORD_NUMBER.exec(key) ?? [];
        if (number && IsLatest && ETag !== undefined) records.set(Number(number), key);
        if (key.startsWith(NOW_PREFIX)) leftovers.push({ key, versionId: VersionId as string });
        continue;
      }
      if (!isUpload(key)) continue;
      if (newest === undefined || changed > newest) newest = changed;
      if (ETag === undefined || !IsLatest) continue;
      objects.push({
        key,
        versionId: VersionId as string,
        eTag: ETag.replaceAll('"', ""),
        size: Size as number,
        lastModified: changed.toISOString(),
      });
    }
  }
  objects.sort((a, b) => (a.key < b.key ? -1 : 1));
  const number = newestNumber([...records.keys()]);
  const newestChange = newest?.toISOString() ?? null;
  return { objects, newestChange, number, newestRecord: records.get(number), leftovers, now: clock };
}

/** How far apart the numbers of two records can be that follow one another: many may be gone by their age. */
const GAP = 100_000;

/** The newest number of those of records. One that is far beyond all others was not written by a host. */
export function newestNumber(numbers: readonly number[]): number {
  let newest = 0;
  for (const number of [...numbers].sort((a, b) => a - b)) {
    if (newest !== 0 && number - newest > GAP) break;
    newest = number;
  }
  return newest;
}

/** Delete markers too, which have no ETag. */
function versionsIn({ Versions = [], DeleteMarkers = [] }: ListObjectVersionsCommandOutput): ObjectVersion[] {
  return [...Versions, ...DeleteMarkers];
}

/**
 * Lists a bucket once it has been still for a while, counted from its newest change by S3's clock: one that is older is not
 * waited for at all.
 *
 * @param onChange called when the bucket changed while it was waited for
 * @throws if it does not come to rest
 */
export async function listStillBucket(
  list: () => Promise<Listing>,
  seconds: number,
  onChange: () => void,
): Promise<Listing> {
  let listing = await list();
  for (let round = 0; round < ROUNDS; round++) {
    const changed = Date.parse(listing.newestChange ?? "1970-01-01");
    const rest = Math.min(seconds * 1_000 - (listing.now - changed), seconds * 1_000);
    if (rest <= 0) return listing;
    await sleep(rest);
    const next = await list();
    if (next.newestChange === listing.newestChange && isSame(next, listing)) return next;
    onChange();
    listing = next;
  }
  throw new Error("the bucket did not come to rest");
}

function isSame(a: Listing, b: Listing): boolean {
  return (
    a.objects.length === b.objects.length &&
    a.objects.every(({ key, versionId }, index) => {
      const other = b.objects[index] as SeenObject;
      return key === other.key && versionId === other.versionId;
    })
  );
}
