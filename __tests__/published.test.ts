import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { archivesLine, publishedUrl } from "../constructs/published";
import { certificateFor } from "../local/machine/certificate";
import { runMain } from "./support/project";

describe("the published URL", () => {
  it.each([
    [
      "13.12.0",
      "https://github.com/flyway/flyway/releases/download/flyway-13.12.0/flyway-commandline-13.12.0-linux-x64.tar.gz",
    ],
    [
      "11.9.0",
      "https://github.com/flyway/flyway/releases/download/flyway-11.9.0/flyway-commandline-11.9.0-linux-x64.tar.gz",
    ],
  ])("of %s is GitHub's", async (version, url) => {
    expect(await publishedUrl(version, {})).toBe(url);
  });

  it.each(["11.8.2", "7.15.0", "10.22.0"])("of %s is a Maven repository's", async (version) => {
    const path = `/org/flywaydb/flyway-commandline/${version}/flyway-commandline-${version}-linux-x64.tar.gz`;
    expect(
      await publishedUrl(version, { maven: "https://mirror.example/maven", github: "https://g.example" }),
    ).toBe(`https://mirror.example/maven${path}`);
  });

  it("is a mirror's of GitHub, where there is one", async () => {
    expect(await publishedUrl("13.0.0", { github: "https://mirror.example/flyway/" })).toBe(
      "https://mirror.example/flyway/flyway-13.0.0/flyway-commandline-13.0.0-linux-x64.tar.gz",
    );
  });

  it.each(["", "latest", "13", "13.12.0/../x", "v13.12.0", "13.12.0\n"])("of %j is none", async (version) => {
    await expect(publishedUrl(version, {})).rejects.toThrow("is no Flyway version: use one such as 13.12.0");
  });

  it.each([
    "http://mirror.example",
    "https://user:word@mirror.example",
    "mirror.example",
    'https://a.example/"',
  ])("of a mirror %s is none", async (github) => {
    await expect(publishedUrl("13.0.0", { github })).rejects.toThrow("set GITHUB_RELEASES");
  });
});

describe("npm run archive", () => {
  let folder: string;
  let server: Server;
  let env: Record<string, string>;
  let archive: Buffer;
  const versions = {
    moved: "13.0.1",
    whole: "13.0.2",
    missing: "13.0.3",
    part: "13.0.4",
    page: "13.0.5",
    other: "13.0.6",
    cut: "13.0.7",
  };

  /** A .tar.gz of one folder with these files. */
  const packed = (name: string, files: Readonly<Record<string, string>>): Buffer => {
    const root = join(folder, name);
    mkdirSync(root, { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(root, file), text, { mode: 0o755 });
    execFileSync("tar", ["-czf", `${root}.tar.gz`, "-C", folder, name]);
    return readFileSync(`${root}.tar.gz`);
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "archive-"));
    const noise = Array.from({ length: 40_000 }, (_, n) =>
      createHash("sha256").update(`${n}`).digest("hex"),
    ).join("");
    archive = packed("flyway-13", { "README.txt": noise, flyway: "#!/bin/sh\n" });
    const other = packed("other", { "README.txt": "flyway" });
    const { ca, certificate, key } = await certificateFor("127.0.0.1");
    writeFileSync(join(folder, "ca.pem"), ca);
    server = createServer({ cert: certificate, key }, (request, response) => {
      const version = /\/flyway-([\d.]+)\//.exec(request.url ?? "")?.[1];
      if (request.url === "/elsewhere" || version === versions.whole) {
        response.writeHead(200, { "content-length": archive.length }).end(archive);
      } else if (version === versions.moved) response.writeHead(302, { location: "/elsewhere" }).end();
      else if (version === versions.part) response.end(archive.subarray(0, 100_000));
      else if (version === versions.page) response.end("<!doctype html><p>Sign in");
      else if (version === versions.other) response.end(other);
      else if (version === versions.cut) {
        response.writeHead(200, { "content-length": archive.length });
        response.write(archive.subarray(0, 100_000), () => response.destroy());
      } else response.writeHead(404).end("Not Found");
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    env = {
      GITHUB_RELEASES: `https://127.0.0.1:${(server.address() as AddressInfo).port}/releases`,
      NODE_EXTRA_CA_CERTS: join(folder, "ca.pem"),
    };
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(["whole", "moved"] as const)("prints the line alone to stdout for one that is %s", async (how) => {
    const { code, stdout, stderr } = await runMain(["archive", versions[how]], { env });
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("Downloading https://"),
    });
    const url = `${env.GITHUB_RELEASES}/flyway-${versions[how]}/flyway-commandline-${versions[how]}-linux-x64.tar.gz`;
    const sha256 = createHash("sha256").update(archive).digest("hex");
    expect(stdout).toBe(`${archivesLine(versions[how], { url, sha256 })}\n`);
  });

  it.each([
    ["missing", /HTTP 404/],
    ["part", /is no whole \.tar\.gz: unexpected end of file/],
    ["page", /is no whole \.tar\.gz: incorrect header check/],
    ["other", /is no archive of Flyway's command line: it has no <folder>\/flyway/],
    ["cut", /broke off after \d+ bytes/],
  ] as const)("prints no line for one that is %s, and says why", async (how, message) => {
    const { code, stdout, stderr } = await runMain(["archive", versions[how]], { env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it("says so where the server can't be reached", async () => {
    const { code, stderr } = await runMain(["archive", "13.0.0"], {
      env: { GITHUB_RELEASES: "https://127.0.0.1:1" },
    });
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("cannot download") });
  });

  it.each([[[]], [["13.0.0", "more"]], [["--help"]], [["latest"]]])(
    "takes one version, not %j",
    async (args) => {
      const { code, stdout, stderr } = await runMain(["archive", ...args], { env });
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/archive takes one version|is no Flyway version/);
    },
  );
});
