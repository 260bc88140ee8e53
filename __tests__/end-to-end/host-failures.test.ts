import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { applied, query, table } from "../support/chain";
import { useTestHost } from "../support/host-test";
import { skipLoudly } from "../support/moto";
import { schemaErrors } from "../support/schema";

// A host that was rebooted, is bare, is full, or is in another time.

const host = useTestHost();

describe("a host", () => {
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
    expect((await host.verdictOf("reboot", "V2__b.sql")).verdict).toBe("applied");
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
    expect((await host.verdictOf("bare", "V2__b.sql")).verdict).toBe("applied");
  });

  it("that has installed Flyway starts it from a class-data archive; without one, or from a damaged one, it goes on", async () => {
    host.bucket("classes");
    const releases = `${host.root}-classes`;
    const archive = join(releases, host.flywayVersion, "classes.jsa");
    const loaded = join(host.root, "classes.log");
    const env = { HOST_RELEASES: releases, JAVA_ARGS: `-Xlog:class+load:file=${loaded}` };
    const run = async (version: number) => {
      await host.put("classes", `V${version}__a.sql`, table(`A${version}`));
      const { code, stderr } = await host.run("classes", { env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      return /org\.flywaydb\S+ source: shared objects file/.test(readFileSync(loaded, "utf8"));
    };
    expect(await run(1)).toBe(true);
    chmodSync(archive, 0o600);
    const bytes = readFileSync(archive);
    writeFileSync(
      archive,
      Buffer.concat([bytes.subarray(0, bytes.length / 2), Buffer.alloc(bytes.length / 2, 1)]),
    );
    expect(await run(2)).toBe(false);
    truncateSync(archive, 1_000);
    expect(await run(3)).toBe(false);
    rmSync(archive);
    expect(await run(4)).toBe(false);
    expect(await applied(host, "classes")).toEqual(["1", "2", "3", "4"]);
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
      expect(await host.verdictOf("full", key)).toMatchObject({
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
});
