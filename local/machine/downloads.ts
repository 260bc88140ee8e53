import { createHash, randomUUID } from "node:crypto";
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { openPromise } from "yauzl";

export interface Download {
  /** File name in the cache folder; one content, one name. */
  readonly name: string;
  readonly url: string;
  /** SHA-256 of the whole file, hexadecimal. */
  readonly sha256: string;
  /** What it is to a person: "Flyway 11.8.2". */
  readonly label: string;
  /** The setting that names another source; error messages mention it. */
  readonly setting: string;
}

/**
 * Called at the start, at the end and at most once per second between; counts are bytes. `totalBytes` is
 * undefined where the server doesn't tell.
 */
export type Progress = (label: string, receivedBytes: number, totalBytes: number | undefined) => void;

/** The same for a person: `Downloading Flyway 11.8.2: 12 of 254 MB (4 %)`. */
export function describeDownload(
  label: string,
  receivedBytes: number,
  totalBytes: number | undefined,
): string {
  const megabytes = (bytes: number) => Math.round(bytes / 1e6);
  const share = totalBytes
    ? ` of ${megabytes(totalBytes)} MB (${Math.floor((100 * receivedBytes) / totalBytes)} %)`
    : " MB";
  return `Downloading ${label}: ${megabytes(receivedBytes)}${share}`;
}

/** How often a download goes on after its connection broke. */
const RETRIES = 3;

/** Temporary files and folders of this age, in milliseconds, belong to nobody any more. */
const ABANDONED_AFTER = 3_600_000;

/** `$XDG_CACHE_HOME/flyway-on-aws`, by default `~/.cache/flyway-on-aws`; created where it isn't there yet. */
export function cacheFolder(): string {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "flyway-on-aws");
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Path of a file or folder that an earlier `download` or `unpackZip` has left in the cache, or undefined. */
export function cached(name: string): string | undefined {
  const path = join(cacheFolder(), name);
  return existsSync(path) ? path : undefined;
}

/**
 * Path of the verified file in the cache. It is downloaded only when the cache doesn't hold it, and hashed each
 * time, which takes about 0.2 s for 250 MB. Several processes may ask for the same file at once.
 *
 * @throws with the URL and a remedy, when there is no such file, no connection or another content than expected.
 */
export async function download(source: Download, progress: Progress): Promise<string> {
  const path = join(cacheFolder(), source.name);
  if (existsSync(path)) {
    if ((await sha256(path)) === source.sha256) return path;
    await rm(path, { force: true });
  }
  const part = temporary(source.name);
  try {
    const sum = await receive(source, part, path, progress);
    if (sum !== source.sha256) {
      throw new Error(
        `${source.url} is not ${source.label}: its SHA-256 is ${sum}, expected ${source.sha256}. ` +
          `It was deleted. ${otherWays(source, path)}`,
      );
    }
    await rename(part, path);
  } finally {
    await rm(part, { force: true });
  }
  return path;
}

/** A connection that broke is worth another try; a full disk or an HTTP error isn't. */
class BrokenConnection extends Error {}

/** Receives the file, going on where a broken connection stopped; returns its SHA-256. */
async function receive(source: Download, part: string, path: string, progress: Progress): Promise<string> {
  const file = await open(part, "ax");
  try {
    const state = { hash: createHash("sha256"), received: 0 };
    const report = perSecond((total) => progress(source.label, state.received, total));
    for (let attempt = 0; ; attempt++) {
      try {
        await receiveOnce(source, path, file, state, report);
        return state.hash.digest("hex");
      } catch (error) {
        if (!(error instanceof BrokenConnection) || attempt === RETRIES) throw error;
        await sleep(500 * 2 ** attempt);
      }
    }
  } finally {
    await file.close();
  }
}

async function receiveOnce(
  source: Download,
  path: string,
  file: FileHandle,
  state: { hash: ReturnType<typeof createHash>; received: number },
  report: (total: number | undefined, now?: boolean) => void,
): Promise<void> {
  const fail = (reason: string) => `Can't download ${source.label} from ${source.url}: ${reason}`;
  const broken = (error: unknown) =>
    new BrokenConnection(`${fail(reasonOf(error))}${proxyHint()}. ${otherWays(source, path)}`);
  const resuming = state.received > 0;
  const headers = { "accept-encoding": "identity", ...(resuming && { range: `bytes=${state.received}-` }) };
  const response = await fetch(source.url, { headers }).catch((error) => {
    // The first time nothing tells a short outage from a wrong address, so nobody is kept waiting.
    throw resuming ? broken(error) : new Error(broken(error).message);
  });
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new Error(
      `${fail(`HTTP ${response.status} ${response.statusText}`.trim())}. ${otherWays(source, path)}`,
    );
  }
  if (!response.headers.get("content-range")?.startsWith(`bytes ${state.received}-`)) {
    await file.truncate(0);
    state.hash = createHash("sha256");
    state.received = 0;
  }
  const length = response.headers.get("content-length");
  const total = length === null ? undefined : state.received + Number(length);
  report(total, true);
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw broken(error);
    });
    if (done) break;
    await file.appendFile(value);
    state.hash.update(value);
    state.received += value.length;
    report(total);
  }
  report(total, true);
}

function perSecond(action: (total: number | undefined) => void) {
  let last = 0;
  return (total: number | undefined, now = false) => {
    if (!now && Date.now() - last < 1000) return;
    last = Date.now();
    action(total);
  };
}

/** What `fetch` hides in the cause of "fetch failed". */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error & { cause?: Error & { code?: string } };
  return cause?.message || cause?.code || message;
}

function proxyHint(): string {
  const proxied = process.env.HTTPS_PROXY ?? process.env.https_proxy;
  if (!proxied || process.env.NODE_USE_ENV_PROXY) return "";
  return " (HTTPS_PROXY is set, but Node.js follows it only with NODE_USE_ENV_PROXY=1, from Node.js 24 on)";
}

function otherWays(source: Download, path: string): string {
  return `Name another source with ${source.setting}, or put the file at ${path} yourself.`;
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

/** Path in the cache for what isn't complete yet; removes what an earlier process left so. */
function temporary(name: string): string {
  const folder = cacheFolder();
  for (const entry of readdirSync(folder).filter((entry) => entry.endsWith(".part"))) {
    const path = join(folder, entry);
    const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - modified > ABANDONED_AFTER) rmSync(path, { recursive: true, force: true });
  }
  return join(folder, `${name}.${randomUUID()}.part`);
}

/**
 * Unpacks a zip or jar into a folder of the cache, unless the folder is there already; returns its path. With a
 * subfolder ("a/b") only what is in it, without that prefix. Several processes may ask for it at once.
 *
 * @throws when the file is no zip, when an entry would leave the folder, or when there is no such subfolder.
 */
export async function unpackZip(file: string, folderName: string, subfolder?: string): Promise<string> {
  const folder = join(cacheFolder(), folderName);
  if (existsSync(folder)) return folder;
  const prefix = subfolder ? `${subfolder}/` : "";
  const part = temporary(folderName);
  try {
    await mkdir(part);
    // yauzl refuses absolute names and names with "..".
    const zip = await openPromise(file);
    let files = 0;
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith("/") || !entry.fileName.startsWith(prefix)) continue;
      const path = join(part, entry.fileName.slice(prefix.length));
      await mkdir(dirname(path), { recursive: true });
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(path, { flags: "wx" }));
      files++;
    }
    if (files === 0) throw new Error(`${file} holds no file${subfolder ? ` in ${subfolder}` : ""}.`);
    await rename(part, folder).catch((error) => {
      // Another process was faster, with the same content.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  return folder;
}
