import { mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { findExecutable } from "../../local/machine/processes";
import { serveArchive } from "../support/archive";
import { useTestHost } from "../support/host-test";

const SCRIPT = readFileSync(resolve(__dirname, "..", "..", "assets", "host.sh"), "utf8");

/** Those that the script asks for, and what every Linux has: bash, which runs it, coreutils, and what Flyway's own calls. */
const ASKED_FOR = [...SCRIPT.matchAll(/\bneed [a-z0-9-]+ ([a-z0-9-]+)/g)].map(([, name]) => name as string);
const ON_EVERY_LINUX =
  "bash sh cat cp cut date dirname expr head ls mkdir mktemp mv nproc readlink rm sha256sum sleep sync uname";

describe("on a host with the programs that the script asks for, and no other", () => {
  const host = useTestHost();
  let bin: string;
  let env: Record<string, string>;
  beforeAll(async () => {
    host.bucket("warm");
    await host.run("warm");
    bin = `${host.root}-bin`;
    mkdirSync(bin);
    // aws is asked for where the runner is in a bucket
    const names = [...ASKED_FOR, ...ON_EVERY_LINUX.split(" ")].filter((name) => name !== "aws");
    for (const name of new Set(names)) link(name);
    env = { PATH: bin, HOST_ROOT: `${host.root}-bare`, HOST_RELEASES: `${host.root}-releases` };
  });

  /** Puts a program into the folder. */
  function link(name: string): void {
    const program = name === "node" ? process.execPath : findExecutable([name], []);
    symlinkSync(program as string, join(bin, name));
  }

  it("a run, a reconcile, a failure and a repair miss none", async () => {
    const archive = await serveArchive(host, "90.1");
    host.bucket("bare", { flywayVersion: archive.version });
    await host.put("bare", "V1__a.sql", "CREATE TABLE A (id int);");
    const missed = / not found|No such file|ENOENT/;
    const first = await host.run("bare", { env });
    expect(first).toMatchObject({ code: 0, stderr: expect.not.stringMatching(missed) });
    archive.close();

    await host.put("bare", "V2__b.sql", "CREATE TABLE B (id int); bad;");
    await host.put("bare", "V3__c.sql", "");
    await host.put("bare", "notes.txt", "x");
    await host.remove("bare", "V3__c.sql");
    const failed = await host.run("*", { env });
    expect(failed).toMatchObject({ code: 1, stderr: expect.not.stringMatching(missed) });
    expect((await host.verdictOf("bare", "V2__b.sql")).message).toContain(
      "\n- table B added\nStatement: bad\nTo do: ",
    );

    await host.put("bare", "V2__b.sql", "CREATE TABLE C (id int);");
    const repaired = await host.run("bare", { operation: "repair", env });
    expect(repaired).toMatchObject({ code: 0, stderr: expect.not.stringMatching(missed) });
    expect((await host.verdictOf("bare", "V2__b.sql")).verdict).toBe("applied");
  });

  it.each([
    ["flock", "util-linux", "install it on the host"],
    ["tar", "tar", "install it on the host"],
    ["node", "nodejs24", "Amazon Linux 2 has none, and has ended: replace the host (docs/adopt.md)"],
  ])("a run says that there is no %s, and what to do", async (name, packageName, remedy) => {
    rmSync(join(bin, name));
    const { code, stderr } = await host.run("warm", { env });
    link(name);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(`FAILED: cannot install ${packageName}: ${remedy}`),
    });
  });
});
