import { endOf } from "../records/fault";
import { knownAfter, NOTHING_KNOWN } from "../records/judge";
import type { RunRecord } from "../records/record";
import { listBucket } from "./bucket";
import { basisOf, bringContent, type Progress } from "./content";
import { messageOf, orFail } from "./failure";
import { contentFingerprintOf, fingerprintOf } from "./fingerprint";
import { type BucketFolders, foldersOf, type Host } from "./host";
import { Now } from "./now";
import { readMapping, readTarget } from "./parameters";
import { recordOf, summarize } from "./record";
import { isoTime } from "./time";

/** Ends a run from outside. */
export class Interruption extends Error {
  constructor(readonly exitCode: number) {
    super("the run was ended by a signal, as of a host that shuts down");
  }
}

/**
 * One run, once it has its turn and its place: brings one database to what its bucket holds now, and leaves a run record in the
 * bucket.
 *
 * @param interruption rejects when the run is to end
 * @returns the exit code: 0 if the database is now what the bucket holds
 */
export async function run(host: Host, interruption: Promise<never>): Promise<number> {
  const { environment, log, disk } = host;
  const folders = foldersOf(host, environment.bucket);
  const { state, copy } = folders;
  if (environment.isDue && !folders.spool.isEmpty && (await uploadWaiting(host, folders))) return 0;
  const began = Date.now();
  const judged = state.judged(began);
  const interrupted = state.interrupted();
  const hasFormer = state.before !== undefined;
  try {
    disk.keepRoom();
    state.begin({ commandId: environment.commandId, startedAt: isoTime(began) });
  } catch (error) {
    log.complain(String(error)); // a full disk is told of below
  }

  const now = new Now(host);
  const known = state.known ?? { ...NOTHING_KNOWN, isBlind: true };
  const progress: Progress = { judged, known, refused: [], reason: null };
  let exitCode = 0;
  try {
    await Promise.race([bringContent(host, folders, now, progress), interruption]);
    const { migration } = progress;
    if (migration && (migration.outcome.kind !== "migrated" || migration.repairRefused !== null))
      exitCode = 1;
  } catch (error) {
    exitCode = error instanceof Interruption ? error.exitCode : 1;
    const full = `; the host's disk is full: make room on it`;
    progress.reason = `${(error as Error).message}${disk.isFull ? full : ""}`;
    log.complain(`FAILED: ${progress.reason}`);
  }

  await now.clear(progress.listing?.leftovers ?? []);
  const { number } = state;
  const { location } = copy;
  const record = recordOf({ host, progress, interrupted, began, location, exitCode, number });
  exitCode = record.exitCode;
  summarize(record, log);
  const isKept = await keep(host, folders, record);
  if (!isKept) exitCode ||= 1;
  const isUploaded = isKept && (await upload(host, folders, record));
  try {
    const { known, listing } = progress;
    const end = endOf(record);
    const { unrecorded } = record;
    // A run that has not seen the bucket knows nothing new of it; of one without a record, nobody knows but what it ran
    if (isKept && listing) state.known = knownAfter(known, record, end);
    else state.known = { ...known, unrecorded, ...(isKept && { end }) };
    remember(host, folders, progress, { exitCode, isKept, isUploaded, hasFormer });
  } catch (error) {
    log.complain(String(error)); // the next run looks again
  }
  log.report({
    flyway: "run",
    database: record.schema,
    bucket: environment.bucket,
    exitCode,
    applied: record.flyway.migrate?.migrations?.length ?? 0,
    seconds: Math.round((Date.now() - began) / 1_000),
    isRepetition: record.isRepetition,
  });
  return exitCode;
}

/** Uploads the records of former runs; whether that is all, for the bucket is as it was judged. */
async function uploadWaiting(host: Host, { state, spool }: BucketFolders): Promise<boolean> {
  const progress: Progress = { known: NOTHING_KNOWN, refused: [], reason: null };
  try {
    progress.listing = await listBucket(host.aws, host.environment.bucket);
    progress.mapping = await readMapping(host);
    progress.target = await readTarget(host, progress.mapping);
  } catch {
    return false; // the run says what is wrong
  }
  if (!state.isJudged(fingerprintOf(basisOf(host, progress)))) return false;
  await orFail(spool.upload(), "the run records cannot be uploaded", host.log.complain);
  state.see(progress.listing.objects);
  return true;
}

/** Writes a record to the disk; whether that went well. */
export async function keep(
  { log, disk }: Host,
  { state, spool, copy }: BucketFolders,
  record: RunRecord,
): Promise<boolean> {
  for (const isLast of [false, true]) {
    try {
      spool.write(record);
      state.number = record.number;
      state.end();
      return true;
    } catch (error) {
      log.complain(`cannot write the run record: ${messageOf(error)}`);
      if (isLast) break;
      disk.giveRoom();
      await copy.remove();
    }
  }
  return false;
}

/** Uploads what there is of records; whether that went well. */
export async function upload(
  { environment, log }: Host,
  { spool }: BucketFolders,
  record: RunRecord,
): Promise<boolean> {
  try {
    await spool.upload();
    return true;
  } catch (error) {
    log.complain(messageOf(error));
    log.complain(
      `the run record could not be uploaded; the next run does, from ${environment.root}/records. It is:`,
    );
    log.complain(`record ${JSON.stringify(record)}`);
    return false;
  }
}

interface End {
  readonly exitCode: number;
  readonly isKept: boolean;
  readonly isUploaded: boolean;
  /** Whether a run was killed before this one, and what it saw of the schema is still there. */
  readonly hasFormer: boolean;
}

function remember(host: Host, { state }: BucketFolders, progress: Progress, end: End): void {
  const { listing, migration, isUnchanged } = progress;
  if (!listing) return;
  if (end.isUploaded) state.see(listing.objects);
  const outcome = migration?.outcome;
  if (outcome?.kind === "locked") state.before = undefined; // nothing of it landed
  const isJudged =
    isUnchanged || (outcome !== undefined && outcome.kind !== "unreachable" && outcome.kind !== "locked");
  // Where there is no record, nobody can tell what became of the uploads, so the next reconcile runs again
  if (!isJudged || !end.isKept) return;
  const basis = basisOf(host, progress);
  const former = isUnchanged ? progress.judged : undefined;
  state.judge({
    fingerprint: fingerprintOf(basis),
    content: end.exitCode === 0 ? contentFingerprintOf(basis) : null,
    history: former?.history ?? progress.history ?? null,
    at: former?.at ?? Date.now(),
  });
  const isTold = outcome?.kind === "migrated" || (outcome?.kind === "failed" && outcome.landed !== null);
  // A refusal may stand between a run that was killed and the one that can tell what it left
  if (!end.hasFormer || isTold) state.before = undefined;
}
