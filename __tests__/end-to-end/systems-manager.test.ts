import type { IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { EVERY_BUCKET } from "../../deployment/command";
import { RECONCILE } from "../../lambda/command";
import type { Fault } from "../../local/aws/endpoint";
import type { Chain } from "../../local/chain";
import { applied, put, startTestChain, table } from "../support/chain";

// Systems Manager, throttled, or with a host that it does not know or that is stopped.

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
