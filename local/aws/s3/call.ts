import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import type { Bucket, Version, VersionBody } from "./bucket";
import { S3Error } from "./error";
import type { CreatedEventName } from "./event";

/** A request to S3, its address taken apart. */
export interface Call {
  request: IncomingMessage;
  query: URLSearchParams;
  /** Folder for bodies. */
  folder: string;
  region: string;
  buckets: ReadonlyMap<string, Bucket>;
  /** Where the request is to the service: an empty bucket without a name. */
  bucket: Bucket;
  /** Empty where the request is to a bucket or to the service. */
  key: string;
}

export interface Answer {
  /** Default 200. */
  status?: number;
  headers?: Record<string, string>;
  content?: string | Readable;
  created?: { eventName: CreatedEventName; version: StoredVersion };
}

/** A version that is no delete marker. */
export type StoredVersion = Version & { body: VersionBody };

/** Percent-decoded, "+" a plus. @throws S3Error InvalidURI. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Error("InvalidURI", "The address is not percent-encoded UTF-8.");
  }
}
