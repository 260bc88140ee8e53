import {
  eventOf,
  failedEvent,
  failedStatementIn,
  isCallback,
  isMissingState,
  textOfError,
  versionIn,
} from "./flyway";
import { type EndedRun, type FlywayError, fileName, fileOf, keyOf } from "./record";
import { ABOUT_DELIMITER } from "./script";

/** What stands against a file. */
export interface Finding {
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

/** Flyway's own, https://documentation.red-gate.com/fd/callback-events-277579314.html */
const EVENTS = "a callback is named after one of Flyway's events, such as afterMigrate.sql";

/** By the code of a finding of `validate`. */
const VALIDATION: Readonly<Record<string, string>> = {
  CHECKSUM_MISMATCH: "upload its former content again, and the change as a new version",
  TYPE_MISMATCH: "give it a version of its own: this one was applied as another kind of migration",
};

/** A version that came too late. */
export const BELOW_NEWEST: Finding = {
  message: "its version is below the newest that is applied",
  remedy: "give it a version above the newest that is applied, or set out_of_order for this database",
};

/** What a script cannot be read for; the first that fits. */
const UNREADABLE: readonly (readonly [message: RegExp, remedy: string])[] = [
  [
    /No value provided for placeholder/,
    "set this placeholder in placeholders of this database; where the text is to stay as it is, set placeholder_replacement of this database to false, or other marks by placeholder_prefix",
  ],
  [
    /Unable to calculate checksum|MalformedInput|UnmappableCharacter/i,
    "save it as UTF-8 and upload it again, or set encoding of this database",
  ],
  [/Delimiter changed inside statement/, ABOUT_DELIMITER],
  [/./, "correct it and upload it again: a quote, a comment or a DELIMITER may not end"],
];

/** What stands against single files, by key: by the host's rules, by Flyway's validation, and by the error that names them. */
export function findingsOf(run: EndedRun): Map<string, Finding> {
  const { validate, migrate, info } = run.flyway;
  const keys = new Set(run.objects.map(({ key }) => key));
  const findings = new Map<string, Finding>();
  const add = (key: string, finding: Finding) => {
    if (keys.has(key) && !findings.has(key)) findings.set(key, finding);
  };
  for (const { key, ...refusal } of run.refused) add(key, refusal);
  for (const { filepath, errorDetails } of validate?.invalidMigrations ?? []) {
    const { errorCode, errorMessage } = errorDetails;
    if (/_NOT_APPLIED$|^FAILED_|^OUTDATED_/.test(errorCode)) continue;
    const key = keyOf(run.location, filepath);
    const remedy = errorCode === "DESCRIPTION_MISMATCH" ? renameRemedy(run, key) : VALIDATION[errorCode];
    const message = textOfError({ message: errorMessage }, run.location);
    add(key, { message, remedy: remedy ?? "correct it, and upload it again" });
  }
  if (migrate?.error) for (const [key, finding] of namedIn(migrate.error, run)) add(key, finding);
  const isLeft = migrate !== null && !migrate.error; // then Flyway's state says it
  for (const { state, filepath } of info?.migrations ?? []) {
    if (state === "Ignored" && !isLeft) add(keyOf(run.location, filepath), BELOW_NEWEST);
  }
  return findings;
}

/** The files that an error of Flyway's names, and what is wrong with each. */
function namedIn(error: FlywayError, run: EndedRun): (readonly [string, Finding])[] {
  const { location, objects } = run;
  const message = textOfError(error, location);
  if (message.startsWith("Invalid SQL filenames found")) {
    const lines = message.split("\n").slice(1);
    const isCut = message.endsWith("…");
    return objects
      .map(({ key }) => [key, lines.find((line) => namesFile(line, fileName(key)))] as const)
      .filter(([key, line]) => line !== undefined || (isCut && !isNamed(fileName(key))))
      .map(([key, line]) => [key, misnamed(fileName(key), line)] as const);
  }
  const callback = /^Found more than 1 SQL callback script called (\w+)!/.exec(message)?.[1];
  if (callback !== undefined) {
    const twins = objects.map(({ key }) => key).filter((key) => eventOf(fileName(key)) === callback);
    return twins.map((key) => [
      key,
      twin(
        `there is more than one ${callback} callback`,
        key,
        twins,
        `a name of its own, such as ${callback}__second.sql`,
      ),
    ]);
  }
  if (message.startsWith("Found more than one")) {
    const [title = "", ...lines] = message.split("\n");
    const offenders = lines.flatMap((line) => /^-> (.*) \(\w+\)$/.exec(line)?.[1] ?? []);
    const own = title.includes("repeatable") ? "a description of its own" : "a version of its own";
    const unapplied = offenders.filter((key) => !run.scripts.includes(key));
    return (unapplied.length > 0 ? unapplied : offenders).map((key) => [
      key,
      twin(title, key, offenders, own),
    ]);
  }
  const unreadable =
    /^Unable to (?:parse statement in|calculate checksum of) (.*?)(?: at line (\d+) col (\d+)\.([\s\S]*)|\n|$)/.exec(
      message,
    );
  if (!unreadable) return [];
  const [, key = "", line, , cause = ""] = unreadable;
  const remedy = (UNREADABLE.find(([pattern]) => pattern.test(cause || message)) as [RegExp, string])[1];
  const what =
    line === undefined
      ? "it is not in the encoding of this database's files"
      : `it cannot be read at line ${line}: ${cause.trim() || "a statement does not end"}`;
  return [[key, { message: what, remedy }]];
}

function twin(title: string, key: string, offenders: readonly string[], own: string): Finding {
  const others = offenders.filter((other) => other !== key).join(", ");
  return {
    message: `${title}: beside ${others}`,
    remedy: `delete one of them, or upload it again under ${own}`,
  };
}

/** What stands against a file whose name Flyway does not take. */
export function misnamed(name: string, line = `Unrecognised migration name format: ${name}`): Finding {
  const isLikeCallback = /^(before|after|create)/i.test(name);
  const remedy =
    "upload it again as V<version>__<description>.sql or R__<description>.sql, and delete the misnamed one";
  return { message: line, remedy: isLikeCallback ? `${remedy}; ${EVENTS}` : remedy };
}

/** Whether a name is one that Flyway's rules take. */
export function isNamed(name: string): boolean {
  return /^([VB]\d+([._]\d+)*(__.+)?|R__.+)[.]sql$/.test(name) || isCallback(name);
}

/** Whether a text names a file, and not just one whose name ends alike. */
export function namesFile(text: string, name: string): boolean {
  const at = text.indexOf(name);
  return at >= 0 && !/[\w-]/.test(text.charAt(at - 1)) && !/[\w-]/.test(text.charAt(at + name.length));
}

function renameRemedy(run: EndedRun, key: string): string {
  const version = versionIn(fileName(key));
  const former = run.scripts.find((script) => script !== key && versionIn(fileName(script)) === version);
  return `upload it again as ${former ?? "what it was applied as"}, and delete this one: a version's name stays`;
}

/** The key of the file that failed, as an error names it; undefined where it names none of the bucket. */
export function failedKeyIn(error: FlywayError, { objects, location }: EndedRun): string | undefined {
  const file = failedStatementIn(error)?.file;
  const title = error.message.trim().split("\n", 1)[0] as string;
  const isOf = (key: string) =>
    file === undefined ? namesFile(title, fileName(key)) : file === fileOf(location, key);
  const isFailure = /\bfailed$|Failed to execute script /.test(title) || failedEvent(error) !== undefined;
  return isFailure || file !== undefined ? objects.find(({ key }) => isOf(key))?.key : undefined;
}

/** The applied files that are not in the bucket, by key where it is known: nothing is migrated without them. */
export function missingFiles({ flyway, scripts, objects }: EndedRun): string[] {
  const codes = (flyway.validate?.invalidMigrations ?? []).map(({ errorDetails }) => errorDetails.errorCode);
  const isNeeded = (kind: "VERSIONED" | "REPEATABLE") =>
    codes.includes(`APPLIED_${kind}_MIGRATION_NOT_RESOLVED`);
  const keys = new Set(objects.map(({ key }) => key));
  /** By the version, or a repeatable file's name. */
  const gone = new Map(
    scripts
      .filter((script) => !keys.has(script))
      .map((script) => [versionIn(fileName(script)) ?? fileName(script), script]),
  );
  return (flyway.info?.migrations ?? [])
    .filter(({ state, version }) => isMissingState(state) && isNeeded(version ? "VERSIONED" : "REPEATABLE"))
    .map(({ version, description }) => {
      const script = gone.get(version || `R__${description?.replaceAll(" ", "_")}.sql`);
      return script ?? (version ? `the file of version ${version}` : `the repeatable file "${description}"`);
    });
}
