import { execFile } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { fileOf, type SeenObject } from "../records/record";
import type { Aws } from "./aws";
import { roomOf } from "./disk";
import { Failure } from "./failure";
import { forEach } from "./pool";

/** How many objects are fetched at once. */
const CONNECTIONS = 16;

/** By key, the version that the copy has of it. */
type Manifest = Record<string, string>;

/** What Flyway reads. It would run .sh, .py and other scripts too, on this host and as this user. */
export function isMigration({ key }: Pick<SeenObject, "key">): boolean {
  return key.endsWith(".sql");
}

/**
 * The migrations of a bucket as they are in a listing, in a folder that stays: only what is not there yet is fetched. There is
 * no manifest while the folder changes, nor before it is on the disk: without one, everything is fetched again.
 */
export class Copy {
  /** Flyway's location. */
  readonly location: string;
  private readonly manifest: string;

  constructor(
    private readonly aws: Aws,
    private readonly bucket: string,
    private readonly folder: string,
  ) {
    this.location = join(folder, "sql");
    this.manifest = join(folder, "manifest.json");
  }

  /** Brings the folder to a listing, exactly; any version in it can still be had, also if it was overwritten since. */
  async bringTo(objects: readonly SeenObject[]): Promise<void> {
    const former = await this.read();
    const migrations = objects.filter(isMigration);
    const manifest: Manifest = Object.fromEntries(
      migrations.map(({ key, versionId, eTag }) => [key, `${versionId} ${eTag}`]),
    );
    const surplus = Object.keys(former ?? {}).filter((key) => manifest[key] === undefined);
    const missing = migrations.filter(({ key }) => former?.[key] !== manifest[key]);
    if (former && surplus.length + missing.length === 0) return;
    await mkdir(this.folder, { recursive: true });
    const room = roomOf(this.folder);
    const bytes = missing.reduce((sum, { size }) => sum + size, 0);
    if (bytes > room) {
      throw new Failure(
        `the bucket has ${bytes} bytes of migrations that the host has not, and its disk has room for ${room}: ` +
          "remove what is no migration, or replace the host by one with a larger disk; nothing was migrated",
      );
    }
    await rm(this.manifest, { force: true });
    if (!former) await rm(this.folder, { recursive: true, force: true });
    await mkdir(this.location, { recursive: true });
    for (const key of surplus) await rm(fileOf(this.location, key), { force: true });
    await forEach(missing, CONNECTIONS, (object) => this.fetch(object));
    await promisify(execFile)("sync", ["-f", this.folder]);
    await writeFile(`${this.manifest}.new`, JSON.stringify(manifest));
    await rename(`${this.manifest}.new`, this.manifest);
  }

  /** Gives the room on the disk back. */
  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  private async read(): Promise<Manifest | undefined> {
    try {
      return JSON.parse(await readFile(this.manifest, "utf8"));
    } catch {
      return undefined;
    }
  }

  private async fetch({ key, versionId, size }: SeenObject): Promise<void> {
    const file = fileOf(this.location, key);
    const folder = dirname(file);
    await mkdir(folder, { recursive: true }).catch(async () => {
      // It was an object's file before
      await rm(folder, { force: true });
      await mkdir(folder, { recursive: true });
    });
    await rm(file, { recursive: true, force: true });
    const stream = createWriteStream(file);
    await pipeline(await this.aws.get(this.bucket, key, versionId), stream);
    if (stream.bytesWritten !== size)
      throw new Error(`${key} has ${size} bytes, but ${stream.bytesWritten} came`);
  }
}
