import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { type StoredBody, storeRequest, storeStream, xmlOf } from "./body";
import type { Bucket } from "./bucket";
import type { Answer, Call, StoredVersion } from "./call";
import { rangeOf, unquoted } from "./conditions";
import { S3Error } from "./error";
import { copySource, create, keptHeaders, orRemove } from "./objects";
import { xmlDocument, xmlElements, xmlText } from "./xml";

/** Least size of a part that is not the last, in bytes. */
const LEAST_PART = 5 * 1024 * 1024;

export async function createMultipartUpload({ request, bucket, key }: Call): Promise<Answer> {
  const id = randomUUID();
  bucket.uploads.set(id, { key, headers: keptHeaders(request), parts: new Map() });
  const content = { Bucket: bucket.name, Key: key, UploadId: id };
  return { content: xmlDocument("InitiateMultipartUploadResult", content) };
}

export async function uploadPart(call: Call): Promise<Answer> {
  const { request, query, bucket, key, folder } = call;
  const id = query.get("uploadId") ?? "";
  const number = Number(query.get("partNumber"));
  if (!Number.isInteger(number) || number < 1 || number > 10_000) {
    throw new S3Error("InvalidArgument", "partNumber must be a number from 1 to 10,000.");
  }
  bucket.upload(id, key);
  const source = request.headers["x-amz-copy-source"] === undefined ? undefined : copySource(call);
  const stored = source ? await storeCopiedPart(source, call) : await storeRequest(request, folder);
  const upload = await orRemove(stored, () => bucket.upload(id, key));
  const replaced = upload.parts.get(number);
  upload.parts.set(number, stored);
  if (replaced) await rm(replaced.file, { force: true });
  if (!source) return { headers: { etag: `"${stored.md5}"` } };
  return {
    headers: { "x-amz-copy-source-version-id": source.version.versionId },
    content: xmlDocument("CopyPartResult", { LastModified: new Date(), ETag: `"${stored.md5}"` }),
  };
}

function storeCopiedPart(
  source: { bucket: Bucket; version: StoredVersion },
  call: Call,
): Promise<StoredBody> {
  const header = call.request.headers["x-amz-copy-source-range"];
  const range = rangeOf(header?.toString(), source.version.body.size);
  if (header !== undefined && !range)
    throw new S3Error("InvalidArgument", "The range to copy must be bytes=a-b.");
  return storeStream(createReadStream(source.bucket.file(source.version), range), call.folder);
}

export async function completeMultipartUpload(call: Call): Promise<Answer> {
  const { request, query, bucket, key, folder } = call;
  const id = query.get("uploadId") ?? "";
  const xml = await xmlOf(request);
  const upload = bucket.upload(id, key);
  let last = 0;
  const parts = xmlElements(xml, "Part").map((part) => {
    const number = Number(xmlText(part, "PartNumber"));
    const stored = upload.parts.get(number);
    if (!stored || unquoted(xmlText(part, "ETag") ?? "") !== stored.md5) {
      throw new S3Error("InvalidPart", `There is no part ${number} with the ETag that the request names.`);
    }
    if (number <= last) throw new S3Error("InvalidPartOrder", "The parts must be in ascending order.");
    last = number;
    return stored;
  });
  if (parts.length === 0) throw new S3Error("MalformedXML", "The request names no part.");
  if (parts.slice(0, -1).some(({ size }) => size < LEAST_PART)) {
    throw new S3Error("EntityTooSmall", `Only the last part may have less than ${LEAST_PART} bytes.`);
  }
  // From here on nobody else completes, aborts or adds to the upload.
  bucket.uploads.delete(id);
  let version: StoredVersion;
  try {
    const digests = Buffer.concat(parts.map(({ md5 }) => Buffer.from(md5, "hex")));
    const eTag = `${createHash("md5").update(digests).digest("hex")}-${parts.length}`;
    version = await create(call, await storeStream(joined(parts), folder), eTag, upload.headers);
  } catch (error) {
    bucket.uploads.set(id, upload);
    throw error;
  }
  await Promise.all([...upload.parts.values()].map(({ file }) => rm(file, { force: true })));
  const content = {
    Location: `/${bucket.name}/${key}`,
    Bucket: bucket.name,
    Key: key,
    ETag: `"${version.body.eTag}"`,
  };
  return {
    headers: { "x-amz-version-id": version.versionId },
    content: xmlDocument("CompleteMultipartUploadResult", content),
    created: { eventName: "ObjectCreated:CompleteMultipartUpload", version },
  };
}

export async function abortMultipartUpload({ query, bucket, key }: Call): Promise<Answer> {
  const id = query.get("uploadId") ?? "";
  const { parts } = bucket.upload(id, key);
  bucket.uploads.delete(id);
  await Promise.all([...parts.values()].map(({ file }) => rm(file, { force: true })));
  return { status: 204 };
}

async function* joined(parts: StoredBody[]): AsyncGenerator<Buffer> {
  for (const { file } of parts) yield* createReadStream(file);
}
