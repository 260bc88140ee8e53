import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { skipLoudly } from "../support/moto";

const ASSETS = resolve(__dirname, "..", "..", "assets");

/** The programs that a shell file asks for, with their packages, as `package program`. */
function needs(name: string): string[] {
  const matches = readFileSync(join(ASSETS, name), "utf8").matchAll(/\bneed ([a-z0-9-]+) ([a-z0-9-]+)/g);
  return [...matches].map(([, program, package_]) => `${program} ${package_}`);
}

/** What stands in for programs of the host: each notes its words. */
const STUBS: Readonly<Record<string, string>> = {
  dnf: "",
  swapon: "",
  systemctl: "",
  dd: 'for word; do case $word in of=*) head -c 65536 /dev/zero >"${word#of=}" ;; esac; done', // not 1 GiB
};

/** The user data, run as root of a file system of its own: the machine's programs, and the host's /etc, /opt and /. */
describe("the user data", () => {
  let may = false;
  let root: string;
  beforeAll(async () => {
    may = await promisify(execFile)("unshare", ["-Urm", "chroot", "/", "true"]).then(
      () => true,
      () => false,
    );
    if (!may) skipLoudly("the user data", "this user may not have a root of its own");
  });
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "user-data-"));
    for (const folder of ["etc", "opt", "stubs", "dev", "tmp"]) mkdirSync(join(root, folder));
    writeFileSync(join(root, "etc", "fstab"), "LABEL=/ / xfs defaults 0 0\n");
    writeFileSync(join(root, "user-data.sh"), readFileSync(join(ASSETS, "user-data.sh")));
    for (const [name, body] of Object.entries(STUBS)) stub(name, body);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function stub(name: string, body: string): void {
    writeFileSync(join(root, "stubs", name), `#!/bin/sh\necho ${name} "$@" >>/said\n${body}\n`, {
      mode: 0o755,
    });
  }

  /** Runs it; fails where it does. */
  function run(): { calls: string[]; stderr: string } {
    const script = `
      for folder in usr bin sbin lib lib64; do
        [ ! -e "/$folder" ] || { mkdir -p "$0/$folder" && mount --rbind "/$folder" "$0/$folder"; } || exit 90
      done
      mount --rbind /dev "$0/dev" || exit 91
      PATH=/stubs:/usr/sbin:/usr/bin:/sbin:/bin exec chroot "$0" bash /user-data.sh 2>"$0/stderr"`;
    execFileSync("unshare", ["-Urm", "sh", "-c", script, root]);
    const text = (name: string) => readFileSync(join(root, name), "utf8");
    return { calls: text("said").trimEnd().split("\n"), stderr: text("stderr") };
  }
  const fstab = () =>
    readFileSync(join(root, "etc", "fstab"), "utf8")
      .split("\n")
      .slice(1, -1);

  it("adds swap of 1 GiB that stays after a reboot, and once only", ({ skip }) => {
    if (!may) return skip("no root of its own");
    const { calls } = run();
    expect(calls).toContain("dd if=/dev/zero of=/swapfile bs=1M count=1024 status=none");
    expect(calls).toContain("swapon /swapfile");
    expect(readFileSync(join(root, "swapfile")).toString("latin1")).toContain("SWAPSPACE2"); // mkswap's
    expect(statSync(join(root, "swapfile")).mode & 0o777).toBe(0o600);
    expect(fstab()).toEqual(["/swapfile none swap sw,nofail 0 0"]);
    expect(run().calls.filter((line) => line.startsWith("swapon"))).toHaveLength(1); // of both runs
    expect(fstab()).toHaveLength(1);
  });

  it.for(["dd", "swapon"])("leaves no file, and goes on, where %s fails", (name, { skip }) => {
    if (!may) return skip("no root of its own");
    stub(name, "exit 1");
    const { calls, stderr } = run();
    expect(stderr).toContain("the host has no swap");
    expect(existsSync(join(root, "swapfile"))).toBe(false);
    expect(fstab()).toEqual([]);
    expect(calls.at(-1)).toBe("systemctl enable --now amazon-ssm-agent");
    expect(existsSync(join(root, "opt", "flyway"))).toBe(true);
  });

  it("asks for the programs that a run asks for, and for those alone that are not there", ({ skip }) => {
    const ofRun = needs("host.sh").map((line) => line.replace(/^nodejs24 node$/, "nodejs24 node-24"));
    expect(needs("user-data.sh").sort()).toEqual([...new Set(ofRun)].sort());
    expect(ofRun.length).toBeGreaterThan(5);
    if (!may) return skip("no root of its own");
    const installed = run().calls.filter((line) => line.startsWith("dnf"));
    const has = (name: string) => existsSync(join("/usr/bin", name)) || existsSync(join("/bin", name));
    const missing = needs("user-data.sh").map((line) => line.split(" ") as [string, string]);
    expect(installed).toEqual(
      missing.filter(([, program]) => !has(program)).map(([name]) => `dnf -y -q install ${name}`),
    );
  });
});
