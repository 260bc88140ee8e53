import { createHash } from "node:crypto";
import type { Mapping } from "../deployment/mapping";
import { type SeenObject, versionOf } from "../records/record";

/** What a bucket is judged by. */
export interface Basis {
  readonly objects: readonly SeenObject[];
  /** Undefined where it is wrong, or not there. */
  readonly mapping: Mapping | undefined;
  /** What the target's parameter says. */
  readonly target: string | undefined;
  /** SHA-256 of the runner. */
  readonly runner: string;
}

/** The same again needs no run. */
export function fingerprintOf({ objects, mapping, target, runner }: Basis): string {
  return hashOf([JSON.stringify(mapping ?? null), target ?? "", runner, ...objects.map(versionOf)]);
}

/** The same again needs no Flyway, though it was uploaded anew, if the database is as it was. */
export function contentFingerprintOf({ objects, mapping, target, runner }: Basis): string {
  const contents = objects.map(({ key, eTag }) => `${eTag} ${key}`);
  return hashOf([JSON.stringify(mapping ?? null), target ?? "", runner, ...contents]);
}

/** A hash of texts, in their order. */
export function hashOf(texts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text.length} ${text}`);
  return hash.digest("hex");
}
