import type { SchemaChange } from "../records/record";
import { type Definition, RENAMES, type Statements, wordsOf } from "./statements";

/*
 * Which of the files of a run may have made a change. In doubt, one that failed may have.
 */

/** The change of a part, as two looks show it. */
export type PartChange = Omit<SchemaChange, "shared">;

/** What a file has done to the schema, as far as it is read. */
export interface Doings extends Statements {
  /** Of a file that may do anything, the names in it, be it in a text. */
  readonly names: ReadonlySet<string>;
}

/** Those of some changes that the file that failed may have made, and whether they may as well be of the others. */
export function changesOf(
  own: Doings,
  others: readonly Doings[],
  changes: readonly PartChange[],
): SchemaChange[] {
  const areOpaque = others.some(({ isOpaque }) => isOpaque);
  const named = others.map((other) => [other, namesOf(other)] as const);
  return changes.flatMap((change) => {
    const [name] = wordsOf(change.name) as [string];
    const shared = named.some(
      ([other, names]) =>
        (other.isOpaque || names === undefined || names.has(name) || change.kind === "trigger") &&
        mayMake(other, change),
    );
    if (mayMake(own, change)) return [{ ...change, shared }];
    if (change.kind === "schema") return []; // of another bucket's run, or made by Flyway
    if (others.length === 0) return [{ ...change, shared: false }];
    // What none of them says is the doing of one that may do anything
    return shared || (areOpaque && !own.isOpaque) ? [] : [{ ...change, shared: true }];
  });
}

/** What a file's definitions name; undefined where one is of a schema as a whole, and so of all that is in it. */
function namesOf({ definitions }: Statements): Set<string> | undefined {
  if (definitions.some(({ object }) => object === "schema")) return undefined;
  const names = new Set<string>();
  for (const { words } of definitions) for (const word of words) names.add(word);
  return names;
}

function mayMake({ definitions, isOpaque, names }: Doings, change: PartChange): boolean {
  const words = wordsOf(change.name);
  if (isOpaque && words.every((word) => word === "primary" || names.has(word))) return true;
  return definitions.some((definition) => makes(definition, change, words));
}

/** With one of these, CREATE TABLE takes what it makes from elsewhere. */
const COPIES = ["select", "like"];

/** What a clause of ALTER TABLE may do to a part of the table that it does not name. */
const UNNAMED: Readonly<Partial<Record<SchemaChange["kind"], readonly string[]>>> = {
  column: ["convert"],
  index: ["index", "key", "unique", "fulltext", "spatial", "foreign", "drop", "change"],
  "foreign key": ["foreign", "references", "drop", "change"],
  check: ["check", "drop", "change"],
};

function makes(definition: Definition, change: PartChange, words: readonly string[]): boolean {
  const { object, verb } = definition;
  const [isAdded, isRemoved] = [change.before === null, change.after === null];
  const isOfTable = change.kind in UNNAMED;
  if (object === "schema" && verb === "drop" && isRemoved && change.kind !== "schema") return true;
  if (isOfTable) return makesOfTable(definition, change, words as [string, string]);
  const [name] = words as [string];
  if (change.kind === "trigger" && object === "table") {
    return isRemoved ? verb === "drop" : definition.words.has(RENAMES);
  }
  const renames = object === "table" && definition.words.has(RENAMES);
  if (object !== change.kind && !(change.kind === "view" && renames)) return false;
  if (object === "schema" && verb === "alter" && !isAdded && !isRemoved && hasNoSchema(definition))
    return true;
  if (!definition.words.has(name)) return false;
  if (verb === "drop") return isRemoved;
  if (verb === "create") return !isRemoved && definition.target === name;
  if (verb === "rename") return true;
  if (isAdded) return definition.words.has(RENAMES) && definition.target !== name;
  return !isRemoved || definition.words.has(RENAMES);
}

/** A column, an index or a constraint. */
function makesOfTable(
  { verb, object, target, words }: Definition,
  { kind, after }: PartChange,
  [table, name]: readonly [string, string],
): boolean {
  if (!words.has(table)) return false;
  if (object === "index") return kind === "index" && words.has(name);
  if (object !== "table") return false;
  if (verb === "drop") return after === null;
  const isUnnamed = (by: readonly string[] = []) => by.some((word) => words.has(word));
  if (verb === "create") {
    return target === table && (words.has(name) || isUnnamed(COPIES) || isUnnamed(UNNAMED[kind]));
  }
  if (words.has(RENAMES)) return true;
  return target === table && (words.has(name) || isUnnamed(UNNAMED[kind]));
}

/** `ALTER DATABASE COLLATE …` is of the schema in use. */
function hasNoSchema({ target }: Definition): boolean {
  return /^(default|character|charset|collate|comment|encryption|read)$/.test(target);
}
