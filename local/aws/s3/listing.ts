import type { Bucket, Version } from "./bucket";
import { S3Error } from "./error";
import { urlEncoded } from "./event";
import { type XmlContent, xmlDocument } from "./xml";

/** Most entries of a page, and how many there are when the client doesn't say. */
const PAGE_SIZE = 1000;

/** The place in a listing that a page begins behind. */
interface Marker {
  /** A key, or a common prefix. */
  key: string;
  /** Where it is given, older versions of the key are still to come. */
  versionId?: string;
}

interface Page {
  versions: Version[];
  commonPrefixes: string[];
  /** The last entry of the page, where others follow. */
  next?: Marker;
}

const OWNER = { ID: "local", DisplayName: "local" };

/** Answer of ListObjects. */
export function listObjects(bucket: Bucket, query: URLSearchParams): string {
  const { encode, ...fields } = common(bucket, query);
  const marker = query.get("marker");
  const page = pageOf(currentObjects(bucket), query, marker ? { key: marker } : undefined);
  return xmlDocument("ListBucketResult", {
    ...fields,
    Marker: encode(marker ?? ""),
    NextMarker: query.get("delimiter") && page.next ? encode(page.next.key) : undefined,
    IsTruncated: page.next !== undefined,
    Contents: page.versions.map((version) => ({ ...objectXml(version, encode), Owner: OWNER })),
    CommonPrefixes: page.commonPrefixes.map((prefix) => ({ Prefix: encode(prefix) })),
  });
}

/** Answer of ListObjectsV2. */
export function listObjectsV2(bucket: Bucket, query: URLSearchParams): string {
  if (query.get("list-type") !== "2") throw new S3Error("InvalidArgument", "list-type must be 2.");
  const { encode, ...fields } = common(bucket, query);
  const token = query.get("continuation-token");
  const startAfter = query.get("start-after");
  const after = token === null ? startAfter : keyOfToken(token);
  const page = pageOf(currentObjects(bucket), query, after ? { key: after } : undefined);
  const showsOwner = query.get("fetch-owner") === "true";
  return xmlDocument("ListBucketResult", {
    ...fields,
    StartAfter: startAfter === null ? undefined : encode(startAfter),
    ContinuationToken: token ?? undefined,
    NextContinuationToken: page.next && tokenOfKey(page.next.key),
    IsTruncated: page.next !== undefined,
    KeyCount: page.versions.length + page.commonPrefixes.length,
    Contents: page.versions.map((version) => ({
      ...objectXml(version, encode),
      Owner: showsOwner ? OWNER : undefined,
    })),
    CommonPrefixes: page.commonPrefixes.map((prefix) => ({ Prefix: encode(prefix) })),
  });
}

/** Answer of ListObjectVersions. */
export function listObjectVersions(bucket: Bucket, query: URLSearchParams): string {
  const { encode, ...fields } = common(bucket, query);
  const key = query.get("key-marker");
  const versionId = query.get("version-id-marker");
  if (versionId && !key) throw new S3Error("InvalidArgument", "A version-id-marker needs a key-marker.");
  const after = key ? { key, versionId: versionId || undefined } : undefined;
  const page = pageOf(bucket.sorted(), query, after);
  const versionXml = (version: Version) => ({
    ...(version.body
      ? objectXml(version, encode)
      : { Key: encode(version.key), LastModified: version.lastModified }),
    VersionId: version.versionId,
    IsLatest: bucket.isNewest(version),
    Owner: OWNER,
  });
  return xmlDocument("ListVersionsResult", {
    ...fields,
    KeyMarker: encode(key ?? ""),
    VersionIdMarker: versionId ?? "",
    NextKeyMarker: page.next && encode(page.next.key),
    NextVersionIdMarker: page.next?.versionId,
    IsTruncated: page.next !== undefined,
    Version: page.versions.filter((version) => version.body).map(versionXml),
    DeleteMarker: page.versions.filter((version) => !version.body).map(versionXml),
    CommonPrefixes: page.commonPrefixes.map((prefix) => ({ Prefix: encode(prefix) })),
  });
}

function common(bucket: Bucket, query: URLSearchParams) {
  const encoding = query.get("encoding-type");
  if (encoding !== null && encoding !== "url")
    throw new S3Error("InvalidArgument", "encoding-type must be url.");
  const encode = encoding ? urlEncoded : (text: string) => text;
  const delimiter = query.get("delimiter");
  return {
    encode,
    Name: bucket.name,
    Prefix: encode(query.get("prefix") ?? ""),
    Delimiter: delimiter ? encode(delimiter) : undefined,
    MaxKeys: maxKeys(query),
    EncodingType: encoding ?? undefined,
  };
}

function objectXml({ key, lastModified, body }: Version, encode: (text: string) => string) {
  const content: Record<string, XmlContent> = { Key: encode(key), LastModified: lastModified };
  return { ...content, ETag: `"${body?.eTag}"`, Size: body?.size, StorageClass: "STANDARD" };
}

function currentObjects(bucket: Bucket): Version[] {
  return bucket.sorted().filter((version) => version.body && bucket.isNewest(version));
}

function maxKeys(query: URLSearchParams): number {
  const text = query.get("max-keys") ?? String(PAGE_SIZE);
  if (!/^\d{1,9}$/.test(text)) throw new S3Error("InvalidArgument", "max-keys must be a number.");
  return Math.min(Number(text), PAGE_SIZE);
}

/** Versions come in the order of `Bucket.sorted`; all those of a common prefix count as one entry. */
function pageOf(versions: Version[], query: URLSearchParams, after?: Marker): Page {
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter");
  const room = maxKeys(query);
  const page: Page = { versions: [], commonPrefixes: [] };
  if (room === 0) return page;
  let last: Marker | undefined;
  for (const version of versions) {
    if (!version.key.startsWith(prefix)) continue;
    const end = delimiter ? version.key.indexOf(delimiter, prefix.length) : -1;
    const group = delimiter && end >= 0 ? version.key.slice(0, end + delimiter.length) : undefined;
    if (after && (isBehind(version, after) || group === after.key)) continue;
    if (group !== undefined && group === page.commonPrefixes.at(-1)) continue;
    if (page.versions.length + page.commonPrefixes.length === room) return { ...page, next: last };
    if (group === undefined) page.versions.push(version);
    else page.commonPrefixes.push(group);
    last = group === undefined ? version : { key: group };
  }
  return page;
}

/** Whether a version was listed before the marker or is the marker. */
function isBehind(version: Version, marker: Marker): boolean {
  const order = Buffer.compare(Buffer.from(version.key), Buffer.from(marker.key));
  if (order !== 0) return order < 0;
  return marker.versionId === undefined || version.versionId >= marker.versionId;
}

function tokenOfKey(key: string): string {
  return Buffer.from(key).toString("base64url");
}

function keyOfToken(token: string): string {
  const key = Buffer.from(token, "base64url").toString();
  if (token === "" || tokenOfKey(key) !== token) {
    throw new S3Error("InvalidArgument", "The continuation token is not one of ours.");
  }
  return key;
}
