import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestHost } from "./host";

/** A server of a Flyway's archive, for hosts that install it. */
export interface ArchiveServer {
  readonly url: string;
  /** The version by which a mapping asks for it. */
  readonly version: string;
  /**
   * `slow`: 4 KB every 200 ms; `stuck`: a few bytes, and no more.
   * @default whole
   */
  mode: "whole" | "slow" | "stuck";
  /** How often it was asked for. */
  readonly requests: number;
  close(): void;
}

/**
 * Serves an archive of 80 KB whose Flyway is the one that `host` has installed; `host` is told of it. The host must have
 * run before.
 */
export async function serveArchive(host: TestHost, version: string): Promise<ArchiveServer> {
  const folder = mkdtempSync(join(tmpdir(), "archive-"));
  mkdirSync(join(folder, "flyway-x"));
  const real = join(host.releases, host.flywayVersion, "flyway");
  writeFileSync(join(folder, "flyway-x", "flyway"), `#!/bin/sh\nexec '${real}' "$@"\n`, { mode: 0o755 });
  writeFileSync(join(folder, "flyway-x", "filler"), randomBytes(80_000));
  const archive = execFileSync("tar", ["-cz", "-C", folder, "flyway-x"]);
  rmSync(folder, { recursive: true });

  let requests = 0;
  const http = createServer(async (_, response) => {
    requests++;
    response.writeHead(200, { "content-length": archive.length });
    if (server.mode === "whole") return void response.end(archive);
    if (server.mode === "stuck") return void response.write(archive.subarray(0, 10));
    for (let from = 0; from < archive.length; from += 4_000) {
      response.write(archive.subarray(from, from + 4_000));
      await sleep(200);
    }
    response.end();
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/flyway.tar.gz`;
  const sha256 = createHash("sha256").update(archive).digest("hex");
  host.parameters.set(`/flyway/archive/${version}`, JSON.stringify({ url, sha256 }));
  const server: ArchiveServer = {
    url,
    version,
    mode: "whole",
    get requests() {
      return requests;
    },
    close() {
      http.close();
      http.closeAllConnections();
    },
  };
  return server;
}
