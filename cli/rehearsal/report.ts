import { describeTable } from "../../local/report";
import { isHeldBack } from "../../records/text";
import { type Answers, type CheckedScript, placeOf } from "../check/check";
import type { Objection } from "../check/files";
import { ALGORITHMS, type Algorithm } from "../check/statements";
import { isStandIn, type Rehearsal, type RehearsedDatabase } from "./rehearsal";

/** What `--format json` has of a rehearsal. */
export interface RehearsalOutput {
  readonly database: string;
  readonly server: string;
  readonly flywayVersion: string;
  /** What it means that it ran on that server. */
  readonly meaning: string;
  readonly files: readonly {
    readonly key: string;
    readonly verdict: string;
    /** Null where it did not run to its end. */
    readonly milliseconds: number | null;
  }[];
  readonly alterations: readonly {
    readonly key: string;
    readonly line: number;
    readonly table: string;
    readonly algorithm: Algorithm;
  }[];
  readonly tables: Rehearsal["tables"];
}

export function rehearsalOutput(rehearsal: Rehearsal): RehearsalOutput {
  const { database, server, flywayVersion, record, times, alterations, tables } = rehearsal;
  return {
    ...{ database, server, flywayVersion, meaning: meaningOf(rehearsal) },
    files: record.objects.map(({ key, verdict }) => ({
      ...{ key, verdict, milliseconds: times.get(key) ?? null },
    })),
    alterations: alterations.map(({ key, line, table, algorithm }) => ({ key, line, table, algorithm })),
    tables,
  };
}

/** For a person, in lines. */
export function describeRehearsal(rehearsal: Rehearsal): string {
  const { database, server, flywayVersion, meaning, files, alterations, tables } = rehearsalOutput(rehearsal);
  const time = (milliseconds: number | null) =>
    milliseconds === null ? "" : `  ${(milliseconds / 1_000).toFixed(2)} s`;
  return [
    `Rehearsal of ${database} on ${server} by Flyway ${flywayVersion}: ${meaning}`,
    ...files.map(({ key, verdict, milliseconds }) => `  ${key}  ${verdict}${time(milliseconds)}`),
    ...alterations.map(
      ({ key, line, table, algorithm }) => `  ${key}:${line} alters ${table}: ${ALGORITHMS[algorithm]}`,
    ),
    "  The schema that results:",
    ...tables.map((table) => `    ${describeTable(table)}`),
  ].join("\n");
}

function meaningOf({ server, unfilled }: Rehearsal): string {
  const what = isStandIn(server)
    ? "it stands in for MySQL, knows less of it, and changes tables in its own ways; a mysqld on PATH is taken instead"
    : "where Aurora's MySQL is older, it may know less, and copy a table where this one does not";
  return unfilled.length === 0
    ? what
    : `${what}; these placeholders stood for their names: ${unfilled.join(", ")}`;
}

/** What the server said, if it said something and it is a MySQL's word. */
export function answersOf({ server, alterations }: Rehearsal): Answers | undefined {
  if (isStandIn(server) || alterations.length === 0) return undefined;
  return {
    server,
    algorithms: new Map(alterations.map(({ key, at, algorithm }) => [placeOf(key, at), algorithm])),
  };
}

/**
 * What MariaDB says of what may be MySQL's alone: syntax, a collation, a character set, a system variable, a function, an engine, a
 * type. https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference
 */
const MYSQL_ALONE = new Set([1064, 1115, 1193, 1273, 1286, 1305, 4161]);

/** "Table … doesn't exist" */
const NO_TABLE = 1146;

/** What a rehearsal has against files that the database does not have yet. */
export function objectionsOf(
  { record, server }: Rehearsal,
  { applied = [], scripts }: Pick<RehearsedDatabase, "applied" | "scripts">,
): Objection[] {
  const isApplied = new Set(applied.map(({ key }) => key));
  const { halfApplied, objects, flyway } = record;
  const error = flyway.migrate?.error;
  return objects
    .filter(({ verdict, message }) => ["failed", "refused"].includes(verdict) && !isHeldBack(message))
    .map(({ key, message }): Objection => {
      const line = (halfApplied?.key === key && halfApplied.line) || 1;
      const what = (message.split("\n", 1)[0] as string).replace(/:$/, "");
      const why = whyUnclear(error, server, isApplied.has(key), scripts);
      if (!why) {
        const remedy = "mend it before it is uploaded; what an empty database lacks comes by --from-schema";
        return { key, line, rule: "rehearsal-failed", message: what, remedy };
      }
      return { key, line, rule: "not-rehearsed", message: `${why.message}: ${what}`, remedy: why.remedy };
    });
}

/** Why a failure may be the rehearsal's own; undefined where it is the file's. */
function whyUnclear(
  error: { readonly message: string; readonly sqlErrorCode?: number | null } | undefined,
  server: string,
  isApplied: boolean,
  scripts: readonly CheckedScript[],
): { readonly message: string; readonly remedy: string } | undefined {
  const fromSchema = "start from a dump of the schema: --from-schema";
  if (isApplied) return { message: "it is applied, and does not run here", remedy: fromSchema };
  const code = error?.sqlErrorCode ?? 0;
  if (isStandIn(server) && MYSQL_ALONE.has(code)) {
    const message = `${server} does not take it, which tells nothing of MySQL`;
    return { message, remedy: "rehearse on a MySQL: put its mysqld on PATH" };
  }
  const table = /Table '(?:[^']*\.)?([^'.]+)' doesn't exist/.exec(error?.message ?? "")?.[1];
  if (code === NO_TABLE && table !== undefined && !scripts.some(({ made }) => made.has(table))) {
    return {
      message: `no file makes the table ${table}, which may be there before all files`,
      remedy: fromSchema,
    };
  }
  return undefined;
}
