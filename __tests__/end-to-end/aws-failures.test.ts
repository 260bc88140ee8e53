import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { RECORD_PREFIX } from "../../records/record";
import { applied, query, table } from "../support/chain";
import { useTestHost } from "../support/host-test";
import { schemaErrors } from "../support/schema";

// AWS, when it fails, is slow, or gives a part.

const host = useTestHost();

describe("a host whose AWS", () => {
  const fill = async (name: string) => {
    host.bucket(name);
    await host.put(name, "V1__a.sql", table("A"));
    await host.put(name, "V2__b.sql", table("B"));
  };

  it("answers every third request with an error applies all", async () => {
    await fill("flaky");
    let requests = 0;
    host.intercept(() => (++requests % 3 === 0 ? { status: 503 } : undefined));
    const { code, stderr } = await host.run("flaky");
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(await applied(host, "flaky")).toEqual(["1", "2"]);
  });

  it("is slow applies all", async () => {
    await fill("slow");
    host.intercept(async () => void (await sleep(1_000)));
    expect((await host.run("slow")).code).toBe(0);
    expect(await applied(host, "slow")).toEqual(["1", "2"]);
  });

  it("gives only a part of the bucket migrates none of it", async () => {
    await fill("part");
    host.intercept(({ method, url }) =>
      method === "GET" && url?.startsWith("/part/V1__a.sql") ? { status: 500 } : undefined,
    );
    expect((await host.run("part")).code).toBe(1);
    for (const key of ["V1__a.sql", "V2__b.sql"]) {
      expect(await host.verdictOf("part", key)).toMatchObject({
        verdict: "failed",
        message: expect.stringContaining("cannot copy the bucket; nothing was migrated"),
      });
    }
    expect(await query(host, "SHOW DATABASES LIKE 'part'")).toEqual([]);
    host.letThrough();
    expect((await host.run("*")).code).toBe(0);
    expect(await applied(host, "part")).toEqual(["1", "2"]);
  });

  it("gives no secret says so, and applies all once it does", async () => {
    await fill("secretless");
    host.intercept(({ headers }) =>
      String(headers["x-amz-target"]).startsWith("secretsmanager.") ? { status: 500 } : undefined,
    );
    expect((await host.run("secretless")).code).toBe(1);
    expect(await host.verdictOf("secretless", "V1__a.sql")).toMatchObject({
      verdict: "failed",
      message: expect.stringContaining("cannot read the database's secret"),
    });
    host.letThrough();
    expect((await host.run("*")).code).toBe(0);
    expect((await host.verdictOf("secretless", "V1__a.sql")).verdict).toBe("applied");
  });

  it("does not give the newest record to a new host, which runs nothing: it may say what has run", async () => {
    host.bucket("forgotten");
    await host.put("forgotten", "V1__a.sql", table("A"));
    await host.put(
      "forgotten",
      "V2__b.sql",
      "LOCK TABLES A WRITE; INSERT INTO A VALUES (1); ALTER TABLE A ADD x int;",
    );
    expect((await host.run("forgotten")).code).toBe(1);
    const rows = () => query(host, "SELECT count(*) AS n FROM forgotten.A");
    expect(await rows()).toEqual([{ n: 1 }]);
    for (const name of readdirSync(join(host.root, "state")).filter((name) =>
      name.startsWith("forgotten."),
    )) {
      rmSync(join(host.root, "state", name));
    }
    host.intercept(({ method, url }) =>
      method === "GET" && url?.startsWith(`/forgotten/${RECORD_PREFIX}`) ? { status: 500 } : undefined,
    );
    const { code, stderr } = await host.run("forgotten");
    expect([code, stderr]).toEqual([1, expect.stringContaining("cannot read the newest run record")]);
    host.letThrough();
    expect((await host.run("forgotten")).code).toBe(1);
    expect((await host.verdictOf("forgotten", "V2__b.sql")).message).toMatch(/^V2__b\.sql ran, /);
    expect(await rows()).toEqual([{ n: 1 }]);
  });

  it("takes no record loses no result: it is in the log, and the next run uploads it", async () => {
    await fill("recordless");
    host.intercept(({ method, url }) =>
      method === "PUT" && url?.includes(RECORD_PREFIX) ? { status: 503 } : undefined,
    );
    const { code, stderr } = await host.run("recordless");
    expect(code).toBe(0);
    const printed = /^\S+ recordless: record (\{.*\})$/m.exec(stderr)?.[1] as string;
    expect(schemaErrors(JSON.parse(printed))).toEqual([]);
    host.letThrough();
    await host.put("recordless", "V3__c.sql", table("C"));
    expect((await host.run("recordless")).code).toBe(0);
    const judged = Object.values(await host.verdicts("recordless")).map(({ verdict }) => verdict);
    expect(judged).toEqual(["applied", "applied", "applied"]);
  });
});
