import { randomBytes } from "node:crypto";
import { renameSync } from "node:fs";
import { join } from "node:path";
import type { StoredBody } from "./body";
import { S3Error } from "./error";

/** One version of an object, or a delete marker. */
export interface Version {
  key: string;
  /** Hex; of two versions of a bucket the greater is the newer. */
  versionId: string;
  lastModified: Date;
  /** Undefined for a delete marker. */
  body?: VersionBody;
}

export interface VersionBody {
  /** MD5 in hex, or `<MD5 of the parts' MD5s>-<number of parts>`; no quotes. */
  eTag: string;
  /** Bytes. */
  size: number;
  /** Response headers that came with the upload: content type and the like, `x-amz-meta-*`. */
  headers: Record<string, string>;
}

/** A multipart upload under way. */
export interface Upload {
  key: string;
  headers: Record<string, string>;
  parts: Map<number, StoredBody>;
}

/** What a bucket holds: kept in memory, but for the bodies. Every change is one synchronous step. */
export class Bucket {
  readonly created = new Date();
  readonly uploads = new Map<string, Upload>();
  private readonly keys = new Map<string, Version[]>();
  private changes = 0;

  constructor(
    readonly name: string,
    private readonly folder: string,
  ) {}

  /** All versions: keys ascending by their UTF-8 bytes, newest version first. */
  sorted(): Version[] {
    return [...this.keys]
      .map(([key, versions]) => ({ bytes: Buffer.from(key), versions }))
      .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
      .flatMap(({ versions }) => versions);
  }

  newest(key: string): Version | undefined {
    return this.keys.get(key)?.[0];
  }

  isNewest(version: Version): boolean {
    return this.newest(version.key) === version;
  }

  find(key: string, versionId: string): Version | undefined {
    return this.keys.get(key)?.find((version) => version.versionId === versionId);
  }

  /** Makes a stored body the newest version of the key; its file gets the version's id as its name. */
  add(key: string, stored: StoredBody, eTag: string, headers: Record<string, string>) {
    const version = this.next(key);
    renameSync(stored.file, this.file(version));
    version.body = { eTag, size: stored.size, headers };
    this.prepend(version);
    return version as Version & { body: VersionBody };
  }

  /** Makes a delete marker the newest version of the key, which needs no other version. */
  mark(key: string): Version {
    const marker = this.next(key);
    this.prepend(marker);
    return marker;
  }

  /** Forgets a version; the file of its body, if it has one, is the caller's to remove. */
  remove(version: Version): void {
    const versions = (this.keys.get(version.key) ?? []).filter((each) => each !== version);
    if (versions.length > 0) this.keys.set(version.key, versions);
    else this.keys.delete(version.key);
  }

  /** Path of the body of a version. */
  file(version: Version): string {
    return join(this.folder, version.versionId);
  }

  /** @throws S3Error NoSuchUpload. */
  upload(id: string, key: string): Upload {
    const upload = this.uploads.get(id);
    if (upload?.key === key) return upload;
    throw new S3Error(
      "NoSuchUpload",
      "There is no such multipart upload; it may have been completed or aborted.",
    );
  }

  private next(key: string): Version {
    this.changes += 1;
    const versionId = this.changes.toString(16).padStart(12, "0") + randomBytes(10).toString("hex");
    return { key, versionId, lastModified: new Date() };
  }

  private prepend(version: Version): void {
    this.keys.set(version.key, [version, ...(this.keys.get(version.key) ?? [])]);
  }
}
