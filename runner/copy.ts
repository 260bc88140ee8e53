import { execFile } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { forEach } from "../deployment/pool";
import { fileOf, type SeenObject } from "../records/record";
import type { Aws } from "./aws";
import { roomOf } from "./disk";
import { Failure } from "./failure";

/** How many objects are fetched at once. */
const CONNECTIONS = 16;

/** What is at most this large is written at once, in bytes: a stream of its own costs more than most migrations. */
const BUFFERED = 65_536;

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
    const folders = new Map<string, Promise<void>>();
    await forEach(missing, CONNECTIONS, async (object) => {
      const folder = dirname(fileOf(this.location, object.key));
      if (!folders.has(folder)) folders.set(folder, makeFolder(folder));
      await folders.get(folder);
      await this.fetch(object, former !== undefined);
    });
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

  private async fetch({ key, versionId, size }: SeenObject, mayBeThere: boolean): Promise<void> {
    const file = fileOf(this.location, key);
    if (mayBeThere) await rm(file, { recursive: true, force: true }); // as a folder too
    const content = await this.aws.get(this.bucket, key, versionId);
    const written = size > BUFFERED ? await writeStream(file, content) : await writeWhole(file, content);
    if (written !== size) throw new Error(`${key} has ${size} bytes, but ${written} came`);
  }
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch(async () => {
    await rm(folder, { force: true }); // it was an object's file before
    await mkdir(folder, { recursive: true });
  });
}

/** @returns how many bytes were written */
async function writeStream(file: string, content: Readable): Promise<number> {
  const stream = createWriteStream(file);
  await pipeline(content, stream);
  return stream.bytesWritten;
}

async function writeWhole(file: string, content: Readable): Promise<number> {
  const bytes = await buffer(content);
  await writeFile(file, bytes);
  return bytes.length;
}
