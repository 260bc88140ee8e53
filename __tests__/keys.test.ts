import { describe, expect, it } from "vitest";
import { refusedKeys } from "../records/keys";
import { isUpload } from "../records/upload";

const object = (key: string) => ({
  ...{ key, versionId: "1", eTag: "e", size: 1, lastModified: "2026-01-01T12:00:00Z" },
});

describe("a key", () => {
  it.each([
    "a.sql",
    "a/b/c.sql",
    "größe/漢字 🚀/V1__ü.sql",
    "V52__new\nline.sql",
    "-rf",
    "..a/.b/...",
    "~",
    "a".repeat(255),
    `${"ü".repeat(127)}/a.sql`,
  ])("%j is a file's name", (key) => {
    expect(refusedKeys([object(key)])).toEqual([]);
  });

  it.each(["/a.sql", "a//b.sql", "a/", "./a", "a/./b", "..", "a/../../b", "../../etc/cron.d/x.sql"])(
    "%j is refused, for it leads elsewhere",
    (key) => {
      expect(refusedKeys([object("V1.sql"), object(key)])).toEqual([
        {
          key,
          message: expect.stringContaining("no file name, because of an empty part"),
          remedy: "delete it",
        },
      ]);
    },
  );

  it.each(["a\0.sql", "a".repeat(256), `x/${"ü".repeat(128)}`])(
    "%j is refused, for no file may have it",
    (key) => {
      expect(refusedKeys([object(key)])).toMatchObject([
        { key, message: expect.stringContaining("no file name") },
      ]);
    },
  );

  it("below another object's is refused, and that is named", () => {
    expect(refusedKeys([object("V1__a.sql"), object("V1__a.sql/b/V2__b.sql"), object("V1__a.sqlx")])).toEqual(
      [
        {
          key: "V1__a.sql/b/V2__b.sql",
          message: "V1__a.sql is an object too, so it can be no folder",
          remedy: "delete one of them",
        },
      ],
    );
  });

  it.each([
    ["db", "db/V2__b.sql"], // nothing that Flyway reads
    ["beforeMigrate.sql", "afterEachMigrate__x.sql"],
    ["README.md", "V1__a.sql"],
    ["U2users.sql", "UPDATE_1.sql"], // misnamed, which Flyway says
  ])("%j and %j may stand side by side", (...keys) => {
    expect(refusedKeys(keys.filter(isUpload).map((key) => object(key)))).toEqual([]);
  });

  it.each([
    ["V2__b.java", /^only \.sql files are run here$/],
    ["sub/R__x.sh", /^only \.sql files/],
    ["beforeMigrate.sh", /^only \.sql files/],
    ["afterMigrate__x.py", /^only \.sql files/],
    ["flyway.conf", /^Flyway's settings are not read/],
    ["flyway.toml", /^Flyway's settings are not read/],
    ["V1__a.sql.conf", /^Flyway's settings are not read/],
    ["U1__a.sql", /^undo migrations are not run here$/],
    ["U1_a.sql", /^undo migrations/],
    ["U1.sql", /^undo migrations/],
    ["u1.1__a.sql", /^undo migrations/],
    ["afterInfo.sql", /^no run here comes to afterInfo$/],
    ["beforeClean__x.sql", /^no run here comes to beforeClean$/],
    ["afterEachUndo.sql", /^no run here comes to afterEachUndo$/],
  ])("%j gets a word", (key, message) => {
    expect(isUpload(key)).toBe(true);
    expect(refusedKeys([object(key)])).toEqual([
      { key, message: expect.stringMatching(message), remedy: expect.stringContaining("delete") },
    ]);
  });

  it.each(["README.md", "picture.png", "deploy.sh", "before.sh", "V1.java", "notes.conf"])(
    "%j gets none",
    (key) => {
      expect(isUpload(key)).toBe(false);
    },
  );
});
