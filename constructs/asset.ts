import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AssetType, TerraformAsset } from "cdktf";
import type { Construct } from "constructs";

let folder: string | undefined;

/** A folder for what is made at synth; it goes with the process. */
export function temporaryFolder(): string {
  if (folder === undefined) {
    const path = mkdtempSync(join(tmpdir(), "flyway-on-aws-"));
    process.once("exit", () => rmSync(path, { recursive: true, force: true }));
    folder = path;
  }
  return folder;
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
