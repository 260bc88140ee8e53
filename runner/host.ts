import { join } from "node:path";
import { Aws } from "./aws";
import { Copy } from "./copy";
import { Disk } from "./disk";
import type { Environment } from "./environment";
import type { Log } from "./log";
import { Spool } from "./spool";
import { State } from "./state";

/** What a run has to do with: the host that it is on, and AWS. */
export interface Host {
  readonly environment: Environment;
  readonly aws: Aws;
  readonly log: Log;
  readonly disk: Disk;
}

/** What the host has of one bucket. */
export interface BucketFolders {
  readonly state: State;
  readonly spool: Spool;
  readonly copy: Copy;
}

export function hostOf(environment: Environment, log: Log): Host {
  return { environment, aws: new Aws(environment.region), log, disk: new Disk(environment.root) };
}

export function foldersOf({ environment: { root }, aws }: Host, bucket: string): BucketFolders {
  return {
    state: new State(join(root, "state", bucket)),
    spool: new Spool(aws, bucket, join(root, "records", bucket)),
    copy: new Copy(aws, bucket, join(root, "copies", bucket)),
  };
}
