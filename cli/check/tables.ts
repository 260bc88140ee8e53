import type { Action, Alteration, Column, Position } from "./syntax";

/** A table, as the files before have made it. */
export interface Table {
  /** Whether it, or a column, was there before the file that is looked at. */
  readonly exists: boolean;
  /** In order, by name in small letters; the table's may be incomplete where it was there before all files. */
  readonly columns: ReadonlyMap<string, { readonly column: Column; readonly exists: boolean }>;
  readonly charset?: string;
  readonly collation?: string;
}

interface KnownTable {
  /** A number of the file that made it. */
  readonly file: number;
  readonly columns: Map<string, { column: Column; file: number }>;
  charset?: string;
  collation?: string;
}

/** The tables of a database, by what its files do in order. */
export class Tables {
  private readonly tables = new Map<string, KnownTable>();
  private file = 0;
  /** The files that have made what exists; 0 is what was there before all. */
  private readonly existing = new Set([0]);

  /** @param schema of the database: its tables may be named with it, or without */
  constructor(private readonly schema: string) {}

  /**
   * Goes on to the next file.
   *
   * @param isApplied unset where nothing is known to be applied: then all files before it are taken for it
   */
  begin(isApplied?: boolean): void {
    if (isApplied === undefined) this.existing.add(this.file);
    this.file++;
    if (isApplied) this.existing.add(this.file);
  }

  /** A table that no file has made was there before. */
  find(name: string): Table {
    const table = this.get(name);
    if (!table) return { exists: true, columns: new Map() };
    const columns = [...table.columns].map(
      ([key, { column, file }]) => [key, { column, exists: this.existing.has(file) }] as const,
    );
    return { ...table, exists: this.existing.has(table.file), columns: new Map(columns) };
  }

  isKnown(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Takes a statement for done; of an ALTER TABLE each part is taken by alter. */
  apply(action: Action): void {
    switch (action.kind) {
      case "create-table":
        this.create(action);
        break;
      case "drop-table":
        for (const table of action.tables) this.tables.delete(this.plain(table));
        break;
      case "drop-schema":
        this.tables.clear();
        break;
      case "rename-table":
        for (const [from, to] of action.pairs) this.rename(from, to);
        break;
    }
  }

  private create(action: Extract<Action, { kind: "create-table" }>): void {
    if (action.ifNotExists && this.isKnown(action.table)) return;
    const { file } = this;
    const like = action.like === undefined ? undefined : this.get(action.like);
    const columns: readonly Column[] = like
      ? [...like.columns.values()].map(({ column }) => column)
      : action.columns;
    const charset = action.charset ?? action.collation?.split("_")[0] ?? like?.charset;
    this.tables.set(this.plain(action.table), {
      file,
      columns: new Map(columns.map((column) => [column.name.toLowerCase(), { column, file }])),
      ...(charset ? { charset } : {}),
      ...(action.collation ? { collation: action.collation } : {}),
    });
  }

  private rename(from: string, to: string): void {
    const table = this.get(from);
    this.tables.delete(this.plain(from));
    if (table) this.tables.set(this.plain(to), table);
    else this.tables.delete(this.plain(to));
  }

  alter(name: string, alteration: Alteration): void {
    if (alteration.kind === "rename") this.rename(name, alteration.to);
    const table = this.get(name);
    if (!table) return;
    const { columns } = table;
    switch (alteration.kind) {
      case "add-column":
        columns.set(alteration.column.name.toLowerCase(), { column: alteration.column, file: this.file });
        this.move(columns, alteration.column.name, alteration.position);
        break;
      case "drop-column":
        columns.delete(alteration.name.toLowerCase());
        break;
      case "change-column":
        this.change(columns, alteration.name, alteration.column);
        this.move(columns, alteration.column.name, alteration.position);
        break;
      case "rename-column": {
        const known = columns.get(alteration.name.toLowerCase());
        if (known) this.change(columns, alteration.name, { ...known.column, name: alteration.to });
        break;
      }
      case "add-key":
        if (alteration.key !== "primary") break;
        for (const key of alteration.columns) {
          const known = columns.get(key.toLowerCase());
          if (known) known.column = { ...known.column, isNullable: false, isPrimary: true };
        }
        break;
      case "convert":
        table.charset = alteration.charset;
        table.collation = alteration.collation;
        break;
    }
  }

  /** Puts another column in one's place. */
  private change(columns: KnownTable["columns"], name: string, column: Column): void {
    const former = columns.get(name.toLowerCase());
    const isPrimary = column.isPrimary || former?.column.isPrimary === true;
    const isNullable = column.isNullable && !isPrimary;
    const changed = { column: { ...column, isPrimary, isNullable }, file: former?.file ?? 0 };
    const all = [...columns].map(([key, known]): [string, typeof known] =>
      key === name.toLowerCase() ? [column.name.toLowerCase(), changed] : [key, known],
    );
    refill(columns, former ? all : [...all, [column.name.toLowerCase(), changed]]);
  }

  private move(columns: KnownTable["columns"], name: string, position: Position | undefined): void {
    const moved = columns.get(name.toLowerCase());
    if (!position || !moved) return;
    const others = [...columns].filter(([key]) => key !== name.toLowerCase());
    const before = others.findIndex(([key]) => key === position.after?.toLowerCase());
    const at = position.after === null ? 0 : before < 0 ? others.length : before + 1;
    refill(columns, others.toSpliced(at, 0, [name.toLowerCase(), moved]));
  }

  private get(name: string): KnownTable | undefined {
    return this.tables.get(this.plain(name));
  }

  private plain(name: string): string {
    return name.startsWith(`${this.schema}.`) ? name.slice(this.schema.length + 1) : name;
  }
}

/** A map has its members in the order in which they came. */
function refill<T>(map: Map<string, T>, entries: readonly (readonly [string, T])[]): void {
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}
