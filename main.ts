import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { App } from "cdktf";
import { temporaryFolder } from "./constructs/asset";
import { parseBackend } from "./constructs/backend";
import { exportStack, JSON_FILE, Refusal } from "./constructs/export";
import { FlywayStack } from "./constructs/flyway-stack";
import { archivesLine, measureArchive, publishedUrl, Unavailable } from "./constructs/published";
import { officialArchives } from "./deployment/archives";
import { Names } from "./deployment/names";

const USAGE = `Usage:
  npm run export -- DIR        writes cdk.tf.json and its assets into DIR
  npm run -s print             writes cdk.tf.json to standard output
  npm run -s archive -- VERSION  downloads that Flyway's bundle from its makers (GitHub from 11.9.0 on, 250 MB), and
                               writes the line of flyway_archives with its URL and SHA-256 to standard output
  node --import tsx main.ts    writes CDKTF's output folder; for cdktf.json

BACKEND=local, s3 or none says where Terraform keeps the state, STAGE=… which deployment it is (docs/pipelines.md).
GITHUB_RELEASES=URL is a mirror of https://github.com/flyway/flyway/releases/download, MAVEN_REPOSITORY=URL of Maven Central.`;

async function main([command, ...rest]: string[]): Promise<void> {
  const [folder, ...tooMuch] = rest;
  if (command === undefined) {
    await synthesize();
  } else if (command === "export") {
    if (!folder || folder.startsWith("-") || tooMuch.length > 0) throw usage("export takes one folder");
    // npm runs us in the project's folder; a relative path is meant from where npm was run.
    const from = process.env.npm_lifecycle_event === "export" ? process.env.INIT_CWD : undefined;
    const target = resolve(from ?? "", folder);
    const stack = await synthesizeApart();
    const assets = exportStack(stack.folder, stack.id, target);
    console.log(`${target} has the stack "${stack.id}": ${JSON_FILE} and ${assets} assets`);
  } else if (command === "print") {
    if (rest.length > 0) throw usage("print takes no argument");
    const json = readFileSync(join((await synthesizeApart()).folder, JSON_FILE));
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error; // else the reader has had enough, as `head` has
    });
    process.stdout.write(json);
  } else if (command === "archive") {
    if (!folder || folder.startsWith("-") || tooMuch.length > 0) throw usage("archive takes one version");
    const repositories = { maven: process.env.MAVEN_REPOSITORY, github: process.env.GITHUB_RELEASES };
    const url = await publishedUrl(folder, repositories).catch((error: Error) => {
      throw new Refusal(error.message);
    });
    console.error(`Downloading ${url}`);
    console.log(archivesLine(folder, await measureArchive(url, everyTenth())));
  } else if (command === "--help" || command === "-h") {
    console.log(USAGE);
  } else {
    throw usage(`${JSON.stringify(command)} is no command`);
  }
}

/** Says how far a download is, at each tenth of it, or of 250 MB. */
function everyTenth(): (received: number, total: number | undefined) => void {
  let lastTenth = 0;
  return (received, total = 250e6) => {
    const tenths = Math.floor((10 * received) / total);
    if (tenths <= lastTenth) return;
    lastTenth = tenths;
    console.error(`${Math.round(received / 1e6)} MB`);
  };
}

function usage(problem: string): Refusal {
  return new Refusal(`${problem}.\n\n${USAGE}`);
}

interface Synthesized {
  /** The stack's id. */
  readonly id: string;
  /** Where its JSON and its assets are. */
  readonly folder: string;
}

/**
 * Writes the stack that the environment asks for.
 *
 * @param outdir default: where CDKTF wants it
 * @param stateFolder where a local backend keeps the state, from where the JSON is; default: beside the project
 */
async function synthesize(outdir?: string, stateFolder?: string): Promise<Synthesized> {
  const stage = process.env.STAGE || undefined;
  const id = asked(() => new Names(stage).of("flyway"));
  const statePath = stateFolder && `${stateFolder}/terraform.${id}.tfstate`;
  const backend = asked(() => parseBackend(process.env.BACKEND, statePath));
  const archives = await officialArchives(process.env.MAVEN_REPOSITORY).catch((error: Error) => {
    throw new Refusal(error.message);
  });
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

/** The same in a temporary folder, for a folder of the caller's: a local backend's state is beside that. */
function synthesizeApart(): Promise<Synthesized> {
  return synthesize(join(temporaryFolder(), "cdktf.out"), "..");
}

/** What the environment asks for; what it cannot have is for the caller to put right. */
function asked<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Refusal || error instanceof Unavailable ? error.message : error);
  process.exitCode = error instanceof Refusal ? 2 : 1;
});
