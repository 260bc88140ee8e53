import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, stat } from "node:fs/promises";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Source } from "../deployment/mapping";
import type { Aws } from "./aws";
import { Failure, orFail } from "./failure";
import type { Host } from "./host";

/** How often a download is begun. */
const ATTEMPTS = 4;

/** Below this, in bytes a second, a download stands still: the ten hours that a run has would bring 36 MB. */
const LEAST_SPEED = 1_000;

/** What messages call a download. */
export interface DownloadName {
  /** After `cannot download`. */
  readonly what: string;
  /** Before where it is from, and what stands before its SHA-256: `the archive of Flyway 11.8.2`, `does not have`. */
  readonly subject: string;
  readonly lacks: string;
}

/**
 * Downloads to a file what has the source's SHA-256.
 *
 * @throws Failure
 */
export async function downloadSource(
  { aws, log, environment }: Host,
  source: Source,
  file: string,
  { what, subject, lacks }: DownloadName,
): Promise<void> {
  const { url, sha256 } = source;
  await orFail(
    download(aws, url, file, environment.stallSeconds),
    `cannot download ${what} from ${url}`,
    log.complain,
  );
  if (!(await isSource(source, file))) {
    throw new Failure(`${subject} from ${url} ${lacks} the SHA-256 ${sha256}`);
  }
}

/**
 * Downloads by `https://`, from a bucket by `s3://`, or copies by `file://`.
 *
 * @param stallSeconds how long it may stand still before it is begun again
 */
async function download(aws: Aws, url: string, file: string, stallSeconds: number): Promise<void> {
  if (url.startsWith("file://")) return copyFile(fileURLToPath(url), file);
  for (let attempt = 1; ; attempt++) {
    try {
      return await transfer(aws, url, file, stallSeconds);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await sleep(attempt * 1_000);
    }
  }
}

async function transfer(aws: Aws, url: string, file: string, stallSeconds: number): Promise<void> {
  const stall = new AbortController();
  let received = 0;
  let before = 0;
  const watch = setInterval(() => {
    if (received - before < LEAST_SPEED * stallSeconds) {
      stall.abort(
        new Error(`${url} stands still: less than ${LEAST_SPEED} bytes a second for ${stallSeconds} s`),
      );
    }
    before = received;
  }, stallSeconds * 1_000);
  const count = new Transform({
    transform(chunk, _, done) {
      received += chunk.length;
      done(null, chunk);
    },
  });
  try {
    const body = await bodyOf(aws, url, stall.signal);
    await pipeline(body, count, createWriteStream(file), { signal: stall.signal });
  } catch (error) {
    throw stall.signal.aborted ? stall.signal.reason : error;
  } finally {
    clearInterval(watch);
  }
}

async function bodyOf(aws: Aws, url: string, signal: AbortSignal): Promise<Readable> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/s.exec(url) ?? [];
  if (bucket && key) return aws.get(bucket, key);
  const answer = await fetch(url, { signal });
  if (!answer.ok || !answer.body) throw new Error(`${url} answers ${answer.status}`);
  return Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]);
}

/** Whether a file is there and has the SHA-256. */
export async function isSource({ sha256 }: Pick<Source, "sha256">, file: string): Promise<boolean> {
  if (!(await stat(file).catch(() => undefined))) return false;
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex") === sha256;
}
