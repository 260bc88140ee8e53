import { text } from "node:stream/consumers";
import type { Connection as Session } from "mysql2/promise";
import { LOCK_WAIT_TIMEOUT, type Mapping } from "../deployment/mapping";
import { endOf } from "../records/fault";
import { isCallback } from "../records/flyway";
import { appliedIn, isApplied, type Known, knownAfter, NOTHING_KNOWN, unrecordedIn } from "../records/judge";
import { refusedKeys } from "../records/keys";
import { fileName, type Refusal, type SeenObject, versionOf } from "../records/record";
import { type Listing, listBucket, listStillBucket } from "./bucket";
import type { Copy } from "./copy";
import {
  isCluster,
  lookAtSchema,
  readHistory,
  removeUnappliedHistory,
  takeOutFailed,
  takesBack,
  unwritableNames,
} from "./database";
import { Failure, orFail } from "./failure";
import { type Basis, contentFingerprintOf, hashOf } from "./fingerprint";
import { type FlywaySetting, runFlyway } from "./flyway";
import type { BucketFolders, Host } from "./host";
import { type Migration, migrate } from "./migration";
import type { Now } from "./now";
import { readMapping, readTarget, targetIn } from "./parameters";
import { installRelease } from "./release";
import { Database } from "./session";
import type { Judged, State } from "./state";
import { Watch } from "./watch";
import { Marks } from "./work";

/** A run, as far as it has come. */
export interface Progress {
  /** How the bucket was judged before it. */
  readonly judged?: Judged;
  listing?: Listing;
  /** What is known of the bucket from the runs before. */
  known: Known;
  mapping?: Mapping;
  /** What the target's parameter says. */
  target?: string;
  /** Whether all is applied, and both bucket and database are as they were when it was judged. */
  isUnchanged?: boolean;
  /** What was seen of Flyway's work in the database. */
  watch?: Watch;
  migration?: Migration;
  /** Of Flyway's history, once it is migrated. */
  history?: string;
  /** The objects that the host itself refused. */
  refused: readonly Refusal[];
  /** Why it ended without Flyway's own result. */
  reason: string | null;
}

/**
 * Brings the database to what the bucket holds now.
 *
 * @param progress what comes of it is written here, for it may end at any step
 * @throws Failure, or another error, whose message is the reason
 */
export async function bringContent(
  host: Host,
  folders: BucketFolders,
  now: Now,
  progress: Progress,
): Promise<void> {
  const { environment, log } = host;
  const { bucket, operation } = environment;
  const { state, copy } = folders;
  const subject = await subjectOf(host, progress);
  const { objects, passedOver, mapping, database } = subject;
  const readHash = async () => {
    try {
      const credentials = await database.credentials();
      const words = "Flyway's history cannot be read";
      return await database.ask(words, credentials, async (session) =>
        hashOf(await readHistory(session, mapping.schema)),
      );
    } catch {
      return undefined; // the secret was there a moment ago, or Flyway's start says what is wrong with it
    }
  };
  if (
    operation === "migrate" &&
    (await isUnchanged(state, progress.judged, basisOf(host, progress), readHash))
  ) {
    log.say(`all of it is in schema ${mapping.schema}, which is as it was`);
    progress.isUnchanged = true;
    return;
  }
  const marks = new Marks(bucket, environment.commandId);
  const watch = new Watch({
    ...{ host, database, marks, now, schema: mapping.schema },
    limit: mapping.migrationTimeout,
  });
  progress.watch = watch;
  const unapplied = unappliedOf(objects, progress.known);
  const configured = new Set(
    (progress.listing?.objects ?? []).flatMap(({ key }) => /^(.*)[.]conf$/i.exec(key)?.[1] ?? []),
  );
  const setting = await settingOf(host, copy, subject, unapplied.length);
  let mayMark: boolean | undefined;
  const learn = async (session: Session) => {
    mayMark ??= !(await isCluster(session));
  };
  const former = state.before;
  const migration = await migrate(
    {
      ...{ operation, objects, unapplied, configured, former, log },
      encoding: mapping.encoding ?? "UTF-8",
      placeholderPrefix: placeholderPrefixOf(mapping),
      isBaselinedByDefault: mapping.baselineVersion === undefined,
      schema: mapping.schema,
      flywayVersion: mapping.flywayVersion,
      location: copy.location,
      applied: appliedIn(progress.known),
      unrecorded: unrecordedIn(progress.known, objects),
      retrySeconds: environment.retrySeconds,
    },
    {
      credentials: () => database.credentials(),
      flyway: async (commands, credentials) => {
        // Else a look has asked
        if (former && mayMark === undefined)
          await database.ask("the server cannot be asked", credentials, learn);
        const initSql = initSqlOf(mapping, mayMark ? marks : undefined);
        const answer = runFlyway({ ...setting, initSql }, credentials, commands, log);
        return commands.includes("migrate") ? watch.during(answer, credentials) : answer;
      },
      look: (credentials) =>
        database.ask("the schema cannot be looked at", credentials, async (session) => {
          await learn(session);
          return lookAtSchema(session, mapping.schema);
        }),
      unwritableNames: (keys, credentials) =>
        database.ask("the names of files cannot be compared with Flyway's history", credentials, (session) =>
          unwritableNames(session, mapping.schema, keys),
        ),
      remember: (before) => {
        try {
          state.before = before;
        } catch (error) {
          log.complain(String(error)); // a full disk is told of at the end
        }
      },
      takesBack: async (credentials) =>
        (await database.ask("the server's tables cannot be looked at", credentials, takesBack)) ?? false,
      takeOutFailed: async (key, credentials) =>
        (await database.ask("Flyway's history cannot be mended", credentials, (session) =>
          takeOutFailed(session, mapping.schema, key),
        )) ?? false,
      removeUnappliedHistory: (credentials) =>
        database.ask("Flyway's history cannot be removed", credentials, (session) =>
          removeUnappliedHistory(session, mapping.schema),
        ),
      isOverLimit: () => watch.isOverLimit,
    },
  );
  progress.migration = migration;
  progress.refused = [...passedOver, ...migration.refused];
  if (migration.outcome.kind === "refused" && migration.outcome.reason)
    throw new Failure(migration.outcome.reason);
  if (migration.outcome.kind !== "migrated") return;
  progress.history = await readHash();
}

/** What a run is about: what Flyway is given of a bucket, and the database that it is for. */
export interface Subject {
  readonly objects: readonly SeenObject[];
  /** The others, and why. */
  readonly passedOver: readonly Refusal[];
  readonly mapping: Mapping;
  readonly database: Database;
}

/** @throws Failure where the bucket, its mapping or its target cannot be had */
export async function subjectOf(host: Host, progress: Progress): Promise<Subject> {
  const { environment, aws, log } = host;
  const list = () => orFail(listBucket(aws, environment.bucket), "cannot list the bucket", log.complain);
  const onChange = () => log.say("the bucket changes; waiting until it is still");
  const listing = await listStillBucket(list, environment.settleSeconds, onChange);
  progress.known = await knownBefore(host, progress.known, listing);
  progress.listing = listing;
  const passedOver = refusedKeys(listing.objects);
  progress.refused = passedOver; // also where the mapping is wrong
  const passedOverKeys = new Set(passedOver.map(({ key }) => key));
  const objects = listing.objects.filter(({ key }) => !passedOverKeys.has(key));
  const mapping = await readMapping(host);
  progress.mapping = mapping;
  progress.target = await readTarget(host, mapping);
  const target = targetIn(host, mapping, progress.target);
  return { objects, passedOver, mapping, database: await Database.at(host, target, mapping.flywayConf) };
}

/** How Flyway is started for it, on a copy of the bucket. @throws Failure where that, or the release, cannot be had */
export async function settingOf(
  host: Host,
  copy: Copy,
  { objects, mapping, database }: Subject,
  newFiles: number,
): Promise<Omit<FlywaySetting, "initSql">> {
  const { environment, log } = host;
  await orFail(copy.bringTo(objects), "cannot copy the bucket; nothing was migrated", log.complain);
  return {
    release: await installRelease(host, mapping.flywayVersion),
    version: mapping.flywayVersion,
    connection: database.connection,
    schema: mapping.schema,
    location: copy.location,
    options: optionsOf(mapping),
    newFiles,
    directory: database.directory,
    variables: environment.variables,
  };
}

/**
 * What is known from the runs before: as this host remembers, else by the bucket's newest record.
 *
 * @throws Failure where that cannot be had: it may say that a file is not to be tried again
 */
async function knownBefore(
  { environment, aws, log }: Host,
  known: Known,
  { newestRecord }: Listing,
): Promise<Known> {
  if (!known.isBlind) return known;
  if (!newestRecord) return NOTHING_KNOWN;
  const read = async () => text(await aws.get(environment.bucket, newestRecord));
  const json = await orFail(read(), "cannot read the newest run record", log.complain);
  try {
    const record = JSON.parse(json);
    return record.recordVersion === 2 ? knownAfter(NOTHING_KNOWN, record, endOf(record)) : NOTHING_KNOWN;
  } catch {
    return NOTHING_KNOWN; // then a verdict says less
  }
}

/** The objects that the runs before do not know to be applied. */
function unappliedOf(objects: readonly SeenObject[], known: Known): SeenObject[] {
  const applied = new Set(known.objects.filter(({ verdict }) => isApplied(verdict)).map(versionOf));
  return objects.filter((object) => !applied.has(versionOf(object)));
}

/** What a run's verdict rests on. */
export function basisOf({ environment }: Host, { listing, mapping, target }: Progress): Basis {
  return { objects: listing?.objects ?? [], mapping, target, runner: environment.runnerSha256 };
}

/** Whether all of a bucket is applied, nothing in it is to run each time, and both it and Flyway's history are as they were then. */
async function isUnchanged(
  state: State,
  judged: Judged | undefined,
  basis: Basis,
  readHash: () => Promise<string | undefined>,
): Promise<boolean> {
  if (!judged?.history || judged.content !== contentFingerprintOf(basis) || state.before) return false;
  if (!state.known?.objects.every(({ verdict }) => isApplied(verdict))) return false;
  if (basis.objects.some(({ key }) => isCallback(fileName(key)))) return false; // each run has it run
  return judged.history === (await readHash());
}

/** What each connection of Flyway's begins with. */
export function initSqlOf(
  { lockWaitTimeout = LOCK_WAIT_TIMEOUT }: Mapping,
  marks: Marks | undefined,
): string {
  return `SET SESSION lock_wait_timeout = ${lockWaitTimeout}${marks ? `, @flyway_on_aws = ${marks.taking}` : ""}`;
}

function placeholderPrefixOf({ placeholderReplacement, placeholderPrefix }: Mapping): string | undefined {
  return placeholderReplacement === false ? undefined : (placeholderPrefix ?? "${");
}

function optionsOf({ baselineVersion = "0", outOfOrder, placeholders = {}, ...mapping }: Mapping): string[] {
  const given = ["placeholderReplacement", "placeholderPrefix", "placeholderSuffix", "encoding"] as const;
  return [
    `-baselineVersion=${baselineVersion}`,
    ...(outOfOrder ? ["-outOfOrder=true"] : []),
    ...given.filter((name) => mapping[name] !== undefined).map((name) => `-${name}=${mapping[name]}`),
    ...Object.entries(placeholders).map(([name, value]) => `-placeholders.${name}=${value}`),
  ];
}
