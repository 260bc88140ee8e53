import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, sep } from "node:path";
import { byFlywayOrder, isUpload } from "../records/upload";
import { CliError } from "./exit";

/** A file here, and the key that it has in a bucket. */
export interface LocalFile {
  readonly key: string;
  readonly path: string;
  readonly content: Uint8Array;
}

/**
 * The migrations that are named: of a folder all, by their paths in it; of a file that one, by its name.
 *
 * @returns in the order in which Flyway takes them
 * @throws CliError where there is none, or two have one key
 */
export function readFiles(paths: readonly string[]): LocalFile[] {
  const files = new Map<string, LocalFile>();
  for (const path of paths) {
    for (const file of filesAt(path)) {
      const other = files.get(file.key);
      if (other) {
        throw new CliError(
          `${other.path} and ${file.path} would be one object, ${file.key}`,
          "name the folder that has both below it, or one of them",
        );
      }
      files.set(file.key, file);
    }
  }
  return [...files.values()].sort((a, b) => byFlywayOrder(a.key, b.key));
}

function filesAt(path: string): LocalFile[] {
  try {
    if (statSync(path).isFile()) return [{ key: basename(path), path, content: readFileSync(path) }];
    return readdirSync(path, { recursive: true, encoding: "utf8" })
      .filter((name) => isUpload(name) && statSync(join(path, name)).isFile())
      .map((name) => ({
        key: name.replaceAll(sep, "/"),
        path: join(path, name),
        content: readFileSync(join(path, name)),
      }));
  } catch (error) {
    throw new CliError(
      `${path} cannot be read: ${(error as Error).message}`,
      "name a file, or a folder of migrations",
    );
  }
}

/** The folders in a folder, by name: one per database. */
export function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    throw new CliError(
      `${path} cannot be read: ${(error as Error).message}`,
      "name a folder with a folder per database",
    );
  }
}

/** As S3's ETag has it, of an object that was put at once, without a KMS key. */
export function md5Of(content: Uint8Array): string {
  return createHash("md5").update(content).digest("hex");
}
