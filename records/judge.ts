import {
  errorLine,
  FAILED_BEFORE,
  failedFile,
  type Judgement,
  LOOK_AT_LOG,
  letDown,
  ranBefore,
} from "./failed";
import type { RunEnd } from "./fault";
import { BELOW_NEWEST, type Finding, failedKeyIn, findingsOf, missingFiles, namesFile } from "./findings";
import {
  failedEvent,
  failedFilesIn,
  type InfoMigration,
  isRefusal,
  migrationsByFile,
  STATES,
  textOfError,
} from "./flyway";
import {
  type EndedRun,
  fileName,
  fileOf,
  type JudgedObject,
  keyOf,
  type OverallVerdict,
  type Refusal,
  type RunRecord,
  type SeenObject,
} from "./record";
import { HELD_BACK } from "./text";

/** What is known of a bucket's objects from its runs before. */
export interface Known {
  /** As the last of them judged. */
  readonly objects: readonly JudgedObject[];
  /** Keys of files that have failed, and have not been applied since. */
  readonly failed: readonly string[];
  /** Keys of files that were applied, whatever a later run says of them; a former runner has not kept this. */
  readonly applied?: readonly string[];
  /** As a record's. */
  readonly unrecorded?: RunRecord["unrecorded"];
  /** How the last of them ended; undefined where it is not known, as where a former runner has kept this. */
  readonly end?: RunEnd;
  /** Whether it is not known yet what the runs of former hosts have left. */
  readonly isBlind?: boolean;
}

export const NOTHING_KNOWN: Known = { objects: [], failed: [] };

/** What is known after a run. */
export function knownAfter(
  known: Known,
  { objects, unrecorded }: Pick<RunRecord, "objects" | "unrecorded">,
  end?: RunEnd,
): Known {
  const failed = new Set(known.failed);
  const applied = new Set(appliedIn(known));
  for (const { key, verdict } of objects) {
    if (verdict === "failed") failed.add(key);
    else if (isApplied(verdict)) failed.delete(key);
    if (isApplied(verdict)) applied.add(key);
  }
  return { objects, failed: [...failed], applied: [...applied], unrecorded, end };
}

/** Keys of the files that were applied, as far as it is known. */
export function appliedIn({ applied = [], objects }: Known): string[] {
  const keys = objects.filter(({ verdict }) => isApplied(verdict)).map(({ key }) => key);
  return [...new Set([...applied, ...keys])];
}

/** Key of the file that ran and that Flyway's history does not have, if a bucket has it as it was; null where there is none. */
export function unrecordedIn(
  { unrecorded }: Pick<Known, "unrecorded">,
  objects: readonly SeenObject[],
): string | null {
  const isIt = ({ key, eTag }: SeenObject) => key === unrecorded?.key && eTag === unrecorded.eTag;
  return objects.find(isIt)?.key ?? null;
}

export function isApplied(verdict: OverallVerdict): boolean {
  return verdict === "applied" || verdict === "already-applied";
}

/** The verdict of each object that a run saw, from what Flyway said, and from what is known from the runs before. */
export function judge(run: EndedRun, known: Known): JudgedObject[] {
  const { migrate, info } = run.flyway;
  const error = migrate?.error;
  const findings = findingsOf(run);
  const refused = new Map(run.refused.map((refusal) => [refusal.key, refusal]));
  const isRefused =
    isRefusal({ errorCode: error?.errorCode, message: error?.message ?? run.reason ?? "" }) ||
    (migrate === null && run.refused.length > 0);
  const failing = new Set(failingKeys(run, isRefused));
  const facts: Facts = {
    run,
    isRefused,
    refused,
    findings,
    failing,
    missing: missingFiles(run),
    holding: [...new Set([...failing, ...findings.keys()])]
      .filter((key) => !refused.has(key) || refused.get(key)?.holdsBack)
      .sort(),
    baseline: baselineIn(run),
    states: migrationsByFile(info),
    migrated: new Set(migrate?.migrations?.map(({ filepath }) => filepath)),
    known: new Map(known.objects.map((object) => [object.key, object])),
    failed: new Set(known.failed),
  };
  return run.objects.map((object) => ({ ...object, ...judgeObject(facts, object) }));
}

/** What no object's verdict can say of a run: applied files that are not in the bucket; null where there is none. */
export function absenceIn(run: EndedRun): string | null {
  const missing = missingFiles(run);
  return missing.length === 0 ? null : `${absence(missing)}: upload it again, as it was applied`;
}

function absence(missing: readonly string[]): string {
  return `${list(missing)}, which is applied, is missing from the bucket`;
}

/** A run, by what is looked up in it. */
interface Facts {
  readonly run: EndedRun;
  /** Whether nothing of what Flyway or the host found fault with was tried. */
  readonly isRefused: boolean;
  readonly refused: ReadonlyMap<string, Refusal>;
  /** What stands against single files. */
  readonly findings: ReadonlyMap<string, Finding>;
  /** Keys of the files that failed in this run, or stand as failed. */
  readonly failing: ReadonlySet<string>;
  /** The applied files that are not in the bucket. */
  readonly missing: readonly string[];
  /** Keys of the files that hold others back. */
  readonly holding: readonly string[];
  /** What stands for all files up to its version. */
  readonly baseline: string;
  readonly states: ReadonlyMap<string, InfoMigration>;
  readonly migrated: ReadonlySet<string>;
  readonly known: ReadonlyMap<string, JudgedObject>;
  /** Keys of files that have failed, and have not been applied since. */
  readonly failed: ReadonlySet<string>;
}

function failingKeys(run: EndedRun, isRefused: boolean): string[] {
  const { info, migrate } = run.flyway;
  const inHistory = failedFilesIn(info).map((file) => keyOf(run.location, file));
  const named = migrate?.error && !isRefused ? failedKeyIn(migrate.error, run) : undefined;
  return [run.halfApplied?.key, run.unrecorded?.key, run.takenOut, named, ...inHistory].filter(
    (key) => key != null,
  );
}

function judgeObject(facts: Facts, object: SeenObject): Judgement {
  const { run, findings, states } = facts;
  const { migrate } = run.flyway;
  const refusal = facts.refused.get(object.key);
  if (refusal) return { verdict: "refused", message: refusal.message, remedy: refusal.remedy };

  const file = fileOf(run.location, object.key);
  const state = states.get(file);
  const before = facts.known.get(object.key);
  const former = before?.versionId === object.versionId ? before : undefined;

  if (facts.failing.has(object.key)) return judgeFailing(facts, object, before);
  const finding = findings.get(object.key);
  if (finding) return { verdict: "refused", message: finding.message, remedy: finding.remedy };
  if (facts.migrated.has(file)) return { verdict: "applied", message: "", remedy: null };
  if (state) {
    const meaning = STATES[state.state];
    if (meaning === "applied") return withInterruption(facts, file, judgeApplied(facts, state, before));
    if (meaning === "covered") return covered(facts.baseline);
    if (isBaseline(state)) return covered("the history: a baseline is for a schema that has none");
  }
  if (migrate && !migrate.error) {
    // Whatever else Flyway passes over, the host has refused
    if (!state) return { verdict: "applied", message: "a callback, in force from this run on", remedy: null };
    return leftBy(state);
  }
  // It failed behind a file that is not tried again, so nobody has come to it since
  if (migrate === null && former?.verdict === "failed" && failedEvent(former)) {
    return { verdict: "failed", message: former.message, remedy: former.remedy };
  }
  // Flyway could not say where it stands, so it stands where it did
  const isNamed = namesFile(errorLine(run), fileName(object.key)) && !run.scripts.includes(object.key);
  if (!state && former && isApplied(former.verdict) && !isNamed) {
    return { verdict: "already-applied", message: "", remedy: null };
  }
  return heldBack(facts) ?? withInterruption(facts, file, letDown(run));
}

function judgeApplied({ run }: Facts, state: InfoMigration, before: JudgedObject | undefined): Judgement {
  const { migrate } = run.flyway;
  // Under Flyway 7 a run that fails does not list what it applied: then the history's own time tells.
  const isUnlisted =
    migrate !== null && migrate.migrations === undefined && !(before && isApplied(before.verdict));
  const isNew = isUnlisted && (state.installedOnUTC ?? "") >= (run.databaseTime ?? run.startedAt);
  return { verdict: isNew ? "applied" : "already-applied", message: "", remedy: null };
}

/** A file that failed in this run, or that stands as failed since one before. */
function judgeFailing(facts: Facts, object: SeenObject, before: JudgedObject | undefined): Judgement {
  const { run, isRefused } = facts;
  const { key } = object;
  const file = fileOf(run.location, key);
  const isUnrecorded = run.unrecorded?.key === key;
  const isRun = isUnrecorded ? run.halfApplied?.key === key : run.flyway.migrate !== null && !isRefused;
  if (isRun) return withInterruption(facts, file, failedFile(run, key));
  const id = isUnrecorded ? "eTag" : "versionId";
  // Half applied, it stands in the way of every run to come, the corrected file's too
  if (before?.verdict === "failed" && before[id] === object[id])
    return { verdict: "failed", message: before.message, remedy: before.remedy };
  if (isUnrecorded) return ranBefore(key);
  // Unless a run was killed and left no word of its failure: then this is the first
  if (run.halfApplied?.key === key && !facts.failed.has(key)) {
    return withInterruption(facts, file, failedFile(run, key));
  }
  return {
    verdict: "refused",
    message: standingFailure(run, file),
    remedy: FAILED_BEFORE,
  };
}

/** That a file stands as failed, in Flyway's words where it has some. */
function standingFailure({ flyway, location }: EndedRun, file: string): string {
  const finding = flyway.validate?.invalidMigrations?.find(({ filepath }) => filepath === file);
  return finding
    ? textOfError({ message: finding.errorDetails.errorMessage }, location)
    : "a version of it has failed, and stands so in Flyway's history";
}

/** What the message of a file begins with that the database has by something else. */
const COVERED = "not run: it is covered by";

/** The verdicts of a bucket that is as it was when all of it was applied. */
export function unchanged(objects: readonly SeenObject[], known: Known): JudgedObject[] {
  const messages = new Map(known.objects.map(({ key, message }) => [key, message]));
  return objects.map((object): JudgedObject => {
    const message = messages.get(object.key) ?? "";
    const isCovered = message.startsWith(COVERED);
    return { ...object, verdict: "already-applied", message: isCovered ? message : "", remedy: null };
  });
}

function covered(by: string): Judgement {
  return { verdict: "already-applied", message: `${COVERED} ${by}`, remedy: null };
}

function baselineIn({ flyway, location }: EndedRun): string {
  const baseline = flyway.info?.migrations?.find(
    ({ state, type }) => state === "Baseline" || type === "BASELINE",
  );
  if (!baseline) return "a baseline";
  if (baseline.filepath) return keyOf(location, baseline.filepath);
  return `the baseline at version ${baseline.version} (baseline_version)`;
}

function isBaseline({ type, state }: InfoMigration): boolean {
  return type === "SQL_BASELINE" && STATES[state] === "untried";
}

/** What a run that ended well has not applied. */
function leftBy({ state }: InfoMigration): Judgement {
  const isOld = state === "Ignored";
  return {
    verdict: "refused",
    message: `Flyway left it as it was: its state is "${state}"${STATES[state] ? "" : ", which is not known here"}`,
    remedy: isOld ? BELOW_NEWEST.remedy : "look at Flyway's documentation of that state, or delete the file",
  };
}

/** The most files that are named as what holds others back. */
const KEYS = 5;

function list(names: readonly string[]): string {
  const more = names.length > KEYS ? ` and ${names.length - KEYS} more` : "";
  return names.slice(0, KEYS).join(", ") + more;
}

/** What to do about an error where Flyway could not be asked which file it is of. */
const UNNAMED: readonly (readonly [message: RegExp, remedy: string])[] = [
  [/Detected failed migration|Detected failed repeatable/, FAILED_BEFORE],
  [/checksum mismatch/, "upload the former content of that file again, and the change as a new version"],
  [/not resolved locally/, "upload the file that is applied but missing from the bucket again"],
  [/resolved migration not applied/, BELOW_NEWEST.remedy],
];

/** A file that waits for others; undefined where none is known to hold it back. */
function heldBack({ run, isRefused, holding, missing }: Facts): Judgement | undefined {
  if (missing.length > 0) {
    const remedy = `upload ${list(missing)} again, as it was applied`;
    return { verdict: "refused", message: `${HELD_BACK}: ${absence(missing)}`, remedy };
  }
  if (holding.length > 0) {
    return {
      verdict: "refused",
      message: `${HELD_BACK} by ${list(holding)}`,
      remedy: "nothing with this file: it is tried again once that is mended",
    };
  }
  if (!isRefused) return undefined;
  const message = errorLine(run);
  const remedy = UNNAMED.find(([pattern]) => pattern.test(message))?.[1] ?? LOOK_AT_LOG;
  return { verdict: "refused", message: `${HELD_BACK}: ${message}`, remedy };
}

/** Adds that a run before this one was killed where it may have been that one's doing. */
function withInterruption({ run, states }: Facts, file: string, judgement: Judgement): Judgement {
  const [first] = run.interrupted;
  const killed = run.interrupted.at(-1);
  if (!first || !killed) return judgement;
  const isItsDoing =
    judgement.verdict === "failed" ||
    (judgement.verdict === "already-applied" && (states.get(file)?.installedOnUTC ?? "") >= first.startedAt);
  if (!isItsDoing) return judgement;
  const note =
    "A run before this one was killed (cancelled, out of time, or its host went down) and left no record: " +
    `command ${killed.commandId}, begun ${killed.startedAt}.`;
  return { ...judgement, message: [judgement.message.trimEnd(), note].filter(Boolean).join("\n") };
}
