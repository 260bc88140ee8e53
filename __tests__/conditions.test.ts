import { describe, expect, it } from "vitest";
import { expressionOf } from "../constructs/rules";
import { type Condition, holds } from "../deployment/conditions";

const PATTERN = "^[a-z]+\\.$";

describe("a condition", () => {
  it.each<[Condition, string, unknown[], unknown[]]>([
    [
      { matches: PATTERN },
      'can(regex("^[a-z]+\\\\.$", v))',
      ["ab."],
      ["ab", "AB.", "ab.\n", null, undefined],
    ],
    [{ matches: "^a$", lowered: true }, 'can(regex("^a$", lower(v)))', ["a", "A"], ["b", null]],
    [{ matches: "^a$", caseless: true }, 'can(regex("(?i)^a$", v))', ["a", "A"], ["b", null]],
    [{ matches: "^a$", of: "url" }, 'can(regex("^a$", v.url))', [{ url: "a" }], [{ url: "b" }, {}]],
    [{ matches: '^"$' }, 'can(regex("^\\"$", v))', ['"'], ["'"]],
    [{ unset: true }, "v == null", [null, undefined], ["", "a"]],
    [{ unset: true, of: "url" }, "v.url == null", [{}, { url: null }], [{ url: "" }]],
    [
      { is: "a", of: "tls", otherwise: "a" },
      'coalesce(v.tls, "a") == "a"',
      [{ tls: "a" }, {}, { tls: null }],
      [{ tls: "b" }],
    ],
    [
      { every: "keys", of: "map", matches: "^a$" },
      'alltrue([for p in keys(v.map) : can(regex("^a$", p))])',
      [{ map: { a: "b" } }, { map: {} }, {}],
      [{ map: { a: "a", b: "a" } }],
    ],
    [
      { every: "values", of: "map", matches: "^a$" },
      'alltrue([for p in values(v.map) : can(regex("^a$", p))])',
      [{ map: { b: "a" } }],
      [{ map: { a: "a", b: "b" } }],
    ],
    [{ not: { matches: "a" } }, '!can(regex("a", v))', ["b"], ["cab"]],
    [
      { all: [{ matches: "a" }, { not: { matches: "b" } }] },
      'can(regex("a", v)) && !can(regex("b", v))',
      ["a"],
      ["ab", "c"],
    ],
    [
      { any: [{ all: [{ matches: "a" }, { matches: "b" }] }, { unset: true }] },
      '(can(regex("a", v)) && can(regex("b", v))) || v == null',
      ["ab", null],
      ["a", "b"],
    ],
  ])("%j is Terraform's %s, and holds of the same values here", (condition, expression, allowed, refused) => {
    expect(expressionOf(condition, "v")).toBe(expression);
    expect(allowed.filter((value) => !holds(condition, value))).toEqual([]);
    expect(refused.filter((value) => holds(condition, value))).toEqual([]);
  });
});
