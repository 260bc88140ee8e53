import { isLeftByRepair, textOfError } from "../records/flyway";
import { isApplied, type Known, NOTHING_KNOWN } from "../records/judge";
import { type JudgedObject, keyOf, type SeenObject, versionOf } from "../records/record";
import { lineOf } from "../records/text";
import { initSqlOf, type Progress, settingOf, subjectOf } from "./content";
import type { Copy } from "./copy";
import { Failure } from "./failure";
import { runFlyway } from "./flyway";
import { foldersOf, type Host } from "./host";
import type { Results } from "./migration";
import { recordOf } from "./record";
import { Interruption, keep, upload } from "./run";

/**
 * Compares Flyway's history of a database with its bucket, migrates nothing, and leaves a record that says what was found.
 *
 * @param interruption rejects when it is to end
 * @returns the exit code: 0 if that could be done, whatever was found
 */
export async function validate(host: Host, interruption: Promise<never>): Promise<number> {
  const { environment, log } = host;
  const folders = foldersOf(host, environment.bucket);
  const began = Date.now();
  const known = folders.state.known ?? { ...NOTHING_KNOWN, isBlind: true };
  const progress: Progress = { known, refused: [], reason: null };
  let exitCode = 0;
  let results: Results = { migrate: null, info: null, validate: null, repair: null };
  try {
    const [found, lines] = await Promise.race([findingsOf(host, folders.copy, progress), interruption]);
    results = { ...results, validate: found };
    if (lines.length > 0) progress.reason = lines.join("\n");
    log.show(progress.reason ?? "Flyway's history and the bucket go together");
  } catch (error) {
    exitCode = error instanceof Interruption ? error.exitCode : 1;
    progress.reason = (error as Error).message;
    log.complain(`FAILED: ${progress.reason}`);
  }
  const migration = {
    ...{ outcome: { kind: "refused" as const, reason: null }, results, refused: [], attempts: 0 },
    ...{ repairRefused: null, before: undefined },
  };
  const { listing } = progress;
  const record = recordOf({
    host,
    progress: { ...progress, listing: undefined, migration },
    ...{ interrupted: [], began, location: folders.copy.location },
    exitCode: progress.reason === null ? 0 : exitCode || 1,
    number: Math.max(folders.state.number, listing?.number ?? 0),
  });
  const judged = {
    ...record,
    newestChange: listing?.newestChange ?? null,
    objects: listing ? asJudged(listing.objects, progress.known) : [],
  };
  if (!(await keep(host, folders, judged)) || !(await upload(host, folders, judged))) exitCode ||= 1;
  return exitCode;
}

/** The objects that runs before have judged: a validation judges none, and what is not judged stays pending. */
function asJudged(objects: readonly SeenObject[], known: Known): JudgedObject[] {
  const former = new Map(known.objects.map((object) => [versionOf(object), object]));
  return objects.flatMap((object): JudgedObject[] => {
    const before = former.get(versionOf(object));
    if (!before) return [];
    const verdict = isApplied(before.verdict) ? "already-applied" : before.verdict;
    return [{ ...before, ...object, verdict }];
  });
}

/** What Flyway finds, and a line for each thing that stands against a file: not for what is yet to be applied. */
async function findingsOf(
  host: Host,
  copy: Copy,
  progress: Progress,
): Promise<readonly [Results["validate"], readonly string[]]> {
  const { log } = host;
  const subject = await subjectOf(host, progress);
  const setting = await settingOf(host, copy, subject, 0);
  log.say(`validating schema ${subject.mapping.schema} with Flyway ${subject.mapping.flywayVersion}`);
  const initSql = initSqlOf(subject.mapping, undefined);
  const answer = await runFlyway(
    { ...setting, initSql },
    await subject.database.credentials(),
    ["validate"],
    log,
  );
  const [found = null] = answer.results;
  if (answer.error && !found?.invalidMigrations) throw new Failure(textOfError(answer.error, copy.location));
  const invalid = (found?.invalidMigrations ?? []).filter(
    ({ errorDetails: { errorCode } }) => errorCode.startsWith("FAILED_") || !isLeftByRepair(errorCode),
  );
  return [
    found,
    [
      ...invalid.map(({ filepath, errorDetails: { errorMessage } }) => {
        const text = textOfError({ message: errorMessage }, copy.location);
        return filepath ? `${keyOf(copy.location, filepath)}: ${text}` : text;
      }),
      ...subject.passedOver.map(lineOf),
    ],
  ];
}
