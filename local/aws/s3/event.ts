import type { S3EventRecord } from "aws-lambda";
import type { Version, VersionBody } from "./bucket";

export type CreatedEventName =
  | "ObjectCreated:Put"
  | "ObjectCreated:CompleteMultipartUpload"
  | "ObjectCreated:Copy";

/** A key as S3 writes it in events and, on demand, in listings: space as "+", "/" kept, the rest as %XX. */
export function urlEncoded(key: string): string {
  return encodeURIComponent(key)
    .replace(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+")
    .replaceAll("%2F", "/");
}

/** The record that S3 sends of a new version. */
export function createdRecord(created: {
  eventName: CreatedEventName;
  version: Version & { body: VersionBody };
  bucket: string;
  region: string;
  requestId: string;
  sourceAddress: string;
}): S3EventRecord {
  const { version, bucket } = created;
  return {
    eventVersion: "2.1",
    eventSource: "aws:s3",
    awsRegion: created.region,
    eventTime: version.lastModified.toISOString(),
    eventName: created.eventName,
    userIdentity: { principalId: "local" },
    requestParameters: { sourceIPAddress: created.sourceAddress },
    responseElements: { "x-amz-request-id": created.requestId, "x-amz-id-2": created.requestId },
    s3: {
      s3SchemaVersion: "1.0",
      configurationId: "local",
      bucket: { name: bucket, ownerIdentity: { principalId: "local" }, arn: `arn:aws:s3:::${bucket}` },
      object: {
        key: urlEncoded(version.key),
        size: version.body.size,
        eTag: version.body.eTag,
        versionId: version.versionId,
        sequencer: version.versionId.slice(0, 16).toUpperCase(),
      },
    },
  };
}
