import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleRunner } from "../../constructs/bundle";
import type { Source } from "../../deployment/mapping";

/**
 * Puts the runner where the host script finds it, as Terraform does by a bucket.
 *
 * @param folder private, must exist
 */
export function installRunner(folder: string): Source {
  const bundle = bundleRunner();
  const file = join(folder, "runner.cjs");
  writeFileSync(file, bundle);
  return { url: `file://${file}`, sha256: createHash("sha256").update(bundle).digest("hex") };
}
