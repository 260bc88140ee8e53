import { isRepetition } from "../records/fault";
import { isInHistory, isLockTimeout, textOfError } from "../records/flyway";
import { absenceIn, isApplied, judge, unchanged, unrecordedIn } from "../records/judge";
import { type EndedRun, fileName, fileOf, type InterruptedRun, type RunRecord } from "../records/record";
import { lineOf } from "../records/text";
import { holderLines } from "../records/work";
import type { Progress } from "./content";
import type { Host } from "./host";
import type { Log } from "./log";
import { isoTime } from "./time";

/** The highest number that a record's name has room for. */
const LAST_NUMBER = 99_999_999;

const NO_RESULTS = { migrate: null, info: null, validate: null, repair: null };

export interface RecordInput {
  readonly host: Host;
  readonly progress: Progress;
  readonly interrupted: readonly InterruptedRun[];
  /** In milliseconds. */
  readonly began: number;
  readonly location: string;
  readonly exitCode: number;
  /** Of the newest record that the host knows of; 0 where it knows none. */
  readonly number: number;
}

/** The record of a run that has ended. Records are in the order of the runs, whatever the clocks of hosts say. */
export function recordOf(input: RecordInput): RunRecord {
  const { host, progress, interrupted, began, location, number } = input;
  const { environment } = host;
  const { listing, known, mapping, migration, watch, reason } = progress;
  const outcome = migration?.outcome;
  const error = migration?.results.migrate?.error;
  const unrecorded = unrecordedAfter(input);
  const common = {
    startedAt: isoTime(began),
    location,
    reason,
    interrupted,
    databaseTime: migration?.before?.time ?? null,
    halfApplied: outcome?.kind === "failed" ? outcome.landed : null,
    takenOut: outcome?.kind === "locked" ? outcome.key : null,
    unrecorded,
    lockHolders: watch && error && isLockTimeout(error) ? watch.holders : [],
    timedOutAfter: error && watch?.isOverLimit ? (mapping?.migrationTimeout ?? null) : null,
    flyway: migration?.results ?? NO_RESULTS,
  };
  const ended: EndedRun = {
    ...common,
    objects: listing?.objects ?? [],
    refused: progress.refused,
    unrecorded: unrecordedIn({ unrecorded }, listing?.objects ?? []) === null ? null : unrecorded,
    scripts: migration?.before?.scripts ?? [],
  };
  const objects = progress.isUnchanged ? unchanged(ended.objects, known) : judge(ended, known);
  const isGreen = objects.every(({ verdict }) => isApplied(verdict));
  const record = {
    recordVersion: 2 as const,
    number: Math.min(Math.max(number, listing?.number ?? 0) + 1, LAST_NUMBER),
    commandId: environment.commandId,
    bucket: environment.bucket,
    schema: mapping?.schema ?? "",
    host: environment.instanceId,
    flywayVersion: mapping?.flywayVersion ?? "",
    flywayConf: mapping?.flywayConf ?? "",
    operation: environment.operation,
    finishedAt: isoTime(Date.now()),
    exitCode: input.exitCode || (isGreen ? 0 : 1),
    attempts: migration?.attempts ?? 0,
    repairRefused: migration?.repairRefused ?? null,
    newestChange: listing?.newestChange ?? null,
    ...common,
    reason: reason ?? absenceIn(ended) ?? (isGreen && error ? textOfError(error, location) : null),
    objects,
  };
  return { ...record, isRepetition: isRepetition(record, known) };
}

/**
 * What is not tried again after a run. What was known of that before holds until Flyway's history has the file, or the bucket not
 * any more, whatever other content was refused under its key.
 */
function unrecordedAfter({ progress, location }: RecordInput): RunRecord["unrecorded"] {
  const { known, listing, migration } = progress;
  const former = known.unrecorded ?? null;
  if (!listing) return former;
  const outcome = migration?.outcome;
  if (outcome?.kind === "migrated") return null;
  const find = (key: string | null) => listing.objects.find((object) => object.key === key);
  const object = outcome?.kind === "failed" ? find(outcome.unrecorded) : undefined;
  if (object) return { key: object.key, eTag: object.eTag };
  if (!former || !find(former.key)) return null;
  if (outcome?.kind === "locked" && outcome.key === former.key) return former; // its row is out of the history again
  return isInHistory(migration?.results.info ?? null, fileOf(location, former.key)) ? null : former;
}

/** What a person reads in the command's output. */
export function summarize(record: RunRecord, log: Log): void {
  const { interrupted, flyway, objects, reason, halfApplied, takenOut, lockHolders } = record;
  for (const { commandId, startedAt } of interrupted) {
    log.show(`command ${commandId}, begun ${startedAt}, was ended before it could leave a record`);
  }
  const { migrate, repair } = flyway;
  for (const action of repair?.repairActions ?? []) log.show(action);
  const applied = migrate?.migrations ?? [];
  for (const { filepath } of applied) log.show(`applied ${fileName(filepath)}`);
  if (!migrate?.error && reason === null && applied.length === 0) log.show("nothing new to apply");
  if (!migrate?.error) {
    for (const object of objects) if (object.verdict === "refused") log.show(`refused ${lineOf(object)}`);
  }
  if (migrate?.error) log.show(migrate.error.message);
  else if (reason !== null) log.show(reason);
  if (lockHolders.length > 0) log.show(holderLines(lockHolders, "was").join("\n"));
  if (takenOut !== null) log.show(`nothing of ${takenOut} is in the schema: the next run tries it again`);
  if (!halfApplied) return;
  log.show(`of ${halfApplied.key}, this is in the schema now:`);
  for (const { kind, name, before, after } of halfApplied.changes ?? []) {
    log.show(`  ${kind} ${name}: ${before ?? "not there"} -> ${after ?? "not there"}`);
  }
}
