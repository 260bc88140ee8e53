import { execFile } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ArchiveServer, serveArchive } from "../support/archive";
import { applied, table } from "../support/chain";
import { useTestHost } from "../support/host-test";

// A download of Flyway that stands still, or is slow.

const host = useTestHost();

describe("a host whose download of Flyway", () => {
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
    expect(await host.verdictOf("stuck", "V1__a.sql")).toMatchObject({
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
    rmSync(releases, { recursive: true, force: true });
    server.mode = "slow";
    const before = server.requests;
    const env = { HOST_RELEASES: releases, STALL_SECONDS: "2" }; // of the five that it takes
    expect((await host.run("slowly", { env })).code).toBe(0);
    expect(server.requests).toBe(before + 1);
  });
});
