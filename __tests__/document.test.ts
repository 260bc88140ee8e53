import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { commandDocument, contentOf, LONGEST_VALUES } from "../constructs/document";
import { commandFor, reconcileCommand } from "../deployment/command";

const RUNNER = { url: "s3://artifacts/runner/x.cjs", sha256: "0".repeat(64) };
const document = commandDocument("/flyway", RUNNER);
const parameters = Object.entries(document.parameters);
const [step] = document.mainSteps;
const SCRIPT = readFileSync(join(__dirname, "..", "assets", "host.sh"), "utf8");
const lines = step.inputs.runCommand;

/** Whether a parameter takes a value. */
function takes(parameter: string, value: string): boolean {
  return new RegExp((document.parameters[parameter] as { allowedPattern: string }).allowedPattern).test(
    value,
  );
}

/** The names in `{{ … }}`. */
function placeholders(text: string): string[] {
  return [...text.matchAll(/\{\{ (\w+) \}\}/g)].map(([, name]) => name as string);
}

describe("the Command document", () => {
  it("is one of schema 2.2 with one shell script", () => {
    expect(document.schemaVersion).toBe("2.2");
    expect(document.mainSteps).toHaveLength(1);
    expect(step.action).toBe("aws:runShellScript");
  });

  it("has exactly these parameters", () => {
    expect(Object.keys(document.parameters)).toEqual([
      "Bucket",
      "Operation",
      "SettleSeconds",
      "ExpiresAt",
      "executionTimeout",
    ]);
  });

  it("has a default for what a person who sends it need not know", () => {
    const defaults = parameters.flatMap(([name, parameter]) =>
      "default" in parameter ? [[name, parameter.default]] : [],
    );
    expect(defaults).toEqual([
      ["Operation", "migrate"],
      ["SettleSeconds", "2"],
      ["ExpiresAt", "0"],
      ["executionTimeout", "36000"],
    ]);
  });

  it("has defaults that their patterns take", () => {
    for (const [name, parameter] of parameters) {
      if ("default" in parameter)
        expect([name, takes(name, parameter.default as string)]).toEqual([name, true]);
    }
  });

  it("takes what the function sends, and has a default for what it does not send", () => {
    const environment = {
      instanceId: "i",
      documentName: "d",
      logGroupName: "l",
      parameters: "/flyway",
      settleSeconds: "300",
      topicArn: "t",
      reconcileMinutes: 15,
      metricsNamespace: "n",
    };
    const values = {
      ...commandFor("users20260101000000000000000001", environment).Parameters,
      ...reconcileCommand(environment, Date.now()).Parameters,
    };
    const needed = parameters.filter(([, parameter]) => !("default" in parameter)).map(([name]) => name);
    expect(Object.keys(values)).toEqual(expect.arrayContaining(needed));
    for (const [name, [value]] of Object.entries(values)) {
      expect([name, name in document.parameters && takes(name, value as string)]).toEqual([name, true]);
    }
  });

  it("takes for a bucket what the function does, and * for all of them, but no * within", () => {
    const buckets = ["*", "users1", "a.b-c", "x", "Users", "users*", "**", "-users", "users-"];
    expect(buckets.filter((bucket) => takes("Bucket", bucket))).toEqual(["*", "users1", "a.b-c"]);
  });

  it("takes a repair, a baseline or a validation, and no other operation", () => {
    const operations = ["migrate", "repair", "baseline", "validate", "clean", "undo", "Repair", "repair "];
    expect(operations.filter((each) => takes("Operation", each))).toEqual([
      "migrate",
      "repair",
      "baseline",
      "validate",
    ]);
  });

  it("tells the host where its program is, and what it must be", () => {
    expect(lines).toContain(`export RUNNER_URL='${RUNNER.url}' RUNNER_SHA256='${RUNNER.sha256}'`);
  });

  it("tells the host where the deployment's parameters are", () => {
    const { runCommand } = commandDocument("/flyway-dev", RUNNER).mainSteps[0].inputs;
    expect(runCommand.filter((line) => line.includes("PARAMETERS='/flyway-dev'"))).toHaveLength(1);
    expect(runCommand.join("\n")).not.toMatch(/["' ]\/flyway\//);
  });

  it("is given to Systems Manager as it is", () => {
    expect(JSON.parse(contentOf(document))).toEqual(document);
  });

  it("is refused where it is larger than 64 KB with the longest of its parameters, and not a byte before", () => {
    const values = Object.fromEntries(Object.entries(LONGEST_VALUES).map(([name, value]) => [name, [value]]));
    const room = 65_536 - Buffer.byteLength(contentOf(document)) - Buffer.byteLength(JSON.stringify(values));
    const longer = (by: number) => ({ ...document, description: document.description + "é".repeat(by / 2) });
    const even = room - (room % 2);
    expect(() => contentOf(longer(even))).not.toThrow();
    expect(() => contentOf(longer(even + 2))).toThrow(/65\d\d\d bytes .*Systems Manager takes 65536/);
  });

  it("holds the whole script", () => {
    expect(lines.join("\n").endsWith(SCRIPT.trimEnd())).toBe(true);
  });
});

describe.each(parameters)("the parameter %s", (name, parameter) => {
  it("is typed and described", () => {
    expect(parameter).toMatchObject({ type: "String", description: expect.stringMatching(/\w/) });
  });

  it("has a pattern that is anchored at both ends, as a whole", () => {
    expect(parameter.allowedPattern).toMatch(/^\^.*\$$/);
    // An alternative outside brackets would have but one of the anchors.
    let depth = 0;
    for (const character of parameter.allowedPattern.replace(/\\.|\[[^\]]*\]/g, "")) {
      if (character === "(") depth++;
      if (character === ")") depth--;
      expect([character, depth]).not.toEqual(["|", 0]);
    }
  });

  const good = parameter.default ?? "users1";

  it(`takes ${good}`, () => {
    expect(takes(name, good)).toBe(true);
  });

  it.each([
    "'; rm -rf /",
    "\n",
    "$(id)",
    "`id`",
    "${IFS}",
    "{{ x }}",
    "{{ ssm:secret }}",
    "'",
    '"',
    "\\",
    ";id",
    "&id",
    "|id",
    ">f",
    "?",
    "é",
    "\u0000",
    " ",
  ])("refuses %j, alone, before, behind and within a good value", (bad) => {
    const values = [bad, bad + good, good + bad, `${good}${bad}${good}`];
    expect(values.filter((value) => takes(name, value))).toEqual([]);
  });

  it("refuses an empty value", () => {
    expect(takes(name, "")).toBe(false);
  });

  it("takes no value that is longer than the longest", () => {
    const longest = LONGEST_VALUES[name] as string;
    expect(takes(name, longest)).toBe(true);
    const longer = [...longest, "0", "a", "9"].flatMap((character) => [
      character + longest,
      longest + character,
    ]);
    expect(longer.filter((value) => takes(name, value))).toEqual([]);
  });

  it("refuses a value that would be an option", () => {
    expect(takes(name, "-x")).toBe(false);
    expect(takes(name, "--help")).toBe(false);
  });

  it("refuses a path out of its folder", () => {
    expect(["..", "../x", "x/../y", "/x"].filter((value) => takes(name, value))).toEqual([]);
  });
});

describe("the parameter executionTimeout", () => {
  it.each(["60", "36000", "86400", "172800"])("takes %s", (seconds) => {
    expect(takes("executionTimeout", seconds)).toBe(true);
  });

  // The agent does not refuse more: it takes its own default, one hour, instead.
  it.each(["0", "4", "172801", "172900", "180000", "200000", "999999", "1728000"])(
    "refuses %s",
    (seconds) => {
      expect(takes("executionTimeout", seconds)).toBe(false);
    },
  );

  it("limits the step", () => {
    expect(step.inputs.timeoutSeconds).toBe("{{ executionTimeout }}");
  });
});

describe("the document's placeholders", () => {
  const used = placeholders(JSON.stringify(document.mainSteps));

  it("are declared parameters", () => {
    expect(used.filter((name) => !(name in document.parameters))).toEqual([]);
  });

  it("use every declared parameter", () => {
    expect(parameters.map(([name]) => name).filter((name) => !used.includes(name))).toEqual([]);
  });

  it("stand in single quotes, where the shell leaves a value alone", () => {
    const quoted = lines.flatMap((line) => [...line.matchAll(/'\{\{ (\w+) \}\}'/g)]);
    expect(quoted).toHaveLength(placeholders(lines.join("\n")).length);
    for (const line of lines.filter((line) => placeholders(line).length > 0)) {
      expect(line).toMatch(/^export( [A-Z_]+='[^']*')+$/);
    }
  });

  it("are all that Systems Manager could take for one", () => {
    expect(JSON.stringify(document).replace(/\{\{ \w+ \}\}/g, "")).not.toContain("{{");
    expect(SCRIPT).not.toContain("{{");
  });
});

describe("the script's environment", () => {
  const code = SCRIPT.replace(/^\s*#.*$/gm, "");
  const head = /^(#.*\n)+/.exec(SCRIPT)?.[0] ?? "";
  const used = new Set([...code.matchAll(/\$\{?([A-Z][A-Z0-9_]+)/g)].map(([, name]) => name as string));
  const assigned = new Set(
    [...code.matchAll(/(?:^|\s)([A-Z][A-Z0-9_]+)=/gm)].map(([, name]) => name as string),
  );
  const exported = lines
    .filter((line) => line.startsWith("export ") && line.includes("='"))
    .flatMap((line) => [...line.matchAll(/([A-Z0-9_]+)='/g)].map(([, name]) => name as string));

  it("is set by the document, or its names are in the script's head", () => {
    expect(used.size).toBeGreaterThan(5);
    const unexplained = [...used].filter(
      (name) =>
        name !== "SECONDS" && // is bash's own
        !assigned.has(name) &&
        !exported.includes(name) &&
        !new RegExp(`\\b${name}\\b`).test(head),
    );
    expect(unexplained).toEqual([]);
  });

  it("has in the script's head what the document sets", () => {
    expect(exported).toEqual([
      "BUCKET",
      "OPERATION",
      "SETTLE_SECONDS",
      "EXPIRES_AT",
      "PARAMETERS",
      "RUNNER_URL",
      "RUNNER_SHA256",
    ]);
    expect(exported.filter((name) => !new RegExp(`\\b${name}\\b`).test(head))).toEqual([]);
  });

  it("is used, all of what the document sets, by it or by the runner", () => {
    const read = readFileSync(join(__dirname, "..", "runner", "environment.ts"), "utf8");
    expect(exported.filter((name) => !used.has(name) && !read.includes(`\`${name}\``))).toEqual([]);
  });

  it("has no name that Flyway would read as its configuration", () => {
    expect([...exported, ...used].filter((name) => name.startsWith("FLYWAY_"))).toEqual([]);
  });
});
