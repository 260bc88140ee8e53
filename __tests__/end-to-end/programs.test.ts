import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findExecutable } from "../../local/machine/processes";
import { serveArchive } from "../support/archive";
import { startTestHost, type TestHost } from "../support/host";

const script = readFileSync(resolve(__dirname, "..", "..", "assets", "flyway-migrate.sh"), "utf8");

/** The programs that the host script asks for, and bash, which runs it. */
const programs = [...script.matchAll(/^ *need (?:"[^"]*"|\S+) ([a-z].*)$/gm)].flatMap(([, names]) =>
  (names as string).split(" "),
);

describe("on a host with the programs that the script asks for, and no other", () => {
  let host: TestHost;
  let bin: string;
  let env: Record<string, string>;
  beforeAll(async () => {
    host = await startTestHost();
    host.bucket("warm");
    await host.run("warm");
    bin = `${host.root}-bin`;
    mkdirSync(bin);
    for (const name of new Set(["bash", ...programs])) link(name);
    env = { PATH: bin, HOST_ROOT: `${host.root}-bare`, HOST_RELEASES: `${host.root}-releases` };
  });
  afterAll(() => host.stop());

  /** Puts a program into the folder. */
  function link(name: string): void {
    const own = join(dirname(host.root), "bin", name);
    symlinkSync(existsSync(own) ? own : (findExecutable([name], []) as string), join(bin, name));
  }

  it("a run, a reconcile, a failure and a repair miss none", async () => {
    const archive = await serveArchive(host, "90.1");
    host.bucket("bare", { flywayVersion: archive.version });
    await host.put("bare", "V1__a.sql", "CREATE TABLE A (id int);");
    const missed = / not found|No such file/;
    const first = await host.run("bare", { env });
    expect(first).toMatchObject({ code: 0, stderr: expect.not.stringMatching(missed) });
    archive.close();

    await host.put("bare", "V2__b.sql", "CREATE TABLE B (id int); bad;");
    await host.put("bare", "V3__c.sql", "");
    await host.put("bare", "notes.txt", "x");
    await host.remove("bare", "V3__c.sql");
    const failed = await host.run("*", { env });
    expect(failed).toMatchObject({ code: 1, stderr: expect.not.stringMatching(missed) });
    expect((await host.verdicts("bare"))["V2__b.sql"]?.message).toContain("\n- table B added\nTo do: ");

    await host.put("bare", "V2__b.sql", "CREATE TABLE C (id int);");
    const repaired = await host.run("bare", { operation: "repair", env });
    expect(repaired).toMatchObject({ code: 0, stderr: expect.not.stringMatching(missed) });
    expect((await host.verdicts("bare"))["V2__b.sql"]?.verdict).toBe("applied");
  });

  it.each(["cmp", "curl", "comm"])(
    "a run says in its record that there is no %s, and migrates nothing",
    async (name) => {
      const bucket = `without-${name}`;
      host.bucket(bucket);
      await host.put(bucket, "V1__a.sql", "CREATE TABLE A (id int);");
      rmSync(join(bin, name));
      const { code, stderr } = await host.run(bucket, { env });
      link(name);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining(`FAILED: cannot install ${name}: install it on the host`),
      });
      expect((await host.records(bucket)).map(({ exitCode, reason }) => [exitCode, reason])).toEqual([
        [1, `cannot install ${name}: install it on the host`],
      ]);
    },
  );

  it.each(["jq", "aws", "flock"])(
    "a run says that there is no %s where there can be no record",
    async (name) => {
      rmSync(join(bin, name));
      const { code, stderr } = await host.run("warm", { env });
      link(name);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining(`FAILED: cannot install ${name}: install it on the host`),
      });
    },
  );
});
