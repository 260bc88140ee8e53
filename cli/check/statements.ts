import type { RuleName } from "./rules";
import type { Action, Alteration, Column } from "./syntax";
import type { Table, Tables } from "./tables";
import { charsetOf, isNarrower, isStoredAlike, isText, type Type } from "./types";

/** What a rule has against a statement. */
export interface StatementObjection {
  readonly rule: RuleName;
  readonly message: string;
  readonly remedy: string;
}

const ONLINE = "plan it for a quiet hour, or change the table with gh-ost or pt-online-schema-change";

/** What to do, by rule. */
const REMEDIES = {
  "drop-schema": "take it out; a schema is dropped by hand, with a backup at hand",
  "drop-table": "stop using it in a release before, rename it for a while, and keep a backup",
  "drop-column": "stop using it in a release before, and keep what it holds elsewhere",
  "drop-partition": "keep what it holds elsewhere first",
  truncate: "delete the rows that are meant, by WHERE, or keep them elsewhere first",
  "rename-table":
    "make a view of the new name, move the programs over, and rename it when none uses the old one",
  "rename-column": "add the new column, fill it, move the programs over, and drop the old one later",
  "update-without-where": "say by WHERE which rows are meant",
  "delete-without-where": "say by WHERE which rows are meant",
  "unique-on-existing": "find and mend duplicates in a version before this one",
  "not-null-without-default": "give it a DEFAULT, or add it as NULL, fill it, and make it NOT NULL later",
  "foreign-key-on-existing": "find and mend rows without a match in a version before this one",
  "narrower-type": "see that all values fit, in a version before this one, or add a column of the new type",
  "other-charset":
    "see that no two values of a unique key become one; plan it for a quiet hour, for the table is copied",
  "enum-members": "leave the members as they are, and append new ones",
  "no-primary-key": "give it a PRIMARY KEY: replication and online changes of a table need one",
  "blocks-writes": ONLINE,
  "rebuilds-table": "plan it for a quiet hour: it takes as long, and as much disk, as the table is large",
  definer: "leave DEFINER out: who runs the migration is it then, on every stage",
} as const satisfies Partial<Record<RuleName, string>>;

/**
 * What stands against an action, by what is there before it; then it is taken for done.
 *
 * Of one change to a table that is there, the first that fits is told: what loses data before what takes time.
 *
 * @param made the tables that the same file makes
 */
export function objectionsTo(
  action: Action,
  tables: Tables,
  made: ReadonlySet<string>,
): StatementObjection[] {
  const objections: StatementObjection[] = [];
  const object = (rule: keyof typeof REMEDIES, message: string) =>
    objections.push({ rule, message, remedy: REMEDIES[rule] });
  switch (action.kind) {
    case "drop-schema":
      object("drop-schema", `drops the schema ${action.schema} with all that it holds`);
      break;
    case "drop-table":
      for (const table of action.tables) {
        // As dumps do it: what no file has made, and this one makes
        const isMade = action.ifExists && !tables.isKnown(table) && made.has(table);
        if (tables.find(table).exists && !isMade)
          object("drop-table", `drops the table ${table} with its rows`);
      }
      break;
    case "truncate":
      if (tables.find(action.table).exists) object("truncate", `empties the table ${action.table}`);
      break;
    case "rename-table":
      for (const [from, to] of action.pairs) {
        if (tables.find(from).exists) object("rename-table", renamed(from, to));
      }
      break;
    case "update":
    case "delete": {
      const table = tables.find(action.table);
      const areNew = action.columns.map((name) => table.columns.get(name.toLowerCase())?.exists === false);
      if (!table.exists || (areNew.length > 0 && areNew.every(Boolean))) break; // it fills what was just added
      const verb = action.kind === "update" ? "changes" : "deletes";
      object(`${action.kind}-without-where`, `${verb} every row of ${action.table}`);
      break;
    }
    case "optimize":
      for (const table of action.tables.filter((table) => tables.find(table).exists)) {
        object("rebuilds-table", `makes the table ${table} anew`);
      }
      break;
    case "lock-tables":
      for (const table of action.tables.filter((table) => tables.find(table).exists)) {
        object("blocks-writes", `locks the table ${table}, until UNLOCK TABLES`);
      }
      break;
    case "definer":
      object("definer", `names the definer ${action.definer}, who may not be there on another stage`);
      break;
    case "alter-table":
      for (const [rule, message] of objectionsToAlter(action, tables)) object(rule, message);
      return objections;
  }
  tables.apply(action);
  return objections;
}

/** What a server does to a table, by how it changes it. */
export const ALGORITHMS = {
  /** `ALGORITHM=INSTANT` */
  instant: "changes what is known of the table, not its rows",
  /** `ALGORITHM=INPLACE, LOCK=NONE` */
  inplace: "works in place, writes go on",
  /** `ALGORITHM=INPLACE, LOCK=SHARED` */
  locked: "works in place, writes are blocked",
  /** None of these */
  copy: "copies the table, writes are blocked",
} as const;

export type Algorithm = keyof typeof ALGORITHMS;

/** What stands against a change of a table by a server's own word, instead of what the statement looks like. */
export function asTold(
  objections: readonly StatementObjection[],
  table: string,
  algorithm: Algorithm,
  server: string,
): StatementObjection[] {
  const refuted = algorithm === "inplace" ? ["blocks-writes"] : ["blocks-writes", "rebuilds-table"];
  const left = objections.filter(({ rule }) => !refuted.includes(rule));
  if (algorithm === "instant" || algorithm === "inplace") return left;
  const rule = "blocks-writes";
  const message = `alters the table ${table}, which exists: by ${server} it ${ALGORITHMS[algorithm]}`;
  return [...left, { rule, message, remedy: REMEDIES[rule] }];
}

/** What stands against a table that was made without a primary key and has got none by the end of its file. */
export function withoutPrimaryKey(table: string): StatementObjection {
  const rule = "no-primary-key";
  return { rule, message: `makes the table ${table} without a primary key`, remedy: REMEDIES[rule] };
}

type Against = readonly (readonly [rule: keyof typeof REMEDIES, message: string])[];

function objectionsToAlter(action: Extract<Action, { kind: "alter-table" }>, tables: Tables): Against {
  const { exists } = tables.find(action.table);
  const isKeyAdded = action.alterations.some(
    (alteration) => alteration.kind === "add-key" && alteration.key === "primary",
  );
  let name = action.table;
  const objections = action.alterations.flatMap((alteration) => {
    const isReplaced = alteration.kind === "drop-primary-key" && isKeyAdded;
    const table = tables.find(name);
    const against = exists && !isReplaced ? objectionsToAlteration(alteration, name, table, action) : [];
    tables.alter(name, alteration);
    if (alteration.kind === "rename") name = alteration.to;
    return against;
  });
  // However much one statement changes, it copies the table once
  const copies = objections.filter(([rule]) => rule === "blocks-writes" || rule === "rebuilds-table");
  const [worst = copies[0]] = copies.filter(([rule]) => rule === "blocks-writes");
  return objections.filter((objection) => !copies.includes(objection) || objection === worst);
}

function objectionsToAlteration(
  alteration: Alteration,
  name: string,
  table: Table,
  how: { readonly isLockless: boolean; readonly isInstant: boolean },
): Against {
  const of = `of the table ${name}, which exists`;
  const known = (column: string) => table.columns.get(column.toLowerCase());
  switch (alteration.kind) {
    case "add-column":
      return addedColumn(alteration.column, of, how.isLockless);
    case "drop-column":
      if (known(alteration.name)?.exists === false) return [];
      return [["drop-column", `drops the column ${alteration.name} ${of}, with its values`]];
    case "rename-column":
      if (known(alteration.name)?.exists === false) return [];
      return [["rename-column", renamed(`${name}.${alteration.name}`, alteration.to)]];
    case "rename":
      return [["rename-table", renamed(name, alteration.to)]];
    case "change-column": {
      const former = known(alteration.name);
      if (former?.exists === false) return [];
      const { column } = alteration;
      if (alteration.name.toLowerCase() === column.name.toLowerCase()) {
        return changedColumn(former?.column, alteration, table, of, how);
      }
      const renaming = ["rename-column", renamed(`${name}.${alteration.name}`, column.name)] as const;
      return former ? [renaming, ...changedColumn(former.column, alteration, table, of, how)] : [renaming];
    }
    case "add-key":
      return addedKey(alteration, table, of, how.isLockless);
    case "add-foreign-key":
      return [["foreign-key-on-existing", `adds a foreign key ${of}: rows without a match make it fail`]];
    case "drop-primary-key":
      return how.isLockless
        ? []
        : [["blocks-writes", `drops the primary key ${of}: it is copied, and not written meanwhile`]];
    case "convert": {
      const isSame =
        alteration.charset === table.charset && (alteration.collation ?? "") === (table.collation ?? "");
      return isSame ? [] : [["other-charset", `converts the texts ${of}, to ${alteration.charset}`]];
    }
    case "drop-partition":
      return [["drop-partition", `${alteration.verb} partitions ${of}: ${alteration.names}`]];
    case "blocks":
      return how.isLockless
        ? []
        : [["blocks-writes", `${alteration.what} ${of}: it is not written meanwhile`]];
    case "rebuilds":
      return how.isInstant ? [] : [["rebuilds-table", `${alteration.what} ${of}: it is copied in place`]];
    case "other":
      return [];
  }
}

function addedColumn(column: Column, of: string, isLockless: boolean): Against {
  const { name, isAutoIncrement, isPrimary, generated } = column;
  if (isAutoIncrement || isPrimary || generated === "stored") {
    const what = generated ? "stored" : "numbered";
    if (isAutoIncrement || generated) {
      return isLockless
        ? []
        : [["blocks-writes", `adds the ${what} column ${name} ${of}: it is not written meanwhile`]];
    }
    return [["unique-on-existing", `adds the primary key ${name} ${of}: its rows have all the same`]];
  }
  if (generated) return [];
  const against: (readonly [keyof typeof REMEDIES, string])[] = [];
  if (column.isUnique && (!column.isNullable || column.hasDefault)) {
    against.push(["unique-on-existing", `adds the unique column ${name} ${of}: its rows have all the same`]);
  }
  if (!column.isNullable && !column.hasDefault) {
    against.push([
      "not-null-without-default",
      `adds the column ${name} ${of}, as NOT NULL without a default: programs that do not know it can insert nothing`,
    ]);
  }
  return against;
}

function changedColumn(
  former: Column | undefined,
  { name: formerName, column, position }: Extract<Alteration, { kind: "change-column" }>,
  table: Table,
  of: string,
  { isLockless, isInstant }: { readonly isLockless: boolean; readonly isInstant: boolean },
): Against {
  const { name } = column;
  if (!former) {
    if (isLockless) return [];
    return [
      [
        "blocks-writes",
        `changes the column ${name} ${of}: what it was is not known here, and where its type changes, the table is copied and not written meanwhile`,
      ],
    ];
  }
  const [from, to] = [former.type, column.type];
  if (from.name === to.name && from.members.length > 0) {
    const isKept = from.members.every((member, at) => member === to.members[at]);
    if (!isKept) {
      const gone = from.members.filter((member) => !to.members.includes(member));
      const what = gone.length > 0 ? `takes ${gone.join(", ")} out of` : "puts in another order";
      return [["enum-members", `${what} the members of the column ${name} ${of}`]];
    }
  }
  if (isNarrower(from, to)) {
    return [["narrower-type", `makes the column ${name} ${of}, narrower: ${from.text} becomes ${to.text}`]];
  }
  const [before, after] = [charsetIn(from, table), charsetIn(to, table)];
  if (isText(from) && isText(to)) {
    if (before && after && before !== after) {
      return [
        [
          "other-charset",
          `gives the column ${name} ${of}, another character set: ${before} becomes ${after}`,
        ],
      ];
    }
    if (from.collation && to.collation && from.collation !== to.collation) {
      return [
        [
          "other-charset",
          `gives the column ${name} ${of}, another collation: ${from.collation} becomes ${to.collation}`,
        ],
      ];
    }
  }
  if (former.isNullable && !column.isNullable) {
    return [
      [
        "not-null-without-default",
        `makes the column ${name} ${of}, NOT NULL: a row with NULL makes it fail, and so do programs that insert NULL`,
      ],
    ];
  }
  const isSameStorage = isStoredAlike(from, to, after) && former.generated === column.generated;
  if (!isSameStorage && !(former.generated === "virtual" && column.generated === "virtual")) {
    if (isLockless) return [];
    return [
      [
        "blocks-writes",
        `changes the type of the column ${name} ${of}, from ${from.text} to ${to.text}: it is copied, and not written meanwhile`,
      ],
    ];
  }
  const isMoved = position !== undefined && placeOf(formerName, table) !== position.after?.toLowerCase();
  const what = isMoved ? "moves" : "allows NULL in";
  const isRebuilt = isMoved || (!former.isNullable && column.isNullable && !former.isPrimary);
  return isRebuilt && !isInstant
    ? [["rebuilds-table", `${what} the column ${name} ${of}: it is copied in place`]]
    : [];
}

/** The column before one, in small letters; undefined before the first. */
function placeOf(name: string, { columns }: Table): string | undefined {
  const names = [...columns.keys()];
  return names[names.indexOf(name.toLowerCase()) - 1];
}

function charsetIn({ charset, collation }: Type, table: Table): string | undefined {
  return charset ?? (collation === undefined ? table.charset : charsetOf(collation.split("_")[0] as string));
}

function addedKey(
  { key, columns }: Extract<Alteration, { kind: "add-key" }>,
  table: Table,
  of: string,
  isLockless: boolean,
): Against {
  if (key === "fulltext" || key === "spatial") {
    return isLockless ? [] : [["blocks-writes", `adds a ${key} index ${of}: it is not written meanwhile`]];
  }
  if (key === "index") return [];
  const isEmpty = columns.some((name) => {
    const known = table.columns.get(name.toLowerCase());
    return known?.exists === false && known.column.isNullable && !known.column.hasDefault;
  });
  if (isEmpty && key === "unique") return []; // NULL is no duplicate of NULL
  const what = key === "primary" ? "primary" : "unique";
  return [
    [
      "unique-on-existing",
      `adds a ${what} key ${of}, on ${columns.join(", ") || "an expression"}: duplicates make it fail`,
    ],
  ];
}

function renamed(from: string, to: string): string {
  return `renames ${from} to ${to}: programs that use the old name fail from then on`;
}
