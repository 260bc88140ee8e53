import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { RECORD_PREFIX } from "../../records/record";
import { applied, processesNaming, table } from "../support/chain";
import { gate } from "../support/gate";
import type { StartedRun } from "../support/host";
import { useTestHost } from "../support/host-test";
import { schemaErrors } from "../support/schema";

// Runs that are killed, at each of their steps.

const host = useTestHost();

/** Ends a run and all that it started, as a host's end would. */
const kill = async (run: StartedRun) => {
  process.kill(-run.pid, "SIGKILL");
  await run.finished;
};

/** Holds the first request that matches for ever; resolves when it has come. */
const holding = (matches: (request: IncomingMessage) => boolean) =>
  new Promise<void>((resolve) => {
    host.intercept((request) => {
      if (!matches(request)) return undefined;
      resolve();
      return new Promise(() => {});
    });
  });

describe("a host that is killed", () => {
  it("while it copies the bucket has done nothing; the reconcile does it", async () => {
    host.bucket("syncs");
    await host.put("syncs", "V1__a.sql", table("A"));
    const reached = holding(({ url }) => url?.startsWith("/syncs/V1__a.sql") === true);
    const run = host.start("syncs");
    await reached;
    await kill(run);
    host.letThrough();
    const { code, stdout } = await host.run("*");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^command command-1, begun \S+, was ended before it could leave a record$/m);
    expect(await applied(host, "syncs")).toEqual(["1"]);
    expect(await host.verdictOf("syncs", "V1__a.sql")).toMatchObject({ verdict: "applied", message: "" });
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
    host.letThrough();
    for (const _ of [1, 2]) expect((await host.run("repeated", { env })).code).toBe(0);
    const records = await host.records("repeated");
    expect(records.map(({ number, commandId }) => [number, commandId])).toEqual([
      [1, "repeated-command"],
      [2, "repeated-command"],
    ]);
    expect(records.map(({ interrupted }) => interrupted?.map(({ commandId }) => commandId))).toEqual([
      ["repeated-command", "another-command"],
      [],
    ]);
    expect(records.flatMap(schemaErrors)).toEqual([]);
    expect(await applied(host, "repeated")).toEqual(["1", "2"]);
    expect(await host.verdictOf("repeated", "V1__a.sql")).toMatchObject({
      verdict: "already-applied",
      message: expect.stringMatching(/^A run before this one was killed .*: command another-command, begun/),
    });
    expect(await host.verdictOf("repeated", "V2__b.sql")).toMatchObject({ verdict: "applied", message: "" });
  });

  it("in a run of what Flyway has judged already is told of by the reconcile's run", async () => {
    host.bucket("idle");
    expect((await host.run("idle")).code).toBe(0);
    const reached = holding(({ url }) => /^\/idle\/?\?/.test(url ?? ""));
    const run = host.start("idle");
    await reached;
    await kill(run);
    host.letThrough();
    expect((await host.run("*")).code).toBe(0);
    const counts = (await host.records("idle")).map(({ interrupted }) => interrupted?.length);
    expect(counts).toEqual([0, 1]);
  });

  it("while it uploads its record has kept it: the next reconcile uploads it, without another run", async () => {
    host.bucket("records");
    await host.put("records", "V1__a.sql", table("A"));
    const reached = holding(({ method, url }) => method === "PUT" && url?.includes(RECORD_PREFIX) === true);
    const run = host.start("records");
    await reached;
    await kill(run);
    host.letThrough();
    expect((await host.run("*")).code).toBe(0);
    expect((await host.verdictOf("records", "V1__a.sql")).verdict).toBe("applied");
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
    const failed = await host.verdictOf("killed", "V2__k.sql");
    expect(failed.verdict).toBe("failed");
    expect(failed.message).toMatch(
      /already exists[\s\S]*\n- table Landed added\nStatement: .*\nA run before this one was killed .*\nTo do: /,
    );

    await host.put("killed", "V2__k.sql", table("C"));
    expect((await host.run("killed", { operation: "repair" })).code).toBe(0);
    expect((await host.verdictOf("killed", "V2__k.sql")).verdict).toBe("applied");
    expect(await applied(host, "killed")).toEqual(["1", "2"]);
  });

  it("between two statements is told of after a refusal too, without what an earlier file made", async () => {
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
    await host.put("interrupted", "V3_x.sql", table("X"));
    expect((await host.run("*")).code).toBe(1);
    expect(await host.verdictOf("interrupted", "V2__k.sql")).toMatchObject({
      verdict: "refused",
      message: expect.stringMatching(/^held back by V3_x\.sql/),
    });
    await host.remove("interrupted", "V3_x.sql");
    expect((await host.run("*")).code).toBe(1);
    const failed = await host.verdictOf("interrupted", "V2__k.sql");
    expect(failed.verdict).toBe("failed");
    expect(failed.message).toMatch(
      /\(V1__e\.sql went well before it\):\n- column Earlier\.c added\n(.*\n)*- table Landed added\n/,
    );
    expect(failed.message).not.toContain("table Earlier");
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
    expect(await host.verdictOf("repairs", "V1__r.sql")).toMatchObject({
      verdict: "failed",
      message: expect.stringMatching(
        /already exists[\s\S]*\n- table B added\nStatement: .*\nA run before this one was killed .*\nTo do: /,
      ),
    });
    await host.put("repairs", "V1__r.sql", table("C"));
    expect((await host.run("repairs", { operation: "repair" })).code).toBe(0);
    expect((await host.verdictOf("repairs", "V1__r.sql")).verdict).toBe("applied");
    expect(await applied(host, "repairs")).toEqual(["1"]);
  });

  it("but for its Flyway starts no second one while that works, and leaves no lock", async () => {
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
    let output = "";
    (next.child.stdout as Readable).on("data", (text) => {
      output += text;
    });
    await vi.waitFor(() => expect(output).toContain("waiting for the run before this one"), 120_000);
    await sleep(2_000); // long enough for one that does not wait
    expect(flyways()).toEqual(working);
    await shut.open();
    expect((await next.finished).code).toBe(0);
    expect(await applied(host, "orphan")).toEqual(["1"]);
    expect((await host.verdictOf("orphan", "V1__o.sql")).verdict).toBe("already-applied");
    const { code, stdout } = await host.run("orphan"); // no lock is left
    expect({ code, waited: stdout.includes("waiting") }).toEqual({ code: 0, waited: false });
  });
});
