import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { InterruptedRun, SeenObject } from "../records/record";
import type { Look } from "./database";

/** How long a judgement is relied on, in milliseconds: a day, then Flyway looks again. */
const JUDGED_FOR = 86_400_000;

/** How many runs that were killed are told of. */
const INTERRUPTED = 20;

interface Judged {
  readonly fingerprint: string;
  /** In milliseconds. */
  readonly at: number;
}

/**
 * What the host remembers of a bucket. All of it may be lost, or half written when the host's power failed: then a run
 * looks again.
 */
export class State {
  /** @param path what the names of the files begin with */
  constructor(private readonly path: string) {}

  /** Whether the bucket is as it was last judged, not longer ago than a day, and no run has begun since and not ended. */
  isJudged(fingerprint: string, now: number): boolean {
    const judged = this.read<Judged>("judged");
    if (!judged || this.interrupted().length > 0) return false;
    return judged.fingerprint === fingerprint && now >= judged.at && now - judged.at < JUDGED_FOR;
  }

  judge(fingerprint: string, at: number): void {
    this.write("judged", { fingerprint, at } satisfies Judged);
  }

  /** The versions of which there is a record in the bucket; undefined where nothing is known. */
  seen(): Set<string> | undefined {
    const seen = this.read<string[]>("seen");
    return seen && new Set(seen);
  }

  see(objects: readonly SeenObject[]): void {
    this.write("seen", objects.map(versionOf));
  }

  /** Of the newest run record of this host. */
  get number(): number {
    const number = this.read<number>("number");
    return Number.isSafeInteger(number) ? (number as number) : 0;
  }

  set number(number: number) {
    this.write("number", number);
  }

  /** What the last run that did not end saw of the schema before it began: what has come since is its doing. */
  get before(): Look | undefined {
    const look = this.read<Look>("before");
    return look && Array.isArray(look.parts) ? look : undefined;
  }

  set before(look: Look | undefined) {
    if (look) this.write("before", look);
    else rmSync(`${this.path}.before.json`, { force: true });
  }

  /** The runs that have begun and not ended. */
  interrupted(): InterruptedRun[] {
    const begun = this.read<InterruptedRun[]>("begun");
    return Array.isArray(begun) ? begun : [];
  }

  /** Writes down that a run has begun; `end` takes it back when there is its record. */
  begin(run: InterruptedRun): void {
    this.write("begun", [...this.interrupted().slice(1 - INTERRUPTED), run]);
  }

  end(): void {
    rmSync(`${this.path}.begun.json`, { force: true });
  }

  private read<T>(what: string): T | undefined {
    try {
      return JSON.parse(readFileSync(`${this.path}.${what}.json`, "utf8")) ?? undefined;
    } catch {
      return undefined;
    }
  }

  private write(what: string, value: unknown): void {
    const file = `${this.path}.${what}.json`;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.new`, JSON.stringify(value));
    renameSync(`${file}.new`, file);
  }
}

/** A bucket's objects from before it was versioned all have the version id "null". */
export function versionOf({ key, versionId }: Pick<SeenObject, "key" | "versionId">): string {
  return `${versionId}/${key}`;
}

/** Of all that Flyway judges by: the same again is the same verdict again. */
export function fingerprintOf(objects: readonly SeenObject[], ...others: readonly string[]): string {
  const hash = createHash("sha256");
  for (const object of objects) hash.update(`${versionOf(object)} ${object.eTag}\n`);
  for (const other of others) hash.update(`${other}\n`);
  return hash.digest("hex");
}
