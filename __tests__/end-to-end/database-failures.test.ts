import type { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectTo } from "../../local/machine/database";
import { applied, query, table } from "../support/chain";
import { gate } from "../support/gate";
import { useTestHost } from "../support/host-test";
import { DatabaseProxy } from "../support/proxy";

// A database that is away, or does not let the host in, for a while or for good.

const host = useTestHost();

describe("a host whose database", () => {
  let proxy: DatabaseProxy;
  let former: string;
  const user = "limited";
  beforeAll(async () => {
    proxy = await DatabaseProxy.before(host.database);
    const target = { ...host.target, url: `jdbc:mysql://localhost:${proxy.port}`, secret: "limited" };
    host.parameters.set("/flyway/target/proxy.conf", JSON.stringify(target));
    former = JSON.stringify({ username: user, password: "its password" });
    await query(host, `CREATE USER ${user}@'%' IDENTIFIED BY 'its password'`);
    await query(
      host,
      `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX ON *.* TO ${user}@'%'`,
    );
  });
  afterAll(() => proxy.close());

  const bucket = async (name: string) => {
    host.bucket(name, { flywayConf: "proxy.conf" });
    host.secrets.set("limited", former);
    await host.put(name, "V1__a.sql", table("A"));
  };
  /** Runs, and does something when the run says that it tries again. */
  const runAnd = async (name: string, mend: () => unknown) => {
    const run = host.start(name, { env: { RETRY_SECONDS: "120" } });
    let mended: unknown;
    (run.child.stderr as Readable).on("data", (text: string) => {
      if (String(text).includes("the database is not ready")) mended ??= mend() ?? true;
    });
    const { code, stdout, stderr } = await run.finished;
    await mended;
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    expect(mended).toBeDefined();
    expect((await host.records(name)).at(-1)?.attempts).toBeGreaterThan(1);
    expect((await host.verdictOf(name, "V1__a.sql")).verdict).toBe("applied");
  };

  it("is down is tried until it is up", async () => {
    await bucket("down");
    proxy.mode = "refuse";
    await runAnd("down", () => {
      proxy.mode = "pass";
    });
  });

  it("takes 40 s to resume from 0 ACU is waited for", async () => {
    await bucket("resumes");
    proxy.mode = "refuse";
    setTimeout(() => {
      proxy.mode = "pass";
    }, 40_000);
    await runAnd("resumes", () => true);
  });

  it("refuses a password that was just rotated is asked again with the new one", async () => {
    await bucket("rotated");
    host.secrets.set("limited", JSON.stringify({ username: user, password: "the former password" }));
    await runAnd("rotated", () => host.secrets.set("limited", former));
  });

  it("fails over in the middle of a migration is given the rest", async () => {
    await bucket("failover");
    const shut = await gate(host, "failover");
    await host.put("failover", "V2__b.sql", `${shut.sql}\nDELETE FROM A;`);
    const run = host.start("failover", { env: { RETRY_SECONDS: "120" } });
    await shut.reached();
    proxy.cut();
    await shut.open();
    expect((await run.finished).code).toBe(0);
    expect(await applied(host, "failover")).toEqual(["1", "2"]);
    for (const key of ["V1__a.sql", "V2__b.sql"])
      expect([key, (await host.verdictOf("failover", key)).verdict]).toEqual([
        key,
        expect.stringMatching(/^(already-)?applied$/),
      ]);
  });

  it("is read-only, as a former writer is, is tried until it takes writes", async () => {
    await bucket("readonly");
    await query(host, "SET GLOBAL read_only = 1");
    await runAnd("readonly", () => query(host, "SET GLOBAL read_only = 0"));
  });

  it("has no connection left is tried until it has", async () => {
    await bucket("crowded");
    await query(host, `ALTER USER ${user}@'%' WITH MAX_USER_CONNECTIONS 1`);
    const other = await connectTo(host.database, { user, password: "its password" });
    await runAnd("crowded", async () => {
      await other.end();
      await query(host, `ALTER USER ${user}@'%' WITH MAX_USER_CONNECTIONS 0`);
    });
  });

  it("stays down is given up with Flyway's message, and had again by the next reconcile", async () => {
    await bucket("gone");
    proxy.mode = "refuse";
    expect((await host.run("gone", { env: { RETRY_SECONDS: "1" } })).code).toBe(1);
    expect(await host.verdictOf("gone", "V1__a.sql")).toMatchObject({
      verdict: "failed",
      message: expect.stringMatching(/Unable to obtain connection[\s\S]*\nTo do: nothing with the file/),
    });
    proxy.mode = "pass";
    expect((await host.run("*")).code).toBe(0);
    expect((await host.verdictOf("gone", "V1__a.sql")).verdict).toBe("applied");
  });
});
