import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Look, SchemaPart } from "../runner/database";
import { contentFingerprintOf, fingerprintOf } from "../runner/fingerprint";
import { State } from "../runner/state";

let folder: string;
let state: State;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "state-"));
  state = new State(join(folder, "users1"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const object = (key: string, versionId = "1", eTag = "e") => ({
  ...{ key, versionId, eTag, size: 1, lastModified: "2026-01-01T12:00:00Z" },
});
const DAY = 86_400_000;
const judged = { fingerprint: "f", content: "c", history: "h", at: 10 * DAY };
const run = (commandId: string) => ({ commandId, startedAt: "2026-01-01T12:00:00Z" });

describe("what a host remembers", () => {
  it("is nothing at first", () => {
    expect([state.judged(0), state.seen(), state.known, state.before, state.number]).toEqual([
      ...[undefined, undefined, undefined, undefined, 0],
    ]);
    expect(state.interrupted()).toEqual([]);
  });

  it("of a judgement holds for a day, by whatever the clock says", () => {
    state.judge(judged);
    const at = (time: number) => state.judged(time) !== undefined;
    expect([at(judged.at), at(judged.at + DAY - 1)]).toEqual([true, true]);
    expect([at(judged.at + DAY), at(judged.at - 1)]).toEqual([false, false]);
  });

  it("of a judgement does not hold once a run has begun and not ended", () => {
    state.judge(judged);
    state.begin(run("c-1"));
    expect(state.judged(judged.at)).toBeUndefined();
    state.end();
    expect(state.judged(judged.at)).toEqual(judged);
  });

  it("of runs that were killed are the last twenty, in order", () => {
    for (let index = 0; index < 30; index++) state.begin(run(`c-${index}`));
    const ids = state.interrupted().map(({ commandId }) => commandId);
    expect(ids).toEqual(Array.from({ length: 20 }, (_, index) => `c-${index + 10}`));
  });

  it("is kept whole, or not at all, and each bucket's by itself", () => {
    state.see([object("a.sql"), object("b.sql", "null")]);
    state.number = 7;
    expect(state.seen()).toEqual(new Set(["1/a.sql", "null/b.sql"]));
    expect(new State(join(folder, "users")).number).toBe(0);
    expect(readdirSync(folder).sort()).toEqual(["users1.number.json", "users1.seen.json"]);
  });

  it.each(["", "{", "\0\0", "null", "[]", "1", '"x"', '{"parts":1}'])(
    "is nothing where power failed and left %j",
    (text) => {
      for (const name of ["judged", "seen", "known", "before", "begun", "number"]) {
        writeFileSync(join(folder, `users1.${name}.json`), text);
      }
      expect(() => [state.judged(0), state.seen(), state.known, state.before, state.number]).not.toThrow();
      expect([state.known, state.before]).toEqual([undefined, undefined]);
      expect(state.interrupted()).toEqual([]);
    },
  );
});

describe("what a killed run saw of a schema", () => {
  const look = (...kinds: SchemaPart["kind"][]): Look => ({
    ...{ time: "2026-01-01T12:00:00Z", scripts: [] },
    parts: kinds.map((kind) => ({ kind, name: "a", is: "x" })),
  });

  it("is kept", () => {
    for (const seen of [look(), look("table", "schema")]) {
      state.before = seen;
      expect(state.before).toEqual(seen);
    }
  });

  it("is nothing where a former runner did not look at as much: all would be other than it was", () => {
    state.before = look("table", "column");
    expect(state.before).toBeUndefined();
  });
});

describe("a fingerprint", () => {
  const mapping = { schema: "Users", flywayVersion: "11.8.2", flywayConf: "c" };
  const basis = { objects: [object("a.sql"), object("b.sql")], mapping, target: "t", runner: "r" };
  const changes = {
    "another file": { objects: [object("a.sql"), object("c.sql")] },
    "a file less": { objects: [object("a.sql")] },
    "another content": { objects: [object("a.sql"), object("b.sql", "2", "f")] },
    "another mapping": { mapping: { ...mapping, outOfOrder: true } },
    "another target": { target: "t " },
    "another runner": { runner: "s" },
    "names that run into one another": { objects: [object("a.sqle b.sql")] },
  };

  it.each(Object.entries(changes))("is another one for %s", (_, change) => {
    expect(fingerprintOf({ ...basis, ...change })).not.toBe(fingerprintOf(basis));
    expect(contentFingerprintOf({ ...basis, ...change })).not.toBe(contentFingerprintOf(basis));
  });

  it("of the content alone is the same for the same content, uploaded anew", () => {
    const anew = { ...basis, objects: [object("a.sql"), object("b.sql", "2")] };
    expect(contentFingerprintOf(anew)).toBe(contentFingerprintOf(basis));
    expect(fingerprintOf(anew)).not.toBe(fingerprintOf(basis));
  });
});
