import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { S3Event } from "aws-lambda";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { mappingName } from "../../deployment/mapping";
import { EVERY_BUCKET, RECONCILE } from "../../lambda/command";
import type { Fault } from "../../local/aws/endpoint";
import type { Chain } from "../../local/chain";
import { connectTo } from "../../local/machine/database";
import type { Judgement } from "../../records/verdict";
import { type ArchiveServer, serveArchive } from "../support/archive";
import { columns, processesNaming, put, query, records, remove, startTestChain } from "../support/chain";
import { gate } from "../support/gate";
import { type StartedRun, startTestHost, type TestHost } from "../support/host";
import { skipLoudly } from "../support/moto";
import { schemaErrors } from "../support/schema";

// What no upload may be lost to, none run twice by, and none be left without a verdict by: each fault injected for
// real. Half-applied files are in half-applied.test.ts, sequences of faults in random.test.ts.

const table = (name: string) => `CREATE TABLE ${name} (id int);`;

/** The versions in Flyway's history, in the order in which they were applied. */
async function applied(where: Pick<Chain, "database">, schema: string): Promise<string[]> {
  const rows = await query(
    where,
    `SELECT version, success FROM ${schema}.flyway_schema_history WHERE version > 0 ORDER BY installed_rank`,
  );
  expect(rows.filter(({ success }) => !success)).toEqual([]);
  return rows.map(({ version }) => version);
}

describe("a burst", () => {
  const twenty = Array.from({ length: 20 }, (_, index) => `Burst${index + 1}`);
  let chain: Chain;
  beforeAll(async () => {
    chain = await startTestChain({ databases: ["Burst", ...twenty], settleSeconds: 2 });
  });
  afterAll(() => chain.stop());

  it("of 200 migrations in random order is applied once each, in order, in at most 4 runs", async () => {
    const numbers = Array.from({ length: 200 }, (_, index) => index + 1);
    const shuffled = numbers
      .map((number) => ({ number, key: Math.random() }))
      .sort((a, b) => a.key - b.key)
      .map(({ number }) => number);
    await Promise.all(shuffled.map((n) => put(chain, "Burst", `V${n}__t.sql`, table(`T${n}`))));
    await Promise.all(numbers.map((n) => chain.verdicts.wait("Burst", `V${n}__t.sql`)));
    const verdicts = await chain.verdicts.of("Burst");
    expect(verdicts.filter(({ verdict }) => verdict !== "applied")).toEqual([]);
    expect(verdicts).toHaveLength(200);
    expect(await applied(chain, "Burst")).toEqual(numbers.map(String));
    expect((await records(chain, "Burst")).length).toBeLessThanOrEqual(4);
  });

  it("in 20 buckets is applied in all, by no more Flyways at once than the host has places for", async () => {
    const memory = totalmem() / 1024;
    const places = memory < 2_000_000 ? 1 : Math.min(cpus().length, Math.floor(memory / 400_000));
    const flyways = () =>
      processesNaming("-schemas=Burst").filter((line) => line.includes("org.flywaydb.commandline"));
    const counts: number[] = [];
    let ended = false;
    const watch = async () => {
      for (; !ended; await sleep(20)) counts.push(flyways().length);
    };
    const watching = watch();
    await Promise.all(twenty.map((database) => put(chain, database, "V1__a.sql", table("A"))));
    const judged = await Promise.all(twenty.map((database) => chain.verdicts.wait(database, "V1__a.sql")));
    ended = true;
    await watching;
    expect(judged.map(({ verdict }) => verdict)).toEqual(twenty.map(() => "applied"));
    expect(Math.max(...counts)).toBeGreaterThan(0);
    expect(Math.max(...counts)).toBeLessThanOrEqual(places);
  });
});

describe("an event", () => {
  const databases = ["Twice", "Order", "Late", "Many", "More", "Lost", "Gone", "Deleted", "Overwritten"];
  let chain: Chain;
  let held: S3Event[] = [];
  beforeAll(async () => {
    chain = await startTestChain({ databases, deliver: (event) => void held.push(event) });
  });
  afterAll(() => chain.stop());
  afterEach(() => {
    held = [];
  });

  const deliver = (...events: S3Event[]) => Promise.all(events.map((event) => chain.invoke(event)));
  /** Until no command runs. */
  const quiet = () => vi.waitFor(() => expect(chain.running).toEqual([]), { timeout: 240_000, interval: 50 });
  const verdictsOf = async (database: string) =>
    (await chain.verdicts.of(database)).map(({ key, verdict }) => [key, verdict]);

  it("that comes twice applies once", async () => {
    await put(chain, "Twice", "V1__a.sql", table("A"));
    await deliver(...held, ...held);
    await quiet();
    expect(await applied(chain, "Twice")).toEqual(["1"]);
    expect(await verdictsOf("Twice")).toEqual([["V1__a.sql", "applied"]]);
  });

  it("that comes before those of older uploads applies them all in order", async () => {
    for (const n of [1, 2, 3]) await put(chain, "Order", `V${n}__t.sql`, table(`T${n}`));
    await deliver(held[2] as S3Event);
    await deliver(held[0] as S3Event, held[1] as S3Event);
    await quiet();
    expect(await applied(chain, "Order")).toEqual(["1", "2", "3"]);
    expect(new Set((await verdictsOf("Order")).map(([, verdict]) => verdict))).toEqual(new Set(["applied"]));
  });

  it("that comes an hour late changes nothing that another run has applied", async () => {
    await put(chain, "Late", "V1__a.sql", table("A"));
    const late = structuredClone(held[0]) as S3Event;
    for (const record of late.Records) {
      record.eventTime = new Date(Date.parse(record.eventTime) - 3_600_000).toISOString();
    }
    await put(chain, "Late", "V2__b.sql", table("B"));
    await deliver(held[1] as S3Event);
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
    const both = held.flatMap(({ Records }) => Records);
    await deliver({ Records: Array.from({ length: 1_000 }, (_, n) => both[n % 2] as (typeof both)[0]) });
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
    await deliver(...held);
    expect(chain.messages.at(-1)?.text).toContain(`Bucket ${chain.buckets.Gone} has no mapping`);
    await quiet();
    expect(await columns(chain, "Gone", "A")).toEqual([]);
  });

  it("of an object that is deleted meanwhile applies the others", async () => {
    await put(chain, "Deleted", "V1__a.sql", table("A"));
    await put(chain, "Deleted", "V2__b.sql", table("B"));
    await remove(chain, "Deleted", "V2__b.sql");
    await deliver(...held.reverse());
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
    await deliver(held[0] as S3Event);
    await quiet();
    expect(await columns(chain, "Overwritten", "Former")).toEqual([]);
    expect(await columns(chain, "Overwritten", "Newer")).toEqual(["id int"]);
    expect(await verdictsOf("Overwritten")).toEqual([
      ["V1__a.sql", "applied"],
      ["V1__a.sql", "superseded"],
    ]);
  });
});

describe("Systems Manager", () => {
  let chain: Chain;
  let refusals: Fault[] = [];
  beforeAll(async () => {
    const faults = ({ headers }: IncomingMessage) =>
      headers["x-amz-target"] === "AmazonSSM.SendCommand" ? refusals.shift() : undefined;
    chain = await startTestChain({ databases: ["Throttled", "Unregistered", "Away", "Stopped"], faults });
  });
  afterAll(() => chain.stop());

  it.each([
    ["that throttles", "Throttled", "ThrottlingException"],
    ["that does not know the host yet, for it starts", "Unregistered", "InvalidInstanceId"],
  ])("%s is asked again", async (_, database, type) => {
    refusals = [
      { status: 400, type },
      { status: 400, type },
    ];
    await put(chain, database, "V1__a.sql", table("A"));
    expect((await chain.verdicts.wait(database, "V1__a.sql")).verdict).toBe("applied");
    expect(refusals).toEqual([]);
  });

  it("that does not know the host for longer is heard of; the next reconcile applies what waits", async () => {
    refusals = Array(100).fill({ status: 400, type: "InvalidInstanceId" });
    await put(chain, "Away", "V1__a.sql", table("A"));
    await vi.waitFor(() => expect(chain.messages.at(-1)?.text).toContain("InvalidInstanceId"), 120_000);
    refusals = [];
    await chain.reconcile();
    expect(await applied(chain, "Away")).toEqual(["1"]);
  });

  it("has commands wait for a stopped host: each upload's, but one reconcile", async () => {
    chain.commands.stopHost();
    await put(chain, "Stopped", "V1__a.sql", table("A"));
    await put(chain, "Stopped", "V2__b.sql", table("B"));
    for (let n = 0; n < 3; n++) await chain.invoke(RECONCILE);
    const waiting = () => chain.commands.waiting.map(({ bucket }) => bucket);
    await vi.waitFor(() => expect(waiting()).toHaveLength(3));
    expect(waiting().filter((bucket) => bucket === EVERY_BUCKET)).toHaveLength(1);
    chain.commands.startHost();
    for (const key of ["V1__a.sql", "V2__b.sql"]) {
      expect((await chain.verdicts.wait("Stopped", key)).verdict).toBe("applied");
    }
    await vi.waitFor(() => expect(chain.running).toEqual([]), 60_000);
    expect(await applied(chain, "Stopped")).toEqual(["1", "2"]);
  });
});

describe("a host", () => {
  let host: TestHost;
  beforeAll(async () => {
    host = await startTestHost();
  });
  afterAll(() => host.stop());
  afterEach(() => {
    host.faults = () => undefined;
  });

  const verdict = async (bucket: string, key: string) => (await host.verdicts(bucket))[key] as Judgement;
  /** Ends a run and all that it started, as a host's end would. */
  const kill = async (run: StartedRun) => {
    process.kill(-run.pid, "SIGKILL");
    await run.finished;
  };
  /** Holds the first request that matches for ever; resolves when it has come. */
  const holding = (matches: (request: IncomingMessage) => boolean) =>
    new Promise<void>((resolve) => {
      host.faults = (request) => {
        if (!matches(request)) return undefined;
        resolve();
        return new Promise(() => {});
      };
    });

  describe("that is killed", () => {
    it("while it copies the bucket has done nothing; the reconcile does it", async () => {
      host.bucket("syncs");
      await host.put("syncs", "V1__a.sql", table("A"));
      const reached = holding(({ url }) => url?.startsWith("/syncs/V1__a.sql") === true);
      const run = host.start("syncs");
      await reached;
      await kill(run);
      host.faults = () => undefined;
      const { code, stdout } = await host.run("*");
      expect(code).toBe(0);
      expect(stdout).toMatch(/^command command-1, begun \S+, was ended before it could leave a record$/m);
      expect(await applied(host, "syncs")).toEqual(["1"]);
      expect(await verdict("syncs", "V1__a.sql")).toMatchObject({ verdict: "applied", message: "" });
      const [record] = await host.records("syncs");
      expect(record?.interrupted).toEqual([{ commandId: "command-1", startedAt: expect.any(String) }]);
    });

    it("again and again, and has its command repeated, leaves records of its own, and tells of each run once", async () => {
      host.bucket("repeated");
      await host.put("repeated", "V1__a.sql", table("A"));
      const env = { SSM_COMMAND_ID: "repeated-command" }; // by the agent, after a reboot
      const shut = await gate(host, "repeated");
      await host.put("repeated", "V2__b.sql", shut.sql);
      const first = host.start("repeated", { env });
      await shut.reached();
      await kill(first);
      await shut.open();
      const reached = holding(({ url }) => /^\/repeated\/?\?/.test(url ?? ""));
      const second = host.start("repeated", { env: { SSM_COMMAND_ID: "another-command" } });
      await reached;
      await kill(second);
      host.faults = () => undefined;
      for (const _ of [1, 2]) expect((await host.run("repeated", { env })).code).toBe(0);
      const own = await host.records("repeated");
      expect(own.map(({ number, commandId }) => [number, commandId])).toEqual([
        [1, "repeated-command"],
        [2, "repeated-command"],
      ]);
      expect(own.map(({ interrupted }) => interrupted?.map(({ commandId }) => commandId))).toEqual([
        ["repeated-command", "another-command"],
        [],
      ]);
      expect(own.flatMap(schemaErrors)).toEqual([]);
      expect(await applied(host, "repeated")).toEqual(["1", "2"]);
      expect(await verdict("repeated", "V1__a.sql")).toMatchObject({
        verdict: "already-applied",
        message: expect.stringMatching(
          /^A run before this one was killed .*: command another-command, begun/,
        ),
      });
      expect(await verdict("repeated", "V2__b.sql")).toMatchObject({ verdict: "applied", message: "" });
    });

    it("in a run of what Flyway has judged already is told of by the reconcile's run", async () => {
      host.bucket("idle");
      expect((await host.run("idle")).code).toBe(0);
      const reached = holding(({ url }) => /^\/idle\/?\?/.test(url ?? ""));
      const run = host.start("idle");
      await reached;
      await kill(run);
      host.faults = () => undefined;
      expect((await host.run("*")).code).toBe(0);
      const counts = (await host.records("idle")).map(({ interrupted }) => interrupted?.length);
      expect(counts).toEqual([0, 1]);
    });

    it("while it uploads its record has kept it: the next reconcile uploads it, without another run", async () => {
      host.bucket("records");
      await host.put("records", "V1__a.sql", table("A"));
      const reached = holding(({ method, url }) => method === "PUT" && url?.includes("/.flyway/") === true);
      const run = host.start("records");
      await reached;
      await kill(run);
      host.faults = () => undefined;
      expect((await host.run("*")).code).toBe(0);
      expect((await verdict("records", "V1__a.sql")).verdict).toBe("applied");
      expect(await applied(host, "records")).toEqual(["1"]);
    });

    it("between two statements is told of by the next run, which names what landed", async () => {
      host.bucket("killed");
      await host.put("killed", "V1__a.sql", table("A"));
      await host.run("killed");
      const shut = await gate(host, "killed");
      await host.put("killed", "V2__k.sql", `${table("Landed")}\n${shut.sql}\n${table("C")}`);
      const run = host.start("killed");
      await shut.reached();
      await kill(run);
      await shut.open();
      expect((await host.run("*")).code).toBe(1);
      const failed = await verdict("killed", "V2__k.sql");
      expect(failed.verdict).toBe("failed");
      expect(failed.message).toMatch(
        /already exists[\s\S]*\n- table Landed added\nA run before this one was killed .*\nTo do: /,
      );

      await host.put("killed", "V2__k.sql", table("C"));
      expect((await host.run("killed", { operation: "repair" })).code).toBe(0);
      expect((await verdict("killed", "V2__k.sql")).verdict).toBe("applied");
      expect(await applied(host, "killed")).toEqual(["1", "2"]);
    });

    it("between two statements is told of after a refusal too, and what an earlier file made is marked", async () => {
      host.bucket("interrupted");
      const shut = await gate(host, "interrupted");
      await host.put("interrupted", "V1__e.sql", table("Earlier"));
      await host.put(
        "interrupted",
        "V2__k.sql",
        `${table("Landed")}\nALTER TABLE Earlier ADD c int;\n${shut.sql}`,
      );
      const run = host.start("interrupted");
      await shut.reached();
      await kill(run);
      await shut.open();
      for (const [key, reason] of [
        ["a//b.sql", /its key is no file name/], // the host refuses it
        ["V3_x.sql", /Invalid SQL filenames/], // Flyway does
      ] as const) {
        await host.put("interrupted", key, table("X"));
        expect((await host.run("*")).code).toBe(1);
        expect(await verdict("interrupted", "V2__k.sql")).toMatchObject({
          verdict: "refused",
          message: expect.stringMatching(reason),
        });
        await host.remove("interrupted", key);
      }
      expect((await host.run("*")).code).toBe(1);
      const failed = await verdict("interrupted", "V2__k.sql");
      expect(failed.verdict).toBe("failed");
      expect(failed.message).toMatch(
        /\(V1__e\.sql went well before it\):\n- column Earlier\.c added\n(.*\n)*- table Earlier added, by this file or one that went well\n- table Landed added\n/,
      );
      await host.put("interrupted", "V2__k.sql", table("Other"));
      expect((await host.run("interrupted", { operation: "repair" })).code).toBe(0);
    });

    it("after its repair, in the corrected file, is told of by the next run; another repair brings the bucket on", async () => {
      host.bucket("repairs");
      await host.put("repairs", "V1__r.sql", `${table("A")} bad;`);
      expect((await host.run("repairs")).code).toBe(1);
      const shut = await gate(host, "repairs");
      await host.put("repairs", "V1__r.sql", `${table("B")} ${shut.sql}`);
      const run = host.start("repairs", { operation: "repair" });
      await shut.reached();
      await kill(run);
      await shut.open();
      expect((await host.run("*")).code).toBe(1);
      expect(await verdict("repairs", "V1__r.sql")).toMatchObject({
        verdict: "failed",
        message: expect.stringMatching(
          /already exists[\s\S]*\n- table B added\nA run before this one was killed .*\nTo do: /,
        ),
      });
      await host.put("repairs", "V1__r.sql", table("C"));
      expect((await host.run("repairs", { operation: "repair" })).code).toBe(0);
      expect((await verdict("repairs", "V1__r.sql")).verdict).toBe("applied");
      expect(await applied(host, "repairs")).toEqual(["1"]);
    });

    it("but for its Flyway starts no second one while that works, and no lock outlives it", async () => {
      host.bucket("orphan");
      const shut = await gate(host, "orphan");
      await host.put("orphan", "V1__o.sql", `${table("O")}\n${shut.sql}\n${table("P")}`);
      const run = host.start("orphan");
      await shut.reached();
      process.kill(run.pid, "SIGKILL"); // the script alone
      const flyways = () => processesNaming(join(host.root, "copies", "orphan", "sql"));
      const working = flyways();
      expect(working).not.toEqual([]);
      const next = host.start("orphan");
      let said = "";
      (next.child.stdout as Readable).on("data", (text) => {
        said += text;
      });
      await vi.waitFor(() => expect(said).toContain("waiting for the run before this one"), 120_000);
      await sleep(2_000); // long enough for one that does not wait
      expect(flyways()).toEqual(working);
      await shut.open();
      expect((await next.finished).code).toBe(0);
      expect(await applied(host, "orphan")).toEqual(["1"]);
      expect((await verdict("orphan", "V1__o.sql")).verdict).toBe("already-applied");
    });

    it("leaves no lock: the next run of the bucket does not wait", async () => {
      const { code, stdout } = await host.run("orphan");
      expect({ code, waited: stdout.includes("waiting") }).toEqual({ code: 0, waited: false });
    });
  });

  it("that was rebooted with half-written files goes on", async () => {
    host.bucket("reboot");
    await host.put("reboot", "V1__a.sql", table("A"));
    await host.run("reboot");
    for (const [name, text] of [
      ["judged", ""],
      ["seen", '["x'],
      ["number", "\0\0"],
      ["before", '{"time":'],
      ["begun", "null"],
    ]) {
      writeFileSync(join(host.root, "state", `reboot.${name}.json`), text as string);
    }
    writeFileSync(join(host.root, "copies", "reboot", "manifest.json"), '{"V1__a.sql":');
    writeFileSync(join(host.root, "records", "reboot", ".new"), "{");
    writeFileSync(join(host.root, "records", "reboot", "00000001-20260101T000000-x.json"), "");
    await host.put("reboot", "V2__b.sql", table("B"));
    expect((await host.run("*")).code).toBe(0);
    expect(await applied(host, "reboot")).toEqual(["1", "2"]);
    expect((await host.records("reboot")).flatMap(schemaErrors)).toEqual([]);
    expect((await verdict("reboot", "V2__b.sql")).verdict).toBe("applied");
  });

  it("that is a bare one installs what it needs, and goes on where the former one ended", async () => {
    host.bucket("bare");
    await host.put("bare", "V1__a.sql", table("A"));
    await host.run("bare");
    await host.put("bare", "V2__b.sql", table("B"));
    // A machine with everything but Node.js, and a package manager that has it
    const machine = `${host.root}-bare`;
    const bin = join(machine, "bin");
    mkdirSync(bin, { recursive: true });
    const programs = ["/usr/local/bin", "/usr/bin", "/bin"]
      .filter(existsSync)
      .flatMap((folder) => readdirSync(folder).map((name) => [name, join(folder, name)] as const));
    for (const [name, path] of programs) {
      if (!/^(node.*|yum|dnf)$/.test(name) && !existsSync(join(bin, name)))
        symlinkSync(path, join(bin, name));
    }
    const dnf = `#!/bin/sh
echo "$@" >>'${machine}/installed'
[ "$4" = nodejs24 ] && ln -s '${process.execPath}' '${bin}/node-24' && ln -s node-24 '${bin}/node'
`;
    writeFileSync(join(bin, "dnf"), dnf, { mode: 0o755 });
    const releases = join(machine, "releases");
    const env = { HOST_ROOT: join(machine, "root"), HOST_RELEASES: releases, PATH: bin };
    const { code, stdout, stderr } = await host.run("*", { env });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain("installing nodejs24");
    expect(readdirSync(releases)).toEqual([host.flywayVersion]);
    expect((await host.records("bare")).map(({ number }) => number)).toEqual([1, 2]);
    expect((await verdict("bare", "V2__b.sql")).verdict).toBe("applied");
  });

  it("whose disk is full says so in a record, migrates no part, and goes on when there is room", async () => {
    const alone = ["-Urm", "sh", "-c"];
    const may = await promisify(execFile)("unshare", [...alone, "mount -t tmpfs none /mnt"]).then(
      () => true,
      () => false,
    );
    if (!may) return skipLoudly("a full disk", "this user may not mount a file system of its own");
    host.bucket("full");
    await host.put("full", "V1__a.sql", table("A"));
    await host.put("full", "V2__large.sql", `-- ${"x".repeat(12_000_000)}\n${table("B")}`);
    const root = `${host.root}-full`;
    mkdirSync(root);
    const small = ["unshare", ...alone, `mount -t tmpfs -o size=9m none '${root}' && exec "$0"`];
    const { code, stderr } = await host.run("full", { env: { HOST_ROOT: root }, under: small });
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("disk is full") });
    for (const key of ["V1__a.sql", "V2__large.sql"]) {
      expect(await verdict("full", key)).toMatchObject({
        verdict: "failed",
        message: expect.stringContaining("disk is full"),
      });
    }
    expect(await query(host, "SHOW DATABASES LIKE 'full'")).toEqual([]);
    expect((await host.run("*")).code).toBe(0);
    expect(await applied(host, "full")).toEqual(["1", "2"]);
  });

  it("whose clock is off, before or after, orders its records, and the reconcile of a right one goes on", async () => {
    host.bucket("clock");
    for (const [index, skew] of [-40, 40].entries()) {
      const bin = `${host.root}-clock${skew}`;
      mkdirSync(bin);
      const clock = join(bin, "clock.cjs");
      writeFileSync(clock, `const now = Date.now; Date.now = () => now() + ${skew} * 86_400_000;`);
      await host.put("clock", `V${index + 1}__t.sql`, table(`T${index}`));
      expect((await host.run("clock", { env: { NODE_OPTIONS: `--require=${clock}` } })).code).toBe(0);
    }
    await host.put("clock", "V3__t.sql", table("T3"));
    expect((await host.run("*")).code).toBe(0);
    expect((await host.records("clock")).map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(await applied(host, "clock")).toEqual(["1", "2", "3"]);
    expect(new Set(Object.values(await host.verdicts("clock")).map((judged) => judged.verdict))).toEqual(
      new Set(["applied"]),
    );
  });

  describe("whose database", () => {
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
      expect((await verdict(name, "V1__a.sql")).verdict).toBe("applied");
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
      await host.put("failover", "V2__b.sql", `${shut.sql}\n${table("B")}`);
      const run = host.start("failover", { env: { RETRY_SECONDS: "120" } });
      await shut.reached();
      proxy.cut();
      await shut.open();
      expect((await run.finished).code).toBe(0);
      expect(await applied(host, "failover")).toEqual(["1", "2"]);
      for (const key of ["V1__a.sql", "V2__b.sql"])
        expect([key, (await verdict("failover", key)).verdict]).toEqual([
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
      expect(await verdict("gone", "V1__a.sql")).toMatchObject({
        verdict: "failed",
        message: expect.stringMatching(/Unable to obtain connection[\s\S]*\nTo do: nothing with the file/),
      });
      proxy.mode = "pass";
      expect((await host.run("*")).code).toBe(0);
      expect((await verdict("gone", "V1__a.sql")).verdict).toBe("applied");
    });
  });

  describe("whose download of Flyway", () => {
    let server: ArchiveServer;
    let releases: string;
    beforeAll(async () => {
      host.bucket("installs");
      await host.run("installs");
      server = await serveArchive(host, "90.1");
      releases = `${host.root}-releases`;
    });
    afterAll(() => server.close());

    const bucket = async (name: string) => {
      host.bucket(name, { flywayVersion: server.version });
      await host.put(name, "V1__a.sql", table("A"));
    };

    it("stands still is failed, with its URL, and gives up its lock; the next run installs it", async () => {
      await bucket("stuck");
      server.mode = "stuck";
      const env = { HOST_RELEASES: releases, STALL_SECONDS: "1" };
      const runs = await Promise.all(["stuck", "stuck"].map((name) => host.run(name, { env })));
      expect(runs.map(({ code }) => code)).toContain(1);
      expect(await verdict("stuck", "V1__a.sql")).toMatchObject({
        verdict: "failed",
        message: `cannot download Flyway 90.1 from ${server.url}`,
      });
      expect(readdirSync(releases)).toEqual([]);
      await promisify(execFile)("flock", ["-n", join(host.root, "locks", "install.90.1"), "true"]);
      server.mode = "whole";
      expect((await host.run("stuck", { env })).code).toBe(0);
      expect(await applied(host, "stuck")).toEqual(["1"]);
    });

    it("is slow is waited for", async () => {
      await bucket("slowly");
      rmSync(releases, { recursive: true });
      server.mode = "slow";
      const before = server.requests;
      const env = { HOST_RELEASES: releases, STALL_SECONDS: "2" }; // of the five that it takes
      expect((await host.run("slowly", { env })).code).toBe(0);
      expect(server.requests).toBe(before + 1);
    });
  });

  describe("whose AWS", () => {
    const fill = async (name: string) => {
      host.bucket(name);
      await host.put(name, "V1__a.sql", table("A"));
      await host.put(name, "V2__b.sql", table("B"));
    };

    it("answers every third request with an error applies all", async () => {
      await fill("flaky");
      let requests = 0;
      host.faults = () => (++requests % 3 === 0 ? { status: 503 } : undefined);
      const { code, stderr } = await host.run("flaky");
      expect({ code, stderr }).toMatchObject({ code: 0 });
      expect(await applied(host, "flaky")).toEqual(["1", "2"]);
    });

    it("is slow applies all", async () => {
      await fill("slow");
      host.faults = async () => void (await sleep(1_000));
      expect((await host.run("slow")).code).toBe(0);
      expect(await applied(host, "slow")).toEqual(["1", "2"]);
    });

    it("gives only a part of the bucket migrates none of it", async () => {
      await fill("part");
      host.faults = ({ method, url }) =>
        method === "GET" && url?.startsWith("/part/V1__a.sql") ? { status: 500 } : undefined;
      expect((await host.run("part")).code).toBe(1);
      for (const key of ["V1__a.sql", "V2__b.sql"]) {
        expect(await verdict("part", key)).toMatchObject({
          verdict: "failed",
          message: expect.stringContaining("cannot copy the bucket; nothing was migrated"),
        });
      }
      expect(await query(host, "SHOW DATABASES LIKE 'part'")).toEqual([]);
      host.faults = () => undefined;
      expect((await host.run("*")).code).toBe(0);
      expect(await applied(host, "part")).toEqual(["1", "2"]);
    });

    it("gives no secret says so, and applies all once it does", async () => {
      await fill("secretless");
      host.faults = ({ headers }) =>
        String(headers["x-amz-target"]).startsWith("secretsmanager.") ? { status: 500 } : undefined;
      expect((await host.run("secretless")).code).toBe(1);
      expect(await verdict("secretless", "V1__a.sql")).toMatchObject({
        verdict: "failed",
        message: expect.stringContaining("cannot read the database's secret"),
      });
      host.faults = () => undefined;
      expect((await host.run("*")).code).toBe(0);
      expect((await verdict("secretless", "V1__a.sql")).verdict).toBe("applied");
    });

    it("takes no record loses no result: it is in the log, and the next run uploads it", async () => {
      await fill("recordless");
      host.faults = ({ method, url }) =>
        method === "PUT" && url?.includes("/.flyway/") ? { status: 503 } : undefined;
      const { code, stderr } = await host.run("recordless");
      expect(code).toBe(0);
      const printed = /^\S+ recordless: record (\{.*\})$/m.exec(stderr)?.[1] as string;
      expect(schemaErrors(JSON.parse(printed))).toEqual([]);
      host.faults = () => undefined;
      await host.put("recordless", "V3__c.sql", table("C"));
      expect((await host.run("recordless")).code).toBe(0);
      const judged = Object.values(await host.verdicts("recordless")).map(({ verdict }) => verdict);
      expect(judged).toEqual(["applied", "applied", "applied"]);
    });
  });

  describe("whose bucket has", () => {
    const first = table("A");
    type Expected = Readonly<Record<string, Judgement["verdict"] | readonly [Judgement["verdict"], RegExp]>>;
    interface Case {
      readonly is: string;
      readonly mapping?: { outOfOrder: boolean };
      /** What a first run applies. */
      readonly before?: Readonly<Record<string, string>>;
      /** What is uploaded then; null deletes. */
      readonly change: Readonly<Record<string, string | null>>;
      readonly green: boolean;
      readonly verdicts: Expected;
      readonly history: readonly string[];
    }
    const megabyte = `INSERT INTO A VALUES ('${"x".repeat(1_000_000)}');
`;
    const large = `CREATE TABLE A (t longtext);
${megabyte.repeat(50)}`;
    const cases: Case[] = [
      {
        is: "an applied file edited",
        before: { "V1__a.sql": first },
        change: { "V1__a.sql": `${first} -- edited` },
        green: false,
        verdicts: { "V1__a.sql": ["refused", /checksum mismatch[\s\S]*To do: upload its former content/] },
        history: ["1"],
      },
      {
        is: "an applied file replaced by one of the same size",
        before: { "V1__a.sql": first },
        change: { "V1__a.sql": table("Z") },
        green: false,
        verdicts: { "V1__a.sql": ["refused", /checksum mismatch[\s\S]*To do: upload its former content/] },
        history: ["1"],
      },
      {
        is: "an applied file deleted",
        before: { "V1__a.sql": first, "V2__b.sql": table("B") },
        change: { "V1__a.sql": null, "V3__c.sql": table("C") },
        green: false,
        verdicts: { "V3__c.sql": ["refused", /not resolved locally[\s\S]*To do: upload the file/] },
        history: ["1", "2"],
      },
      {
        is: "two files of one version",
        change: { "V1__a.sql": first, "V1__b.sql": table("B"), "V2__c.sql": table("C") },
        green: false,
        verdicts: {
          "V1__a.sql": ["refused", /more than one migration[\s\S]*To do: delete one of them/],
          "V1__b.sql": ["refused", /more than one migration[\s\S]*To do: delete one of them/],
          "V2__c.sql": "refused",
        },
        history: [],
      },
      {
        is: "a version below the newest applied",
        before: { "V2__b.sql": table("B") },
        change: { "V1__a.sql": first },
        green: false,
        verdicts: { "V1__a.sql": ["refused", /To do: give it a version above .*out_of_order/] },
        history: ["2"],
      },
      {
        is: "a version below the newest applied, with out-of-order",
        mapping: { outOfOrder: true },
        before: { "V2__b.sql": table("B") },
        change: { "V1__a.sql": first },
        green: true,
        verdicts: { "V1__a.sql": "applied" },
        history: ["2", "1"],
      },
      ...["V1_x.sql", "v1_x.sql"].map((key) => ({
        is: `a ${key}`,
        change: { [key]: first, "V2__b.sql": table("B") },
        green: false,
        verdicts: {
          [key]: ["refused", /To do: upload it again as V<version>__/] as const,
          "V2__b.sql": "refused" as const,
        },
        history: [],
      })),
      {
        is: "a V1__x.SQL",
        change: { "V1__x.SQL": table("X"), "V2__b.sql": table("B") },
        green: false,
        verdicts: { "V1__x.SQL": ["refused", /To do: upload it again/], "V2__b.sql": "applied" },
        history: ["2"],
      },
      {
        is: "an empty file",
        change: { "V1__a.sql": first, "V2__empty.sql": "", "V3__c.sql": table("C") },
        green: false,
        verdicts: {
          "V2__empty.sql": ["refused", /it is empty[\s\S]*To do: upload it again/],
          "V3__c.sql": "refused",
        },
        history: [],
      },
      {
        is: "a file of 50 MB",
        change: { "V1__large.sql": large },
        green: true,
        verdicts: { "V1__large.sql": "applied" },
        history: ["1"],
      },
      {
        is: "a file with CRLF, and later the same with LF",
        before: { "V1__a.sql": "CREATE TABLE A (\r\n  id int\r\n);\r\n" },
        change: { "V1__a.sql": "CREATE TABLE A (\n  id int\n);\n" },
        green: true,
        verdicts: { "V1__a.sql": "already-applied" },
        history: ["1"],
      },
      {
        is: "a byte order mark",
        change: { "V1__a.sql": `\uFEFF${first}` },
        green: true,
        verdicts: { "V1__a.sql": "applied" },
        history: ["1"],
      },
      {
        is: "a name beyond ASCII, in a folder",
        change: { "größe/漢字 🚀/V1__Größe 漢字.sql": first },
        green: true,
        verdicts: { "größe/漢字 🚀/V1__Größe 漢字.sql": "applied" },
        history: ["1"],
      },
      {
        is: "a repeatable migration, and later another content of it",
        before: { "V1__a.sql": first, "R__v.sql": "CREATE OR REPLACE VIEW V AS SELECT 1 AS x;" },
        change: { "R__v.sql": "CREATE OR REPLACE VIEW V AS SELECT 2 AS y;" },
        green: true,
        verdicts: { "R__v.sql": "applied", "V1__a.sql": "applied" },
        history: ["1"],
      },
    ];

    it.each(cases.map((one, index) => ({ ...one, bucket: `content${index}` })))("$is", async (one) => {
      host.bucket(one.bucket, one.mapping ?? {});
      if (one.before) {
        for (const [key, text] of Object.entries(one.before)) await host.put(one.bucket, key, text);
        expect((await host.run(one.bucket)).code).toBe(0);
      }
      for (const [key, text] of Object.entries(one.change)) {
        if (text === null) await host.remove(one.bucket, key);
        else await host.put(one.bucket, key, text);
      }
      const env = { JAVA_ARGS: "-Xmx240m" }; // a quarter of a t3.micro's memory, as Java takes it
      const { code, stderr } = await host.run(one.bucket, { env });
      const judged = await host.verdicts(one.bucket);
      for (const [key, expected] of Object.entries(one.verdicts)) {
        const [verdict, message] = typeof expected === "string" ? [expected, /./] : expected;
        expect([key, judged[key]?.verdict, stderr]).toEqual([key, verdict, stderr]);
        if (verdict === "refused") expect(judged[key]?.message).toMatch(message);
      }
      expect(code === 0).toBe(one.green);
      const history = await columns(host, one.bucket, "flyway_schema_history");
      expect(history.length > 0 ? await applied(host, one.bucket) : []).toEqual(one.history);
      expect((await host.records(one.bucket)).flatMap(schemaErrors)).toEqual([]);
    });
  });
});

/** Stands before the database, so that a test decides what becomes of connections. */
class DatabaseProxy {
  /** What becomes of a new connection. */
  mode: "pass" | "refuse" = "pass";
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async before(database: { host: string; port: number }): Promise<DatabaseProxy> {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      if (proxy.mode === "refuse") return void socket.resetAndDestroy();
      const other = connect(database.port, database.host);
      other.on("error", () => socket.destroy());
      for (const one of [socket, other]) {
        proxy.sockets.add(one);
        one.on("close", () => proxy.sockets.delete(one));
      }
      socket.pipe(other).pipe(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const proxy = new DatabaseProxy(server, (server.address() as { port: number }).port);
    return proxy;
  }

  /** Cuts every connection, as a failover does. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
