import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { S3Error } from "./error";

/** Bytes on disk, under a name that no request chose. */
export interface StoredBody {
  file: string;
  /** Bytes. */
  size: number;
  /** MD5 of the bytes, hex. */
  md5: string;
}

/** Longest accepted line of chunk framing, in characters; a signature takes about 100. */
const LONGEST_LINE = 4096;

/** Longest accepted XML request, in bytes: 10,000 parts or 1,000 keys of 1,024 bytes fit. */
const LONGEST_XML = 8 * 1024 * 1024;

/**
 * Writes all of a stream to a new file of the folder.
 *
 * @throws what the stream throws, for example when a client disconnects; the file is removed then.
 */
export async function storeStream(
  content: Readable | AsyncIterable<Buffer>,
  folder: string,
): Promise<StoredBody> {
  const file = join(folder, `incoming-${randomUUID()}`);
  const hash = createHash("md5");
  let size = 0;
  async function* measured(source: AsyncIterable<Buffer>) {
    for await (const piece of source) {
      hash.update(piece);
      size += piece.length;
      yield piece;
    }
  }
  try {
    await pipeline(content, measured, createWriteStream(file, { flags: "wx" }));
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
  return { file, size, md5: hash.digest("hex") };
}

/**
 * Writes a request's content, freed of chunk framing, to a new file of the folder.
 *
 * @throws S3Error IncompleteBody, BadDigest; nothing is left on disk then.
 */
export async function storeRequest(request: IncomingMessage, folder: string): Promise<StoredBody> {
  const body = await storeStream(contentOf(request), folder);
  const promised = request.headers["x-amz-decoded-content-length"];
  const digest = request.headers["content-md5"];
  try {
    if (promised !== undefined && Number(promised) !== body.size) {
      throw new S3Error(
        "IncompleteBody",
        `The content has ${body.size} bytes, not the announced ${promised}.`,
      );
    }
    if (digest !== undefined && digest !== Buffer.from(body.md5, "hex").toString("base64")) {
      throw new S3Error("BadDigest", "The content doesn't have the MD5 that Content-MD5 announced.");
    }
  } catch (error) {
    await rm(body.file, { force: true });
    throw error;
  }
  return body;
}

/** A request's XML. @throws S3Error MalformedXML where it is too long. */
export async function xmlOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of contentOf(request)) {
    size += piece.length;
    if (size > LONGEST_XML)
      throw new S3Error("MalformedXML", `The request has more than ${LONGEST_XML} bytes.`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function contentOf(request: IncomingMessage): Readable | AsyncIterable<Buffer> {
  const framed =
    String(request.headers["x-amz-content-sha256"]).startsWith("STREAMING-") ||
    /\baws-chunked\b/.test(request.headers["content-encoding"] ?? "");
  return framed ? unframed(request) : request;
}

/**
 * The content within aws-chunked framing: per chunk a line with its size in hex (and a signature, which is not
 * verified), the bytes and CR LF; then a chunk of size 0, and perhaps trailers, which are dropped.
 *
 * @throws S3Error IncompleteBody where the framing breaks off or is none; only at the end of the source, which
 * is read until then, so that a client gets the refusal instead of a closed connection.
 */
export async function* unframed(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let expected: "size" | "content" | "separator" | "trailers" | "anything" = "size";
  let problem = "The content broke off before its last chunk.";
  let line = "";
  let remaining = 0;
  for await (const piece of source) {
    let at = 0;
    while (at < piece.length && expected !== "trailers" && expected !== "anything") {
      if (expected === "content") {
        const content = piece.subarray(at, at + remaining);
        at += content.length;
        remaining -= content.length;
        if (remaining === 0) expected = "separator";
        yield content;
        continue;
      }
      const lineEnd = piece.indexOf("\n", at);
      const next = lineEnd < 0 ? piece.length : lineEnd + 1;
      line += piece.toString("latin1", at, next);
      at = next;
      if (lineEnd < 0 && line.length <= LONGEST_LINE) continue;
      const size = /^([0-9a-f]{1,12})(?:;.*)?\r\n$/i.exec(line)?.[1];
      if (expected === "separator" && line === "\r\n") {
        expected = "size";
      } else if (expected === "size" && size !== undefined) {
        remaining = Number.parseInt(size, 16);
        expected = remaining === 0 ? "trailers" : "content";
      } else {
        problem = `The chunk framing is wrong where a ${expected} was expected.`;
        expected = "anything";
      }
      line = "";
    }
  }
  if (expected !== "trailers") throw new S3Error("IncompleteBody", problem);
}
