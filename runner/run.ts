import { mkdirSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import {
  type Mapping,
  mappingName,
  parseMapping,
  parseTarget,
  type Target,
  targetName,
} from "../deployment/mapping";
import type { Refusal, RunRecord } from "../records/record";
import type { Aws } from "./aws";
import { type Listing, listBucket, listStillBucket, oddKeys } from "./bucket";
import { Copy } from "./copy";
import { type Credentials, parseCredentials } from "./credentials";
import { closeSession, type Look, lookAtSchema, openSession } from "./database";
import { Disk } from "./disk";
import { download, isSource } from "./download";
import type { Environment } from "./environment";
import { Failure, messageOf, orFail } from "./failure";
import { type FlywaySetting, runFlyway } from "./flyway";
import type { Log } from "./log";
import { type Migration, migrate, reasonOf } from "./migration";
import { installRelease } from "./release";
import { Spool } from "./spool";
import { fingerprintOf, State, versionOf } from "./state";
import { type Connection, caFile, connectionTo } from "./target";

/** The highest number that a record's name has room for. */
const LAST_NUMBER = 99_999_999;

/** A run, as far as it has come. */
interface Progress {
  listing?: Listing;
  mapping?: Mapping;
  /** What the target's parameter says. */
  target?: string;
  migration?: Migration;
  /** The objects that the host itself refused. */
  refused: readonly Refusal[];
  /** Why it ended without Flyway's own result, or what is wrong beside a good one. */
  reason: string | null;
}

/**
 * One run, once it has its turn and its place: brings one database to what its bucket holds now, and leaves a run record in the
 * bucket.
 *
 * @param interruption rejects when the run is to end
 * @returns the exit code: 0 if the database is now what the bucket holds
 */
export async function run(
  environment: Environment,
  aws: Aws,
  log: Log,
  interruption: Promise<never>,
): Promise<number> {
  const { bucket, root } = environment;
  const began = Date.now();
  const disk = new Disk(root);
  const state = new State(join(root, "state", bucket));
  const spool = new Spool(aws, bucket, join(root, "records", bucket));
  const copy = new Copy(aws, bucket, join(root, "copies", bucket));
  const judged = environment.isDue && !spool.isEmpty && (await isAsJudged(environment, aws, state));
  if (judged) {
    await orFail(spool.upload(), "the run records cannot be uploaded", log.complain);
    state.see(judged.objects);
    return 0;
  }
  const interrupted = state.interrupted();
  const former = state.before;
  const startedAt = isoTime(began);
  const progress: Progress = { refused: [], reason: null };
  try {
    disk.keepRoom();
    state.begin({ commandId: environment.commandId, startedAt });
  } catch (error) {
    log.complain(String(error)); // a full disk is told of below
  }
  let code = 0;
  try {
    await Promise.race([work(environment, aws, log, state, copy, former, progress), interruption]);
  } catch (error) {
    code = error instanceof Interruption ? error.exitCode : 1;
    if (!(error instanceof Failure)) log.complain(String((error as Error)?.stack ?? error));
    progress.reason = `${(error as Error).message}${disk.isFull ? `; the host's disk is full: make room on the file system of ${root}` : ""}`;
    log.complain(`FAILED: ${progress.reason}`);
  }
  const { migration, listing } = progress;
  if (migration && code === 0) {
    if (migration.outcome.kind !== "migrated") code = 1;
    else if (migration.repairRefused !== null) code = 1;
  }
  const record = recordOf({
    environment,
    progress,
    interrupted,
    startedAt,
    copy,
    code,
    number: numberOf(state, listing),
  });
  let isKept = true;
  try {
    keep(record);
  } catch {
    log.complain("cannot write the run record; trying again with more room");
    disk.giveRoom();
    await copy.remove();
    try {
      keep(record);
    } catch (error) {
      log.complain(String(error));
      isKept = false;
      code ||= 1;
    }
  }
  summarize(record, log);
  let isUploaded = false;
  if (isKept) {
    try {
      await spool.upload();
      isUploaded = true;
    } catch (error) {
      log.complain(messageOf(error));
      log.complain(
        `the run record could not be uploaded; the next run uploads it from ${root}/records/${bucket}. It is:`,
      );
      log.complain(`record ${JSON.stringify(record)}`);
    }
  }
  try {
    remember(isUploaded, isKept);
  } catch (error) {
    log.complain(String(error)); // the next run looks again
  }
  log.report({
    flyway: "run",
    database: record.schema,
    bucket,
    exitCode: code,
    applied: record.flyway.migrate?.migrations?.length ?? 0,
    seconds: Math.round((Date.now() - began) / 1_000),
  });
  return code;

  function keep(record: RunRecord): void {
    spool.write(record);
    state.number = record.number;
    state.end();
  }

  function remember(isUploaded: boolean, isKept: boolean): void {
    if (!listing) return;
    if (isUploaded) state.see(listing.objects);
    const kind = migration?.outcome.kind ?? (progress.refused.length > 0 ? "refused" : "unreachable");
    // Where there is no record, nobody can tell what became of the uploads, so the next reconcile runs again
    if (kind === "unreachable" || !isKept) return;
    state.judge(fingerprint(environment, listing, progress.mapping, progress.target), Date.now());
    const isTold =
      kind === "migrated" || (migration?.outcome.kind === "failed" && migration.outcome.landed !== null);
    // A refusal may stand between a run that was killed and the one that can tell what it left
    if (!former || isTold) state.before = undefined;
  }
}

/** The listing of a bucket that is as it was judged, so that the records of former runs are all that is missing in it. */
async function isAsJudged(environment: Environment, aws: Aws, state: State): Promise<Listing | undefined> {
  const { bucket, parameters } = environment;
  try {
    const listing = await listBucket(aws, bucket);
    const name = mappingName(parameters, bucket);
    const mapping = parseMapping(name, await aws.parameter(name));
    const target = await aws.parameter(targetName(parameters, mapping.flywayConf));
    return state.isJudged(fingerprint(environment, listing, mapping, target), Date.now())
      ? listing
      : undefined;
  } catch {
    return undefined; // the run says what is wrong
  }
}

/** Ends a run from outside. */
export class Interruption extends Error {
  constructor(readonly exitCode: number) {
    super("the run was ended by a signal, as of a host that shuts down");
  }
}

/** What a run's verdict rests on; see `fingerprintOf`. */
export function fingerprint(
  { runnerSha256 }: Environment,
  { objects }: Listing,
  mapping: Mapping | undefined,
  target: string | undefined,
): string {
  return fingerprintOf(objects, JSON.stringify(mapping ?? null), target ?? "", runnerSha256);
}

async function work(
  environment: Environment,
  aws: Aws,
  log: Log,
  state: State,
  copy: Copy,
  former: Look | undefined,
  progress: Progress,
): Promise<void> {
  const { bucket, root, parameters, operation } = environment;
  const list = () => orFail(listBucket(aws, bucket), "cannot list the bucket", log.complain);
  const onChange = () => log.say("the bucket changes; waiting until it is still");
  const listing = await listStillBucket(list, environment.settleSeconds, onChange);
  progress.listing = listing;
  const { objects } = listing;

  const name = mappingName(parameters, bucket);
  const noMapping = `the bucket has no mapping: parameter ${name} cannot be read`;
  const mapping = parseMapping(name, await orFail(aws.parameter(name), noMapping, log.complain));
  progress.mapping = mapping;
  const conf = targetName(parameters, mapping.flywayConf);
  const noTarget = `no target is named ${mapping.flywayConf}: parameter ${conf} cannot be read`;
  progress.target = await orFail(aws.parameter(conf), noTarget, log.complain);
  const target = parseTarget(conf, progress.target);

  progress.refused = oddKeys(objects);
  if (progress.refused.length > 0) throw new Failure(reasonOf(progress.refused));
  await orFail(copy.bringTo(objects), "cannot copy the bucket; nothing was migrated", log.complain);

  const connection = connectionOf(target, mapping.flywayConf);
  const directory = join(root, "ca");
  mkdirSync(directory, { recursive: true });
  await bringAuthorities(connection);
  const release = await installRelease(aws, mapping.flywayVersion, environment, log);
  const setting: FlywaySetting = {
    release,
    version: mapping.flywayVersion,
    connection,
    schema: mapping.schema,
    location: copy.location,
    options: optionsOf(mapping),
    directory,
    variables: environment.variables,
  };
  const migration = await migrate(
    {
      operation,
      schema: mapping.schema,
      flywayVersion: mapping.flywayVersion,
      objects,
      location: copy.location,
      former,
      retrySeconds: environment.retrySeconds,
      log,
    },
    {
      credentials: async () => {
        const secret = await orFail(
          aws.secret(target.secret),
          "cannot read the database's secret",
          log.complain,
        );
        return parseCredentials(target.secret, secret);
      },
      flyway: (commands, credentials) => runFlyway(setting, credentials, commands, log),
      look: (credentials) => lookOf(connection, credentials, directory, mapping.schema, log),
      remember: (before) => {
        try {
          state.before = before;
        } catch (error) {
          log.complain(String(error));
        }
      },
    },
  );
  progress.migration = migration;
  progress.refused = migration.refused;
  if (migration.outcome.kind === "refused" && migration.outcome.reason)
    throw new Failure(migration.outcome.reason);
  if (migration.outcome.kind === "migrated") complainOfNews(migration.refused, state, listing);

  async function bringAuthorities({ ca }: Connection): Promise<void> {
    if (!ca) return;
    const file = join(directory, caFile(ca.sha256));
    if (await isSource(ca, file)) return;
    const partial = `${file}.${bucket}`;
    await orFail(
      download(aws, ca.url, partial, environment.stallSeconds),
      `cannot download the CA certificates from ${ca.url}`,
      log.complain,
    );
    if (!(await isSource(ca, partial))) {
      throw new Failure(`the CA certificates from ${ca.url} do not have the SHA-256 ${ca.sha256}`);
    }
    await rename(partial, file);
  }
}

/** A run that leaves aside what no run saw before is not green, even where Flyway is content. */
function complainOfNews(refused: readonly Refusal[], state: State, { objects }: Listing): void {
  const seen = state.seen() ?? new Set();
  const unseen = new Set(objects.filter((object) => !seen.has(versionOf(object))).map(({ key }) => key));
  const news = refused.filter(({ key }) => unseen.has(key));
  if (news.length === 0) return;
  throw new Failure(news.map(({ key, message, remedy }) => `${key}: ${message}; ${remedy}`).join("; "));
}

function connectionOf(target: Target, conf: string): Connection {
  try {
    return connectionTo(target);
  } catch (error) {
    throw new Failure(
      `the target ${conf} ${(error as Error).message}: apply the Terraform configuration again`,
    );
  }
}

function optionsOf({ baselineVersion = "0", outOfOrder, placeholders = {} }: Mapping): string[] {
  return [
    `-baselineVersion=${baselineVersion}`,
    ...(outOfOrder ? ["-outOfOrder=true"] : []),
    ...Object.entries(placeholders).map(([name, value]) => `-placeholders.${name}=${value}`),
  ];
}

async function lookOf(
  connection: Connection,
  credentials: Credentials,
  directory: string,
  schema: string,
  log: Log,
): Promise<Look | undefined> {
  try {
    const session = await openSession(connection, credentials, directory);
    try {
      return await lookAtSchema(session, schema);
    } finally {
      await closeSession(session);
    }
  } catch (error) {
    log.complain(`the schema cannot be looked at: ${messageOf(error)}`); // of the database, Flyway says more
    return undefined;
  }
}

/** One more than the newest that this host or the bucket knows of: records are in the order of the runs, whatever clocks say. */
function numberOf(state: State, listing: Listing | undefined): number {
  return Math.min(Math.max(state.number, listing?.number ?? 0) + 1, LAST_NUMBER);
}

function recordOf(input: {
  environment: Environment;
  progress: Progress;
  interrupted: RunRecord["interrupted"];
  startedAt: string;
  copy: Copy;
  code: number;
  number: number;
}): RunRecord {
  const { environment, progress, interrupted, startedAt, copy, code, number } = input;
  const { listing, mapping, migration, reason, refused } = progress;
  const outcome = migration?.outcome;
  return {
    recordVersion: 1,
    number,
    commandId: environment.commandId,
    bucket: environment.bucket,
    schema: mapping?.schema ?? "",
    host: environment.instanceId,
    flywayVersion: mapping?.flywayVersion ?? "",
    flywayConf: mapping?.flywayConf ?? "",
    operation: environment.operation,
    startedAt,
    finishedAt: isoTime(Date.now()),
    location: copy.location,
    exitCode: code,
    attempts: migration?.attempts ?? 0,
    reason,
    repairRefused: migration?.repairRefused ?? null,
    interrupted,
    newestChange: listing?.newestChange ?? null,
    objects: listing?.objects ?? [],
    refused,
    databaseTime: migration?.before?.time ?? null,
    halfApplied: outcome?.kind === "failed" ? outcome.landed : null,
    flyway: migration?.results ?? { migrate: null, info: null, validate: null, repair: null },
  };
}

/** What a person reads in the command's output. */
function summarize({ interrupted = [], flyway, refused, reason, halfApplied }: RunRecord, log: Log): void {
  for (const { commandId, startedAt } of interrupted) {
    log.show(`command ${commandId}, begun ${startedAt}, was ended before it could leave a record`);
  }
  for (const action of flyway.repair?.repairActions ?? []) log.show(action);
  const { migrate } = flyway;
  for (const { filepath } of migrate?.migrations ?? [])
    log.show(`applied ${filepath.slice(filepath.lastIndexOf("/") + 1)}`);
  if (migrate && !migrate.error && (migrate.migrations ?? []).length === 0) log.show("nothing new to apply");
  for (const { key, message, remedy } of refused) log.show(`refused ${key}: ${message}; ${remedy}`);
  if (migrate?.error) log.show(migrate.error.message);
  else if (reason) log.show(reason);
  if (!halfApplied) return;
  log.show(`of ${halfApplied.key}, this is in the schema now:`);
  for (const { kind, name, before, after } of halfApplied.changes ?? []) {
    log.show(`  ${kind} ${name}: ${before ?? "not there"} -> ${after ?? "not there"}`);
  }
}

function isoTime(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}
