import { describe, expect, it } from "vitest";
import { parseCredentials } from "../runner/credentials";

const parse = (secret: unknown) =>
  parseCredentials("arn:x", typeof secret === "string" ? secret : JSON.stringify(secret));

describe("a secret", () => {
  it("is read with all that RDS puts beside the two", () => {
    const secret = { username: "admin", password: "p", engine: "mysql", host: "h", port: 3306 };
    expect(parse(secret)).toEqual({ user: "admin", password: "p" });
  });

  it.each(["$", "$$", "{}", "$ {a}", "a${", "'\"\\`$(id)", "ü 漢", "a b", "%", "\t"])(
    "may have %j within its password",
    (within) => {
      expect(parse({ username: "u", password: `a${within}b` }).password).toBe(`a${within}b`);
    },
  );

  it.each(["", "{", "null", "1", '"x"', "[]", "{}"])("that is %s has no username and password", (secret) => {
    expect(() => parse(secret)).toThrow(
      "the secret arn:x has no username and password: it must be JSON with both",
    );
  });

  it.each([
    [{ username: "u" }],
    [{ username: "u", password: "" }],
    [{ username: "u", password: 1 }],
    [{ username: null, password: "p" }],
  ])("%j lacks one of the two", (secret) => {
    expect(() => parse(secret)).toThrow("has no username and password");
  });

  it.each(["${a}", "x${a.b}y", "${}", "a${b\nc}"])("is refused where Flyway would resolve %j", (password) => {
    expect(() => parse({ username: "u", password })).toThrow(
      "which Flyway would take for a placeholder: change",
    );
  });

  it.each([" a", "a ", "a\n"])("is refused where Flyway would cut %j", (password) => {
    expect(() => parse({ username: "u", password })).toThrow(
      "which Flyway would take away: change the password",
    );
  });

  it("is not in what is said against it", () => {
    for (const password of ["${hidden}", " hidden", 17]) {
      expect(() => parse({ username: "u", password })).toThrow(/^(?!.*hidden)/);
    }
  });
});
