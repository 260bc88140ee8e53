import { describe, expect, it } from "vitest";
import { MappingError, mappingName, PATTERNS, parseMapping } from "../deployment/mapping";

const bucket = "users20260101000000000000000001";
const name = mappingName("/flyway", bucket);
const good = { schema: "Users", flywayVersion: "11.8.2", flywayConf: "test_flyway.conf" };
const parse = (mapping: unknown) => parseMapping(name, JSON.stringify(mapping));

describe("a mapping", () => {
  it("is the parameter /flyway/s3-mapping/<bucket>", () => {
    expect(name).toBe(`/flyway/s3-mapping/${bucket}`);
  });

  it("of a stage is below the stage's parameters", () => {
    expect(mappingName("/flyway-dev", bucket)).toBe(`/flyway-dev/s3-mapping/${bucket}`);
  });

  it("is read from JSON", () => {
    expect(parse(good)).toEqual(good);
  });

  it("is read from what the contract's Terraform wrote, 7.15.0 and all", () => {
    const value = '{"flywayConf":"test_flyway.conf","flywayVersion":"7.15.0","schema":"Users"}';
    expect(parseMapping(name, value)).toEqual({ ...good, flywayVersion: "7.15.0" });
  });

  it("may have times in seconds, and refuses what is none", () => {
    expect(parse({ ...good, lockWaitTimeout: 60, migrationTimeout: 600 })).toMatchObject({
      ...{ lockWaitTimeout: 60, migrationTimeout: 600 },
    });
    for (const time of [0, -1, 1.5, "x", {}, 10_000_000]) {
      expect(() => parse({ ...good, lockWaitTimeout: time })).toThrow('has no valid "lockWaitTimeout"');
    }
  });

  it("may say how placeholders and files are written, and refuses what says nothing", () => {
    const said = {
      ...{
        outOfOrder: false,
        placeholderReplacement: false,
        placeholderPrefix: "#{",
        placeholderSuffix: "}}",
      },
      ...{ encoding: "ISO-8859-1", baselineVersion: "1" },
    };
    expect(parse({ ...good, ...said })).toEqual({ ...good, ...said });
    expect(parse({ ...good, encoding: null, placeholderReplacement: null })).toEqual(good);
    for (const [member, value] of [
      ["outOfOrder", "true"],
      ["placeholderReplacement", 0],
      ["placeholderPrefix", ""],
      ["placeholderSuffix", "a b"],
      ["encoding", "latin1"],
      ["encoding", "utf-8"],
    ] as const) {
      expect(() => parse({ ...good, [member]: value })).toThrow(`has no valid "${member}"`);
    }
  });

  it("may have more fields than are read", () => {
    expect(parse({ ...good, later: 1 })).toEqual(good);
  });

  it.each([
    ["nothing", "", "is not JSON"],
    ["a torn value", '{"schema":"Users"', "is not JSON"],
    ["a list as StringList would have it", "Users,11.8.2,test_flyway.conf", "is not JSON"],
    ["null", "null", "is not a JSON object"],
    ["a string", '"Users"', "is not a JSON object"],
    ["a number", "1", "is not a JSON object"],
    ["an array", '["Users"]', 'has no valid "schema"'],
    ["an empty object", "{}", 'has no valid "schema"'],
  ])("that is %s is refused, with parameter and remedy", (_, value, what) => {
    const refuse = () => parseMapping(name, value);
    expect(refuse).toThrow(MappingError);
    expect(refuse).toThrow(`Parameter /flyway/s3-mapping/${bucket} ${what}`);
    expect(refuse).toThrow(
      "It is written by aws_ssm_parameter.s3_mapping: apply the Terraform configuration again.",
    );
  });

  it.each(["schema", "flywayVersion", "flywayConf"] as const)("that lacks %s is refused", (field) => {
    const { [field]: _, ...rest } = good;
    expect(() => parse(rest)).toThrow(
      new MappingError(
        `Parameter /flyway/s3-mapping/${bucket} has no valid "${field}": undefined does not match ${PATTERNS[field]}. ` +
          "It is written by aws_ssm_parameter.s3_mapping: apply the Terraform configuration again.",
      ),
    );
  });

  describe.each(["schema", "flywayVersion", "flywayConf"] as const)("whose %s", (field) => {
    it.each([
      ["a command", "'; rm -rf / #"],
      ["a substitution", "$(id)"],
      ["backticks", "`id`"],
      ["a placeholder of Systems Manager's", "{{ ssm:x }}"],
      ["a line end behind it", `${good[field]}\n`],
      ["a second line", `${good[field]}\nid`],
      ["a space", `${good[field]} x`],
      ["a slash", `${good[field]}/x`],
      ["an option", `-${good[field]}`],
      ["nothing", ""],
    ])("has %s is refused, showing the value and what is allowed", (_, value) => {
      expect(() => parse({ ...good, [field]: value })).toThrow(
        `has no valid "${field}": ${JSON.stringify(value)} does not match ${PATTERNS[field]}`,
      );
    });

    it.each([[null], [1], [true], [{}], [[good[field]]]])("is %j, no string, is refused", (value) => {
      expect(() => parse({ ...good, [field]: value })).toThrow(`has no valid "${field}"`);
    });
  });

  it("names its error, so that a log can be searched for it", () => {
    expect(new MappingError("x").name).toBe("MappingError");
  });
});

describe("the patterns", () => {
  it.each<[keyof typeof PATTERNS, string[], string[]]>([
    [
      "bucket",
      ["users1", "abc", "my.bucket-1", "a".repeat(63)],
      ["ab", "Users", "a".repeat(64), "-ab", "ab-", ".ab", "a_b"],
    ],
    ["schema", ["Users", "a", "2nd", "a_b-c", "a".repeat(64)], ["a".repeat(65), "_a", "a.b", "Üser"]],
    ["flywayVersion", ["11.8.2", "7.15.0", "12.0"], ["11", "11.", ".11", "11.8.2.1", "v11.8.2", "1000.1"]],
    ["flywayConf", ["test_flyway.conf", "a", "a".repeat(100)], ["a".repeat(101), ".a", "..", "a/b"]],
    ["baselineVersion", ["0", "2.1", "2026_11.3"], ["", "1.", ".1", "v1", "1..2", "1 "]],
    ["seconds", ["1", "300", "9999999"], ["", "0", "01", "-1", "1.5", "1e3", "10000000"]],
    ["placeholder", ["owner", "ab-c_1"], ["", "a.b", "1a", "a b", "a=b", "a".repeat(65)]],
    ["placeholderValue", ["", "a = b, 'c' \"d\" $(e)"], ["a\nb", "\t", "ü", "\u0000"]],
    [
      "placeholderMark",
      ["${", "}", "#{", "@", "<%", "a".repeat(10)],
      ["", " ", "a b", "'", '"', "`", "a".repeat(11), "ä", "\t"],
    ],
    ["encoding", ["UTF-8", "ISO-8859-1", "Shift_JIS", "EUC-KR"], ["", "utf-8", "latin1", "UTF-8\n", "UTF-7"]],
  ])("of a %s takes the good and refuses the bad", (name, taken, refused) => {
    const pattern = new RegExp(PATTERNS[name]);
    expect(taken.filter((value) => !pattern.test(value))).toEqual([]);
    expect(refused.filter((value) => pattern.test(value))).toEqual([]);
  });

  it("use nothing that JavaScript, RE2 and Java read differently", () => {
    for (const pattern of Object.values(PATTERNS)) {
      expect(pattern).toMatch(/^\^.*\$$/);
      expect(pattern).not.toMatch(/\\[a-zA-Z]|\(\?|\[:|\*\?|\+\?|[*+]\+/);
    }
  });
});
