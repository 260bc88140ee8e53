import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { cached, cacheFolder, download, unpackZip } from "../local/machine/downloads";

const CONTENT = Buffer.from("0123456789".repeat(50_000));
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");

let base: string;
let server: Server | undefined;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "downloads-"));
  vi.stubEnv("XDG_CACHE_HOME", base);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await stop();
  rmSync(base, { recursive: true, force: true });
});

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/tool.bin`;
}

async function stop(): Promise<void> {
  if (!server) return;
  server.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
  server = undefined;
}

function tool(url: string) {
  return { name: "tool-1.bin", url, sha256: SHA256, label: "Tool 1", setting: "TOOL_URL" };
}

const quiet = () => {};

describe("cacheFolder", () => {
  it("is a folder of its own in XDG_CACHE_HOME", () => {
    expect(cacheFolder()).toBe(join(base, "flyway-on-aws"));
    expect(existsSync(cacheFolder())).toBe(true);
  });

  it("is in ~/.cache by default", () => {
    vi.stubEnv("XDG_CACHE_HOME", "");
    vi.stubEnv("HOME", base);
    expect(cacheFolder()).toBe(join(base, ".cache", "flyway-on-aws"));
  });
});

describe("download", () => {
  it("leaves the file, and nothing else, in the cache", async () => {
    const path = await download(tool(await serve((_, response) => response.end(CONTENT))), quiet);
    expect(path).toBe(cached("tool-1.bin"));
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
    expect(readdirSync(cacheFolder())).toEqual(["tool-1.bin"]);
  });

  it("tells the received and the total bytes at the start and at the end", async () => {
    const url = await serve((_, response) =>
      response.setHeader("content-length", CONTENT.length).end(CONTENT),
    );
    const progress = vi.fn();
    await download(tool(url), progress);
    expect(progress.mock.calls[0]).toEqual(["Tool 1", 0, CONTENT.length]);
    expect(progress.mock.lastCall).toEqual(["Tool 1", CONTENT.length, CONTENT.length]);
  });

  it("does without a length", async () => {
    const url = await serve((_, response) => {
      response.write(CONTENT.subarray(0, 5));
      response.end(CONTENT.subarray(5));
    });
    const progress = vi.fn();
    await download(tool(url), progress);
    expect(progress.mock.lastCall).toEqual(["Tool 1", CONTENT.length, undefined]);
  });

  it("needs no server for what the cache holds", async () => {
    const url = await serve((_, response) => response.end(CONTENT));
    const first = await download(tool(url), quiet);
    await stop();
    expect(await download(tool(url), quiet)).toBe(first);
  });

  it("replaces a damaged file of the cache", async () => {
    writeFileSync(join(cacheFolder(), "tool-1.bin"), "damaged");
    const path = await download(tool(await serve((_, response) => response.end(CONTENT))), quiet);
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
  });

  it("goes on where a broken connection stopped", async () => {
    const ranges: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      ranges.push(request.headers.range);
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      response.writeHead(start ? 206 : 200, {
        "content-length": CONTENT.length - start,
        ...(start && { "content-range": `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}` }),
      });
      if (start) response.end(CONTENT.subarray(start));
      else response.write(CONTENT.subarray(0, 200_000), () => setTimeout(() => response.destroy(), 300));
    });
    const path = await download(tool(url), quiet);
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
  });

  it("begins again where the server knows no ranges", async () => {
    let requests = 0;
    const url = await serve((_, response) => {
      response.writeHead(200, { "content-length": CONTENT.length });
      if (++requests > 1) response.end(CONTENT);
      else response.write(CONTENT.subarray(0, 200_000), () => setTimeout(() => response.destroy(), 300));
    });
    const path = await download(tool(url), quiet);
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
    expect(requests).toBe(2);
  });

  it("gives up after three retries and leaves nothing", async () => {
    let requests = 0;
    const url = await serve((_, response) => {
      requests++;
      response.writeHead(200, { "content-length": CONTENT.length });
      response.write(CONTENT.subarray(0, 9), () => setTimeout(() => response.destroy(), 20));
    });
    await expect(download(tool(url), quiet)).rejects.toThrow(/Can't download Tool 1 from http.*TOOL_URL/);
    expect(requests).toBe(4);
    expect(readdirSync(cacheFolder())).toEqual([]);
  });

  it("names URL, status and setting on an HTTP error", async () => {
    const url = await serve((_, response) => response.writeHead(404).end());
    const failure = download(tool(url), quiet);
    await expect(failure).rejects.toThrow(`Can't download Tool 1 from ${url}: HTTP 404 Not Found.`);
    await expect(failure).rejects.toThrow("TOOL_URL");
    expect(readdirSync(cacheFolder())).toEqual([]);
  });

  it("names URL, reason and setting when nobody listens", async () => {
    const url = await serve(() => {});
    await stop();
    await expect(download(tool(url), quiet)).rejects.toThrow(/from http:.*ECONNREFUSED.*TOOL_URL/);
  });

  it("deletes another content than expected and names both sums", async () => {
    const sum = createHash("sha256").update("log in first").digest("hex");
    const url = await serve((_, response) => response.end("log in first"));
    const failure = download(tool(url), quiet);
    await expect(failure).rejects.toThrow(`${url} is not Tool 1: its SHA-256 is ${sum}, expected ${SHA256}.`);
    await expect(failure).rejects.toThrow("TOOL_URL");
    expect(readdirSync(cacheFolder())).toEqual([]);
  });

  it("serves two at once", async () => {
    const url = await serve((_, response) => response.end(CONTENT));
    const paths = await Promise.all([download(tool(url), quiet), download(tool(url), quiet)]);
    expect(new Set(paths).size).toBe(1);
    expect(readdirSync(cacheFolder())).toEqual(["tool-1.bin"]);
  });

  it("removes what others abandoned, and only that", async () => {
    const old = join(cacheFolder(), "other.1.part");
    const young = join(cacheFolder(), "other.2.part");
    for (const path of [old, young]) writeFileSync(path, "");
    utimesSync(old, new Date(0), new Date(0));
    await download(tool(await serve((_, response) => response.end(CONTENT))), quiet);
    expect(readdirSync(cacheFolder()).sort()).toEqual(["other.2.part", "tool-1.bin"]);
  });
});

/** A zip archive whose entries are stored without compression; its reader checks no CRC. */
function zip(entries: Record<string, string>): string {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(entries)) {
    const sizes = Buffer.alloc(14);
    sizes.writeUInt32LE(Buffer.byteLength(text), 4);
    sizes.writeUInt32LE(Buffer.byteLength(text), 8);
    sizes.writeUInt16LE(Buffer.byteLength(name), 12);
    const common = Buffer.concat([Buffer.from([10, 0, 0, 8, 0, 0, 0, 0, 0, 0]), sizes]);
    const file = Buffer.concat([
      Buffer.from("PK\x03\x04"),
      common,
      Buffer.alloc(2),
      Buffer.from(name + text),
    ]);
    const tail = Buffer.alloc(16);
    tail.writeUInt32LE(offset, 12);
    directory.push(Buffer.from("PK\x01\x02"), Buffer.from([10, 0]), common, tail, Buffer.from(name));
    files.push(file);
    offset += file.length;
  }
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(Object.keys(entries).length, 8);
  end.writeUInt16LE(Object.keys(entries).length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  const path = join(base, "archive.zip");
  writeFileSync(path, Buffer.concat([...files, ...directory, end]));
  return path;
}

describe("unpackZip", () => {
  it("unpacks into a folder of the cache", async () => {
    const folder = await unpackZip(zip({ "a/": "", "a/b/ü.txt": "deep", top: "" }), "unpacked");
    expect(folder).toBe(join(cacheFolder(), "unpacked"));
    expect(readFileSync(join(folder, "a/b/ü.txt"), "utf8")).toBe("deep");
    expect(readFileSync(join(folder, "top"), "utf8")).toBe("");
    expect(readdirSync(cacheFolder())).toEqual(["unpacked"]);
  });

  it("unpacks a subfolder without its path", async () => {
    const folder = await unpackZip(zip({ "a/b/c/d": "1", "a/bc": "2", e: "3" }), "unpacked", "a/b");
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual(["c", "c/d"]);
  });

  it("needs no archive for what the cache holds", async () => {
    mkdirSync(join(cacheFolder(), "unpacked"));
    expect(await unpackZip(join(base, "absent.zip"), "unpacked")).toBe(join(cacheFolder(), "unpacked"));
  });

  it("serves two at once", async () => {
    const file = zip({ a: "1" });
    await Promise.all([unpackZip(file, "unpacked"), unpackZip(file, "unpacked")]);
    expect(readdirSync(cacheFolder())).toEqual(["unpacked"]);
  });

  it.each(["../outside", "a/../../outside", "/outside", "a\\..\\..\\outside"])(
    "refuses an entry %s",
    async (name) => {
      await expect(unpackZip(zip({ good: "", [name]: "" }), "unpacked")).rejects.toThrow(/outside/);
      expect(readdirSync(cacheFolder())).toEqual([]);
      expect(existsSync(join(base, "outside"))).toBe(false);
    },
  );

  it("refuses what is no archive, and an archive without the subfolder", async () => {
    writeFileSync(join(base, "page.html"), "<html>".repeat(20));
    await expect(unpackZip(join(base, "page.html"), "unpacked")).rejects.toThrow();
    await expect(unpackZip(zip({ a: "" }), "unpacked", "b")).rejects.toThrow(/holds no file in b/);
    expect(readdirSync(cacheFolder())).toEqual([]);
  });
});
