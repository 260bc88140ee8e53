import { describe, expect, it } from "vitest";
import { type Listing, listStillBucket } from "../runner/bucket";

const object = (key: string, versionId = "1") => ({
  ...{ key, versionId, eTag: "e", size: 1, lastModified: "2026-01-01T12:00:00Z" },
});

describe("a bucket's rest", () => {
  const at = (seconds: number) => Date.UTC(2026, 0, 1, 12, 0, seconds);
  const listing = (now: number, newest: number | null, versionId = "1"): Listing => ({
    objects: [object("V1__a.sql", versionId)],
    newestChange: newest === null ? null : new Date(at(newest)).toISOString(),
    number: 0,
    leftovers: [],
    now: at(now),
  });
  async function looks(seconds: number, ...listings: Listing[]) {
    let changes = 0;
    let looked = 0;
    const list = async () => listings[Math.min(looked++, listings.length - 1)] as Listing;
    const last = await listStillBucket(list, seconds, () => changes++);
    return { last, looked, changes };
  }

  it("is not waited for where its newest change is older, by S3's clock", async () => {
    expect(await looks(300, listing(400, 100))).toMatchObject({ looked: 1 });
    expect(await looks(300, listing(0, null))).toMatchObject({ looked: 1 });
  });

  it("is waited for where it is younger, and looked at again", async () => {
    const found = await looks(1, listing(0.97, 0), listing(1, 0));
    expect(found).toMatchObject({ looked: 2, changes: 0 });
  });

  it("is none where it changed meanwhile, also by a deletion in the same second", async () => {
    const found = await looks(0.02, listing(0, 0), listing(0.01, 0, "2"), listing(1, 0, "2"));
    expect(found).toMatchObject({ looked: 3, changes: 1 });
    expect(found.last.objects[0]?.versionId).toBe("2");
  });

  it("that does not come is given up", async () => {
    let now = 0;
    const list = async () => listing(now, now++);
    await expect(listStillBucket(list, 0.001, () => {})).rejects.toThrow("the bucket did not come to rest");
  });
});
