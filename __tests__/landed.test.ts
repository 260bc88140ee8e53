import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Look, SchemaPart } from "../runner/database";
import { landed, namesIn, namesOf, othersApplied } from "../runner/landed";

const location = "/copies/users1/sql";
const file = `${location}/V2__b.sql`;
const table = (name: string, is = "InnoDB"): SchemaPart => ({ kind: "table", name, is });
const column = (name: string, is = "int"): SchemaPart => ({ kind: "column", name, is });
const look = (...parts: SchemaPart[]): Look => ({
  time: "2026-01-01T12:00:00Z",
  parts,
  scripts: ["V1__a.sql"],
});

/** What a file that failed has left between two looks; it names all, and so does the other file. */
function landedBetween(before: Look | undefined, after: Look | undefined, others: readonly string[] = []) {
  const names = namesOf([...(before?.parts ?? []), ...(after?.parts ?? [])]);
  const failed = { file, line: 3, statement: "ALTER TABLE x" };
  return landed({
    failed,
    location,
    before,
    after,
    others,
    ownNames: names,
    otherNames: new Set(["shared"]),
  });
}

describe("what a file that failed has left", () => {
  it("is what is there now and was not, is gone, or is other", () => {
    const before = look(table("A"), column("A.x"), column("A.gone"));
    const after = look(table("A"), column("A.x", "bigint"), table("B"));
    expect(landedBetween(before, after)).toEqual({
      ...{ key: "V2__b.sql", line: 3, statement: "ALTER TABLE x", applied: [], moreChanges: 0 },
      changes: [
        { kind: "column", name: "A.gone", before: "int", after: null, shared: false },
        { kind: "column", name: "A.x", before: "int", after: "bigint", shared: false },
        { kind: "table", name: "B", before: null, after: "InnoDB", shared: false },
      ],
    });
  });

  it("is not known where the schema could not be looked at, before or after", () => {
    expect(landedBetween(undefined, look())?.changes).toBeNull();
    expect(landedBetween(look(), undefined)?.changes).toBeNull();
  });

  it("is marked where another file names it too", () => {
    const { changes } = landedBetween(look(), look(table("shared"), table("mine")), [
      `${location}/V1__a.sql`,
    ]);
    expect(changes?.map(({ name, shared }) => [name, shared])).toEqual([
      ["mine", false],
      ["shared", true],
    ]);
  });

  it("is only what the file names, where others were applied beside it", () => {
    const input = {
      failed: { file, line: null, statement: null },
      ...{ location, before: look(), after: look(table("own"), table("theirs")) },
      others: [`${location}/V1__a.sql`],
      ownNames: new Set(["own"]),
      otherNames: new Set<string>(),
    };
    expect(landed(input).changes?.map(({ name }) => name)).toEqual(["own"]);
    expect(landed(input).applied).toEqual(["V1__a.sql"]);
  });

  it("lists the first 200 of many changes, and says how many more there are", () => {
    const many = Array.from({ length: 250 }, (_, index) => table(`t${index}`));
    const result = landedBetween(look(), look(...many));
    expect([result.changes?.length, result.moreChanges]).toEqual([200, 50]);
  });
});

describe("the other files that were applied", () => {
  const info = (key: string, installedOnUTC: string, state = "Success") => ({
    migrations: [{ filepath: `${location}/${key}`, state, installedOnUTC }],
  });
  const others = (migrations: ReturnType<typeof info>) =>
    othersApplied(migrations, { file, location }, look());

  it.each([
    ["V3__c.sql", "2026-01-01T12:00:00Z", true], // in the second of the look, but not in the history then
    ["V3__c.sql", "2026-01-01T11:59:59Z", false],
    ["V1__a.sql", "2026-01-01T12:00:00Z", false], // in the history then
    ["V1__a.sql", "2026-01-01T12:00:01Z", true], // a repeatable one, again
    ["V2__b.sql", "2026-01-01T12:00:01Z", false], // the one that failed
  ])("have %s of %s: %j", (key, time, expected) => {
    expect(others(info(key, time))).toEqual(expected ? [`${location}/${key}`] : []);
  });

  it("have none that failed, and none where there was no look", () => {
    expect(others(info("V3__c.sql", "2026-01-01T12:00:01Z", "Failed"))).toEqual([]);
    expect(othersApplied(info("V3__c.sql", "2026-01-01T12:00:01Z"), { file, location }, undefined)).toEqual(
      [],
    );
  });
});

describe("the names in a file", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "landed-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("are found whatever their case and quotes, as words, up to a line", async () => {
    const path = join(folder, "a.sql");
    writeFileSync(path, "CREATE TABLE `Orders`(id int);\r\nALTER TABLE users ADD x int;\nDROP TABLE late;\n");
    const names = new Set(["orders", "users", "late", "order", "x"]);
    expect(await namesIn(path, names, 2)).toEqual(new Set(["orders", "users", "x"]));
    expect(await namesIn(path, names)).toEqual(new Set(["orders", "users", "x", "late"]));
  });
});
