import { parseRecord } from "../records/parse";
import { RECORD_PREFIX, type RunRecord } from "../records/record";
import { type Judgement, verdicts } from "../records/verdict";
import type { LocalS3 } from "./aws/s3/server";

/** The verdict of one upload. */
export interface UploadVerdict extends Judgement {
  readonly database: string;
  readonly key: string;
  readonly versionId: string;
  /** ISO 8601. */
  readonly uploadedAt: string;
}

/** The verdicts of a chain's uploads, read from the run records in its buckets, and who waits for them. */
export class Verdicts {
  private readonly listeners: ((verdict: UploadVerdict) => void)[] = [];
  private readonly announcements = new Map<string, string>();
  private readonly waiters = new Set<{
    database: string;
    key: string;
    resolve: (verdict: UploadVerdict) => void;
    reject: (error: Error) => void;
  }>();

  /** @param buckets database to bucket */
  constructor(
    private readonly s3: LocalS3,
    private readonly buckets: Readonly<Record<string, string>>,
  ) {}

  /** A database's run records, in the order of their names. */
  async records(database: string): Promise<RunRecord[]> {
    const bucket = this.buckets[database] as string;
    const records = await Promise.all(
      this.s3
        .versions(bucket)
        .filter(
          ({ key, isDeleteMarker }) =>
            key.startsWith(RECORD_PREFIX) && key.endsWith(".json") && !isDeleteMarker,
        )
        .map(async ({ key }) => parseRecord(String(await this.s3.read(bucket, key)))),
    );
    return records.filter((record) => record !== undefined);
  }

  /** The verdicts of all uploads of a database so far, by key, newest version first. */
  async of(database: string): Promise<UploadVerdict[]> {
    const versions = this.s3.versions(this.buckets[database] as string);
    const judged = verdicts(versions, await this.records(database));
    return versions.flatMap((version) => {
      const { key, versionId, lastModified: uploadedAt } = version;
      const judgement = judged.get(version);
      return judgement ? [{ database, key, versionId, uploadedAt, ...judgement }] : [];
    });
  }

  /** The verdict of the newest version of a key, once it has one; rejects if the run meant for it leaves none. */
  wait(database: string, key: string): Promise<UploadVerdict> {
    return new Promise((resolve, reject) => {
      this.waiters.add({ database, key, resolve, reject });
      this.update(database).catch(reject);
    });
  }

  /** Calls back with each upload's verdict as it comes, and again should it change. */
  onVerdict(listener: (verdict: UploadVerdict) => void): void {
    this.listeners.push(listener);
  }

  /** Looks at a database's records and tells what is new; whether anything is. */
  async update(database: string): Promise<boolean> {
    const uploads = await this.of(database);
    const news = uploads.filter(
      ({ versionId, verdict, message }) =>
        verdict !== "pending" && this.announcements.get(versionId) !== `${verdict} ${message}`,
    );
    for (const upload of news) {
      this.announcements.set(upload.versionId, `${upload.verdict} ${upload.message}`);
      for (const listener of this.listeners) listener(upload);
    }
    const newest = new Map(uploads.toReversed().map((upload) => [upload.key, upload]));
    for (const waiter of this.waiters) {
      const upload = waiter.database === database && newest.get(waiter.key);
      if (!upload || upload.verdict === "pending") continue;
      this.waiters.delete(waiter);
      waiter.resolve(upload);
    }
    return news.length > 0;
  }

  /** Tells those who wait for a database that nothing will come. */
  fail(database: string, message: string): void {
    for (const waiter of this.waiters) {
      if (waiter.database !== database) continue;
      this.waiters.delete(waiter);
      waiter.reject(new Error(message));
    }
  }
}
