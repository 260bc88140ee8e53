import { describe, expect, it } from "vitest";
import type { FlywayResult } from "../records/flyway";
import type { Known } from "../records/judge";
import type { Refusal, SeenObject } from "../records/record";
import type { Host } from "../runner/host";
import type { Migration, Outcome } from "../runner/migration";
import { recordOf } from "../runner/record";

const location = "/copies/users1/sql";
const FORMER = { key: "V2__b.sql", eTag: "former" };

interface Run {
  /** ETag of V2__b.sql in the bucket; null where it is not there, undefined where the bucket was not seen. */
  readonly eTag: string | null | undefined;
  readonly outcome?: Outcome;
  /** Of V2__b.sql, as `info` has it. */
  readonly state?: string;
  readonly error?: FlywayResult["error"];
  readonly unrecorded?: Known["unrecorded"];
  readonly refused?: readonly Refusal[];
}

/** The record of a run over V1__a.sql and V2__b.sql. */
function record({ eTag, outcome, state, error, unrecorded = FORMER, refused = [] }: Run) {
  const object = (key: string, tag: string): SeenObject => ({
    ...{ key, eTag: tag, versionId: "1", size: 1, lastModified: "2026-01-01T12:00:00Z" },
  });
  const objects = [object("V1__a.sql", "a"), ...(eTag == null ? [] : [object("V2__b.sql", eTag)])];
  const states = { "V1__a.sql": "Success", ...(state === undefined ? {} : { "V2__b.sql": state }) };
  const info: FlywayResult = {
    migrations: Object.entries(states).map(([key, state]) => ({
      ...{ filepath: `${location}/${key}`, state, executionTime: 1 },
    })),
  };
  const migration: Migration | undefined = outcome && {
    ...{ outcome, refused: [], attempts: 1, repairRefused: null, before: undefined },
    results: { migrate: error ? { error } : null, info, validate: null, repair: null },
  };
  const listing =
    eTag === undefined
      ? undefined
      : { objects, number: 0, newestChange: null, newestRecord: undefined, leftovers: [] };
  return recordOf({
    host: {
      environment: { commandId: "c", bucket: "users1", instanceId: "i-0", operation: "migrate" },
    } as Host,
    progress: {
      listing,
      migration,
      known: { objects: [], failed: [], unrecorded },
      refused,
      reason: null,
    } as never,
    ...{ interrupted: [], began: 0, location, exitCode: outcome?.kind === "migrated" ? 0 : 1, number: 1 },
  });
}

const failed = (unrecorded: string | null): Outcome => ({ kind: "failed", landed: null, unrecorded });

describe("a file that ran and is not in Flyway's history", () => {
  it.each<readonly [string, Run, Known["unrecorded"]]>([
    ["by a run that did not see the bucket", { eTag: undefined }, FORMER],
    ["by a run that did not come to it", { eTag: "former" }, FORMER],
    [
      "while other content of it is refused",
      { eTag: "other", outcome: { kind: "refused", reason: null } },
      FORMER,
    ],
    ["while the database is away", { eTag: "other", outcome: { kind: "unreachable" } }, FORMER],
    ["while another file fails", { eTag: "other", outcome: failed(null), state: "Pending" }, FORMER],
    [
      "while other content of it waits for a lock, and is taken out of the history",
      { eTag: "other", outcome: { kind: "locked", key: "V2__b.sql" }, state: "Failed" },
      FORMER,
    ],
    ["until it is gone from the bucket", { eTag: null }, null],
    ["until all is applied", { eTag: "other", outcome: { kind: "migrated" } }, null],
    ["until the history has it", { eTag: "other", outcome: failed(null), state: "Success" }, null],
    ["until the history has it as failed", { eTag: "other", outcome: failed(null), state: "Failed" }, null],
    [
      "until other content of it ran that is not there either",
      { eTag: "other", outcome: failed("V2__b.sql") },
      { key: "V2__b.sql", eTag: "other" },
    ],
  ])("is remembered %s", (_, run, expected) => {
    expect(record(run).unrecorded).toEqual(expected);
  });

  it("is failed where the bucket has it as it was, and what else has its key is not", () => {
    const verdictOf = (eTag: string, refused: Refusal[] = []) =>
      record({ eTag, outcome: { kind: "refused", reason: null }, refused }).objects[1];
    expect(verdictOf("former")).toMatchObject({
      verdict: "failed",
      message: "V2__b.sql has run, and is not in Flyway's history.",
    });
    const empty = { key: "V2__b.sql", message: "it is empty", remedy: "delete it", holdsBack: true };
    expect(verdictOf("other", [empty])).toMatchObject({ verdict: "refused", message: "it is empty" });
  });
});

it("a run that failed, though all is applied, says by what", () => {
  const error = { errorCode: "FAULT", message: "Unable to restore connection to its original state" };
  const run = { eTag: "b", outcome: failed(null), state: "Success", error, unrecorded: null };
  expect(record(run)).toMatchObject({ exitCode: 1, reason: error.message });
});
