import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { type StoredBody, storeRequest, storeStream } from "./body";
import type { Bucket } from "./bucket";
import { type Answer, type Call, decoded, type StoredVersion } from "./call";
import { checkRead, checkWrite, matches, rangeOf } from "./conditions";
import { S3Error } from "./error";
import { xmlDocument } from "./xml";

const KEPT_HEADER = /^(cache-control|content-(disposition|encoding|language|type)|expires|x-amz-meta-.+)$/;

export async function getObject({ request, bucket, key, query }: Call): Promise<Answer> {
  const version = storedVersion(bucket, key, query.get("versionId"));
  const { size, eTag } = version.body;
  const headers: Record<string, string> = {
    ...version.body.headers,
    "accept-ranges": "bytes",
    "last-modified": version.lastModified.toUTCString(),
    etag: `"${eTag}"`,
    "x-amz-version-id": version.versionId,
  };
  checkRead(request.headers["if-match"], request.headers["if-none-match"], eTag, headers);
  const range = rangeOf(request.headers.range, size);
  const { start, end } = range ?? { start: 0, end: size - 1 };
  if (range) headers["content-range"] = `bytes ${start}-${end}/${size}`;
  headers["content-length"] = String(end - start + 1);
  const isWanted = request.method === "GET" && size > 0;
  const content = isWanted ? (await open(bucket.file(version))).createReadStream({ start, end }) : undefined;
  return { status: range ? 206 : 200, headers, content };
}

/** No object has tags here; AWS CLI v2 asks for them before it copies in parts. */
export function getObjectTagging({ bucket, key, query }: Call): Answer {
  const version = storedVersion(bucket, key, query.get("versionId"));
  const content = xmlDocument("Tagging", { TagSet: {} });
  return { headers: { "x-amz-version-id": version.versionId }, content };
}

export async function putObject(call: Call): Promise<Answer> {
  const { request, folder } = call;
  if (request.headers["x-amz-copy-source"] !== undefined) return copyObject(call);
  const stored = await storeRequest(request, folder);
  const version = await create(call, stored, stored.md5, keptHeaders(request));
  return { headers: versionHeaders(version), created: { eventName: "ObjectCreated:Put", version } };
}

async function copyObject(call: Call): Promise<Answer> {
  const { request, bucket, key, folder } = call;
  const source = copySource(call);
  const replaces = request.headers["x-amz-metadata-directive"] === "REPLACE";
  const isOnItself =
    source.bucket === bucket && source.version.key === key && bucket.isNewest(source.version);
  if (isOnItself && !replaces) {
    throw new S3Error("InvalidRequest", "Copying an object to itself without a change is refused.");
  }
  const stored = await storeStream(createReadStream(source.bucket.file(source.version)), folder);
  const headers = replaces ? keptHeaders(request) : source.version.body.headers;
  const version = await create(call, stored, stored.md5, headers);
  return {
    headers: { ...versionHeaders(version), "x-amz-copy-source-version-id": source.version.versionId },
    content: xmlDocument("CopyObjectResult", { LastModified: version.lastModified, ETag: `"${stored.md5}"` }),
    created: { eventName: "ObjectCreated:Copy", version },
  };
}

export async function deleteObject({ bucket, key, query }: Call): Promise<Answer> {
  const deleted = await remove(bucket, key, query.get("versionId"));
  const headers: Record<string, string> = {};
  if (deleted.isMarker) headers["x-amz-delete-marker"] = "true";
  if (deleted.versionId) headers["x-amz-version-id"] = deleted.versionId;
  return { status: 204, headers };
}

/** Removes a version for good, or, without a version id, hides the key behind a delete marker. */
export async function remove(bucket: Bucket, key: string, versionId: string | null) {
  if (versionId === null) return { isMarker: true, versionId: bucket.mark(key).versionId };
  const version = bucket.find(key, versionId);
  if (!version) return { isMarker: false, versionId };
  bucket.remove(version);
  if (version.body) await rm(bucket.file(version), { force: true });
  return { isMarker: !version.body, versionId };
}

/** @throws S3Error NoSuchKey, NoSuchVersion, MethodNotAllowed for the version that is a delete marker. */
function storedVersion(bucket: Bucket, key: string, versionId: string | null): StoredVersion {
  const version = versionId === null ? bucket.newest(key) : bucket.find(key, versionId);
  if (version?.body) return version as StoredVersion;
  const headers = version && { "x-amz-delete-marker": "true", "x-amz-version-id": version.versionId };
  if (versionId === null) throw new S3Error("NoSuchKey", `There is no object ${key}.`, headers);
  if (!version) throw new S3Error("NoSuchVersion", `There is no version ${versionId} of ${key}.`);
  throw new S3Error("MethodNotAllowed", "This version is a delete marker.", headers);
}

export function copySource({ request, buckets }: Call) {
  const { headers } = request;
  const text = String(headers["x-amz-copy-source"]);
  const [, name, path, versionId] = /^\/?([^/]+)\/([^?]+)(?:\?versionId=(.*))?$/.exec(text) ?? [];
  if (name === undefined || path === undefined) {
    throw new S3Error("InvalidArgument", "The copy source must be bucket/key, or bucket/key?versionId=id.");
  }
  const bucket = buckets.get(name);
  if (!bucket) throw new S3Error("NoSuchBucket", `There is no bucket ${name}.`);
  const version = storedVersion(bucket, decoded(path), versionId ?? null);
  const only = headers["x-amz-copy-source-if-match"]?.toString();
  const notIf = headers["x-amz-copy-source-if-none-match"]?.toString();
  if ((only && !matches(only, version.body.eTag)) || (notIf && matches(notIf, version.body.eTag))) {
    throw new S3Error("PreconditionFailed", "The copy source is not what the request asks for.");
  }
  return { bucket, version };
}

/** Makes a stored body the newest version, where the request's conditions allow it. */
export function create(call: Call, stored: StoredBody, eTag: string, headers: Record<string, string>) {
  return orRemove(stored, () => {
    checkWrite(call.request, call.bucket.newest(call.key));
    return call.bucket.add(call.key, stored, eTag, headers);
  });
}

/** What the step returns; where it throws, the stored file is removed. The step is synchronous: no race. */
export async function orRemove<T>(stored: StoredBody, step: () => T): Promise<T> {
  try {
    return step();
  } catch (error) {
    await rm(stored.file, { force: true });
    throw error;
  }
}

export function keptHeaders({ headers }: IncomingMessage): Record<string, string> {
  const kept: Record<string, string> = { "content-type": "binary/octet-stream" };
  for (const [name, value] of Object.entries(headers)) {
    if (KEPT_HEADER.test(name)) kept[name] = String(value);
  }
  const codings = (kept["content-encoding"] ?? "").split(",").map((coding) => coding.trim());
  const contentCoding = codings.filter((coding) => coding !== "aws-chunked" && coding !== "").join(",");
  if (contentCoding) kept["content-encoding"] = contentCoding;
  else delete kept["content-encoding"];
  return kept;
}

function versionHeaders({ versionId, body }: StoredVersion): Record<string, string> {
  return { etag: `"${body.eTag}"`, "x-amz-version-id": versionId };
}
