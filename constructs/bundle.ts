import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AssetType, TerraformAsset } from "cdktf";
import type { Construct } from "constructs";
import { buildSync } from "esbuild";
import { strToU8, zipSync } from "fflate";

let folder: string | undefined;

/** A folder for what is made at synth; it goes with the process. */
export function temporaryFolder(): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), "flyway-on-aws-"));
    process.once("exit", () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return folder;
}

const bundles = new Map<string, string>();

/**
 * A program as one CommonJS file with all that it needs in it.
 *
 * @param folder of the project, with the program
 * @param target the oldest runtime that it is for
 */
function bundle(folder: string, file: string, target: string): string {
  let text = bundles.get(folder);
  if (text === undefined) {
    text = buildSync({
      entryPoints: [file],
      absWorkingDir: join(__dirname, "..", folder), // else the folder's path is in the output
      bundle: true,
      minify: true,
      platform: "node",
      target,
      format: "cjs",
      mainFields: ["module", "main"],
      write: false,
      logLevel: "error",
    }).outputFiles[0]?.text as string;
    bundles.set(folder, text);
  }
  return text;
}

/**
 * The function. Of the variants measured this one is the smallest (400 KB) and the fastest to import (37 ms); the SDK that
 * the runtime brings is larger, and changes.
 */
export function bundleFunction(): string {
  return bundle("lambda", "index.ts", "node22");
}

/** The host program, for the oldest Node.js that Amazon Linux 2023 has and is maintained. */
export function bundleRunner(): string {
  return bundle("runner", "main.ts", "node20");
}

/**
 * A zip archive of one file, the same bytes for the same content in every time zone and under every Node.js.
 *
 * @param content UTF-8
 */
export function zip(file: string, content: string): Uint8Array {
  const mode = 0o100644;
  return zipSync({
    [file]: [
      strToU8(content),
      {
        mtime: new Date(2000, 0, 1, 12), // a zip has local time, so this is the same everywhere
        os: 3, // Unix: the upper half of attrs is a mode
        attrs: (mode << 16) >>> 0,
      },
    ],
  });
}

/**
 * A file of the output folder, `assets/<name>/<hash of the content>/<file>`, with mode 0644 whatever the umask:
 * archive_file hashes modes.
 *
 * @returns the path as a Terraform expression, without the `${}` around it
 */
export function fileAsset(
  scope: Construct,
  name: string,
  file: string,
  content: string | Uint8Array,
): string {
  const path = join(mkdtempSync(join(temporaryFolder(), "asset-")), file); // CDKTF copies it only at synth
  writeFileSync(path, content);
  chmodSync(path, 0o644);
  const asset = new TerraformAsset(scope, `asset.${name}`, { path, type: AssetType.FILE });
  return `"\${path.module}/${asset.path}"`;
}
