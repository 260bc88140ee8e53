import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { PATTERNS } from "../../deployment/mapping";
import { LocalS3 } from "../../local/aws/s3/server";
import { findExecutable } from "../../local/machine/processes";
import { installTools, missingPrograms } from "../../local/machine/tools";
import { passing } from "../../records/failures";
import { skipLoudly } from "../support/moto";
import { objectPath, s3Request } from "../support/s3";

const region = "eu-central-1";
const script = readFileSync(join(__dirname, "../../assets/flyway-migrate.sh"), "utf8");

/** The host script's settings and functions, without what runs them: its calls are tested as they stand there. */
const functions = script.slice(0, script.indexOf('\nif [ "${1:-}" = look ]'));

const files: Record<string, Buffer> = {
  "V1__a b.sql": Buffer.from("a space"),
  "V2__a+b.sql": Buffer.from("a plus"),
  "V3__a&b.sql": Buffer.from("an ampersand"),
  "V4__100%20.sql": Buffer.from("what looks like an encoded space"),
  "V5__Größe—漢字🚀.sql": Buffer.from("non-ASCII: ß 漢字 🚀"),
  "V6__it's (1)~!@$=,;#?*.sql": Buffer.from("punctuation"),
  "empty.sql": Buffer.alloc(0),
  "nested/deep/er/V7.sql": Buffer.from("nested"),
  "nested/V8 +&%20.sql": Buffer.from("nested, and special"),
  "zz/12 MB.bin": randomBytes(12_000_000),
};

const secret = JSON.stringify({ username: "root", password: `ü "'\\$x\t` });
const parameters: Record<string, string> = {
  "/flyway/target/default": JSON.stringify({
    url: "jdbc:mysql://[::1]:3306/?useSsl=true&c",
    secret: "the secret",
  }),
};

const hasReal = findExecutable(["aws"], []) !== undefined && findExecutable(["jq"], []) !== undefined;
if (!hasReal) skipLoudly("comparisons of the stand-ins with AWS CLI and jq", "one of them is not on PATH");

const work = mkdtempSync(join(tmpdir(), "stand-ins-"));
/** A folder whose name needs quoting. */
const tools = { standIn: join(work, "it's a $tand-in"), real: join(work, "it's real") };
const s3 = new LocalS3({ directory: work, region, accessKeyId: "local" });
const server = createServer((request, response) => {
  if (request.headers["x-amz-target"]) return void answer(request, response);
  return void s3.handle(request, response);
});
let endpoint = "";

/** Parameter Store and Secrets Manager. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { Name, SecretId, NextToken: token } = JSON.parse(await text(request));
  const target = request.headers["x-amz-target"];
  if (target === "AmazonSSM.GetParametersByPath") return void response.end(JSON.stringify(pageOf(token)));
  const value = target === "AmazonSSM.GetParameter" ? parameters[Name] : undefined;
  const found = target === "secretsmanager.GetSecretValue" && SecretId === "the secret";
  response.statusCode = value === undefined && !found ? 400 : 200;
  const error = { __type: "ParameterNotFound", message: "There is none." };
  response.end(
    JSON.stringify(value ? { Parameter: { Value: value } } : found ? { SecretString: secret } : error),
  );
}

/** Mappings, one to a page. */
function pageOf(token: string | undefined): object {
  const [now, next] = token === undefined ? [1, 2] : [Number(token), Number(token) + 1];
  const Parameters = [
    { Name: `/flyway/s3-mapping/b${now}`, Type: "String", Value: `{"flywayConf":"${now}"}`, Version: 1 },
  ];
  return { Parameters, ...(next < 4 ? { NextToken: String(next) } : {}) };
}

async function put(bucket: string, key: string, body: Buffer): Promise<void> {
  await s3Request({ endpoint, accessKeyId: "local" }, "PUT", objectPath(bucket, key), new Uint8Array(body));
}

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const bucket of ["full", "empty", "many", "odd", "records"]) s3.createBucket(bucket);
  for (const [key, body] of Object.entries(files)) await put("full", key, body);
  await put("full", "V1__a b.sql", Buffer.from("a space, again"));
  await put("full", ".flyway/runs/1.json", Buffer.from("{}"));
  await put("full", ".flyway/runs/00000007-20260101T120000-a.json", Buffer.from("{}"));
  await put("full", ".flyway/runs/00000041-20250101T120000-b.json", Buffer.from("{}"));
  await put("full", "marker/", Buffer.alloc(0));
  await put("full", "deleted +.sql", Buffer.from("soon gone"));
  await s3Request({ endpoint, accessKeyId: "local" }, "DELETE", objectPath("full", "deleted +.sql"));
  installTools(tools.standIn, endpoint, { standIns: ["aws", "jq"] });
  if (hasReal) installTools(tools.real, endpoint);
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(work, { recursive: true, force: true });
});

interface Result {
  code: number;
  stdout: string;
  stderr: string;
  /** HOST_ROOT of the run. */
  root: string;
}

/** Runs bash with the script's functions, in a new HOST_ROOT. */
async function bash(kind: keyof typeof tools, bucket: string, body: string): Promise<Result> {
  const root = mkdtempSync(join(work, "root-"));
  const env = {
    PATH: tools[kind] + delimiter + process.env.PATH,
    HOME: process.env.HOME,
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_DEFAULT_REGION: region,
    AWS_EC2_METADATA_DISABLED: "true",
    BUCKET: bucket,
    OPERATION: "migrate",
    SETTLE_SECONDS: "0",
    PARAMETERS: "/flyway",
    PATTERNS: JSON.stringify(PATTERNS),
    FAILURES: JSON.stringify(passing),
    HOST_ROOT: root,
  };
  // One try is enough here.
  const prepared = `${functions}
    retry() { "$@"; }
    SCHEMA=users VERSION=11.8.2 CONF=default release=$releases/$VERSION
    mkdir -p "$work" "$root/locks" "$root/state"
    cd "$work"
  `;
  // No pipe as stdin: Node.js makes a socket of it, and a bash whose stdin is a socket reads .bashrc.
  const child = spawn("bash", ["-c", prepared + body], { env, stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await closed;
  return { code, stdout, stderr, root };
}

/** Runs it with the stand-ins and, where they are, with the real programs; what `of` takes must be the same. */
async function compare<T>(bucket: string, body: string, of: (result: Result) => T): Promise<T> {
  const standIn = await bash("standIn", bucket, body);
  const result = of(standIn);
  if (hasReal) expect(result, standIn.stderr).toEqual(of(await bash("real", bucket, body)));
  return result;
}

const printed = ({ code, stdout }: Result) => ({ code, stdout });

test("the script's functions are found, and its calls of the AWS CLI are the ones that are tested here", () => {
  const code = script.replace(/^\s*#.*$/gm, "");
  const calls = [...code.matchAll(/(?<!need )\baws [a-z0-9]+ [a-z-]+/g)].map(([call]) => call);
  expect(functions).toContain("summarize() {");
  expect(calls.sort()).toEqual([
    "aws s3 cp", // of an archive
    "aws s3 cp", // of a record
    "aws s3 sync",
    "aws s3api list-object-versions",
    "aws secretsmanager get-secret-value",
    "aws ssm get-parameter",
    "aws ssm get-parameters-by-path",
  ]);
});

describe("the bucket", () => {
  test.each(["full", "empty"])("list_bucket of the %s one", async (bucket) => {
    const listed = await compare(
      bucket,
      "list_bucket list.json; cat list.json; jq '.objects | length' list.json",
      printed,
    );
    expect(listed.code).toBe(0);
    if (bucket === "empty") {
      return expect(listed.stdout).toBe('{"objects":[],"newestChange":null,"number":0}\n0\n');
    }
    const [line = "", length] = listed.stdout.split("\n");
    const { objects, newestChange, number } = JSON.parse(line) as {
      objects: { key: string; eTag: string }[];
      newestChange: string;
      number: number;
    };
    const newest = s3.versions(bucket).map(({ lastModified }) => Date.parse(lastModified));
    expect([Date.parse(newestChange), number]).toEqual([Math.max(...newest), 41]);
    expect(objects.map(({ key }) => key).sort()).toEqual(Object.keys(files).sort());
    expect(objects.find(({ key }) => key === "empty.sql")?.eTag).toBe("d41d8cd98f00b204e9800998ecf8427e");
    expect(length).toBe(String(objects.length));
  });

  test("refuse_odd_keys names the keys that are no file names", async () => {
    const keys = ["a/b.sql", "a//b.sql", "/c.sql", "d/../e.sql", "./f.sql", "..g.sql", "h."];
    const list = JSON.stringify({ objects: keys.map((key) => ({ key })) });
    const body = `echo '${list}' >listing.json; refuse_odd_keys; jq -r '"\\(.key) \\(.remedy)"' refused.json`;
    const found = await compare("full", body, printed);
    const refused = ["a//b.sql", "/c.sql", "d/../e.sql", "./f.sql"].map((key) => `${key} delete it\n`);
    expect(found).toEqual({ code: 0, stdout: refused.join("") });
  });

  test("list-object-versions: all pages, every field", async () => {
    for (let first = 0; first < 1100; first += 100) {
      const numbers = Array.from({ length: 100 }, (_, index) => first + index);
      // Three keys, so that a page ends within the versions of one.
      await Promise.all(numbers.map((each) => put("many", `V${each % 3} +.sql`, Buffer.from(`${each}`))));
    }
    for (const bucket of ["full", "many"]) {
      const body = `aws --output json s3api list-object-versions --bucket ${bucket}`;
      const found = await compare(bucket, body, ({ code, stdout }) => {
        const { Versions, DeleteMarkers = [] } = JSON.parse(stdout);
        for (const each of [...Versions, ...DeleteMarkers]) {
          each.LastModified = new Date(each.LastModified).toISOString();
        }
        return { code, Versions, DeleteMarkers };
      });
      expect(found.code).toBe(0);
      expect(found.DeleteMarkers).toHaveLength(bucket === "full" ? 1 : 0);
      expect(found.Versions).toHaveLength(bucket === "full" ? Object.keys(files).length + 6 : 1100);
    }
  });

  test("take_objects copies its .sql files byte for byte, with their times", async () => {
    const taken = await compare(
      "full",
      "take_objects; jq -c .objects listing.json",
      ({ code, stdout, root }) => {
        const folder = join(root, "work/full/sql");
        const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
        const paths = entries.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
        const contents = paths.sort().map((path) => {
          const sha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
          const seconds = Math.floor(statSync(path).mtimeMs / 1000);
          return { key: path.slice(folder.length + 1), sha256, seconds };
        });
        return { code, objects: JSON.parse(stdout), contents };
      },
    );
    expect(taken.code).toBe(0);
    const migrations = Object.entries(files).filter(([key]) => key.endsWith(".sql"));
    const expected = { ...Object.fromEntries(migrations), "V1__a b.sql": Buffer.from("a space, again") };
    const found = Object.fromEntries(taken.contents.map(({ key, sha256 }) => [key, sha256]));
    const sha256s = Object.entries(expected).map(([key, body]) => [
      key,
      createHash("sha256").update(body).digest("hex"),
    ]);
    expect(found).toEqual(Object.fromEntries(sha256s));
  });

  test("sync copies again what has another size or is newer than the object, and nothing else", async () => {
    const sync = "aws s3 sync s3://full sql --only-show-errors --exclude '.flyway/*'";
    const body = `${sync}
      echo longer than before >'sql/V2__a+b.sql'
      printf 123456 >sql/nested/deep/er/V7.sql
      printf 123456789012 >'sql/V3__a&b.sql'
      touch -t 200101010000 'sql/V3__a&b.sql'
      ${sync}
      cat 'sql/V2__a+b.sql' sql/nested/deep/er/V7.sql 'sql/V3__a&b.sql'`;
    const { code, stdout } = await compare("full", body, printed);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "a plusnested123456789012" });
  });

  test("a bucket that isn't there", async () => {
    const failed = ({ code, stderr }: Result) => ({ code, isNamed: stderr.includes("(NoSuchBucket)") });
    const list = await compare(
      "none",
      "code=0; list_bucket list.json || code=$?; exit $((code > 253))",
      failed,
    );
    expect(list).toEqual({ code: 1, isNamed: true });
    expect(
      (await bash("standIn", "none", "aws s3api list-object-versions --bucket none --output json")).code,
    ).toBe(254);
    for (const call of [
      "aws s3 sync s3://none sql --exclude '.flyway/*' --only-show-errors",
      "echo {} >record; aws s3 cp --only-show-errors record s3://none/.flyway/runs/1.json",
    ]) {
      expect(await compare("none", call, failed)).toEqual({ code: 1, isNamed: true });
    }
    expect(await compare("none", "take_objects", ({ code }) => code)).toBe(1);
  });

  test("upload_records, and an object there and back", async () => {
    const upload = `mkdir -p "$spool"; echo '{"a": "ü"}' >"$spool/1 +.json"; upload_records; ls "$spool"`;
    const { code, stdout } = await compare("records", upload, printed);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(String(await s3.read("records", ".flyway/runs/1 +.json"))).toBe('{"a": "ü"}\n');

    const thereAndBack = `head -c 12000000 /dev/zero >'12 MB+'; echo end >>'12 MB+'
      aws s3 cp '12 MB+' s3://records/ --only-show-errors
      aws s3 cp '12 MB+' s3://records/ü/ --only-show-errors
      aws s3 cp --only-show-errors 's3://records/12 MB+' new/back
      cmp '12 MB+' new/back`;
    expect(await compare("records", thereAndBack, printed)).toEqual({ code: 0, stdout: "" });
    expect((await s3.read("records", "ü/12 MB+"))?.length).toBe(12_000_004);

    const absent =
      "aws s3 cp --only-show-errors s3://records/none back || echo $?; ls; aws s3 cp none s3://records/";
    expect(await compare("records", absent, printed)).toEqual({ code: 255, stdout: "1\n" });
  });

  test("the stand-in leaves no file outside of the folder, nor in another key's place", async () => {
    const odd = ["../up.sql", "a/../b.sql", "./c.sql", "/d.sql", "e//f.sql", "g/"];
    for (const key of ["fine.sql", ...odd].filter((each) => each !== "g/")) {
      // Not by fetch, which would resolve the dots.
      await bash("standIn", "odd", `printf x >x; aws s3 cp --only-show-errors x 's3://odd/${key}'`);
    }
    await put("odd", "g/", Buffer.from("a marker with content"));
    const synced = await bash(
      "standIn",
      "odd",
      "aws s3 sync s3://odd sql --only-show-errors || echo $?; find",
    );
    expect(synced.stdout).toBe("2\n.\n./sql\n./sql/fine.sql\n");
    for (const key of odd) expect(synced.stderr).toContain(`Skipping file s3://odd/${key}.`);
  });
});

describe("parameters and secrets", () => {
  test("read_target", async () => {
    const body = `read_target; read_secret; printf '%s|' "$url" "$user" "$password"`;
    const { code, stdout } = await compare("full", body, printed);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `jdbc:mysql://[::1]:3306/?useSsl=true&c&allowLocalInfile=false|root|ü "'\\$x\t|`,
    });
  });

  const settings = `read_mapping; printf '%s|' "$SCHEMA" "$VERSION" "$CONF" "$release" "\${settings[@]}"`;

  test("read_mapping", async () => {
    const mapping = { schema: "Users", flywayVersion: "10.22.0", flywayConf: "a.conf" };
    parameters["/flyway/s3-mapping/full"] = JSON.stringify(mapping);
    const read = ({ code, stdout, root }: Result) => ({ code, stdout: stdout.replace(root, "root") });
    expect(await compare("full", settings, read)).toEqual({
      code: 0,
      stdout: "Users|10.22.0|a.conf|root/releases/10.22.0|-baselineVersion=0|",
    });

    const all = {
      outOfOrder: true,
      baselineVersion: "2.1",
      placeholders: { a: `b = 'c' "d" $(e)`, x_y: "" },
    };
    parameters["/flyway/s3-mapping/full"] = JSON.stringify({ ...mapping, ...all });
    const { code, stdout } = await compare("full", settings, read);
    expect(code).toBe(0);
    expect(stdout.split("|").slice(4)).toEqual([
      "-baselineVersion=2.1",
      "-outOfOrder=true",
      `-placeholders.a=b = 'c' "d" $(e)`,
      "-placeholders.x_y=",
      "",
    ]);
  });

  test.each([
    ["a schema that would be a command", { schema: "x'; id #" }],
    ["a version that is a path", { flywayVersion: "../../x" }],
    ["a schema with a second line", { schema: "Users\n-x" }],
    ["a schema with a line end", { schema: "Users\n" }],
    ["no conf", { flywayConf: undefined }],
    ["a schema that is no string", { schema: ["Users"] }],
    ["a baseline that is an option", { baselineVersion: "-x" }],
    ["a placeholder that is two options", { placeholders: { a: "b\n-outOfOrder=true" } }],
    ["a placeholder whose name is another option's", { placeholders: { "a=b -c": "d" } }],
    ["a placeholder that is no string", { placeholders: { a: 1 } }],
  ])("read_mapping refuses %s", async (_, change) => {
    const mapping = { schema: "Users", flywayVersion: "10.22.0", flywayConf: "a.conf", ...change };
    parameters["/flyway/s3-mapping/full"] = JSON.stringify(mapping);
    const refused = await compare("full", settings, ({ code, stdout, stderr }) => ({
      code,
      stdout,
      isExplained:
        stderr.includes("does not match") && stderr.includes("/flyway/s3-mapping/full is no valid"),
    }));
    expect(refused).toEqual({ code: 1, stdout: "", isExplained: true });
  });

  test("list_mappings: all pages", async () => {
    const body = `LOOK=$work; list_mappings; jq -c '.Parameters[] | [.Name, .Value]' mappings`;
    const pages = [1, 2, 3].map(
      (page) => `["/flyway/s3-mapping/b${page}","{\\"flywayConf\\":\\"${page}\\"}"]\n`,
    );
    expect(await compare("full", body, printed)).toEqual({ code: 0, stdout: pages.join("") });
  });

  test("one that isn't there", async () => {
    const found = await compare(
      "full",
      "parameter none || [ $? -gt 253 ] && echo failed; CONF=none; read_target",
      ({ code, stdout, stderr }) => ({ code, stdout, isNamed: stderr.includes("(ParameterNotFound)") }),
    );
    expect(found).toEqual({ code: 1, stdout: "failed\n", isNamed: true });
  });

  test.each(["file", "s3"])("install_flyway by %s://", async (scheme) => {
    const folder = mkdtempSync(join(work, "archive-"));
    mkdirSync(join(folder, "flyway-11.8.2"));
    writeFileSync(join(folder, "flyway-11.8.2/flyway"), "#!/bin/sh\necho 'Flyway was here'\n", {
      mode: 0o755,
    });
    execFileSync("tar", ["-czf", "archive", "flyway-11.8.2"], { cwd: folder });
    const archive = readFileSync(join(folder, "archive"));
    const sha256 = createHash("sha256").update(archive).digest("hex");
    await put("records", "flyway/archive.tar.gz", archive);
    const url = scheme === "s3" ? "s3://records/flyway/archive.tar.gz" : `file://${join(folder, "archive")}`;
    parameters["/flyway/archive/11.8.2"] = JSON.stringify({ url, sha256 });
    const { code, stdout } = await compare("full", 'install_flyway >&2; "$release/flyway"', printed);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Flyway was here\n" });
  });
});

describe("what the host makes of Flyway's words", () => {
  /** Writes files into the run's folder, JSON where they are no text. */
  const given = (contents: Record<string, unknown>) =>
    Object.entries(contents)
      .map(([name, content]) => {
        const file = join(mkdtempSync(join(work, "given-")), "file");
        writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
        return `mkdir -p "$work/$(dirname '${name}')"; sed "s|WORK|$work|g" '${file}' >'${name}'\n`;
      })
      .join("");

  const failed = (errorCode: string, message: string) =>
    `${given({ "migrate.json": { error: { errorCode, message } } })}result=$work/migrate.json; read_result migrate; is_passing && echo yes || echo no`;

  test.each([
    [
      "no connection",
      "DB_CONNECTION",
      "Unable to obtain connection\n---\nSQL State  : 08S01\nError Code : 0",
      "yes",
    ],
    [
      "a refused login",
      "DB_CONNECTION",
      "SQL State  : 28000\nError Code : 1045\nMessage    : Access denied",
      "yes",
    ],
    ["too many connections", "DB_CONNECTION", "SQL State  : HY000\nError Code : 1040\nMessage", "yes"],
    [
      "a read-only server",
      "DB_CONNECTION",
      "SQL State  : HY000\nError Code : 1290\nMessage: --read-only option",
      "yes",
    ],
    [
      "a schema that may not be made",
      "DB_CONNECTION",
      "SQL State  : 42000\nError Code : 1044\nMessage",
      "no",
    ],
    ["a statement that failed", "FAILED_VERSIONED_MIGRATION", "SQL State  : 42000\nError Code : 1064", "no"],
    [
      "a statement whose connection broke",
      "FAILED_VERSIONED_MIGRATION",
      "SQL State  : 08000\nError Code : 1",
      "no",
    ],
  ])("is_passing of %s", async (_, errorCode, message, expected) => {
    const found = await compare("full", failed(errorCode, message), printed);
    expect(found).toEqual({ code: 0, stdout: `${expected}\n` });
  });

  test("is_passing of what is no JSON", async () => {
    const body = `${given({ "migrate.json": "Killed" })}result=$work/migrate.json; is_passing || echo no`;
    expect(await compare("full", body, printed)).toEqual({ code: 0, stdout: "no\n" });
  });

  test("refuse_ignored_files names what is no migration and no callback", async () => {
    const keys = ["V1__a.sql", "v2__b.sql", "x/V3__c.SQL", "beforeMigrate.sql", "README.md", "a b.sql"];
    const info = { operation: "info", migrations: [{ filepath: "WORK/sql/V1__a.sql", state: "Success" }] };
    const files = {
      "listing.json": { objects: keys.map((key) => ({ key, versionId: "1" })) },
      "migrate.json": { individualResults: [{ operation: "migrate", migrations: [] }, info] },
    };
    const body = `${given(files)}refuse_ignored_files; jq -r .key refused.json`;
    const found = await compare("full", body, printed);
    expect(found).toEqual({ code: 0, stdout: "v2__b.sql\nx/V3__c.SQL\na b.sql\n" });
  });

  test("hear_of_ignored_files ends the run for what no run saw before, once", async () => {
    const object = (key: string, versionId: string) => ({ key, versionId });
    const files = {
      "listing.json": { objects: [object("a.sql", "1"), object("b.sql", "2")] },
      "refused.json":
        '{"key":"a.sql","message":"m","remedy":"r"}\n{"key":"b.sql","message":"m","remedy":"r"}\n',
      seen: [object("a.sql", "1"), object("b.sql", "1")],
    };
    const body = `${given(files)}cp seen "$state.seen"; (hear_of_ignored_files) || echo "$?"
      jq -c .objects listing.json >"$state.seen"; hear_of_ignored_files; echo heard`;
    const found = await compare("full", body, ({ code, stdout, stderr }) => ({
      code,
      stdout,
      said: stderr.replace(/^.*FAILED/, "FAILED"),
    }));
    expect(found).toEqual({ code: 0, stdout: "1\nheard\n", said: "FAILED: b.sql: m; r\n" });
  });

  test("note_what_landed tells the failed statement, and what is other in what the file names", async () => {
    const line = (look: string, name: string, is: string) => `${JSON.stringify({ look, name, is })}\n`;
    const time = line("time", "2026-01-01T12:00:00Z", "");
    const message = `Script V2__b.sql failed\n---\nLocation   : WORK/sql/V2__b.sql (WORK/sql/V2__b.sql)
Line       : 3\nStatement  : CREATE TABLE "x"\n  bad\n`;
    const row = (file: string, state: string) => ({
      filepath: `WORK/sql/${file}`,
      state,
      installedOnUTC: "2026-01-01T12:00:01Z",
    });
    const files = {
      "sql/V1__a.sql": "CREATE TABLE A (id int); INSERT INTO T(X) VALUES (1);",
      "sql/V2__b.sql": "CREATE TABLE `B` (id int);\nALTER TABLE t MODIFY x int;\nCREATE TABLE later",
      "migrate.json": { error: { errorCode: "FAILED_VERSIONED_MIGRATION", message } },
      "info.json": { migrations: [row("V1__a.sql", "Success"), row("V2__b.sql", "Failed")] },
      "before.look": time + line("column", "t.x", "char(1)") + line("table", "gone", "InnoDB"),
      after:
        time + line("column", "t.x", "int") + line("table", "B", "InnoDB") + line("table", "A", "InnoDB"),
    };
    const body = `${given(files)}left=""; look_at_schema() { cp after "$1"; }; note_what_landed; cat landed.json`;
    const found = await compare("full", body, ({ code, stdout }) => ({ code, landed: JSON.parse(stdout) }));
    expect(found).toEqual({
      code: 0,
      landed: {
        key: "V2__b.sql",
        line: 3,
        statement: 'CREATE TABLE "x"\n  bad',
        applied: ["V1__a.sql"],
        changes: [
          { kind: "column", name: "t.x", before: "char(1)", after: "int", shared: true },
          { kind: "table", name: "B", before: null, after: "InnoDB", shared: false },
        ],
        moreChanges: 0,
      },
    });
  });
});

describe("the run record", () => {
  const migration = { version: "1", filepath: "/opt/sql/V1__ä.sql" };
  const error = {
    errorCode: "FAILED",
    message: "Größe\nis no column",
    stackTrace: "at…",
    cause: { stackTrace: "" },
  };
  const both = { individualResults: [{ migrations: [migration], success: true }, { migrations: [] }] };
  const big = {
    individualResults: [{ migrations: Array(5000).fill(migration) }, { count: 123456789012345 }],
  };
  const cases: { name: string; code: number; reason: string; parts: Record<string, string>; said: string }[] =
    [
      {
        name: "of a success",
        code: 0,
        reason: "",
        parts: { migrate: JSON.stringify(both) },
        said: "applied V1__ä.sql\n",
      },
      {
        name: "of a failure",
        code: 1,
        reason: "",
        parts: {
          migrate: JSON.stringify({ error }),
          info: '{"migrations": []}',
          validate: JSON.stringify({ error }),
        },
        said: "Größe\nis no column\n",
      },
      {
        name: "of text that is no JSON",
        code: 1,
        reason: "",
        parts: { migrate: 'ERROR: "no\n\tJSON\\ ü', info: '{"half": ' },
        said: 'ERROR: "no\n\tJSON\\ ü\n',
      },
      {
        name: "without Flyway",
        code: 143,
        reason: 'it\'s $(a) "reason"',
        parts: {},
        said: 'it\'s $(a) "reason"\n',
      },
      {
        name: "of nothing new",
        code: 0,
        reason: "",
        parts: { migrate: "{}" },
        said: "nothing new to apply\n",
      },
      {
        name: "that is large",
        code: 0,
        reason: "",
        parts: { migrate: JSON.stringify(big) },
        said: "applied V1__ä.sql\n".repeat(5000),
      },
    ];

  test.each(cases)("$name", async ({ code, reason, parts, said }) => {
    const written = Object.entries(parts).map(([part, content]) => {
      const file = join(work, `${part}.json`);
      writeFileSync(file, content);
      return `cp '${file}' ${part}.json\n`;
    });
    const objects = `printf '%s' '{"objects": [{"key": "ü +.sql", "size": 12}], "newestChange": null}' >listing.json`;
    const body = `${written.join("")}${objects}\nreason='${reason.replaceAll("'", "'\\''")}'
      started=then; write_record ${code}; cat "$record"; echo =====; summarize "$record"`;
    const record = await compare("full", body, (result) => {
      const [json = "", summary] = result.stdout.split("=====\n");
      return { code: result.code, summary, ...JSON.parse(json), finishedAt: undefined, location: undefined };
    });
    expect(record).toMatchObject({
      code: 0,
      exitCode: code,
      reason: reason || null,
      summary: expect.stringContaining(said),
      bucket: "full",
    });
    expect(record.objects).toEqual([{ key: "ü +.sql", size: 12 }]);
    expect(JSON.stringify(record)).not.toContain("stackTrace");
  });
});

describe("jq", () => {
  test.each([
    ["prints as jq does", `printf '{"a":[1,2.5,"\\\\u0001ü🚀"],"b":{}}' | jq .`],
    ["prints raw text with its white space", `printf '"  x  \\\\n "' | jq -r .`],
    [
      "has flags together or apart, in any place",
      `printf '1 2' >in; jq -c -n '[inputs]' in; jq in -cn '[inputs]' || :`,
    ],
    ["reads several files", "printf 1 >a; printf ' 2 \"ü' >b; printf '\"' >c; jq -c . a b c"],
    ["takes raw lines", "printf 'a\\nb' | jq -R .; printf 'a\\nb' | jq -Rs .; printf '1 2' | jq -cs ."],
    ["takes named values", `jq -nc --arg a '-x "' --argjson b '{"c": [1]}' '[$a, $b]'`],
    [
      "slurps files of no, one and several values",
      `: >none; echo 1 >one; printf '"a" [2]\\n3' >more
      echo 4 | jq -nc --slurpfile none none --slurpfile one one --slurpfile more more '[$none, $one, $more, input] # all'`,
    ],
    ["does not wait for input that nothing asks for", "mkfifo pipe; exec 9<>pipe; jq -n 1 <pipe"],
  ])("%s", async (_, body) => {
    const { code } = await compare("full", body, printed);
    expect(code).toBe(0);
  });

  test.each([
    ["a filter that is none", "jq -n '.a['", 3],
    ["a filter that fails", "echo 1 2 | jq '.a'", 5],
    ["a filter that fails late", "echo '{\"a\": 1} 2' | jq .a", 5],
    ["a file that isn't there", "echo 1 >a; jq . none a", 2],
    ["a slurped file that isn't there", "jq -n --slurpfile a none 1", 2],
    ["a slurped file that is half", "echo '[1' >a; echo 1 >b; jq -n --slurpfile a a --slurpfile b b 1", 2],
    ["a named value that is no JSON", "jq -n --argjson a '[' 1", 2],
  ])("fails by %s", async (_, body, code) => {
    expect((await compare("full", body, printed)).code).toBe(code);
    expect((await bash("standIn", "full", body)).stderr).not.toBe("");
  });

  test.each(["echo '{\"a\":1} [' | jq -c .", "echo '{' >a; jq -c . a"])(
    "fails by malformed JSON: %s",
    async (body) => {
      // The exit code is 2 or 4 from a jq before 1.7, then 5.
      const failed = ({ code, stdout }: Result) => ({ hasFailed: [2, 4, 5].includes(code), stdout });
      expect((await compare("full", body, failed)).hasFailed).toBe(true);
    },
  );

  test.each(["jq -e .", "jq --seq .", "jq --tab .", "jq --slurpfile a b .", "jq -ce .", "jq -n"])(
    "the stand-in refuses %s",
    async (body) => {
      const { code, stdout, stderr } = await bash("standIn", "full", `echo '[]' >b; ${body} </dev/null`);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain("install jq");
    },
  );
});

describe("the aws stand-in refuses", () => {
  test.each([
    "aws s3 ls",
    "aws s3 rm s3://full/empty.sql",
    "aws s3 sync sql s3://full",
    "aws s3 sync s3://full/nested sql",
    "aws s3 sync s3://full sql --delete",
    "aws s3 sync s3://full sql --exclude '[a]*'",
    "aws s3 cp s3://full/empty.sql s3://full/copy.sql",
    "aws s3api list-object-versions --bucket full",
    "aws s3api list-object-versions --bucket full --prefix V --output json",
    "aws ssm get-parameter --name /flyway/target/default --output text",
    "aws ssm get-parameters-by-path --path /flyway --recursive --output json",
    "aws sts get-caller-identity",
    "aws",
  ])("%s", async (body) => {
    const { code, stdout, stderr } = await bash("standIn", "full", body);
    expect({ code, stdout }).toEqual({ code: 252, stdout: "" });
    expect(stderr).toMatch(/^\naws stand-in: not supported: .*; install the AWS CLI\n$/);
  });

  test.each(["http://192.0.2.1", "https://127.0.0.1", "http://127.0.0.1@s3.example.com", ""])(
    "to talk to %j",
    async (address) => {
      const call = `aws s3 cp --only-show-errors s3://full/empty.sql x`;
      const body = `sed 's|^AWS_ENDPOINT_URL=[^ ]*|AWS_ENDPOINT_URL="${address}"|' "$(command -v aws)" >aws; sh aws${call.slice(3)}`;
      const { code, stderr } = await bash("standIn", "full", body);
      expect({ code, stderr }).toMatchObject({ code: 252, stderr: expect.stringContaining("loopback") });
    },
  );
});

describe("tools", () => {
  function pathOf(...names: [name: string, content: string][]): string {
    const folder = mkdtempSync(join(work, "it's on PATH "));
    for (const [name, content] of names) writeFileSync(join(folder, name), content, { mode: 0o755 });
    const { PATH } = process.env;
    process.env.PATH = folder;
    onTestFinished(() => {
      process.env.PATH = PATH;
    });
    return folder;
  }

  test("an AWS CLI on PATH is told the endpoint by option; a jq on PATH is left to PATH", () => {
    pathOf(["aws", "#!/bin/sh\nprintf '<%s>' \"$@\"\n"], ["jq", "#!/bin/sh\n"]);
    const folder = join(work, "it's new");
    const { aws, said } = installTools(folder, "http://127.0.0.1:1/'$x'");
    expect(said).toEqual([]);
    expect(readdirSync(folder)).toEqual(["aws"]);
    const printed = execFileSync(aws, ["s3", "a b", "$c"], { encoding: "utf8" });
    expect(printed).toBe("<--endpoint-url><http://127.0.0.1:1/'$x'><s3><a b><$c>");
  });

  test("where there is none, or none that runs, it says what stands in", () => {
    pathOf(["aws", "#!/bin/sh\nexit 127\n"]);
    const { said } = installTools(join(work, "no real one"), endpoint);
    expect(said.map((line) => line.split(":")[0])).toEqual(["aws", "jq"]);
  });

  test("the programs of a Unix are there, or named with what installs them", () => {
    expect(missingPrograms()).toEqual([]);
    pathOf(["tar", ""], ["bash", "#!/bin/sh\nexit 1\n"]);
    const missing = missingPrograms();
    expect(missing.map((line) => line.split(":")[0])).toEqual([
      "bash 4.2 or newer",
      "flock",
      "sha256sum",
      "gzip",
      "find",
      "cmp",
      "awk",
    ]);
    for (const line of missing) expect(line).toMatch(/install \w/);
  });
});
