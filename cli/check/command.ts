import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Mapping } from "../../deployment/mapping";
import { isApplied } from "../../records/judge";
import { printable } from "../../records/text";
import { isUpload } from "../../records/upload";
import type { Aws } from "../aws";
import type { Database, Deployment } from "../deployment";
import { CliError, EXIT, type ExitCode, explain } from "../exit";
import { foldersIn, type LocalFile, readFiles } from "../files";
import type { RehearsalOutput } from "../rehearsal/report";
import { isSame, lookAt, type Sight } from "../runs";
import type { Terminal } from "../terminal";
import { type CheckInput, checkMigrations } from "./check";
import type { AppliedFile } from "./files";
import { formatGithub, formatText, outputOf } from "./format";
import { type Finding, parseSeverities, type Severities, SeverityError } from "./rules";

export interface CheckOptions {
  readonly terminal: Terminal;
  readonly format: "text" | "json" | "github";
  readonly aws: Aws;
  /** Finds the deployment whose buckets tell what is applied; undefined where they are not to be asked. */
  readonly findDeployment?: () => Promise<Deployment>;
  /** The database of which the directory has the migrations; unset, it has a folder per database. */
  readonly database?: string;
  /** A revision of git whose files are applied. */
  readonly base?: string;
  /** File of the rules' severities. @default flyway-aws.json, where it is there */
  readonly config?: string;
  /** Whether the migrations run on a throwaway database, too. */
  readonly rehearsal: boolean;
  /** A dump that this begins with. */
  readonly fromSchema?: string;
}

/** What is checked of one folder. */
interface FolderInput extends CheckInput {
  readonly files: readonly LocalFile[];
  readonly settings?: Mapping;
}

/** Where a database's migrations are. */
interface Folder {
  readonly database: string;
  readonly path: string;
}

/** `flyway-aws check [DIR]`: what speaks against migrations, before they are uploaded. */
export async function check(directory: string, options: CheckOptions): Promise<ExitCode> {
  const { terminal, format, database, base, config } = options;
  const severities = readSeverities(config);
  const folders = database === undefined ? foldersOf(directory) : [{ database, path: directory }];
  if (options.fromSchema !== undefined && folders.length > 1) {
    throw new CliError(
      "--from-schema is of one database",
      "name its folder and, by --database, what it is called",
    );
  }
  const deployment = base === undefined ? await deploymentOf(options) : undefined;
  const inputs: FolderInput[] = [];
  for (const folder of folders) {
    const files = readFiles([folder.path]);
    const known = deployment?.databases.find(({ name }) => name === folder.database);
    const applied =
      base === undefined
        ? known && (await appliedInBucket(options.aws, known, files))
        : await appliedAt(base, folder);
    const settings = known?.mapping;
    inputs.push({ database: folder.database, folder: folder.path, files, settings, applied, severities });
  }
  const { findings, rehearsals, descriptions } = options.rehearsal
    ? await checkAndRehearse(inputs, options)
    : {
        findings: inputs.flatMap((input) => checkMigrations(input).findings),
        rehearsals: [],
        descriptions: [],
      };
  await terminal.endProgress();
  const output = outputOf(findings, rehearsals);
  if (findings.length > 0) {
    terminal.say((format === "github" ? formatGithub(findings) : printable(formatText(findings))).trimEnd());
  }
  for (const description of descriptions) terminal.say(printable(description));
  terminal.json(output);
  terminal.note(`${count(output.errors, "error")}, ${count(output.warnings, "warning")} (docs/rules.md)`);
  return output.errors > 0 ? EXIT.error : EXIT.success;
}

/** Checks, and runs the migrations on a throwaway database, by whose word what was found is told. */
async function checkAndRehearse(
  inputs: readonly FolderInput[],
  { terminal, fromSchema }: Pick<CheckOptions, "terminal" | "fromSchema">,
): Promise<{
  readonly findings: Finding[];
  readonly rehearsals: readonly RehearsalOutput[];
  readonly descriptions: readonly string[];
}> {
  const checked = inputs.map((input) => ({ input, ...checkMigrations(input) }));
  const [{ rehearse }, report, { readDump }] = await Promise.all([
    import("../rehearsal/rehearsal.js"),
    import("../rehearsal/report.js"),
    import("../rehearsal/dump.js"),
  ]);
  const rehearsals = await rehearse({
    databases: checked
      .filter(({ input }) => input.files.length > 0)
      .map(({ input, scripts }) => ({ ...input, name: input.database, scripts })),
    dump: fromSchema === undefined ? undefined : readDump(fromSchema),
    onProgress: (line) => terminal.progress(line),
  });
  const findings = checked.flatMap(({ input, scripts, findings }) => {
    const rehearsal = rehearsals.find(({ database }) => database === input.database);
    if (!rehearsal) return findings;
    const rehearsed = report.objectionsOf(rehearsal, { ...input, scripts });
    const answers = report.answersOf(rehearsal);
    const isTold = answers !== undefined || rehearsed.length > 0;
    return isTold ? checkMigrations({ ...input, answers, rehearsed }).findings : findings;
  });
  return {
    findings,
    rehearsals: rehearsals.map(report.rehearsalOutput),
    descriptions: rehearsals.map(report.describeRehearsal),
  };
}

/**
 * Checks what is about to be uploaded.
 *
 * @throws CliError where there are errors
 */
export async function checkUploads(
  aws: Aws,
  database: Database,
  { files, sight }: { readonly files: readonly LocalFile[]; readonly sight: Sight },
  onWarning: (line: string) => void,
): Promise<void> {
  const applied = await appliedAmong(aws, database, files, sight);
  const { findings } = checkMigrations({
    ...{ database: database.name, settings: database.mapping, files, applied },
    ...{ isWhole: false, severities: readSeverities(undefined) },
  });
  const of = (severity: Finding["severity"]) =>
    printable(formatText(findings.filter((finding) => finding.severity === severity))).trimEnd();
  const warnings = of("warning");
  if (warnings) onWarning(warnings);
  const errors = of("error");
  if (!errors) return;
  throw new CliError(
    `${errors}\nNothing was uploaded to ${database.name}`,
    "mend that, accept it by a comment or a severity (docs/rules.md), or say --no-check",
    EXIT.refused,
  );
}

function foldersOf(directory: string): Folder[] {
  const names = foldersIn(directory);
  if (names.length === 0) {
    throw new CliError(
      `${directory} has no folder of a database`,
      "name the database whose migrations these are: flyway-aws check migrations/Users --database Users",
    );
  }
  return names.map((database) => ({ database, path: join(directory, database) }));
}

/** The deployment, if it can be had: what is in the files can be checked without it. */
async function deploymentOf({ findDeployment, terminal }: CheckOptions): Promise<Deployment | undefined> {
  if (!findDeployment) return undefined;
  terminal.progress("asking the buckets what is applied");
  try {
    return await findDeployment();
  } catch (error) {
    await terminal.endProgress();
    terminal.note(`Not compared with what is applied (--base, --offline): ${explain(error).message}`);
    return undefined;
  }
}

async function appliedInBucket(
  aws: Aws,
  database: Database,
  files: readonly LocalFile[],
): Promise<AppliedFile[]> {
  return appliedAmong(aws, database, files, await lookAt(aws, database.bucket));
}

/** What the newest run that saw a bucket has as applied. */
async function appliedAmong(
  aws: Aws,
  { bucket }: Database,
  files: readonly LocalFile[],
  { newest }: Sight,
): Promise<AppliedFile[]> {
  const local = new Map(files.map((file) => [file.key, file]));
  const applied: AppliedFile[] = [];
  for (const object of (newest?.objects ?? []).filter(({ verdict }) => isApplied(verdict))) {
    const file = local.get(object.key);
    const isEdited = file !== undefined && !(await isSame(aws, bucket, file, object));
    applied.push({ key: object.key, isEdited });
  }
  return applied;
}

/** The migrations that a revision of git has in a folder, and whether they are another there. */
async function appliedAt(revision: string, { path }: Folder): Promise<AppliedFile[]> {
  const all = await git(path, ["ls-tree", "-r", "-z", "--name-only", revision, "--", "."]);
  const edited = new Set(
    await git(path, ["diff", "--name-only", "--no-renames", "-z", "--relative", revision, "--", "."]),
  );
  return all.filter(isUpload).map((key) => ({ key, isEdited: edited.has(key) }));
}

/** What git lists. @throws CliError in git's words */
async function git(directory: string, args: readonly string[]): Promise<string[]> {
  try {
    const { stdout } = await promisify(execFile)("git", args, { cwd: directory, maxBuffer: 100_000_000 });
    return stdout.split("\0").filter((name) => name !== "");
  } catch (error) {
    const { stderr = "", message } = error as Error & { stderr?: string };
    throw new CliError(
      `git cannot tell what is applied: ${stderr.trim() || message}`,
      "name a revision that is here; in CI, fetch it first (actions/checkout with fetch-depth: 0)",
    );
  }
}

/** @throws CliError where the file cannot be read, or is wrong */
function readSeverities(config: string | undefined): Severities {
  const file = config ?? "flyway-aws.json";
  try {
    return parseSeverities(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    if (config === undefined && (error as { code?: string }).code === "ENOENT") return {};
    const remedy =
      error instanceof SeverityError ? "docs/rules.md has the rules" : "write it as JSON: docs/rules.md";
    throw new CliError(`${file}: ${(error as Error).message}`, remedy);
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
