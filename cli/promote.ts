import { printable } from "../records/text";
import { byFlywayOrder } from "../records/upload";
import type { Aws, ListedVersion } from "./aws";
import type { Database, Deployment } from "./deployment";
import { CliError, EXIT, type ExitCode } from "./exit";
import { type LocalFile, md5Of } from "./files";
import { conclude, showOutcomes } from "./outcome";
import { carryOut, planOf, receiptsOf, showPlans, type UploadInput } from "./push";
import { lookAt } from "./runs";

export interface PromoteInput extends UploadInput {
  /** Where it was tested. */
  readonly from: { readonly aws: Aws; readonly deployment: Deployment };
}

/**
 * `flyway-aws promote DATABASE --from STAGE --to STAGE`: uploads to the second what is applied in the first, byte for byte, and
 * refuses the rest.
 */
export async function promote(input: PromoteInput, name: string): Promise<ExitCode> {
  const { aws, from, deployment, terminal, isDryRun } = input;
  const source = from.deployment.database(name);
  const database = deployment.database(name);
  if (source.bucket === database.bucket) {
    throw new CliError("A database cannot be promoted to itself", "name two stages: --from dev --to prod");
  }
  terminal.progress(`${source.name}: reading what is applied in ${from.deployment.title}`);
  const { applied, others } = await receiptsOf(from.aws, source);
  const files: LocalFile[] = [];
  for (const version of applied) files.push(await fileOf(from.aws, source, version));
  const plan = await planOf(
    aws,
    database,
    files.sort((a, b) => byFlywayOrder(a.key, b.key)),
    await lookAt(aws, database.bucket),
  );
  const refused = others.map(({ key, verdict, versionId }) => ({
    ...{ database: database.name, key, versionId, verdict: "refused" as const },
    message: `not applied in ${from.deployment.title}: ${verdict}`,
  }));
  if (isDryRun) {
    await terminal.endProgress();
    showPlans([plan], input);
    await showOutcomes(refused, terminal);
    return EXIT.success;
  }
  const outcomes = await carryOut(plan, input, (line) => terminal.progress(printable(line)));
  await terminal.endProgress();
  const all = [...outcomes, ...refused];
  if (all.length === 0) terminal.say(`${database.name}: nothing to do, ${deployment.title} has all of it`);
  return conclude(all, terminal);
}

/** The version of an object that is applied. @throws CliError where it is not what was judged any more */
async function fileOf(aws: Aws, { name, bucket }: Database, version: ListedVersion): Promise<LocalFile> {
  const { key, versionId, eTag, size } = version;
  const content = await aws.get(bucket, key, versionId);
  const isWhole = content?.byteLength === size && (md5Of(content) === eTag || !/^[0-9a-f]{32}$/.test(eTag));
  if (!content || !isWhole) {
    throw new CliError(`${name}/${key} cannot be read as it was applied`, "try again");
  }
  return { key, path: `${name}/${key}`, content };
}
