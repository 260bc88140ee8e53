import { CharStreams, CommonTokenStream, type ParserRuleContext, PredictionMode, type Token } from "antlr4ng";
import { MySqlLexer } from "dt-sql-parser/dist/lib/mysql/MySqlLexer";
import * as grammar from "dt-sql-parser/dist/lib/mysql/MySqlParser";
import { charsetOf, plainName, type Type, typeOf } from "./types";

/*
 * What a statement does, read from the syntax tree of dt-sql-parser's MySQL grammar. Nothing else knows that tree.
 */

/** A column as a statement writes it. */
export interface Column {
  readonly name: string;
  readonly type: Type;
  readonly isNullable: boolean;
  /** Other than NULL. */
  readonly hasDefault: boolean;
  readonly isAutoIncrement: boolean;
  readonly isUnique: boolean;
  readonly isPrimary: boolean;
  readonly hasReference: boolean;
  readonly generated?: "stored" | "virtual";
}

/** Where a column is put: behind another, or first where that is null. */
export interface Position {
  readonly after: string | null;
}

export type KeyKind = "primary" | "unique" | "fulltext" | "spatial" | "index";

/** One of the changes that an ALTER TABLE makes, or an index of its own. */
export type Alteration =
  | { readonly kind: "add-column"; readonly column: Column; readonly position?: Position }
  | { readonly kind: "drop-column"; readonly name: string }
  | {
      readonly kind: "change-column";
      readonly name: string;
      readonly column: Column;
      /** Unset where it stays where it is. */
      readonly position?: Position;
    }
  | { readonly kind: "rename-column"; readonly name: string; readonly to: string }
  | { readonly kind: "rename"; readonly to: string }
  | { readonly kind: "add-key"; readonly key: KeyKind; readonly columns: readonly string[] }
  | { readonly kind: "drop-primary-key" }
  | { readonly kind: "add-foreign-key" }
  | { readonly kind: "convert"; readonly charset?: string; readonly collation?: string }
  | { readonly kind: "drop-partition"; readonly verb: "drops" | "empties"; readonly names: string }
  /** `blocks`: the table is not written meanwhile; `rebuilds`: it is copied in place, and written meanwhile. */
  | { readonly kind: "blocks" | "rebuilds"; readonly what: string }
  | { readonly kind: "other" };

/** What a statement does, as far as a rule asks. */
export type Action =
  | {
      readonly kind: "create-table";
      readonly table: string;
      readonly isTemporary: boolean;
      readonly columns: readonly Column[];
      /** Undefined where the statement does not say: LIKE, or a SELECT. */
      readonly hasPrimaryKey?: boolean;
      readonly ifNotExists: boolean;
      readonly like?: string;
      readonly charset?: string;
      readonly collation?: string;
    }
  | { readonly kind: "drop-table"; readonly tables: readonly string[]; readonly ifExists: boolean }
  | { readonly kind: "drop-schema"; readonly schema: string }
  | { readonly kind: "truncate"; readonly table: string }
  | { readonly kind: "rename-table"; readonly pairs: readonly (readonly [from: string, to: string])[] }
  | { readonly kind: "update" | "delete"; readonly table: string; readonly columns: readonly string[] }
  | {
      readonly kind: "alter-table";
      readonly table: string;
      readonly alterations: readonly Alteration[];
      /** Whether it says ALGORITHM=INSTANT: the server refuses it then rather than copy anything. */
      readonly isInstant: boolean;
      /** The same of LOCK=NONE: the server refuses it rather than keep writers out. */
      readonly isLockless: boolean;
    }
  | { readonly kind: "optimize"; readonly tables: readonly string[] }
  | { readonly kind: "lock-tables"; readonly tables: readonly string[] }
  | { readonly kind: "definer"; readonly definer: string };

/** A statement that the grammar does not take. */
export interface Unreadable {
  /** From the statement's first, which is 0. */
  readonly line: number;
  /** Where it could not go on. */
  readonly near: string;
}

/** What statements begin with that a rule is about. */
const READ = /^(CREATE|ALTER|DROP|TRUNCATE|RENAME|UPDATE|DELETE|WITH|OPTIMIZE|LOCK)\b/i;

/** Words that MySQL does not reserve, and this grammar takes for nothing but keywords. */
const NO_KEYWORDS = new Set(
  `ACTIVE AUTHENTICATION CHALLENGE_RESPONSE CLONE COMPONENT FACTOR FINISH GENERATE HISTOGRAM INACTIVE INITIAL INITIATE LOCKED OFF
   OLD PERSIST REFERENCE REGISTRATION REPLICA REPLICAS RESOURCE RESTART RETAIN SKIP STREAM TREE TYPE UNREGISTER VCPU`.split(
    /\s+/,
  ),
);

/**
 * Reads one statement.
 *
 * @returns nothing where no rule asks what the statement does
 */
export function readStatement(statement: string): readonly Action[] | Unreadable {
  const text = withVersionComments(statement);
  if (!READ.test(text.trimStart())) return [];
  if (depthOf(text) > DEEPEST) return { line: 0, near: statement };
  try {
    return read(text);
  } catch {
    return { line: 0, near: statement }; // too deep, or a tree that the parser's types do not promise
  }
}

/** The parser's time grows by far more than the depth of brackets does. */
const DEEPEST = 300;

function depthOf(text: string): number {
  let [depth, deepest] = [0, 0];
  for (const [bracket] of text.matchAll(/[()]/g)) {
    depth = Math.max(0, depth + (bracket === "(" ? 1 : -1));
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

function read(text: string): readonly Action[] | Unreadable {
  const first = parse(text, PredictionMode.SLL, false);
  if (!("near" in first)) return actionsOf(first);
  const exact = parse(text, PredictionMode.LL, false);
  if (!("near" in exact)) return actionsOf(exact);
  const named = parse(text, PredictionMode.LL, true);
  return "near" in named ? exact : actionsOf(named);
}

/** Opens MySQL's own comments, whose content it runs: those of MariaDB stay comments. */
function withVersionComments(text: string): string {
  return text.replace(/\/\*!\d*([\s\S]*?)\*\//g, (whole, content: string) =>
    `${content}  `.padStart(whole.length),
  );
}

function parse(text: string, mode: number, asNames: boolean): grammar.SingleStatementContext | Unreadable {
  let failure: Unreadable | undefined;
  const listener = {
    syntaxError: (_: unknown, token: Token | null, line: number, __: number, message: string) => {
      failure ??= { line: line - 1, near: token?.text?.replace("<EOF>", "its end") ?? message };
    },
    reportAmbiguity: () => {},
    reportAttemptingFullContext: () => {},
    reportContextSensitivity: () => {},
  };
  const lexer = new MySqlLexer(CharStreams.fromString(`${text}\n;`));
  lexer.removeErrorListeners();
  lexer.addErrorListener(listener as never);
  const tokens = new CommonTokenStream(lexer);
  if (asNames) {
    tokens.fill();
    for (const token of tokens.getTokens()) {
      if (NO_KEYWORDS.has(token.text?.toUpperCase() ?? "")) token.type = MySqlLexer.ID;
    }
  }
  const parser = new grammar.MySqlParser(tokens);
  parser.removeErrorListeners();
  parser.addErrorListener(listener as never);
  parser.interpreter.predictionMode = mode;
  const tree = parser.program();
  const [statement] = tree.singleStatement();
  return failure ?? statement ?? { line: 0, near: "its beginning" };
}

function actionsOf(statement: grammar.SingleStatementContext): Action[] {
  const ddl = statement.sqlStatement()?.ddlStatement();
  const [tree] = childrenOf(ddl ?? statement.sqlStatement()?.dmlStatement() ?? null);
  const administration = statement.sqlStatement()?.administrationStatement()?.optimizeTable?.();
  if (administration)
    return [{ kind: "optimize", tables: administration.tableNames().tableName().map(nameOf) }];
  const locks = statement.sqlStatement()?.transactionStatement()?.lockTables()?.lockTableElement();
  if (locks) return [{ kind: "lock-tables", tables: locks.map((lock) => nameOf(lock.tableName())) }];
  return [...definersIn(tree), ...(tree ? changesIn(tree) : [])];
}

function changesIn(tree: ParserRuleContext): Action[] {
  if (tree instanceof grammar.CreateTableContext) return createTable(tree);
  if (tree instanceof grammar.DropTableContext) {
    if (tree.KW_TEMPORARY()) return [];
    const tables = tree.tableNames().tableName().map(nameOf);
    return [{ kind: "drop-table", tables, ifExists: tree.ifExists() !== null }];
  }
  if (tree instanceof grammar.DropDatabaseContext) {
    return [{ kind: "drop-schema", schema: nameOf(tree.databaseName()) }];
  }
  if (tree instanceof grammar.TruncateTableContext) {
    return [{ kind: "truncate", table: nameOf(tree.tableName()) }];
  }
  if (tree instanceof grammar.RenameTableContext) {
    const pairs = tree
      .renameTableClause()
      .map((clause) => [nameOf(clause.tableName()), nameOf(clause.tableNameCreate())] as const);
    return [{ kind: "rename-table", pairs }];
  }
  if (tree instanceof grammar.CreateIndexContext) {
    const key: KeyKind = tree.KW_UNIQUE()
      ? "unique"
      : tree.KW_FULLTEXT()
        ? "fulltext"
        : tree.KW_SPATIAL()
          ? "spatial"
          : "index";
    const columns = columnsOf(tree.indexColumnNames());
    const isLockless = / LOCK (= )?NONE\b/i.test(tokensOf(tree).join(" "));
    const alterations: Alteration[] = [{ kind: "add-key", key, columns }];
    return [
      { kind: "alter-table", table: nameOf(tree.tableName()), alterations, isInstant: false, isLockless },
    ];
  }
  if (tree instanceof grammar.AlterTableContext) {
    const options = [...tree.alterOption(), ...tree.alterPartitionSpecification()];
    const alterations = options.flatMap((option) => alterationsIn(option));
    const online = options.map((option) => tokensOf(option).join(" ").toUpperCase());
    const isInstant = online.some((option) => /^ALGORITHM (= )?INSTANT$/.test(option));
    const isLockless = isInstant || online.some((option) => /^LOCK (= )?NONE$/.test(option));
    return [{ kind: "alter-table", table: nameOf(tree.tableName()), alterations, isInstant, isLockless }];
  }
  if (tree instanceof grammar.UpdateStatementContext) return update(tree);
  if (tree instanceof grammar.DeleteStatementContext) {
    const single = tree.singleDeleteStatement();
    if (single) {
      const table = single.tableName();
      return single.KW_WHERE() || !table ? [] : [{ kind: "delete", table: nameOf(table), columns: [] }];
    }
    const multiple = tree.multipleDeleteStatement();
    const table = multiple?.tableName()[0];
    if (!multiple || !table || multiple.KW_WHERE() || isJoined(multiple.tableSources())) return [];
    return [{ kind: "delete", table: nameOf(table), columns: [] }];
  }
  return [];
}

function createTable(tree: grammar.CreateTableContext): Action[] {
  if (tree instanceof grammar.CopyCreateTableContext) {
    const like = tree.tableName();
    return [
      {
        kind: "create-table",
        table: nameOf(tree.tableNameCreate()),
        isTemporary: tree.KW_TEMPORARY() !== null,
        ifNotExists: tree.ifNotExists() !== null,
        columns: [],
        ...(like ? { like: nameOf(like) } : {}),
      },
    ];
  }
  if (
    !(tree instanceof grammar.ColumnCreateTableContext || tree instanceof grammar.QueryCreateTableContext)
  ) {
    return [];
  }
  const definitions = tree.createDefinitions()?.createDefinition() ?? [];
  const columns = definitions.flatMap((definition) => {
    const name = definition.columnNameCreate();
    const column = definition.columnDefinition();
    return name && column ? [columnOf(nameOf(name), column)] : [];
  });
  const primary = definitions.find((definition) => definition.KW_PRIMARY());
  const keyed = columnsOf(primary?.indexColumnNames() ?? null);
  const hasPrimaryKey = primary !== undefined || columns.some(({ isPrimary }) => isPrimary);
  const options = tree.tableOption();
  const charset = options.flatMap((option) =>
    option instanceof grammar.TableOptionCharsetContext
      ? [charsetOf(option.charsetName()?.getText() ?? "")]
      : [],
  )[0];
  const collation = options.flatMap((option) =>
    option instanceof grammar.TableOptionCollateContext ? [plainName(option.collationName().getText())] : [],
  )[0];
  return [
    {
      kind: "create-table",
      table: nameOf(tree.tableNameCreate()),
      isTemporary: tree.KW_TEMPORARY() !== null,
      ifNotExists: tree.ifNotExists() !== null,
      columns: columns.map((column) =>
        keyed.includes(column.name) ? { ...column, isNullable: false, isPrimary: true } : column,
      ),
      hasPrimaryKey,
      ...(charset ? { charset } : {}),
      ...(collation ? { collation } : {}),
    },
  ];
}

function update(tree: grammar.UpdateStatementContext): Action[] {
  const single = tree.singleUpdateStatement();
  const multiple = tree.multipleUpdateStatement();
  if ((single ?? multiple)?.KW_WHERE()) return [];
  const columns = (single ?? multiple)?.updatedElement().map((element) => nameOf(element.columnName())) ?? [];
  const names = columns.map((column) => column.slice(column.lastIndexOf(".") + 1));
  if (isJoined(multiple?.tableSources() ?? null)) return [];
  const table = single?.tableName() ?? multiple?.tableSources();
  return table ? [{ kind: "update", table: nameOf(table), columns: names }] : [];
}

/** Whether rows of several tables are put together by a condition, which then is what WHERE would be. */
function isJoined(sources: grammar.TableSourcesContext | null): boolean {
  return sources !== null && tokensOf(sources).some((token) => /^(on|using|natural)$/i.test(token));
}

function definersIn(tree: ParserRuleContext | undefined): Action[] {
  const owner = childrenOf(tree ?? null).find((child) => child instanceof grammar.OwnerStatementContext);
  if (!(owner instanceof grammar.OwnerStatementContext)) return [];
  const name = owner.userName();
  if (!name || /^CURRENT_USER/i.test(name.getText())) return [];
  return [{ kind: "definer", definer: name.getText() }];
}

const PARTITIONS: readonly (readonly [RegExp, string])[] = [
  [/^COALESCE PARTITION/, "takes partitions together"],
  [/^REORGANIZE PARTITION/, "cuts partitions anew"],
  [/^REBUILD PARTITION/, "makes partitions anew"],
  [/^OPTIMIZE PARTITION/, "makes the table anew"],
  [/^REMOVE PARTITIONING/, "takes partitions out"],
  [/^ADD PARTITION PARTITIONS/, "spreads the rows over more partitions"],
  [/^PARTITION BY/, "cuts the table into partitions"],
];

function alterationsIn(option: ParserRuleContext): Alteration[] {
  const words = tokensOf(option).join(" ").toUpperCase();
  const copied = PARTITIONS.find(([pattern]) => pattern.test(words));
  if (copied) return [{ kind: "blocks", what: copied[1] }];
  const partition = /^(DROP|TRUNCATE) PARTITION (.*)$/.exec(words);
  if (partition) {
    const names = tokensOf(option).slice(2).join("");
    return [{ kind: "drop-partition", verb: partition[1] === "DROP" ? "drops" : "empties", names }];
  }
  if (option instanceof grammar.AlterByAddColumnContext) {
    const [name, after] = option.columnName().map(nameOf);
    if (name === undefined) return [];
    const column = columnOf(name, option.columnDefinition());
    return [{ kind: "add-column", column, ...positionOf(option, after) }];
  }
  if (option instanceof grammar.AlterByAddColumnsContext) {
    const definitions = option.columnDefinition();
    return option.columnName().map((name, at) => ({
      kind: "add-column",
      column: columnOf(nameOf(name), definitions[at] as grammar.ColumnDefinitionContext),
    }));
  }
  if (option instanceof grammar.AlterByDropColumnContext) {
    return [{ kind: "drop-column", name: nameOf(option.columnName()) }];
  }
  if (option instanceof grammar.AlterByModifyColumnContext) {
    const [name, after] = option.columnName().map(nameOf);
    if (name === undefined) return [];
    const column = columnOf(name, option.columnDefinition());
    return [{ kind: "change-column", name, column, ...positionOf(option, after) }];
  }
  if (option instanceof grammar.AlterByChangeColumnContext) {
    const [name, after] = option.columnName().map(nameOf);
    if (name === undefined) return [];
    const column = columnOf(nameOf(option.columnNameCreate()), option.columnDefinition());
    return [{ kind: "change-column", name, column, ...positionOf(option, after) }];
  }
  if (option instanceof grammar.AlterByRenameColumnContext) {
    return [
      { kind: "rename-column", name: nameOf(option.columnName()), to: nameOf(option.columnNameCreate()) },
    ];
  }
  if (option instanceof grammar.AlterByRenameContext) {
    return [{ kind: "rename", to: nameOf(option.tableNameCreate()) }];
  }
  if (option instanceof grammar.AlterByAddPrimaryKeyContext) {
    return [{ kind: "add-key", key: "primary", columns: columnsOf(option.indexColumnNames()) }];
  }
  if (option instanceof grammar.AlterByAddUniqueKeyContext) {
    return [{ kind: "add-key", key: "unique", columns: columnsOf(option.indexColumnNames()) }];
  }
  if (option instanceof grammar.AlterByAddSpecialIndexContext) {
    const key = option.KW_FULLTEXT() ? "fulltext" : "spatial";
    return [{ kind: "add-key", key, columns: columnsOf(option.indexColumnNames()) }];
  }
  if (option instanceof grammar.AlterByAddIndexContext) {
    return [{ kind: "add-key", key: "index", columns: columnsOf(option.indexColumnNames()) }];
  }
  if (option instanceof grammar.AlterByAddForeignKeyContext) return [{ kind: "add-foreign-key" }];
  if (option instanceof grammar.AlterByDropPrimaryKeyContext) return [{ kind: "drop-primary-key" }];
  if (option instanceof grammar.AlterByConvertCharsetContext) {
    const collation = option.collationName()?.getText();
    return [
      {
        kind: "convert",
        charset: charsetOf(option.charsetName()?.getText() ?? ""),
        ...(collation ? { collation: plainName(collation) } : {}),
      },
    ];
  }
  if (option instanceof grammar.AlterByDefaultCharsetContext) {
    return [{ kind: "rebuilds", what: "sets another character set for new columns" }];
  }
  if (option instanceof grammar.AlterByForceContext)
    return [{ kind: "rebuilds", what: "makes the table anew" }];
  if (option instanceof grammar.AlterByOrderContext)
    return [{ kind: "blocks", what: "puts the rows in order" }];
  if (option instanceof grammar.AlterByAddCheckTableConstraintContext) {
    return [/NOT ENFORCED$/.test(words) ? { kind: "other" } : { kind: "blocks", what: "adds a CHECK" }];
  }
  if (option instanceof grammar.AlterByTableOptionContext) return option.tableOption().map(tableOption);
  if (/^ALGORITHM (= )?COPY$/.test(words)) return [{ kind: "blocks", what: "asks for ALGORITHM=COPY" }];
  const lock = /^LOCK (?:= )?(SHARED|EXCLUSIVE)$/.exec(words);
  return [lock ? { kind: "blocks", what: `asks for LOCK=${lock[1]}` } : { kind: "other" }];
}

function positionOf(
  option: { KW_FIRST(): unknown; KW_AFTER(): unknown },
  after: string | undefined,
): { readonly position?: Position } {
  if (option.KW_FIRST()) return { position: { after: null } };
  return option.KW_AFTER() && after !== undefined ? { position: { after } } : {};
}

function tableOption(option: grammar.TableOptionContext): Alteration {
  if (option instanceof grammar.TableOptionEngineContext) {
    const engine = plainName(option.engineName()?.getText() ?? "");
    return engine === "innodb"
      ? { kind: "rebuilds", what: "makes the table anew" }
      : { kind: "blocks", what: `moves the table to the engine ${engine}` };
  }
  if (option instanceof grammar.TableOptionEncryptionContext) {
    return { kind: "blocks", what: "changes the table's encryption" };
  }
  if (option instanceof grammar.TableOptionRowFormatContext) {
    return { kind: "rebuilds", what: "changes how rows are stored" };
  }
  if (option instanceof grammar.TableOptionKeyBlockSizeContext) {
    return { kind: "rebuilds", what: "changes the size of the table's pages" };
  }
  if (
    option instanceof grammar.TableOptionCharsetContext ||
    option instanceof grammar.TableOptionCollateContext
  ) {
    return { kind: "rebuilds", what: "sets another character set for new columns" };
  }
  return { kind: "other" };
}

function columnOf(name: string, definition: grammar.ColumnDefinitionContext): Column {
  const constraints = definition.columnConstraint();
  const find = <T>(type: abstract new (...given: never[]) => T): T | undefined =>
    constraints.find(
      (constraint): constraint is T & (typeof constraints)[number] => constraint instanceof type,
    );
  const generated = find(grammar.GeneratedColumnConstraintContext);
  const written = tokensOf(definition.dataType());
  const isSerial = written[0]?.toUpperCase() === "SERIAL";
  const isPrimary = find(grammar.PrimaryKeyColumnConstraintContext) !== undefined;
  const isNotNull = find(grammar.NullColumnConstraintContext)?.nullNotNull()?.KW_NOT();
  return {
    name,
    type: typeOf(written, find(grammar.CollateColumnConstraintContext)?.collationName().getText()),
    isNullable: !isSerial && !isPrimary && !isNotNull,
    hasDefault: !/^(NULL)?$/i.test(
      find(grammar.DefaultColumnConstraintContext)?.defaultValue().getText() ?? "",
    ),
    isAutoIncrement: isSerial || constraints.some((one) => /^AUTO_INCREMENT$/i.test(one.getText())),
    isUnique: isSerial || find(grammar.UniqueKeyColumnConstraintContext) !== undefined,
    isPrimary,
    hasReference: find(grammar.ReferenceColumnConstraintContext) !== undefined,
    ...(generated ? { generated: generated.KW_STORED() ? "stored" : "virtual" } : {}),
  };
}

function columnsOf(names: grammar.IndexColumnNamesContext | null): string[] {
  return (
    names?.indexColumnName().flatMap((column) => column.uid()?.getText().replaceAll("`", "") ?? []) ?? []
  );
}

function nameOf(tree: ParserRuleContext): string {
  return tree.getText().replace(/["`]/g, "");
}

function childrenOf(tree: ParserRuleContext | null): ParserRuleContext[] {
  return (tree?.children ?? []).filter((child): child is ParserRuleContext => "children" in child);
}

/** The words and signs of a part, in order. */
function tokensOf(tree: ParserRuleContext): string[] {
  return (tree.children ?? []).flatMap((child) =>
    "children" in child ? tokensOf(child as ParserRuleContext) : [child.getText()],
  );
}
