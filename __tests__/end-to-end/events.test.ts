import type { S3Event } from "aws-lambda";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { mappingName } from "../../deployment/mapping";
import type { Chain } from "../../local/chain";
import { applied, columns, put, records, remove, startTestChain, table } from "../support/chain";

// S3's events, twice, late, out of order, or never.

describe("an event", () => {
  const databases = ["Twice", "Order", "Late", "Many", "More", "Lost", "Gone", "Deleted", "Overwritten"];
  let chain: Chain;
  let events: S3Event[] = [];
  beforeAll(async () => {
    chain = await startTestChain({ databases, deliver: (event) => void events.push(event) });
  });
  afterAll(() => chain.stop());
  afterEach(() => {
    events = [];
  });

  const deliver = (...events: S3Event[]) => Promise.all(events.map((event) => chain.invoke(event)));
  /** Until no command runs. */
  const quiet = () => vi.waitFor(() => expect(chain.running).toEqual([]), { timeout: 240_000, interval: 50 });
  const verdictsOf = async (database: string) =>
    (await chain.verdicts.of(database)).map(({ key, verdict }) => [key, verdict]);

  it("that comes twice applies once", async () => {
    await put(chain, "Twice", "V1__a.sql", table("A"));
    await deliver(...events, ...events);
    await quiet();
    expect(await applied(chain, "Twice")).toEqual(["1"]);
    expect(await verdictsOf("Twice")).toEqual([["V1__a.sql", "applied"]]);
  });

  it("that comes before those of older uploads applies them all in order", async () => {
    for (const n of [1, 2, 3]) await put(chain, "Order", `V${n}__t.sql`, table(`T${n}`));
    await deliver(events[2] as S3Event);
    await deliver(events[0] as S3Event, events[1] as S3Event);
    await quiet();
    expect(await applied(chain, "Order")).toEqual(["1", "2", "3"]);
    expect(new Set((await verdictsOf("Order")).map(([, verdict]) => verdict))).toEqual(new Set(["applied"]));
  });

  it("that comes an hour late changes nothing that another run has applied", async () => {
    await put(chain, "Late", "V1__a.sql", table("A"));
    const late = structuredClone(events[0]) as S3Event;
    for (const record of late.Records) {
      record.eventTime = new Date(Date.parse(record.eventTime) - 3_600_000).toISOString();
    }
    await put(chain, "Late", "V2__b.sql", table("B"));
    await deliver(events[1] as S3Event);
    await quiet();
    await deliver(late);
    await quiet();
    expect(await applied(chain, "Late")).toEqual(["1", "2"]);
    expect(await verdictsOf("Late")).toEqual([
      ["V1__a.sql", "applied"],
      ["V2__b.sql", "applied"],
    ]);
  });

  it("with 1,000 records makes one run for each of its buckets", async () => {
    for (const database of ["Many", "More"]) await put(chain, database, "V1__a.sql", table("A"));
    const eventRecords = events.flatMap(({ Records }) => Records);
    await deliver({
      Records: Array.from({ length: 1_000 }, (_, n) => eventRecords[n % 2] as (typeof eventRecords)[0]),
    });
    await quiet();
    for (const database of ["Many", "More"]) {
      expect(await applied(chain, database)).toEqual(["1"]);
      expect(await records(chain, database)).toHaveLength(1);
    }
  });

  it("that never comes is made up for by the reconcile", async () => {
    await put(chain, "Lost", "V1__a.sql", table("A"));
    expect(await verdictsOf("Lost")).toEqual([["V1__a.sql", "pending"]]);
    await chain.reconcile();
    expect(await applied(chain, "Lost")).toEqual(["1"]);
    expect(await verdictsOf("Lost")).toEqual([["V1__a.sql", "applied"]]);
  });

  it("of a bucket that is no database's any more migrates nothing, and someone hears of it", async () => {
    chain.parameters.delete(mappingName("/flyway", chain.buckets.Gone as string));
    await put(chain, "Gone", "V1__a.sql", table("A"));
    await deliver(...events);
    expect(chain.messages.at(-1)?.text).toContain(`Bucket ${chain.buckets.Gone} has no mapping`);
    await quiet();
    expect(await columns(chain, "Gone", "A")).toEqual([]);
  });

  it("of an object that is deleted meanwhile applies the others", async () => {
    await put(chain, "Deleted", "V1__a.sql", table("A"));
    await put(chain, "Deleted", "V2__b.sql", table("B"));
    await remove(chain, "Deleted", "V2__b.sql");
    await deliver(...events.reverse());
    await quiet();
    expect(await applied(chain, "Deleted")).toEqual(["1"]);
    expect(await verdictsOf("Deleted")).toEqual([
      ["V1__a.sql", "applied"],
      ["V2__b.sql", "superseded"],
    ]);
  });

  it("of an object that is overwritten meanwhile applies the newest version", async () => {
    await put(chain, "Overwritten", "V1__a.sql", table("Former"));
    await put(chain, "Overwritten", "V1__a.sql", table("Newer"));
    await deliver(events[0] as S3Event);
    await quiet();
    expect(await columns(chain, "Overwritten", "Former")).toEqual([]);
    expect(await columns(chain, "Overwritten", "Newer")).toEqual(["id int"]);
    expect(await verdictsOf("Overwritten")).toEqual([
      ["V1__a.sql", "applied"],
      ["V1__a.sql", "superseded"],
    ]);
  });
});
