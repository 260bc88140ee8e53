import { describe, expect, it } from "vitest";
import {
  describeWork,
  holderLines,
  type LockHolder,
  shownForeignStatement,
  shownStatement,
} from "../records/work";
import { Marks } from "../runner/work";

const holder: LockHolder = {
  ...{ connection: 7, user: "app", host: "10.0.0.5:40312" },
  ...{ idleSeconds: 320, transactionSeconds: 340, statement: "UPDATE a\n  SET x = 1", isCertain: true },
};

describe("what is said of a statement under way", () => {
  const statement = { text: "ALTER TABLE a\n  ADD x int", seconds: 12, state: "altering table", percent: 45 };
  const working = { statement, isWaiting: false, holders: [] };

  it.each([
    ["how far it is", working, "working for 12 s (altering table, 45 %): ALTER TABLE a ADD x int"],
    [
      "nothing of that where the server does not tell",
      { ...working, statement: { ...statement, percent: null } },
      "working for 12 s (altering table): ALTER TABLE a ADD x int",
    ],
    [
      "whose lock it waits for",
      { ...working, isWaiting: true, holders: [holder] },
      "waiting for 12 s (altering table, 45 %): ALTER TABLE a ADD x int\n" +
        "The lock is held by connection 7 of app@10.0.0.5:40312, idle for 320 s, in a transaction for 340 s, its last statement: UPDATE a SET x = 1",
    ],
    ["that there is none", { ...working, statement: null }, "between two statements"],
  ])("is %s", (_, work, line) => {
    expect(describeWork(work)).toBe(line);
  });

  it("has 200 characters of it in its line", () => {
    const long = { ...working, statement: { ...statement, text: `SELECT '${"x".repeat(1_000)}'` } };
    expect(describeWork(long)).toMatch(/: SELECT 'x{192}…$/);
  });
});

describe("who holds a lock", () => {
  it.each<[string, Partial<LockHolder>, RegExp]>([
    [
      "may be one of those whose transactions were open",
      { isCertain: false },
      /^The lock may have been held by/,
    ],
    ["is at work", { idleSeconds: null }, /, at work, in a transaction/],
    ["has no transaction", { transactionSeconds: null }, /idle for 320 s, its last/],
    ["has done what is not known", { statement: null }, /, its statement is not known$/],
  ])("%s", (_, change, line) => {
    expect(holderLines([{ ...holder, ...change }], "was")).toEqual([expect.stringMatching(line)]);
  });

  it("is said not to be known", () => {
    expect(holderLines([])).toEqual(["By whom the lock is held is not known."]);
  });
});

describe("a statement that is shown", () => {
  it.each([
    ["CREATE USER a IDENTIFIED BY 'secret'", "CREATE USER a IDENTIFIED …"],
    ["ALTER USER a identified with p as 'secret'", "ALTER USER a identified …"],
    ["SET PASSWORD = 'secret'", "SET PASSWORD …"],
    ["CHANGE MASTER TO MASTER_PASSWORD='secret'", "CHANGE MASTER TO MASTER_PASSWORD …"],
    ["SELECT password_hash FROM a", "SELECT password_hash …"],
    ["INSERT INTO c VALUES ('smtp_password', 'secret')", "INSERT INTO c VALUES ('…' …"],
    ["SELECT identified_at, x FROM a", "SELECT identified_at, x FROM a"],
    ["UPDATE a SET x = 'secret', pwd = x", "UPDATE a SET x = '…', pwd …"],
  ])("ends before a password: %s", (sql, shown) => {
    expect(shownStatement(sql)).toBe(shown);
  });

  it("is without its values where it is of others", () => {
    expect(
      shownForeignStatement(
        `INSERT INTO t1 VALUES (17, 'it''s \\' hers', "x", -1.5e3, 0xff); CALL p('h', 3306, 'secret`,
      ),
    ).toBe("INSERT INTO t1 VALUES (?, ?, ?, -?, ?); CALL p(?, ?, ?");
  });

  it("has its first 2,000 characters", () => {
    expect(shownStatement("x".repeat(3_000))).toHaveLength(2_000);
  });
});

describe("the marks of Flyway's connections", () => {
  const locks = (marks: Marks) =>
    [...marks.taking.matchAll(/GET_LOCK\('([^']*)', 0\)/g)].map(([, name]) => name);

  it("are named locks of at most 64 characters, which MySQL takes, each another", () => {
    const names = locks(new Marks("b".repeat(63), "c".repeat(36)));
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name?.length).toBeLessThanOrEqual(64);
  });

  it("are others for another bucket of the same command, or another command", () => {
    const all = [new Marks("a", "c"), new Marks("b", "c"), new Marks("a", "d")].flatMap(locks);
    expect(new Set(all).size).toBe(12);
  });

  it("have nothing of what is put into them", () => {
    expect(new Marks("a'); DROP TABLE x; --", "c").taking).not.toContain("DROP");
  });
});
