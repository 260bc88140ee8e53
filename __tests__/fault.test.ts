import { describe, expect, it } from "vitest";
import { endOf, filesAtFault, isRepetition, ownReasonOf } from "../records/fault";
import { knownAfter, NOTHING_KNOWN } from "../records/judge";
import type { FlywayError, RunRecord } from "../records/record";
import { lineOf } from "../records/text";
import { judged, recordOf } from "./support/records";

const FAILURE = "Script V2__b.sql failed\nMessage    : (conn=48) Table 't' doesn't exist";
const OUTAGE: FlywayError = {
  errorCode: "DB_CONNECTION",
  message: "Unable to obtain connection from database (jdbc:mysql://db): Connection refused",
  sqlState: "08000",
  sqlErrorCode: -1,
};
const CONTENT: FlywayError = { errorCode: "FAILED_VERSIONED_MIGRATION", message: FAILURE };

/** A run that Flyway ended by an error. */
function failed(error: FlywayError, ...objects: RunRecord["objects"]): RunRecord {
  const flyway = { migrate: { error }, info: null, validate: null, repair: null };
  return recordOf({ exitCode: 1, objects, flyway });
}

/** A run that ended before Flyway began. */
function ended(reason: string, ...objects: RunRecord["objects"]): RunRecord {
  return recordOf({ exitCode: 1, reason, objects });
}

const V1 = judged("V1__a.sql", "already-applied");
const V2 = judged("V2__b.sql", "failed", FAILURE, "correct it");
const V3 = judged("V3__c.sql", "refused", "held back by V2__b.sql");
const EMPTY = judged("V4__d.sql", "refused", "it is empty", "delete it");
const broken = failed(CONTENT, V1, V2);
const unreachable = failed(OUTAGE, V1, judged("V2__b.sql", "failed", OUTAGE.message));
const keys = (run: RunRecord) => filesAtFault(run).map(({ key }) => key);

describe("what a run failed by", () => {
  it("is the file that failed, and not one that it holds back", () => {
    expect(keys(failed(CONTENT, V1, V2, V3))).toEqual(["V2__b.sql"]);
    expect(ownReasonOf(failed(CONTENT, V1, V2, V3))).toBeNull();
  });

  it("is the database and no file where the database could not be reached", () => {
    expect(keys(unreachable)).toEqual([]);
    expect(ownReasonOf(unreachable)).toBe(OUTAGE.message);
  });

  it("is the reason and no file where the run ended before Flyway began", () => {
    const run = ended(
      "the secret cannot be read",
      V1,
      judged("V2__b.sql", "failed", "the secret cannot be read"),
    );
    expect(keys(run)).toEqual([]);
    expect(ownReasonOf(run)).toBe("the secret cannot be read");
  });

  it("is the file that left something in the schema, whatever the error looks like", () => {
    const halfApplied = {
      key: "V2__b.sql",
      line: 1,
      statement: "x",
      applied: [],
      changes: [],
      moreChanges: 0,
    };
    const run = { ...failed({ ...OUTAGE, message: "Unable to insert row" }, V1, V2), halfApplied };
    expect(keys(run)).toEqual(["V2__b.sql"]);
    expect(ownReasonOf(run)).toBeNull();
  });

  it("is a file that the host refused, of which the reason says no more", () => {
    const run = ended(`nothing was migrated: ${lineOf(EMPTY)}`, V3, EMPTY);
    expect(keys(run)).toEqual(["V4__d.sql"]);
    expect(ownReasonOf(run)).toBeNull();
  });

  it("is a file that the host refused and the reason, where that is another", () => {
    const run = ended("the mapping is wrong", EMPTY);
    expect(keys(run)).toEqual(["V4__d.sql"]);
    expect(ownReasonOf(run)).toBe("the mapping is wrong");
  });

  it("is Flyway's error where it is of no file in the bucket", () => {
    const error = {
      errorCode: "VALIDATE_ERROR",
      message: "Detected applied migration not resolved locally: 2",
    };
    expect(ownReasonOf(failed(error, V1, V3))).toBe(error.message);
  });
});

describe("a repetition", () => {
  /** Whether the last of these runs is one, as a host that remembers the others has it. */
  function isLast(...runs: RunRecord[]): boolean {
    const last = runs.pop() as RunRecord;
    const known = runs.reduce((before, run) => knownAfter(before, run, endOf(run)), NOTHING_KNOWN);
    return isRepetition(last, known);
  }
  const good = recordOf({ objects: [V1, V2].map(({ key }) => judged(key, "applied")) });
  const next = (run: RunRecord, change: Partial<RunRecord["objects"][0]>) => ({
    ...run,
    objects: [V1, { ...V2, ...change }],
  });

  it.each<[string, RunRecord[]]>([
    ["that fails by the same file", [broken, broken]],
    ["that another file waits in now", [broken, failed(CONTENT, V1, V2, V3)]],
    ["in which one of two files still fails", [failed(CONTENT, V2, EMPTY), failed(CONTENT, V1, EMPTY)]],
    ["on another connection", [broken, next(broken, { message: FAILURE.replace("48", "49") })]],
    [
      "that waited for another's lock",
      [48, 49].map((connection) =>
        next(broken, {
          message: `Lock wait timeout\nThe lock was held by connection ${connection} of a@b, at work\nx`,
        }),
      ),
    ],
    ["that cannot reach the database either", [unreachable, unreachable]],
    [
      "that cannot reach the database either, with an upload more",
      [unreachable, failed(OUTAGE, V1, judged("V9__z.sql", "failed", OUTAGE.message))],
    ],
    ["that ends before Flyway begins, for the same reason", [ended("no secret"), ended("no secret")]],
    ["the third by the same", [broken, broken, broken]],
  ])("is a run %s", (_, runs) => {
    expect(isLast(...runs)).toBe(true);
  });

  it.each<[string, RunRecord[]]>([
    ["the first", [broken]],
    ["after a good one", [broken, good, broken]],
    ["that is good", [broken, good]],
    ["of another version of the file", [broken, next(broken, { versionId: "2" })]],
    ["with other words", [broken, next(broken, { message: "another" })]],
    ["with another verdict", [broken, next(broken, { verdict: "refused" })]],
    ["that fails by another file too", [broken, failed(CONTENT, V2, EMPTY)]],
    ["that fails by a file after an outage", [unreachable, broken]],
    ["in an outage after a file that failed", [broken, unreachable]],
    ["for another reason", [ended("no secret"), ended("no target")]],
    [
      "after one that left aside what it leaves aside too",
      [recordOf({ objects: [EMPTY] }), ended("x", EMPTY)],
    ],
    ["that a person asked to repair", [broken, { ...broken, operation: "repair" }]],
    ["whose repair was refused", [broken, { ...broken, operation: "repair", repairRefused: "no" }]],
    [
      "after one that was killed",
      [broken, { ...broken, interrupted: [{ commandId: "k", startedAt: "2026-01-01T11:00:00Z" }] }],
    ],
  ])("is no run %s", (_, runs) => {
    expect(isLast(...runs)).toBe(false);
  });

  it("is no run after what a former runner has kept", () => {
    expect(isRepetition(broken, { objects: broken.objects })).toBe(false);
  });
});
