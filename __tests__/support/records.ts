import type { JudgedObject, RunRecord } from "../../records/record";

/** What a run says of an object. */
export function judged(
  key: string,
  verdict: JudgedObject["verdict"],
  message = "",
  remedy: string | null = null,
): JudgedObject {
  const object = { key, versionId: "1", eTag: "e", size: 1, lastModified: "2026-01-01T12:00:00Z" };
  return { ...object, verdict, message, remedy };
}

/** A run record, of a run that ended well unless told otherwise. */
export function recordOf(given: Partial<RunRecord> = {}): RunRecord {
  return {
    recordVersion: 2,
    number: 1,
    commandId: "c-1",
    bucket: "users1",
    schema: "Users",
    host: "i-0",
    flywayVersion: "11.8.2",
    flywayConf: "test_flyway.conf",
    operation: "migrate",
    startedAt: "2026-01-01T12:00:00Z",
    finishedAt: "2026-01-01T12:00:05Z",
    location: "/opt/flyway/copies/users1/sql",
    exitCode: 0,
    attempts: 1,
    reason: null,
    repairRefused: null,
    isRepetition: false,
    interrupted: [],
    newestChange: null,
    objects: [],
    databaseTime: null,
    halfApplied: null,
    takenOut: null,
    unrecorded: null,
    lockHolders: [],
    timedOutAfter: null,
    flyway: { migrate: null, info: null, validate: null, repair: null },
    ...given,
  };
}
