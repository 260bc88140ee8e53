import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { bundleUrl, type FlywayArchive } from "../deployment/archives";
import { isMatch } from "../deployment/mapping";
import { Refusal } from "./export";

/** Where Flyway's makers publish its bundles from 11.9.0 on: `<this>/flyway-<version>/<file>`. */
export const GITHUB_RELEASES = "https://github.com/flyway/flyway/releases/download";

/** A bundle of Flyway can't be had. The message says which, why, and what to do. */
export class Unavailable extends Error {}

export interface Repositories {
  /**
   * Base URL of a Maven repository, for bundles up to 11.8.2.
   * @default the public one
   */
  readonly maven?: string;
  /** @default GITHUB_RELEASES */
  readonly github?: string;
}

/**
 * Where the makers publish the linux-x64 bundle of a release.
 *
 * @throws Refusal if the version is none, or a base is no https:// URL, which is what the host downloads from
 */
export async function publishedUrl(version: string, { maven, github }: Repositories): Promise<string> {
  if (!isMatch(version, "flywayVersion")) {
    throw new Refusal(`${JSON.stringify(version)} is no Flyway version: use one such as 13.12.0`);
  }
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const url =
    major * 1000 + minor < 11_009
      ? await bundleUrl(version, maven)
      : `${(github || GITHUB_RELEASES).replace(/\/+$/, "")}/flyway-${version}/flyway-commandline-${version}-linux-x64.tar.gz`;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (
    parsed?.protocol !== "https:" ||
    parsed.username ||
    parsed.search ||
    parsed.hash ||
    /["\\$%]/.test(url)
  ) {
    throw new Refusal(
      `${url} is no URL that the host downloads from: set GITHUB_RELEASES (or MAVEN_REPOSITORY, up to 11.8.2) to one that begins with https://, without credentials and query`,
    );
  }
  return url;
}

/**
 * Downloads an archive, without keeping it, and measures it.
 *
 * @param url of a .tar.gz
 * @param progress called with the bytes so far, and all of them where the server tells
 * @throws Unavailable if it can't be had as a whole, or is no archive of Flyway's command line
 */
export async function measureArchive(
  url: string,
  progress: (received: number, total: number | undefined) => void,
): Promise<FlywayArchive> {
  const response = await fetch(url, { headers: { "accept-encoding": "identity" } }).catch((error) => {
    throw new Unavailable(`cannot download ${url}: ${reasonOf(error)}`);
  });
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new Unavailable(
      `cannot download ${url}: HTTP ${response.status}. Is there such a release, and a bundle of it for Linux x64?`,
    );
  }
  const length = response.headers.get("content-length");
  const total = length === null ? undefined : Number(length);
  const hash = createHash("sha256");
  const files = new TarFiles();
  let received = 0;
  let broken: unknown;
  try {
    await pipeline(
      Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]).on("error", (error) => {
        broken = error;
      }),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          received += chunk.length;
          progress(received, total);
          yield chunk;
        }
      },
      createGunzip(),
      async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) files.read(chunk);
      },
    );
  } catch (error) {
    throw broken
      ? new Unavailable(`the download of ${url} broke off after ${received} bytes: ${reasonOf(broken)}`)
      : new Unavailable(
          `${url} is no whole .tar.gz: ${reasonOf(error)}. A page in its place, or a part of it?`,
        );
  }
  // The host takes off the first folder, and starts what is then ./flyway
  if (!files.names.some((name) => /^(\.\/)?[^/]+\/flyway$/.test(name))) {
    throw new Unavailable(`${url} is no archive of Flyway's command line: it has no <folder>/flyway`);
  }
  return { url, sha256: hash.digest("hex") };
}

/** As a value of the variable flyway_archives, to be pasted into a tfvars file. */
export function archivesLine(version: string, { url, sha256 }: FlywayArchive): string {
  return `flyway_archives = { "${version}" = { url = "${url}", sha256 = "${sha256}" } }`;
}

/** What `fetch` hides in the cause of "fetch failed". */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error & { cause?: Error & { code?: string } };
  return cause?.message || cause?.code || message;
}

/** Reads the names of a tar's regular files, whose short ones are all that is asked for, and passes over the rest. */
class TarFiles {
  readonly names: string[] = [];
  private header = Buffer.alloc(0);
  /** Bytes of content, and of what fills its last block. */
  private remaining = 0;

  read(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      const skipped = Math.min(this.remaining, rest.length);
      this.remaining -= skipped;
      rest = rest.subarray(skipped);
      const wanted = Math.min(512 - this.header.length, rest.length);
      if (wanted === 0) continue;
      this.header = Buffer.concat([this.header, rest.subarray(0, wanted)]);
      rest = rest.subarray(wanted);
      if (this.header.length === 512) this.enter();
    }
  }

  /** https://www.gnu.org/software/tar/manual/html_node/Standard.html */
  private enter(): void {
    const text = (from: number, length: number) =>
      this.header.toString("latin1", from, from + length).replace(/\0.*$/s, "");
    const prefix = text(257, 5) === "ustar" ? text(345, 155) : "";
    const size = Number.parseInt(text(124, 12).trim() || "0", 8) || 0;
    if (/^[0\0]?$/.test(text(156, 1))) this.names.push(prefix ? `${prefix}/${text(0, 100)}` : text(0, 100));
    this.remaining = Math.ceil(size / 512) * 512;
    this.header = Buffer.alloc(0);
  }
}
