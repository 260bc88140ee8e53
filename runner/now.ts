import { NOW_PREFIX, type Work } from "../records/work";
import { type Aws, isNoBucket } from "./aws";
import { messageOf } from "./failure";
import type { Host } from "./host";

/** A version of an object below `.flyway/now/`. */
export interface NowVersion {
  readonly key: string;
  readonly versionId: string;
}

/** The object that says what the run does at the moment. It is for readers: a run never fails by it. */
export class Now {
  private written: NowVersion | undefined;
  private isOver = false;
  private readonly aws: Aws;
  private readonly key: string;

  constructor(private readonly host: Host) {
    this.aws = host.aws;
    this.key = `${NOW_PREFIX}${host.environment.commandId}.json`;
  }

  async write(work: Work): Promise<void> {
    if (this.isOver) return;
    const { environment, log } = this.host;
    try {
      const former = this.written;
      const body = Buffer.from(`${JSON.stringify(work, null, 2)}\n`);
      const versionId = await this.aws.put(environment.bucket, this.key, body);
      this.written = { key: this.key, versionId };
      if (former) await this.aws.remove(environment.bucket, former.key, former.versionId);
    } catch (error) {
      log.complain(`cannot say in the bucket what the run does: ${messageOf(error)}`);
    }
  }

  /** Removes it for good, and what runs that were killed have left. By version: nothing of it stays. */
  async clear(leftovers: readonly NowVersion[]): Promise<void> {
    this.isOver = true;
    const { environment, log } = this.host;
    try {
      for (const { key, versionId } of [...leftovers, ...(this.written ? [this.written] : [])]) {
        await this.aws.remove(environment.bucket, key, versionId);
      }
    } catch (error) {
      if (!isNoBucket(error))
        log.complain(`cannot remove what the bucket says of the run: ${messageOf(error)}`);
    }
  }
}
