import { decode } from "../../deployment/decode";
import type { Encoding } from "../../deployment/mapping";
import { BELOW_NEWEST, isNamed, misnamed } from "../../records/findings";
import { isCallback, versionIn } from "../../records/flyway";
import { refusedKeys } from "../../records/keys";
import { fileName } from "../../records/record";
import { type Flaw, flawOfName, flawOfText, notIn } from "../../records/script";
import { byFlywayOrder, isUpload } from "../../records/upload";
import type { RuleName } from "./rules";

/** A file to be checked. */
export interface CheckedFile {
  /** In the bucket: its path from the database's folder. */
  readonly key: string;
  /** What findings call it; unset, its key. */
  readonly path?: string;
  /** As bytes, which are decoded as the database's encoding says, or as text. */
  readonly content: Uint8Array | string;
}

/** A file that is known to be applied. */
export interface AppliedFile {
  readonly key: string;
  /** Whether it is another here than it was applied as. */
  readonly isEdited: boolean;
}

/** What a rule has against a file or a statement of it. */
export interface Objection {
  readonly key: string;
  readonly line: number;
  readonly rule: RuleName;
  readonly message: string;
  readonly remedy: string;
}

/** A file of which the statements can be read. */
export interface ReadFile {
  readonly key: string;
  readonly text: string;
  /** Whether the database has it, by whichever content. */
  readonly isApplied: boolean;
}

interface Files {
  readonly files: readonly CheckedFile[];
  readonly applied: readonly AppliedFile[];
  readonly encoding: Encoding;
  readonly outOfOrder: boolean;
  readonly isWhole: boolean;
}

/** What stands against the files of a database, and those that can be read, in the order in which Flyway takes them. */
export function checkFiles({ files, applied, encoding, outOfOrder, isWhole }: Files): {
  readonly objections: Objection[];
  readonly readable: ReadFile[];
} {
  const uploads = files.filter(({ key }) => isUpload(key)).sort((a, b) => byVersion(a.key, b.key));
  const objections: Objection[] = [];
  const object = (key: string, rule: RuleName, { message, remedy }: Flaw, line = 1) =>
    objections.push({ key, line, rule, message, remedy });
  const refused = new Map(refusedKeys(uploads).map(({ key, ...flaw }) => [key, flaw]));
  const edits = new Map(applied.map(({ key, isEdited }) => [key, isEdited]));
  const newest = applied
    .map(({ key }) => key)
    .filter((key) => /^V\d/.test(fileName(key)))
    .sort(byVersion)
    .at(-1);
  const readable: ReadFile[] = [];
  for (const { key, content } of uploads) {
    const name = fileName(key);
    const refusal = refused.get(key);
    if (refusal) object(key, "not-run", refusal);
    else if (!isNamed(name)) object(key, "misnamed", misnamed(name));
    if (refusal || !isNamed(name)) continue;
    const long = flawOfName(key);
    if (long) object(key, "misnamed", long);
    const isVersion = versionIn(name) !== undefined;
    const isEdited = edits.get(key) ?? false;
    const isApplied = edits.has(key) && (isVersion || !isEdited) && !isCallback(name);
    if (isApplied && isEdited) object(key, "applied-edited", EDITED);
    const isLate = newest !== undefined && /^V/.test(name) && compareVersions(name, fileName(newest)) < 0;
    if (isLate && !edits.has(key) && !outOfOrder) {
      object(key, "version-below-newest", {
        message: `${BELOW_NEWEST.message}, ${newest}`,
        remedy: BELOW_NEWEST.remedy,
      });
    }
    const text = textOf(content, encoding);
    const flaw = text === undefined ? undefined : flawOfText(text);
    if (text !== undefined && !flaw) readable.push({ key, text, isApplied });
    if (isApplied) continue;
    if (text === undefined) object(key, "wrong-encoding", notIn(encoding));
    if (flaw) object(key, flaw.kind, flaw, flaw.line);
  }
  const keys = new Set(uploads.map(({ key }) => key));
  const usable = uploads.map(({ key }) => key).filter((key) => !refused.has(key) && isNamed(fileName(key)));
  for (const { key } of applied) {
    const isVersion = versionIn(fileName(key)) !== undefined; // a repeatable file that is gone is retired
    if (isWhole && isVersion && !keys.has(key)) object(key, "applied-missing", MISSING);
  }
  for (const { rule, what, own, identity } of UNIQUE) {
    for (const twins of groupsOf(usable, identity)) {
      const unapplied = twins.filter((key) => !edits.has(key));
      for (const key of unapplied.length > 0 ? unapplied : twins) {
        const others = twins.filter((other) => other !== key).join(", ");
        object(key, rule, { message: `${what}: beside ${others}`, remedy: own });
      }
    }
  }
  return { objections, readable };
}

const EDITED: Flaw = {
  message: "it was edited since it was applied: Flyway will not begin",
  remedy: "give it its former content again, and put the change into a new version",
};

const MISSING: Flaw = {
  message: "it was applied, and its file is gone: Flyway will not begin",
  remedy: "put it back under this name, with the content that was applied",
};

/** What no two files may share. */
const UNIQUE: readonly {
  readonly rule: RuleName;
  readonly what: string;
  readonly own: string;
  readonly identity: (name: string) => string | undefined;
}[] = [
  {
    rule: "duplicate-version",
    what: "its version is taken",
    own: "give it the next free version, or delete one of them",
    identity: (name) => {
      const version = versionIn(name);
      return version === undefined ? undefined : name.charAt(0) + partsOf(version).join(".");
    },
  },
  {
    rule: "duplicate-repeatable",
    what: "its description is taken",
    own: "give it a description of its own, or delete one of them",
    identity: (name) => (name.startsWith("R__") ? name.replaceAll("_", " ") : undefined),
  },
  {
    rule: "duplicate-callback",
    what: "there is more than one callback of this name",
    own: "give it a name of its own, such as afterMigrate__second.sql, or delete one of them",
    identity: (name) => (isCallback(name) ? name : undefined),
  },
];

function groupsOf(keys: readonly string[], identity: (name: string) => string | undefined): string[][] {
  const groups = new Map<string, string[]>();
  for (const key of keys) {
    const name = identity(fileName(key));
    if (name !== undefined) groups.set(name, [...(groups.get(name) ?? []), key]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

/** A version's numbers, without what makes no difference: `1`, `01` and `1.0` are one. */
function partsOf(version: string): bigint[] {
  const parts = version.split(".").map(BigInt);
  while (parts.length > 1 && parts.at(-1) === 0n) parts.pop();
  return parts;
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((name) => partsOf(versionIn(name) ?? "0")) as [bigint[], bigint[]];
  const at = left.findIndex((part, at) => part !== (right[at] ?? 0n));
  if (at < 0) return left.length - right.length;
  return (left[at] as bigint) < (right[at] ?? 0n) ? -1 : 1;
}

/** Flyway's order, with a baseline at its version's place: then what it makes is known where it belongs. */
export function byVersion(a: string, b: string): number {
  const [left, right] = [fileName(a), fileName(b)];
  const areVersions = versionIn(left) !== undefined && versionIn(right) !== undefined;
  return (areVersions && compareVersions(left, right)) || byFlywayOrder(asVersion(a), asVersion(b));
}

function asVersion(key: string): string {
  return key.replace(/B(?=\d[^/]*$)/, "V");
}

function textOf(content: Uint8Array | string, encoding: Encoding): string | undefined {
  if (typeof content === "string") return content.replace(/^\ufeff/, "");
  try {
    return decode(content, encoding);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}
