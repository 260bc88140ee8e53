import { NOW_PREFIX, type Work } from "../records/work";
import { type Aws, isNoBucket } from "./aws";
import { messageOf } from "./failure";
import type { Host } from "./host";

/** A version of an object below `.flyway/now/`. */
export interface NowVersion {
  readonly key: string;
  readonly versionId: string;
}

/** How long a call may take, in milliseconds. */
const TIMEOUT = 10_000;

/** The object that says what the run does at the moment. It is for readers: a run never fails by it, nor waits for it for long. */
export class Now {
  private written: NowVersion | undefined;
  private writing: Promise<void> | undefined;
  private isOver = false;
  private readonly aws: Aws;
  private readonly key: string;

  constructor(private readonly host: Host) {
    this.aws = host.aws;
    this.key = `${NOW_PREFIX}${host.environment.commandId}.json`;
  }

  /** Writes it, unless that is still being done. */
  write(work: Work): void {
    if (this.isOver || this.writing) return;
    this.writing = this.replace(work).finally(() => {
      this.writing = undefined;
    });
  }

  /** Removes it for good, and what runs that were killed have left. By version: nothing of it stays. */
  async clear(leftovers: readonly NowVersion[]): Promise<void> {
    this.isOver = true;
    await this.writing;
    const { bucket } = this.host.environment;
    try {
      for (const { key, versionId } of [...leftovers, ...(this.written ? [this.written] : [])]) {
        await this.aws.remove(bucket, key, versionId, AbortSignal.timeout(TIMEOUT));
      }
    } catch (error) {
      if (isNoBucket(error)) return;
      this.host.log.complain(`cannot remove what the bucket says of the run: ${messageOf(error)}`);
    }
  }

  private async replace(work: Work): Promise<void> {
    const { bucket } = this.host.environment;
    const signal = AbortSignal.timeout(TIMEOUT);
    try {
      const former = this.written;
      const body = Buffer.from(`${JSON.stringify(work, null, 2)}\n`);
      const versionId = await this.aws.put(bucket, this.key, body, signal);
      this.written = { key: this.key, versionId };
      if (former) await this.aws.remove(bucket, former.key, former.versionId, signal);
    } catch (error) {
      this.host.log.complain(`cannot say in the bucket what the run does: ${messageOf(error)}`);
    }
  }
}
