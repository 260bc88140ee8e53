import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type * as http from "node:http";
import type { Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import type { S3Event } from "aws-lambda";
import { Bucket } from "./bucket";
import { type Answer, type Call, decoded } from "./call";
import { S3Error } from "./error";
import { createdRecord } from "./event";
import { OPERATIONS, type Operation } from "./operations";
import { xmlDocument } from "./xml";

/** A stored version of an object, newest first where listed. */
export interface ObjectVersion {
  key: string;
  versionId: string;
  /** Without quotes; empty for a delete marker. */
  eTag: string;
  /** Bytes; 0 for a delete marker. */
  size: number;
  /** ISO 8601, to the millisecond. */
  lastModified: string;
  isLatest: boolean;
  isDeleteMarker: boolean;
}

/** Gets the event exactly as S3 sends it to Lambda. What it throws ends the process: it isn't ours to handle. */
export type NotificationListener = (event: S3Event) => void;

/** Longest key, in bytes of UTF-8. */
const LONGEST_KEY = 1024;

/** Headers that ask for what isn't here; whoever sends one is told, instead of losing it without a word. */
const REFUSED_HEADER =
  /^(x-amz-(acl|grant-.+|tagging|object-lock-.+|website-redirect-location|write-offset-bytes|(copy-source-)?server-side-encryption-customer-.+|copy-source-if-(un)?modified-since|if-match-.+)|if-(un)?modified-since|if-range)$/;

/**
 * A subset of S3 for local use: what AWS CLI v1 and v2 need to upload, list, copy, read and delete, with the
 * bucket's name in the path. Versioning is always on. A request for anything else is refused with 501.
 *
 * Buckets, versions and uploads under way live in memory, bodies in a folder. Requests must name the access
 * key id in their Authorization header, which a page in a browser can't send unasked; signatures themselves
 * are not verified. So it's no S3 to offer to others: listen on loopback only.
 */
export class LocalS3 {
  private readonly buckets = new Map<string, Bucket>();
  private readonly subscriptions: { bucket: string; suffix: string; listener: NotificationListener }[] = [];

  constructor(
    private readonly options: {
      /** Where bodies are kept; must exist, and be on one file system. */
      directory: string;
      region: string;
      accessKeyId: string;
    },
  ) {}

  /** @throws Error where the bucket exists. */
  createBucket(name: string): void {
    if (this.buckets.has(name)) throw new Error(`There is already a bucket ${name}.`);
    this.buckets.set(name, new Bucket(name, this.options.directory));
  }

  /**
   * Calls the listener after each new object version whose key ends in the suffix, once the response has been
   * sent. The suffix is case-sensitive, as in S3.
   *
   * @throws S3Error NoSuchBucket.
   */
  notify(bucket: string, filter: { suffix: string }, listener: NotificationListener): void {
    this.subscriptions.push({ bucket: this.bucket(bucket).name, suffix: filter.suffix, listener });
  }

  /**
   * All versions of all keys of a bucket, keys ascending (UTF-8 byte order), newest version first.
   *
   * @throws S3Error NoSuchBucket.
   */
  versions(bucket: string): ObjectVersion[] {
    const objects = this.bucket(bucket);
    return objects.sorted().map((version) => ({
      key: version.key,
      versionId: version.versionId,
      eTag: version.body?.eTag ?? "",
      size: version.body?.size ?? 0,
      lastModified: version.lastModified.toISOString(),
      isLatest: objects.isNewest(version),
      isDeleteMarker: !version.body,
    }));
  }

  /**
   * Body of the newest (or given) version; undefined where there is none, or a delete marker.
   *
   * @throws S3Error NoSuchBucket.
   */
  async read(bucket: string, key: string, versionId?: string): Promise<Buffer | undefined> {
    const objects = this.bucket(bucket);
    const version = versionId === undefined ? objects.newest(key) : objects.find(key, versionId);
    return version?.body ? readFile(objects.file(version)) : undefined;
  }

  /** The request handler of a node:http server. Answers every request; never rejects. */
  async handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const requestId = randomBytes(8).toString("hex").toUpperCase();
    response.setHeader("x-amz-request-id", requestId);
    try {
      const { operation, call } = this.understand(request);
      const answer = await operation.run(call);
      await send(request, response, answer);
      if (answer.created) this.publish(call, answer.created, requestId);
    } catch (error) {
      await sendError(request, response, error, requestId);
    }
  }

  private understand(request: http.IncomingMessage): { operation: Operation; call: Call } {
    const { accessKeyId, directory: folder, region } = this.options;
    const credential = /\bCredential=([^/,\s]*)\//.exec(request.headers.authorization ?? "")?.[1];
    if (credential !== accessKeyId) {
      throw new S3Error(
        "InvalidAccessKeyId",
        "The Authorization header doesn't name this server's access key id.",
      );
    }
    const [path = "", search = ""] = (request.url ?? "").split(/\?(.*)/s);
    const [, name = "", key = ""] = (/^\/([^/]*)\/?(.*)$/s.exec(path) ?? []).map(decoded);
    if (Buffer.byteLength(key) > LONGEST_KEY) {
      throw new S3Error("KeyTooLongError", `A key has at most ${LONGEST_KEY} bytes.`);
    }
    const query = new URLSearchParams(search);
    const of = key !== "" ? "object" : name !== "" ? "bucket" : "service";
    const operation = operationOf(request.method, of, [...query.keys()]);
    const bucket = of === "service" ? new Bucket("", folder) : this.bucket(name);
    refuseHeaders(request);
    return { operation, call: { request, query, folder, region, buckets: this.buckets, bucket, key } };
  }

  private publish(call: Call, created: NonNullable<Answer["created"]>, requestId: string): void {
    const bucket = call.bucket.name;
    const sourceAddress = call.request.socket.remoteAddress ?? "127.0.0.1";
    const record = createdRecord({
      ...created,
      bucket,
      region: this.options.region,
      requestId,
      sourceAddress,
    });
    for (const { listener, ...filter } of this.subscriptions) {
      if (filter.bucket !== bucket || !created.version.key.endsWith(filter.suffix)) continue;
      setImmediate(listener, { Records: [structuredClone(record)] });
    }
  }

  private bucket(name: string): Bucket {
    const bucket = this.buckets.get(name);
    if (!bucket) throw new S3Error("NoSuchBucket", `There is no bucket ${name}.`);
    return bucket;
  }
}

/** @throws S3Error NotImplemented, naming what was asked for. */
function operationOf(method: string | undefined, of: Operation["of"], parameters: string[]): Operation {
  const options = parameters.filter((name) => name !== "x-id");
  const operation = OPERATIONS.find(
    (each) =>
      each.method === method && each.of === of && (each.needs ?? []).every((name) => options.includes(name)),
  );
  const known = [...(operation?.needs ?? []), ...(operation?.takes ?? [])];
  const unknown = options.filter((name) => !known.includes(name));
  if (operation && unknown.length === 0) return operation;
  const suffix = unknown.map((name) => ` ?${name}`).join("");
  throw notImplemented(`${method} of ${of === "service" ? "the service" : `a ${of}`}${suffix}`);
}

function notImplemented(feature: string): S3Error {
  return new S3Error("NotImplemented", `${feature} is not in this local subset of S3.`);
}

function refuseHeaders({ method, headers }: http.IncomingMessage): void {
  const refused = Object.keys(headers).find((name) => REFUSED_HEADER.test(name));
  if (refused) throw notImplemented(`The header ${refused}`);
  if (method === "DELETE" && headers["if-match"] !== undefined)
    throw notImplemented("The header if-match of DELETE");
  const storageClass = headers["x-amz-storage-class"] ?? "STANDARD";
  if (storageClass !== "STANDARD") throw notImplemented(`The storage class ${storageClass}`);
  const encryption = headers["x-amz-server-side-encryption"] ?? "AES256";
  if (encryption !== "AES256") throw notImplemented(`Encryption by ${encryption}`);
}

async function send(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  answer: Answer,
): Promise<void> {
  const { status = 200, headers = {}, content } = answer;
  if (typeof content === "string") {
    response.setHeader("content-type", "application/xml");
    response.setHeader("content-length", Buffer.byteLength(content));
  } else if (!content && status === 200 && headers["content-length"] === undefined) {
    response.setHeader("content-length", 0);
  }
  response.writeHead(status, headers);
  await sendContent(response, request.method === "HEAD" ? undefined : content);
}

/** Resolves when the response is out, or its client is gone: the latter changes nothing that was stored. */
async function sendContent(
  response: http.ServerResponse,
  content: string | Readable | undefined,
): Promise<void> {
  try {
    if (typeof content === "object") return await pipeline(content, response);
    response.end(content);
    await finished(response);
  } catch {
    response.destroy();
  }
}

async function sendError(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  error: unknown,
  requestId: string,
): Promise<void> {
  // An upload that broke off, or an answer that was already under way: there is nobody left to tell.
  if (response.headersSent || request.socket.destroyed) return void response.destroy();
  const { code, message, status, headers } =
    error instanceof S3Error
      ? error
      : new S3Error("InternalError", error instanceof Error ? error.message : String(error));
  const Resource = request.url?.split("?")[0];
  const xml = xmlDocument("Error", {
    Code: code,
    Message: message,
    Resource,
    RequestId: requestId,
    HostId: "local",
  });
  // S3's errors have no namespace.
  const content = xml.replace(/ xmlns="[^"]*"/, "");
  await send(request, response, status === 304 ? { status, headers } : { status, headers, content });
}
