import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Known } from "../records/judge";
import { type InterruptedRun, type SeenObject, versionOf } from "../records/record";
import type { Look } from "./database";

/** How long a judgement is relied on, in milliseconds: a day, then Flyway looks again. */
const JUDGED_FOR = 86_400_000;

/** How many runs that were killed are told of. */
const INTERRUPTED = 20;

/** The last time that Flyway, or a rule of this host, judged a bucket's content. */
export interface Judged {
  /** Of all that was judged by: the same again needs no run. */
  readonly fingerprint: string;
  /** The same without the versions of objects: the same content again, uploaded anew, needs no Flyway; null where it failed. */
  readonly content: string | null;
  /** Of Flyway's history then; null where it is not known. */
  readonly history: string | null;
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

  /** Undefined where it is longer ago than a day, or a run has begun since and not ended. */
  judged(now: number): Judged | undefined {
    const judged = this.read<Judged>("judged");
    if (!judged || this.interrupted().length > 0) return undefined;
    return now >= judged.at && now - judged.at < JUDGED_FOR ? judged : undefined;
  }

  /** Whether the last judgement is of that, and is relied on still. */
  isJudged(fingerprint: string): boolean {
    return this.judged(Date.now())?.fingerprint === fingerprint;
  }

  judge(judged: Judged): void {
    this.write("judged", judged);
  }

  /** The verdicts so far; undefined where nothing is known. */
  get known(): Known | undefined {
    const known = this.read<Known>("known");
    return known && Array.isArray(known.objects) && Array.isArray(known.failed) ? known : undefined;
  }

  set known(known: Known) {
    this.write("known", known);
  }

  /** The versions of which there is a record in the bucket; undefined where nothing is known. */
  seen(): Set<string> | undefined {
    const versions = this.read<string[]>("seen");
    return Array.isArray(versions) ? new Set(versions) : undefined;
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
    return look && Array.isArray(look.parts) && Array.isArray(look.scripts) && isWhole(look)
      ? look
      : undefined;
  }

  set before(look: Look | undefined) {
    if (look) this.write("before", look);
    else rmSync(`${this.path}.before.json`, { force: true });
  }

  /** Why a reconcile could not look at the bucket the last time; undefined where it could. */
  get lookFailure(): string | undefined {
    return this.read<string>("unseen");
  }

  set lookFailure(reason: string | undefined) {
    if (reason !== undefined) this.write("unseen", reason);
    else rmSync(`${this.path}.unseen.json`, { force: true });
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

/** Former runners did not look at as much; whoever sees something in a schema sees the schema. */
function isWhole({ parts }: Look): boolean {
  return parts.length === 0 || parts.some(({ kind }) => kind === "schema");
}
