import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type outputSchema from "../../cli/output.schema.json";
import { mappingName } from "../../deployment/mapping";
import { Names } from "../../deployment/names";
import type { Chain } from "../../local/chain";
import { put, query, remove, startTestChain, table } from "../support/chain";
import { bundleCli, type Ended, expectShape, startCli, writeMigrations } from "../support/cli";
import { gate } from "../support/gate";

// The command as its users have it: each start a process of its own, against the chain.

const DATABASES = [
  "Checked",
  "Compared",
  "Pushed",
  "Broken",
  "Refused",
  "Dry",
  "Deleted",
  "Order",
  "One",
  "Two",
  "Three",
  "Slow",
  "Waited",
  "Repaired",
  "Edited",
  "Looked",
  "Same",
  "Allowed",
  "Tested",
  "Promoted",
  "Passed",
  "Required",
  "Resumed",
  "Taken",
  "Unsound",
  "Untold",
];

/** All that AWS was asked for. */
const requests: IncomingMessage[] = [];

let chain: Chain;
let folder: string;
let bundle: string;
let file: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cli-"));
  bundle = `dist/cli-test-${process.pid}`;
  file = await bundleCli(bundle);
  chain = await startTestChain({
    databases: DATABASES,
    faults: (request) => void requests.push(request),
  });
});
afterAll(async () => {
  await chain?.stop();
  rmSync(bundle, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

const cli = (...args: string[]): Promise<Ended> => startCli(file, args, chain).ended;

/** What the command prints as JSON, which is of a shape in cli/output.schema.json. */
async function json(shape: keyof typeof outputSchema.$defs, ...args: string[]) {
  const { stdout } = await cli("--format", "json", ...args);
  const documents = shape === "logLine" ? stdout.trimEnd().split("\n") : [stdout];
  const values = documents.map((text) => JSON.parse(text));
  for (const value of values) expectShape(shape, value);
  return values[0];
}

/** Makes a folder of migrations; where it is. */
const migrations = (name: string, files: Readonly<Record<string, string>>): string =>
  writeMigrations(folder, name, files);

describe("flyway-aws push", () => {
  it("uploads a folder, waits for the verdicts, and shows them", async () => {
    const path = migrations("Pushed", {
      "V1__a.sql": table("A"),
      "sub/V2__b.sql": table("B"),
      "notes.txt": "x",
    });
    const { code, stdout } = await cli("push", "Pushed", path);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Pushed\/V1__a\.sql +applied$/m)]);
    expect(stdout).toMatch(/^Pushed\/sub\/V2__b\.sql +applied$/m);
    expect(await query(chain, "SELECT count(*) AS n FROM Pushed.B")).toEqual([{ n: 0 }]);
  });

  it("has nothing to do the second time, and ends well", async () => {
    const { code, stdout } = await cli("push", "pushed", join(folder, "Pushed")); // by whatever case
    expect([code, stdout]).toEqual([0, expect.stringContaining("Pushed: nothing to do")]);
  });

  it("ends with 3 where a file fails, with what landed, and again where nothing is to be uploaded", async () => {
    const path = migrations("Broken", { "V1__a.sql": `${table("A")}\nSELEC 1;`, "V2__b.sql": table("B") });
    const { code, stdout } = await cli("push", "Broken", path);
    expect([code, stdout]).toEqual([3, expect.stringMatching(/^Broken\/V1__a\.sql +failed$/m)]);
    expect(stdout).toMatch(/at line 2: [\s\S]*- table A added[\s\S]*\nTo do: correct it/);
    expect(stdout).toMatch(/^Broken\/V2__b\.sql +refused$/m);
    expect((await cli("push", "Broken", path)).code).toBe(3);
  });

  it("ends with 2 where a file is refused", async () => {
    const path = migrations("Refused", { "V1_a.sql": table("A") });
    const { code, stdout } = await cli("push", "Refused", path, "--no-check");
    expect([code, stdout]).toEqual([2, expect.stringContaining("To do: upload it again as V<version>__")]);
  });

  it("uploads nothing of what its check has errors of, and says of each where and what to do", async () => {
    const path = migrations("Unsound", {
      "V1_a.sql": table("A"),
      "V2__b.sql": "SELECT 1;\nDROP TABLE gone;",
    });
    const { code, stderr } = await cli("push", "Unsound", path);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(
        /V1_a\.sql:1: misnamed: [\s\S]*V2__b\.sql:2: drop-table: [\s\S]*\nNothing was uploaded[\s\S]*--no-check/,
      ),
    ]);
    expect(await chain.verdicts.of("Unsound")).toEqual([]);
  });

  it("shows what it would upload, and uploads nothing, for --dry-run", async () => {
    const path = migrations("Dry", { "V1__a.sql": table("A") });
    const { code, stdout } = await cli("push", "Dry", path, "--dry-run");
    expect([code, stdout]).toEqual([0, `-- Dry/V1__a.sql\n${table("A")}\n`]);
    expect(await json("plans", "push", "Dry", path, "--dry-run")).toMatchObject({
      plans: [{ database: "Dry", uploads: [{ key: "V1__a.sql", sql: table("A") }] }],
    });
    expect((await chain.verdicts.of("Dry")).length).toBe(0);
  });

  it("deletes what is not here for --delete alone, once it is confirmed", async () => {
    const path = migrations("Deleted", { "V1__a.sql": table("A"), "R__v.sql": "SELECT 1;" });
    expect((await cli("push", "Deleted", path)).code).toBe(0);
    rmSync(join(path, "R__v.sql"));
    const keys = async () => (await chain.verdicts.of("Deleted")).length;
    const kept = await cli("push", "Deleted", path);
    expect([kept.code, kept.stderr]).toEqual([
      0,
      expect.stringContaining("has 1 more that are not here: they stay"),
    ]);
    const unasked = await cli("push", "Deleted", path, "--delete");
    expect([unasked.code, unasked.stderr]).toEqual([
      1,
      expect.stringMatching(/Delete R__v\.sql[\s\S]*say --yes/),
    ]);
    expect(await keys()).toBe(2);
    expect((await cli("--yes", "push", "Deleted", path, "--delete")).code).toBe(0);
    const { uploads } = await json("statusOfOne", "status", "Deleted");
    expect(uploads.map(({ key }: { key: string }) => key)).toEqual(["V1__a.sql"]);
  });

  it("uploads anew what was edited here, and not what is the same but for its ETag", async () => {
    const path = migrations("Same", { "R__v.sql": "SELECT 1;" });
    expect((await cli("push", "Same", path)).code).toBe(0);
    writeFileSync(join(path, "R__v.sql"), "SELECT 2;");
    const { code, stdout } = await cli("push", "Same", path);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/R__v\.sql +applied/)]);
  });

  it("takes a folder per database for --all; a failure of one stops no other", async () => {
    const all = join(folder, "all");
    migrations("all/One", { "V1__a.sql": table("A") });
    migrations("all/Two", { "V1__a.sql": "SELEC 1;" });
    migrations("all/Three", { "V1__a.sql": table("A") });
    const { code, stdout } = await cli("push", "--all", all);
    expect([code, stdout]).toEqual([3, expect.stringMatching(/^Two\/V1__a\.sql +failed$/m)]);
    for (const name of ["One", "Three"])
      expect(stdout).toMatch(new RegExp(`^${name}/V1__a\\.sql +applied$`, "m"));
  });

  it("says what is being done, and by Ctrl-C stops waiting, not the migration", async () => {
    const shut = await gate(chain, "cli-slow");
    const path = migrations("Slow", { "V1__a.sql": `${table("A")}\n${shut.sql}` });
    const push = startCli(file, ["push", "Slow", path], chain);
    await push.says("Slow: waiting for the verdict of 1 of 1 file");
    await shut.reached();
    push.signal("SIGINT");
    expect(await push.ended).toMatchObject({
      code: 130,
      stderr: expect.stringContaining("the migration goes on"),
    });
    const late = await cli("wait", "Slow/V1__a.sql", "--timeout", "1");
    expect([late.code, late.stdout]).toEqual([
      4,
      expect.stringContaining("no run has told of it within 1 s"),
    ]);
    const waiting = cli("wait", "Slow/V1__a.sql");
    await shut.open();
    expect(await waiting).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Slow\/V1__a\.sql +applied/),
    });
  });

  it.each<readonly [string, readonly string[], RegExp]>([
    ["no database", ["push"], /push takes a database and what to upload/],
    [
      "a database that there is not",
      ["push", "Nobody", "."],
      /no database "Nobody"\nTo do: name one of these: Allowed, Broken, Checked, Compared, /,
    ],
    ["a file that there is not", ["push", "Dry", "nowhere.sql"], /nowhere\.sql cannot be read/],
    ["an object without a database", ["wait", "V1__a.sql"], /names no object\nTo do: /],
    ["an object that there is not", ["wait", "Dry/V9__z.sql"], /has no file "V9__z\.sql"/],
    ["a timeout that is no number", ["wait", "Dry/V9__z.sql", "--timeout", "0"], /no whole number/],
    ["a stage that there is not", ["--stage", "dev", "status"], /no deployment of stage dev here/],
    ["a command that there is not", ["frobnicate"], /unknown command 'frobnicate'/],
  ])("refuses %s, and says what to do", async (_, args, words) => {
    const { code, stderr } = await cli(...args);
    expect([code, stderr]).toEqual([1, expect.stringMatching(words)]);
  });

  it("ends with 5 without credentials", async () => {
    const { endpoint, region } = chain;
    const env = { AWS_ENDPOINT_URL: endpoint, AWS_REGION: region };
    const { code, stderr } = await startCli(file, ["status"], undefined, env).ended;
    expect([code, stderr]).toEqual([5, expect.stringContaining("To do: log in")]);
  });
});

describe("flyway-aws promote", () => {
  /** Has a bucket of the chain be that of a database in another stage. */
  const stage = (name: string, database: string, bucket: string) => {
    const mapping = { schema: database, flywayVersion: chain.flywayVersion, flywayConf: "local.conf" };
    chain.parameters.set(
      mappingName(new Names(name).parameters, chain.buckets[bucket] as string),
      JSON.stringify(mapping),
    );
  };

  it("uploads what is applied in the first stage, byte for byte, and refuses the rest", async () => {
    stage("dev", "Promoted", "Tested");
    await put(chain, "Tested", "V1__a.sql", table("A"));
    await chain.verdicts.wait("Tested", "V1__a.sql");
    await put(chain, "Tested", "V2__b.sql", "SELEC 1;");
    await chain.verdicts.wait("Tested", "V2__b.sql");
    const dry = await cli("promote", "Promoted", "--from", "dev", "--dry-run");
    expect([dry.code, dry.stdout]).toEqual([0, expect.stringContaining("-- Promoted/V1__a.sql")]);
    const { code, stdout } = await cli("promote", "Promoted", "--from", "dev");
    expect([code, stdout]).toEqual([2, expect.stringMatching(/^Promoted\/V1__a\.sql +applied$/m)]);
    expect(stdout).toMatch(/Promoted\/V2__b\.sql\nnot applied in stage dev: failed/);
    const [upload, ...others] = await chain.verdicts.of("Promoted");
    expect([upload?.key, others]).toEqual(["V1__a.sql", []]);
  });

  it("is a condition of a push for --require-applied-in", async () => {
    stage("qa", "Required", "Passed");
    await put(chain, "Passed", "V1__a.sql", table("A"));
    await chain.verdicts.wait("Passed", "V1__a.sql");
    const path = migrations("Required", { "V1__a.sql": table("A"), "V2__b.sql": table("B") });
    const { code, stderr } = await cli("push", "Required", path, "--require-applied-in", "qa");
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/^Not applied in stage qa as it is here: V2__b\.sql\./),
    ]);
    expect(await chain.verdicts.of("Required")).toEqual([]);
    rmSync(join(path, "V2__b.sql"));
    expect((await cli("push", "Required", path, "--require-applied-in", "qa")).code).toBe(0);
  });

  it("refuses a database that is the same in both", async () => {
    const { code, stderr } = await cli("promote", "Promoted");
    expect([code, stderr]).toEqual([1, expect.stringContaining("cannot be promoted to itself")]);
  });
});

describe("flyway-aws status", () => {
  it("has a line for each database, and is red where one is", async () => {
    await put(chain, "Looked", "V1__a.sql", "SELEC 1;");
    await chain.verdicts.wait("Looked", "V1__a.sql");
    const { code, stdout } = await cli("status");
    expect([code, stdout]).toEqual([3, expect.stringMatching(/^Looked +0 +0 +0 +1 +failed \d+ s ago$/m)]);
    const all = await json("statusOfAll", "status");
    expect(all.databases.map(({ name }: { name: string }) => name)).toEqual([...DATABASES].sort());
  });

  it("has a database's files, those edited since, its runs and its host", async () => {
    await put(chain, "Edited", "V1__a.sql", table("A"));
    await chain.verdicts.wait("Edited", "V1__a.sql");
    chain.commands.stopHost();
    await put(chain, "Edited", "V1__a.sql", table("Z"));
    const { code, stdout } = await cli("status", "Edited");
    chain.commands.startHost();
    expect(code).toBe(4);
    expect(stdout).toMatch(/^Host i-0+: ConnectionLost$/m);
    expect(stdout).toMatch(/^V1__a\.sql +pending +edited since it was applied$/m);
    expect(stdout).toMatch(/^1 +\d+ s ago +applied 1 +[0-9a-f-]{36}$/m);
  });
});

describe("flyway-aws history and logs", () => {
  it("tell of the runs, and of what the host said of one", async () => {
    await put(chain, "Waited", "V1__a.sql", table("A"));
    await chain.verdicts.wait("Waited", "V1__a.sql");
    await remove(chain, "Waited", "V1__a.sql");
    await put(chain, "Waited", "V1__a.sql", table("A"));
    await chain.verdicts.wait("Waited", "V1__a.sql");
    const { runs } = await json("history", "history", "Waited", "--limit", "2");
    expect(
      runs.map(({ number, applied }: { number: number; applied: string[] }) => [number, applied]),
    ).toEqual([
      [2, []],
      [1, ["V1__a.sql"]],
    ]);
    const logs = await cli("logs", runs[1].commandId);
    expect([logs.code, logs.stdout]).toEqual([0, expect.stringContaining("applied V1__a.sql")]);
    expect(await json("logLine", "logs", runs[1].commandId)).toMatchObject({
      stream: expect.stringMatching(/stdout$/),
    });
    expect((await cli("logs", "00000000-0000-0000-0000-000000000000")).stderr).toMatch(
      /no output of command/,
    );
  });
});

describe("flyway-aws repair, resume, baseline, validate and reconcile", () => {
  it("ask, and repair what was corrected", async () => {
    const path = migrations("Repaired", { "V1__a.sql": `${table("A")}\nSELEC 1;` });
    expect((await cli("push", "Repaired", path)).code).toBe(3);
    writeFileSync(join(path, "V1__a.sql"), "SELECT 1;");
    expect((await cli("push", "Repaired", path)).code).toBe(2);
    const unasked = await cli("repair", "Repaired");
    expect([unasked.code, unasked.stderr]).toEqual([1, expect.stringContaining("say --yes")]);
    const { code, stdout } = await cli("--yes", "repair", "Repaired");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Repaired\/V1__a\.sql +applied$/m)]);
    expect(await json("push", "wait", "Repaired/V1__a.sql")).toMatchObject({
      uploads: [{ verdict: "applied" }],
    });
    const refused = await cli("--yes", "repair", "Repaired");
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringContaining("there is nothing to repair"),
    ]);
  });

  it("resume a file from where it failed, without what of it landed, once that is confirmed", async () => {
    const nothing = await cli("resume", "Resumed");
    expect([nothing.code, nothing.stderr]).toEqual([
      1,
      expect.stringContaining("No file of Resumed stands half applied"),
    ]);
    const landed = `${table("A")}\nINSERT INTO A VALUES (1);\n${table("B")}\n`;
    const path = migrations("Resumed", { "V1__a.sql": `${landed}ALTER TABLE Nowhere ADD x int;\n` });
    expect((await cli("push", "Resumed", path)).code).toBe(3);
    const file = join(path, "V1__a.sql");
    writeFileSync(file, `${landed}ALTER TABLE B ADD x int;\n`);
    const unasked = await cli("resume", "Resumed", file);
    expect([unasked.code, unasked.stdout]).toEqual([
      1,
      expect.stringContaining(
        "- INSERT INTO A VALUES (1);\n- CREATE TABLE B (id int);\n  ALTER TABLE B ADD x int;\n",
      ),
    ]);
    const { code, stdout } = await cli("--yes", "resume", "Resumed", file, "--output", file);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Resumed\/V1__a\.sql +applied$/m)]);
    expect(readFileSync(file, "utf8")).toMatch(/^-- Resumed[^\n]*\nALTER TABLE B ADD x int;\n$/);
    expect(await query(chain, "SELECT count(*) AS n FROM Resumed.A")).toEqual([{ n: 1 }]);
    expect((await cli("push", "Resumed", path)).stdout).toContain("nothing to do");
  });

  it("do not resume what of a file landed where that would be a guess", async () => {
    const path = migrations("Untold", { "V1__a.sql": `${table("A")}\nDO 1;\nSELEC 1;` });
    expect((await cli("push", "Untold", path)).code).toBe(3);
    const { code, stderr } = await cli("--yes", "resume", "Untold");
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/cannot be told[^\n]*in line 2[^\n]*DO 1\nTo do: look at the schema/),
    ]);
  });

  it("take a schema over as it is, once its version is set", async () => {
    await query(chain, "CREATE DATABASE Taken");
    await query(chain, "CREATE TABLE Taken.A (id int)");
    const path = migrations("Taken", { "V1__a.sql": table("A"), "V2__b.sql": table("B") });
    const failed = await cli("push", "Taken", path);
    expect([failed.code, failed.stdout]).toEqual([
      3,
      expect.stringMatching(/set baseline_version[^\n]*have the host baseline/),
    ]);
    const early = await cli("--yes", "baseline", "Taken");
    expect([early.code, early.stderr]).toEqual([
      1,
      expect.stringContaining("No baseline_version of Taken is set"),
    ]);
    chain.configure("Taken", { baselineVersion: "1" });
    const { code, stdout } = await cli("--yes", "baseline", "Taken");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Taken\/V1__a\.sql +already-applied$/m)]);
    expect(stdout).toMatch(/^Taken\/V2__b\.sql +applied$/m);
    expect(await json("repair", "--yes", "baseline", "Taken")).toMatchObject({
      repairRefused: expect.stringContaining("would be forgotten: V2__b.sql"),
    });
  });

  it("compare the history with the bucket, and migrate nothing", async () => {
    const path = migrations("Compared", { "V1__a.sql": table("A") });
    expect((await cli("push", "Compared", path)).code).toBe(0);
    const well = await cli("--yes", "validate", "Compared");
    expect([well.code, well.stdout]).toEqual([0, "Compared: Flyway's history and the bucket go together\n"]);
    writeFileSync(join(path, "V1__a.sql"), table("Z"));
    expect((await cli("push", "Compared", path, "--no-check")).code).toBe(2);
    const found = await cli("--yes", "validate", "Compared");
    expect([found.code, found.stdout]).toEqual([
      2,
      expect.stringMatching(/^V1__a\.sql: Migration checksum mismatch/),
    ]);
    expect(await json("validate", "--yes", "validate", "Compared")).toMatchObject({
      findings: expect.arrayContaining([expect.stringMatching(/^V1__a\.sql: /)]),
    });
    const runs = (await json("history", "history", "Compared")).runs;
    expect(runs[0]).toMatchObject({ operation: "validate", exitCode: 1 });
    const { uploads } = await json("statusOfOne", "status", "Compared");
    expect(uploads).toMatchObject([{ key: "V1__a.sql", verdict: "refused" }]);
  });

  it("have the host look at every bucket", async () => {
    expect(await json("reconcile", "--yes", "reconcile")).toMatchObject({ status: "Success" });
  });
});

it("needs the rights in docs/permissions.md, and no others", async () => {
  const from = requests.length;
  const path = migrations("Allowed", { "V1__a.sql": table("A"), "R__v.sql": "SELECT 1;" });
  expect((await cli("push", "Allowed", path)).code).toBe(0);
  rmSync(join(path, "R__v.sql"));
  await put(chain, "Allowed", "V1__a.sql", `${table("a")}`); // of the same size
  expect((await cli("--yes", "push", "Allowed", path, "--delete")).code).not.toBe(1);
  for (const args of [["status", "Allowed"], ["wait", "Allowed/V1__a.sql"], ["history", "Allowed"], ["logs"]])
    expect((await cli(...args)).stderr).not.toContain("To do:");
  await cli("--yes", "repair", "Allowed");
  const asked = requests
    .slice(from)
    .filter(({ headers }) => headers["user-agent"]?.includes("app/flyway-aws"))
    .map(({ headers, method, url }) => actionOf(headers["x-amz-target"], method, url));
  const doc = readFileSync(join(__dirname, "..", "..", "docs", "permissions.md"), "utf8");
  const policy = JSON.parse(/```json\n([\s\S]*?)```/.exec(doc)?.[1] as string);
  const allowed = policy.Statement.flatMap(({ Action: action }: { Action: string | string[] }) => action);
  expect([...new Set(asked)].sort()).toEqual(allowed.sort());
});

/** What a request needs the right to. */
function actionOf(target: string | string[] | undefined, method = "", url = ""): string {
  const [, service, action] = /^(AmazonSSM|Logs_\d+)[.](\w+)$/.exec(String(target ?? "")) ?? [];
  if (service) return `${service === "AmazonSSM" ? "ssm" : "logs"}:${action}`;
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const isBucket = pathname.split("/").filter(Boolean).length === 1;
  if (isBucket) return searchParams.has("versions") ? "s3:ListBucketVersions" : "s3:ListBucket";
  const verb = { GET: "Get", PUT: "Put", DELETE: "Delete" }[method];
  return `s3:${verb}Object${searchParams.has("versionId") ? "Version" : ""}`;
}

it("completes its commands and options, in bash and zsh", async () => {
  expect((await cli("complete", "--", "pro")).stdout).toMatch(/^promote\t/);
  expect((await cli("complete", "--", "push", "--dry")).stdout).toMatch(/^--dry-run\t/);
  const { stdout } = await cli("complete", "bash");
  expect(() => execFileSync("bash", ["-eu", "-c", `${stdout}\ncomplete -p flyway-aws`])).not.toThrow();
  expect((await cli("complete", "zsh")).stdout).toMatch(/^#compdef flyway-aws/);
});

describe("flyway-aws check", () => {
  const HAZARD = "DROP TABLE gone;";

  it("has a line for each finding, and ends with 1 where there is an error", async () => {
    const path = migrations("checked", {
      "App/V1__a.sql": `SELECT 1;\n${HAZARD}`,
      "App/V2__b.sql": "SELECT 1;",
    });
    const { code, stdout, stderr } = await startCli(
      file,
      ["check", path, "--offline", "--no-rehearsal"],
      undefined,
    ).ended;
    expect([code, stdout]).toEqual([
      1,
      expect.stringMatching(/^\S+\/App\/V1__a\.sql:2: drop-table: drops the table gone[^\n]*: [^\n]+\n$/),
    ]);
    expect(stderr).toContain("1 error, 0 warnings (docs/rules.md)");
    expect(await json("check", "check", path, "--offline", "--no-rehearsal")).toMatchObject({
      errors: 1,
      findings: [{ line: 2 }],
    });
    const github = await cli("check", path, "--offline", "--no-rehearsal", "--format", "github");
    expect(github.stdout).toMatch(/^::error file=\S+V1__a\.sql,line=2,title=drop-table::drops the table/);
  });

  it("takes severities from a file, and says what is wrong with one", async () => {
    const path = migrations("severe", { "App/V1__a.sql": HAZARD });
    const config = join(folder, "severities.json");
    writeFileSync(config, '{ "rules": { "drop-table": "off" } }');
    expect((await cli("check", path, "--offline", "--no-rehearsal", "--config", config)).code).toBe(0);
    writeFileSync(config, '{ "rules": { "drop-tables": "off" } }');
    const { code, stderr } = await cli("check", path, "--offline", "--no-rehearsal", "--config", config);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/no rule "drop-tables"; there are [^\n]*drop-table/),
    ]);
  });

  it("knows from the bucket what is applied: it is not judged again, and may not be edited", async () => {
    const path = migrations("Checked", { "V1__a.sql": table("A"), "V2__b.sql": "DROP TABLE A;" });
    expect((await cli("push", "Checked", path, "--no-check")).code).toBe(0);
    migrations("Checked", { "V2__b.sql": "DROP TABLE A; SELECT 1;", "V3__c.sql": "SELECT 1;" });
    const { findings } = await json("check", "check", path, "--database", "Checked", "--no-rehearsal");
    expect(findings).toMatchObject([{ rule: "applied-edited", file: join(path, "V2__b.sql") }]);
  });

  it("takes a revision of git for applied, and goes on without a bucket where there is none", async () => {
    const root = join(folder, "repository");
    const path = migrations("repository/App", {
      "V1__a.sql": HAZARD,
      "V2__b.sql": "SELECT 1;",
      "R__v.sql": "SELECT 1;",
    });
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: root });
    git("init", "--quiet");
    git("add", ".");
    git("commit", "--quiet", "-m", "a");
    rmSync(join(path, "V1__a.sql"));
    migrations("repository/App", {
      "V2__b.sql": "SELECT 2;",
      "V1.5__c.sql": "SELECT 1;",
      "R__v.sql": "SELECT 2;",
    });
    const based = await json("check", "check", root, "--base", "HEAD", "--no-rehearsal");
    expect(
      based.findings.map(
        ({ file, rule }: Record<string, string>) => `${file?.slice(path.length + 1)} ${rule}`,
      ),
    ).toEqual(["V1__a.sql applied-missing", "V1.5__c.sql version-below-newest", "V2__b.sql applied-edited"]);
    const wrong = await cli("check", root, "--base", "nothing");
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringMatching(/git cannot tell[\s\S]*fetch-depth/),
    ]);
    const alone = await cli("--stage", "none", "check", root, "--no-rehearsal");
    expect([alone.code, alone.stderr]).toEqual([
      0,
      expect.stringMatching(/^Not compared with what is applied/m),
    ]);
  });

  it.each<readonly [string, readonly string[], RegExp]>([
    [
      "a folder without folders",
      ["check", "migrations/Users", "--offline", "--no-rehearsal"],
      /no folder of a database\nTo do: [^\n]*--database/,
    ],
    ["the format of another command", ["--format", "github", "status"], /Only check has the format github/],
  ])("says what to do about %s", async (_, args, message) => {
    const { code, stderr } = await cli(...args);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  });
});

it("ends quietly where whoever read it has gone", () => {
  const script = `for try in 1 2 3; do "$0" "$1" --help | true; done 2>&1`;
  expect(execFileSync("bash", ["-c", script, process.execPath, file], { encoding: "utf8" })).toBe("");
});

it("says of each command what it does, with an example", async () => {
  const { stdout } = await cli("--help");
  for (const name of [
    "check",
    "push",
    "promote",
    "status",
    "wait",
    "logs",
    "history",
    "repair",
    "resume",
    "validate",
    "baseline",
    "reconcile",
  ]) {
    expect(stdout).toMatch(new RegExp(`^ {2}${name} `, "m"));
    expect((await cli(name, "--help")).stdout).toMatch(/^Examples?:\n {2}flyway-aws /m);
  }
  const { version } = JSON.parse(readFileSync(join(__dirname, "..", "..", "package.json"), "utf8"));
  expect((await cli("--version")).stdout).toBe(`${version}\n`);
});
