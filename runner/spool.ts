import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RECORD_PREFIX, type RunRecord } from "../records/record";
import { type Aws, isNoBucket } from "./aws";

/** The run records of a bucket that are not uploaded yet. */
export class Spool {
  constructor(
    private readonly aws: Aws,
    private readonly bucket: string,
    private readonly folder: string,
  ) {}

  write(record: RunRecord): void {
    mkdirSync(this.folder, { recursive: true });
    const time = record.finishedAt.replace(/[-:]|\.\d+/g, "").replace("Z", "");
    const name = `${String(record.number).padStart(8, "0")}-${time}-${record.commandId}.json`;
    writeFileSync(join(this.folder, ".new"), `${JSON.stringify(record, null, 2)}\n`);
    renameSync(join(this.folder, ".new"), join(this.folder, name));
  }

  get isEmpty(): boolean {
    return this.names().length === 0;
  }

  /**
   * Uploads all of it, oldest first.
   *
   * @throws where a record could not be uploaded: it stays, unless its bucket is gone
   */
  async upload(): Promise<void> {
    for (const name of this.names()) {
      const file = join(this.folder, name);
      const body = readFileSync(file);
      if (body.length > 0) {
        try {
          await this.aws.put(this.bucket, `${RECORD_PREFIX}${name}`, body);
        } catch (error) {
          if (isNoBucket(error)) rmSync(this.folder, { recursive: true });
          throw error;
        }
      }
      rmSync(file);
    }
  }

  private names(): string[] {
    try {
      return readdirSync(this.folder)
        .filter((name) => name.endsWith(".json"))
        .sort();
    } catch {
      return [];
    }
  }
}
