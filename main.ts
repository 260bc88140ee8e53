import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { prepareBundles } from "./constructs/bundle";
import { exportStack, JSON_FILE, Refusal } from "./constructs/export";
import { archivesLine, measureArchive, publishedUrl, Unavailable } from "./constructs/published";
import type { Synthesized } from "./constructs/synthesis";

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
    const stack = await synthesize(true);
    const assets = exportStack(stack.folder, stack.id, target);
    console.log(`${target} has the stack "${stack.id}": ${JSON_FILE} and ${assets} assets`);
  } else if (command === "print") {
    if (rest.length > 0) throw usage("print takes no argument");
    const json = readFileSync(join((await synthesize(true)).folder, JSON_FILE));
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

/**
 * Writes the stack that the environment asks for.
 *
 * @param isApart into a temporary folder, for a folder of the caller's, beside which a local backend's state is; else where CDKTF
 * wants it, with the state beside the project
 */
async function synthesize(isApart = false): Promise<Synthesized> {
  const bundled = prepareBundles(); // while CDKTF is loaded, which takes as long
  const { synthesizeStack } = await import("./constructs/synthesis.js");
  await bundled;
  return synthesizeStack(process.env, isApart);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Refusal || error instanceof Unavailable ? error.message : error);
  process.exitCode = error instanceof Refusal ? 2 : 1;
});
