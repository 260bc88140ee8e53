import { join } from "node:path";
import { App } from "cdktf";
import { officialArchives } from "../deployment/archives";
import { Names } from "../deployment/names";
import { temporaryFolder } from "./asset";
import { parseBackend } from "./backend";
import { Refusal } from "./export";
import { FlywayStack } from "./flyway-stack";

export interface Synthesized {
  /** The stack's id. */
  readonly id: string;
  /** Where its JSON and its assets are. */
  readonly folder: string;
}

/**
 * Writes the stack that an environment asks for.
 *
 * @param isApart into a temporary folder, for a folder of the caller's, beside which a local backend's state is; else where CDKTF
 * wants it, with the state beside the project
 * @throws Refusal for what the environment cannot have
 */
export async function synthesizeStack(
  environment: NodeJS.ProcessEnv,
  isApart: boolean,
): Promise<Synthesized> {
  const stage = environment.STAGE || undefined;
  const id = orRefuse(() => new Names(stage).of("flyway"));
  const statePath = isApart ? `../terraform.${id}.tfstate` : undefined;
  const backend = orRefuse(() => parseBackend(environment.BACKEND, statePath));
  const archives = await officialArchives(environment.MAVEN_REPOSITORY).catch((error: Error) => {
    throw new Refusal(error.message);
  });
  const outdir = isApart ? join(temporaryFolder(), "cdktf.out") : undefined;
  // cdktn refuses write-only arguments unless told of a Terraform that has them; CDKTF does not ask.
  const app = new App({ outdir, context: { targetVersions: { terraform: ">=1.11.0" } } });
  process.setSourceMapsEnabled(false); // CDKTF reads a stack for each token: a tenth of the time where it is mapped
  try {
    const stack = new FlywayStack(app, id, { archives, stage, backend });
    app.synth();
    return { id, folder: join(app.outdir, app.manifest.forStack(stack).workingDirectory) };
  } finally {
    process.setSourceMapsEnabled(true);
  }
}

/** What the environment asks for; what it cannot have is for the caller to put right. */
function orRefuse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}
