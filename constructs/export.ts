import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** A stack's JSON. */
export const JSON_FILE = "cdk.tf.json";

/** Why nothing was done, in words for the caller, who can put it right. */
export class Refusal extends Error {}

/**
 * Brings a folder to what was synthesized, cdk.tf.json and assets/; whatever else is in it stays. While that is
 * being done and however it ends, the cdk.tf.json that is there has its assets, and no file is half of one.
 *
 * @param folder where the stack was synthesized
 * @param stackName the stack's id
 * @param target a folder that is missing, or that has no export of another stack in it
 * @returns how many assets there are
 * @throws Refusal where something would be overwritten that no export of this stack has written
 */
export function exportStack(folder: string, stackName: string, target: string): number {
  try {
    return bring(folder, stackName, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new Refusal(`${target} cannot be written: ${(error as Error).message}`);
  }
}

function bring(folder: string, stackName: string, target: string): number {
  refuseForeign(target, stackName);
  mkdirSync(dirname(target), { recursive: true });
  if (!existsSync(target)) mkdirSync(target);
  const assets = filesIn(join(folder, "assets")).map((path) => join("assets", path));
  for (const path of [...assets, JSON_FILE]) {
    const file = join(target, path);
    mkdirSync(dirname(file), { recursive: true });
    copyFileSync(join(folder, path), `${file}.new`);
    renameSync(`${file}.new`, file);
  }
  const exported = new Set(assets);
  for (const path of filesIn(join(target, "assets")).map((file) => join("assets", file))) {
    if (exported.has(path)) continue;
    rmSync(join(target, path));
    removeEmpty(dirname(join(target, path)), target);
  }
  return assets.length;
}

/** Paths of all files in a folder, relative to it; none where it is missing. */
function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return paths.filter((path) => !lstatSync(join(folder, path)).isDirectory());
}

function removeEmpty(folder: string, target: string): void {
  if (folder === target || readdirSync(folder).length > 0) return;
  rmSync(folder, { recursive: true });
  removeEmpty(dirname(folder), target);
}

function refuseForeign(target: string, stackName: string): void {
  if (!existsSync(target)) return;
  if (!statSync(target).isDirectory()) throw new Refusal(`${target} is a file: name a folder.`);
  const json = join(target, JSON_FILE);
  const name = existsSync(json) ? stackNameIn(json) : stackName;
  if (name !== stackName) {
    const owner = name === undefined ? "no stack of CDKTF's" : `the stack ${JSON.stringify(name)}`;
    throw new Refusal(
      `${json} is ${owner}, and not ${JSON.stringify(stackName)}: name another folder, or remove it.`,
    );
  }
  if (lstatSync(join(target, "assets"), { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new Refusal(`${join(target, "assets")} is a link, and would be emptied: name another folder.`);
  }
  // assets/<name>/<hash>/<file> alone may be what is left of an export
  const file = filesIn(join(target, "assets")).find((path) => !/^[^/]+\/[0-9A-F]{32}\/[^/]+$/.test(path));
  if (file !== undefined) {
    throw new Refusal(
      `${join(target, "assets", file)} is of no export, which would remove it: name another folder.`,
    );
  }
}

/** undefined where the file was not written by CDKTF */
function stackNameIn(json: string): string | undefined {
  try {
    return JSON.parse(readFileSync(json, "utf8"))["//"].metadata.stackName;
  } catch {
    return undefined;
  }
}
