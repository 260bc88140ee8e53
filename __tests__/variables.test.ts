import { describe, expect, it } from "vitest";
import { DEFAULT_FLYWAY_VERSION, type VariablesProps } from "../constructs/variables";
import { PATTERNS } from "../lambda/mapping";
import { synthesize } from "./support/synthesis";

interface Validation {
  readonly condition: string;
  readonly error_message: string;
}

/** The error messages of the emitted rules that refuse a variable's value, as Terraform would print them. */
async function refusals(variable: string, value: unknown): Promise<string[]> {
  const vars = { [variable]: value };
  return (await rules(variable))
    .filter(({ condition }) => evaluate(condition, vars) !== true)
    .map(({ error_message }) => String(evaluate(error_message, vars)));
}

/** A variable's validations, and the preconditions that resources have for it alone. */
async function rules(variable: string): Promise<Validation[]> {
  const { at, addresses } = await synthesize();
  const { validation = [] } = at(`var.${variable}`) as { validation?: Validation[] };
  const preconditions = addresses
    .map((address) => at(address).lifecycle as { precondition?: Validation[] } | undefined)
    .flatMap((lifecycle) => lifecycle?.precondition ?? [])
    .filter(({ condition }) => {
      const references = condition.match(/\b(var|local)\.\w+/g) ?? [];
      return references.length > 0 && references.every((reference) => reference === `var.${variable}`);
    });
  return [...validation, ...preconditions];
}

/**
 * Evaluates a Terraform template: for as much of the language as the validations are written in, by
 * translating it to JavaScript. A template that is one expression keeps that expression's type.
 */
function evaluate(template: string, vars: Record<string, unknown>): unknown {
  const names = Object.keys(FUNCTIONS);
  const parts = split(template).map(({ text, isExpression }) =>
    isExpression
      ? new Function("vars", ...names, `return (${toJavaScript(text)});`)(vars, ...Object.values(FUNCTIONS))
      : text,
  );
  return parts.length === 1 ? parts[0] : parts.join("");
}

/** A template's texts and expressions. A brace within an expression is taken for one only outside strings. */
function split(template: string): { text: string; isExpression: boolean }[] {
  const parts: { text: string; isExpression: boolean }[] = [];
  let rest = template;
  while (rest !== "") {
    const [expression] = /^\$\{(?:"(?:[^"\\]|\\.)*"|[^"{}])*\}/.exec(rest) ?? [];
    const text = expression ?? rest.slice(0, rest.indexOf("${") === -1 ? undefined : rest.indexOf("${"));
    if (text === "") throw new Error(`Not understood: ${rest}`);
    parts.push(expression ? { text: text.slice(2, -1), isExpression: true } : { text, isExpression: false });
    rest = rest.slice(text.length);
  }
  return parts;
}

/** `[for d in L : E if C]` becomes `each(L, (d) => E, (d) => C)`; strings, operators and calls are alike. */
function toJavaScript(expression: string): string {
  const loops: string[] = [];
  return expression
    .split(/("(?:[^"\\]|\\.)*")/)
    .map((part, index) =>
      index % 2 === 1
        ? part
        : part.replace(/\[for ([\w, ]+) in ([\w.]+) : | if |\]|\bcan\(|\bvar\./g, (found, names, list) => {
            if (found === "can(") return "can(() => ";
            if (found === "var.") return "vars.";
            if (found === " if ") return `, (${loops.at(-1)}) => `;
            if (found === "]") return loops.pop() === undefined ? "]" : ")";
            loops.push(names);
            return `each(${list.replace("var.", "vars.")}, (${names}) => `;
          }),
    )
    .join("");
}

type Callback = (...names: unknown[]) => unknown;

/** Terraform's functions. Its regular expressions are RE2's, of which only `[:space:]` is not JavaScript's too. */
const FUNCTIONS = {
  alltrue: (list: boolean[]) => list.every(Boolean),
  anytrue: (list: boolean[]) => list.some(Boolean),
  can: (attempt: () => unknown) => {
    try {
      attempt();
      return true;
    } catch {
      return false;
    }
  },
  distinct: (list: unknown[]) => [...new Set(list)],
  each: (of: object, element: Callback, condition: Callback = () => true) =>
    (Array.isArray(of) ? of.map((value) => [value]) : Object.entries(of))
      .filter((names) => condition(...names))
      .map((names) => element(...names)),
  floor: Math.floor,
  format: (form: string, value: string) => form.replace("%q", () => JSON.stringify(value)),
  join: (separator: string, list: unknown[]) => list.join(separator),
  length: (list: unknown[]) => list.length,
  lower: (text: string) => text.toLowerCase(),
  regex: (pattern: string, text: string) => {
    const found = new RegExp(pattern.replaceAll("[:space:]", "\\s")).exec(text);
    if (found === null) throw new Error("no match");
    return found[0];
  },
  replace: (text: string, from: string, to: string) => text.replaceAll(from, to),
};

const SHELL = ["'; rm -rf /", "a\nb", "a\n", "$(id)", "`id`", "{{ x }}", "a'b", 'a"b', "", " ", "a b", "a;b"];

describe("variables.tf", () => {
  it.each([
    ["master_password", "string", null],
    ["master_username", "string", "admin"],
    ["flyway_managed_databases", "list(string)", ["Users", "Products"]],
    ["flyway_version", "string", "11.8.2"],
    ["flyway_conf", "string", "test_flyway.conf"],
    ["flyway_archives", "map(object({ url = string, sha256 = string }))", {}],
    ["flyway_settle_seconds", "number", 2],
    ["flyway_record_days", "number", 90],
    ["reconcile_minutes", "number", 15],
    ["notification_emails", "list(string)", []],
    ["upload_alarm_minutes", "number", 60],
    ["lambda_runtime", "string", "nodejs24.x"],
    ["master_password_version", "number", 1],
  ])("has %s, a %s", async (name, type, value) => {
    const { at } = await synthesize();
    expect(at(`var.${name}`)).toMatchObject({
      type,
      default: value,
      description: expect.stringMatching(/\.$/),
    });
  });

  it("hides the contract's two sensitive variables, and no other", async () => {
    const { at, addresses } = await synthesize();
    expect(addresses.filter((address) => at(address).sensitive === true)).toEqual([
      "var.master_password",
      "var.master_username",
    ]);
  });

  it("lets only the password be null", async () => {
    const { at, addresses } = await synthesize();
    const nullable = addresses.filter(
      (address) => address.startsWith("var.") && at(address).nullable !== false,
    );
    expect(nullable).toEqual(["var.master_password"]);
  });

  it("has no password in it: no default, and none that is generated", async () => {
    const { json, at } = await synthesize();
    expect(at("var.master_password").default).toBeNull();
    expect(json).not.toMatch(/"(master_)?password": "(?!\$\{)/);
    expect(json).not.toContain("random_password");
  });

  it("has defaults that its own rules accept", async () => {
    const { at, addresses } = await synthesize();
    let checked = 0;
    for (const address of addresses.filter((address) => address.startsWith("var."))) {
      const variable = address.slice("var.".length);
      expect(await refusals(variable, at(address).default)).toEqual([]);
      checked += (await rules(variable)).length;
    }
    expect(checked).toBeGreaterThanOrEqual(11);
  });
});

describe("flyway_managed_databases", () => {
  it.each<[string, string[]]>([
    ["the article's", ["Users", "Products"]],
    ["one", ["a"]],
    ["digits, - and _", ["2nd_shop-orders"]],
    ["37 characters, what a bucket's name has room for", ["a".repeat(37)]],
    ["names that only begin or end alike", ["users", "users1", "my-users"]],
    ["names that hold a reserved one", ["mysql2", "system", "my-sthree-"]],
  ])("takes %s", async (_, databases) => {
    expect(await refusals("flyway_managed_databases", databases)).toEqual([]);
  });

  it("refuses an empty list", async () => {
    expect(await refusals("flyway_managed_databases", [])).toEqual([
      'flyway_managed_databases is empty: name at least one database, as in ["Users"].',
    ]);
  });

  it.each([...SHELL, "-users", "_users", "a".repeat(38), "Üser", "a.b", "a/b", "a`b", "$" + "{x}", "%{x}"])(
    "refuses the name %j",
    async (name) => {
      const [message] = await refusals("flyway_managed_databases", ["Users", name]);
      expect(message).toBe(
        `${JSON.stringify(name)}: no valid database. A name is a schema and a bucket prefix: 1 to 37 letters, digits, - and _, beginning with a letter or digit.`,
      );
    },
  );

  it.each([
    "mysql",
    "MySQL",
    "sys",
    "information_schema",
    "performance_schema",
    "xn--a",
    "sthree-a",
    "amzn-s3-demo-a",
  ])("refuses %j, which is MySQL's or S3's", async (name) => {
    expect(await refusals("flyway_managed_databases", ["Users", name])).toEqual([
      `${JSON.stringify(name)}: the name belongs to MySQL or S3. Choose another for the database.`,
    ]);
  });

  it.each([
    ["case", ["Users", "Products", "USERS"], '"Users", "USERS"'],
    ["_ for -", ["my_shop", "my-shop"], '"my_shop", "my-shop"'],
    ["nothing", ["Users", "Users"], '"Users", "Users"'],
  ])(
    "refuses two databases that differ by %s and would share a bucket prefix",
    async (_, names, offenders) => {
      expect(await refusals("flyway_managed_databases", names)).toEqual([
        `${offenders}: the lower-cased names make one bucket prefix (_ counts as -). Rename or remove all but one of them.`,
      ]);
    },
  );

  it("leaves room in a bucket's name for the 26 characters that Terraform appends", async () => {
    const longest = `${"a".repeat(37)}${"0".repeat(26)}`;
    expect(longest).toMatch(new RegExp(PATTERNS.bucket));
    expect(`${longest}0`).not.toMatch(new RegExp(PATTERNS.bucket));
  });

  it("takes no name that is no valid schema", () => {
    expect("a".repeat(37)).toMatch(new RegExp(PATTERNS.schema));
    expect("2nd_shop-orders").toMatch(new RegExp(PATTERNS.schema));
  });
});

describe("flyway_version", () => {
  it.each(["11.8.2", "7.15.0", "12.0", "6.5.7", "100.200.300"])("takes %s", async (version) => {
    expect(await refusals("flyway_version", version)).toEqual([]);
  });

  it.each([...SHELL, "11", "v11.8.2", "11.8.2-beta", "11.8.2.1", "11x8x2", "latest", "1111.1", "../11.8.2"])(
    "refuses %j",
    async (version) => {
      expect(await refusals("flyway_version", version)).toEqual([
        `flyway_version ${JSON.stringify(version)} is no Flyway version: use one such as 11.8.2.`,
      ]);
    },
  );
});

describe("flyway_conf", () => {
  it.each(["test_flyway.conf", "prod", "a".repeat(100), "1-2_3.4"])("takes %s", async (conf) => {
    expect(await refusals("flyway_conf", conf)).toEqual([]);
  });

  it.each([...SHELL, "a".repeat(101), "../x", "a/b", ".conf", "-x"])("refuses %j", async (conf) => {
    expect(await refusals("flyway_conf", conf)).toEqual([
      `flyway_conf ${JSON.stringify(conf)} is no valid name: use 1 to 100 letters, digits, . _ and -, beginning with a letter or digit.`,
    ]);
  });
});

describe("master_password", () => {
  it("has no validation: Terraform prints the values that one refuses, sensitive or not", async () => {
    const { at, addresses } = await synthesize();
    const validated = addresses.filter((address) => at(address).sensitive && at(address).validation);
    expect(validated).toEqual([]);
  });

  it("has a rule nevertheless", async () => {
    expect(await rules("master_password")).toHaveLength(1);
  });

  it("may be left unset", async () => {
    expect(await refusals("master_password", null)).toEqual([]);
  });

  it.each(["12345678", "a".repeat(41), "with space", "!#$%&'()*+,-.:;<=>?[\\]^_`{|}~"])(
    "takes %j",
    async (password) => {
      expect(await refusals("master_password", password)).toEqual([]);
    },
  );

  it.each([
    "",
    "1234567",
    "a".repeat(42),
    "has/slash",
    'has"quote',
    "has@sign",
    "has\nline",
    "hasümlaut",
    "has\ttab",
  ])("refuses %j, without repeating it", async (password) => {
    expect(await refusals("master_password", password)).toEqual([
      'RDS would reject this master_password: use 8 to 41 printable ASCII characters without /, " and @, or leave it unset and RDS makes one.',
    ]);
  });

  it("is accepted or refused as RDS does, for every printable character", async () => {
    for (let code = 32; code < 127; code++) {
      const character = String.fromCharCode(code);
      const refused = (await refusals("master_password", character.repeat(8))).length > 0;
      expect([character, refused]).toEqual([character, '/"@'.includes(character)]);
    }
  });
});

describe("master_password_version", () => {
  it.each([1, 2, 1000])("takes %d", async (version) => {
    expect(await refusals("master_password_version", version)).toEqual([]);
  });

  it.each([0, -1, 1.5])("refuses %d", async (version) => {
    expect(await refusals("master_password_version", version)).toEqual([
      `master_password_version is ${version}: use a whole number from 1.`,
    ]);
  });
});

describe.each([
  ["flyway_settle_seconds", 0, 300],
  ["flyway_record_days", 0, 3_650],
  ["reconcile_minutes", 0, 720],
  ["upload_alarm_minutes", 1, 1_440],
])("%s", (variable, from, to) => {
  it.each([from, to - 1, to])("takes %d", async (value) => {
    expect(await refusals(variable, value)).toEqual([]);
  });

  it.each([from - 1, to + 1, to - 0.5])("refuses %d", async (value) => {
    expect(await refusals(variable, value)).toEqual([
      `${variable} is ${value}: use a whole number from ${from} to ${to}.`,
    ]);
  });
});

describe("flyway_record_days", () => {
  it.each([1, 6])("refuses %d, which loses verdicts", async (days) => {
    expect(await refusals("flyway_record_days", days)).toEqual([
      `flyway_record_days is ${days}: verdicts would be lost. Use 7 or more, or 0 to keep all.`,
    ]);
  });

  it("takes 7", async () => {
    expect(await refusals("flyway_record_days", 7)).toEqual([]);
  });
});

describe("notification_emails", () => {
  it.each([[[]], [["team@example.com", "first.last+flyway@mail.example-1.co.uk"]]])(
    "takes %j",
    async (emails) => {
      expect(await refusals("notification_emails", emails)).toEqual([]);
    },
  );

  it.each([
    "team",
    "team@example",
    "@example.com",
    "a b@example.com",
    "a@b@example.com",
    "a@example.com\n",
    "",
  ])("refuses %j, and names no other", async (email) => {
    expect(await refusals("notification_emails", ["team@example.com", email])).toEqual([
      `${JSON.stringify(email)} is no e-mail address: use one such as team@example.com.`,
    ]);
  });
});

describe("lambda_runtime", () => {
  it.each(["nodejs22.x", "nodejs24.x", "nodejs26.x", "nodejs30.x"])("takes %s", async (runtime) => {
    expect(await refusals("lambda_runtime", runtime)).toEqual([]);
  });

  it.each(["python3.9", "nodejs20.x", "nodejs18.x", "nodejs24", "nodejs24yx", "nodejs240.x", ""])(
    "refuses %j",
    async (runtime) => {
      expect(await refusals("lambda_runtime", runtime)).toEqual([
        `lambda_runtime ${JSON.stringify(runtime)} cannot run the function: use nodejs22.x or later.`,
      ]);
    },
  );
});

describe("flyway_archives", () => {
  const sha256 = "0123456789abcdef".repeat(4);

  it.each([
    ["none", {}],
    ["https", { "12.0.0": { url: "https://mirror.example/flyway.tar.gz", sha256 } }],
  ])("takes %s", async (_, archives) => {
    expect(await refusals("flyway_archives", archives)).toEqual([]);
  });

  it.each([
    ["http", "http://mirror.example/flyway.tar.gz", sha256],
    ["a file", "file:///flyway.tar.gz", sha256],
    ["no host", "https://", sha256],
    ["a space", "https://mirror.example/fly way.tar.gz", sha256],
    ["a second line", "https://mirror.example/a\nb", sha256],
    ["an upper-case SHA-256", "https://mirror.example/a", sha256.toUpperCase()],
    ["a short SHA-256", "https://mirror.example/a", sha256.slice(1)],
    ["a long SHA-256", "https://mirror.example/a", `${sha256}0`],
  ])("refuses %s, naming the version", async (_, url, sum) => {
    const good = { url: "https://mirror.example/b", sha256 };
    expect(await refusals("flyway_archives", { "12.0.0": { url, sha256: sum }, "12.1.0": good })).toEqual([
      'flyway_archives "12.0.0": url must begin with https://, and sha256 be 64 lower-case hex digits.',
    ]);
  });
});

describe("defaults set in TypeScript", () => {
  it("are the variables' defaults", async () => {
    const { at } = await synthesize({
      flywayManagedDatabases: ["Orders"],
      flywayVersion: "10.22.0",
      flywayConf: "prod.conf",
    });
    expect(at("var.flyway_managed_databases").default).toEqual(["Orders"]);
    expect(at("var.flyway_version").default).toBe("10.22.0");
    expect(at("var.flyway_conf").default).toBe("prod.conf");
  });

  it("change nothing but those", async () => {
    const [one, other] = await Promise.all([
      synthesize(),
      synthesize({ flywayManagedDatabases: ["Orders"] }),
    ]);
    const changed = one.addresses.filter(
      (address) => JSON.stringify(one.at(address)) !== JSON.stringify(other.at(address)),
    );
    expect(changed).toEqual(["var.flyway_managed_databases"]);
    expect(other.addresses).toEqual(one.addresses);
  });

  it("have the newest release that could be checked as the version", async () => {
    expect((await synthesize()).at("var.flyway_version").default).toBe(DEFAULT_FLYWAY_VERSION);
  });

  it.each<[string, VariablesProps, RegExp]>([
    ["no database", { flywayManagedDatabases: [] }, /is empty: name at least one database/],
    ["a bad name", { flywayManagedDatabases: ["Users", "a b"] }, /^"a b": no valid database\. A name is/],
    ["a name too long", { flywayManagedDatabases: ["a".repeat(38)] }, /^"a{38}": .*1 to 37 letters/],
    ["all bad names at once", { flywayManagedDatabases: ["a b", "", "c"] }, /^"a b", "": no valid database/],
    [
      "a name of MySQL's",
      { flywayManagedDatabases: ["Sys"] },
      /^"Sys": the name belongs to MySQL or S3\. Choose/,
    ],
    [
      "two databases that lower-case to one bucket prefix",
      { flywayManagedDatabases: ["Users", "users", "Products"] },
      /^"Users", "users": the lower-cased names make one bucket prefix .* Rename or remove/,
    ],
    [
      "two databases that - and _ tell apart",
      { flywayManagedDatabases: ["a_b", "A-B"] },
      /^"a_b", "A-B": the lower-cased names make one/,
    ],
    [
      "a bad version",
      { flywayVersion: "latest" },
      /^"latest" is no Flyway version: use one such as 11\.8\.2/,
    ],
    ["a version with a line end", { flywayVersion: "11.8.2\n" }, /^"11\.8\.2\\n" is no Flyway version/],
    ["a bad configuration name", { flywayConf: "../x" }, /^"\.\.\/x" is no valid name: use 1 to 100 letters/],
  ])("refuses %s, with the value and the remedy", async (_, defaults, message) => {
    await expect(synthesize(defaults)).rejects.toThrow(message);
  });
});
