import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { S3Event } from "aws-lambda";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { LocalS3 } from "../../local/aws/s3/server";
import { findExecutable } from "../../local/machine/processes";
import { skipLoudly, startMoto } from "../support/moto";

const run = promisify(execFile);
const REGION = "eu-central-1";
const BUCKET = "flyway-clients";

const ENVIRONMENT = {
  ...process.env,
  AWS_ACCESS_KEY_ID: "local",
  AWS_SECRET_ACCESS_KEY: "local",
  AWS_SESSION_TOKEN: undefined,
  AWS_PROFILE: undefined,
  AWS_CONFIG_FILE: "/dev/null",
  AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
  AWS_DEFAULT_REGION: REGION,
  AWS_REGION: REGION,
  AWS_EC2_METADATA_DISABLED: "true",
  AWS_PAGER: "",
  LC_ALL: "C.UTF-8",
};

/** Every kind of key that once broke some S3; the last is sent in three parts of 8 MiB. */
const FILES: Record<string, Buffer> = {
  "V1__a b.sql": Buffer.from("a space"),
  "V2__a+b.sql": Buffer.from("a plus"),
  "V3__a&b.sql": Buffer.from("an ampersand"),
  "V4__100%20.sql": Buffer.from("what looks like an encoded space"),
  "V5__Größe—漢字🚀.sql": Buffer.from("non-ASCII: ß 漢字 🚀"),
  "V6__it's (1)~!@$=,;#?.sql": Buffer.from("punctuation"),
  "empty.sql": Buffer.alloc(0),
  "lines.sql": Buffer.from("\r\n0\r\n\r\n5;chunk-signature=0\r\n\0\xff\r\n", "latin1"),
  "nested/deep/er/V7.sql": Buffer.from("nested"),
  "nested/V8 +&%20.sql": Buffer.from("nested, and special"),
  "zz/20 MB.bin": randomBytes(20_000_000),
};
const KEYS = Object.keys(FILES).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

interface Server {
  endpoint: string;
  /** What the server sent as notifications; moto has none here. */
  events: S3Event[];
  stop(): Promise<void>;
}

async function startLocal(): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), "s3-clients-bodies-"));
  const s3 = new LocalS3({ directory, region: REGION, accessKeyId: "local" });
  const server = createServer((request, response) => s3.handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const events: S3Event[] = [];
  s3.createBucket(BUCKET);
  s3.notify(BUCKET, { suffix: "" }, (event) => events.push(event));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    events,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function startMotoWithBucket(): Promise<Server | undefined> {
  const moto = await startMoto();
  if (!moto) return undefined;
  const at = ["--endpoint-url", moto.endpoint, "--bucket", BUCKET];
  const place = ["--create-bucket-configuration", `LocationConstraint=${REGION}`];
  const versioned = ["--versioning-configuration", "Status=Enabled"];
  await run("aws", ["s3api", "create-bucket", ...at, ...place], { env: ENVIRONMENT });
  await run("aws", ["s3api", "put-bucket-versioning", ...at, ...versioned], { env: ENVIRONMENT });
  return { ...moto, events: [] };
}

const hasAws = findExecutable(["aws"], []) !== undefined;
if (!hasAws) skipLoudly("tests of S3 with its clients", "the aws command is not on PATH");

describe.skipIf(!hasAws).each([
  { name: "our LocalS3", start: startLocal },
  { name: "moto", start: startMotoWithBucket },
])("AWS CLI with $name", ({ name, start }) => {
  let server: Server | undefined;
  let work = "";
  let source = "";

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), "s3-clients-"));
    source = join(work, "source");
    for (const [key, content] of Object.entries(FILES)) {
      mkdirSync(dirname(join(source, key)), { recursive: true });
      writeFileSync(join(source, key), content);
    }
    server = await start();
  });

  afterAll(async () => {
    await server?.stop();
    rmSync(work, { recursive: true, force: true });
  });

  beforeEach(({ skip }) => {
    if (!server) skip(`${name} is not available`);
  });

  async function aws(...args: string[]): Promise<string> {
    const at = ["--endpoint-url", server?.endpoint ?? ""];
    const { stdout } = await run("aws", [...args, ...at], { env: ENVIRONMENT, maxBuffer: 1 << 26 });
    return stdout;
  }

  async function api(operation: string, ...args: string[]) {
    const of = operation === "list-buckets" ? [] : ["--bucket", BUCKET];
    const printed = await aws("s3api", operation, ...of, ...args, "--output", "json");
    return printed === "" ? {} : JSON.parse(printed);
  }

  async function refusal(call: Promise<unknown>): Promise<string> {
    const error = await call.then(
      () => undefined,
      (reason) => reason,
    );
    return String(error?.stderr);
  }

  /** Uploads all files below a prefix of the test's own. */
  async function upload(prefix: string): Promise<void> {
    await aws("s3", "cp", "--recursive", "--no-progress", source, `s3://${BUCKET}/${prefix}/`);
  }

  function contentOf(folder: string): Record<string, Buffer> {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    const names = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
    return Object.fromEntries(names.map((path) => [path.slice(folder.length + 1), readFileSync(path)]));
  }

  function expectSameBytes(folder: string, expected: Record<string, Buffer>): void {
    const contents = contentOf(folder);
    expect(Object.keys(contents).sort()).toEqual(Object.keys(expected).sort());
    const different = Object.keys(expected).filter((key) => !contents[key]?.equals(expected[key] as Buffer));
    expect(different).toEqual([]);
  }

  test("what cp uploads, sync brings into an empty folder byte for byte", async () => {
    await upload("all");
    const target = join(work, "down");
    await aws("s3", "sync", "--no-progress", `s3://${BUCKET}/all/`, target);
    expectSameBytes(target, FILES);
  });

  test("what sync uploads, cp brings down; a second sync has nothing to do; --delete removes", async () => {
    const folder = join(work, "synced");
    mkdirSync(folder, { recursive: true });
    // Where S3 tells times by the second, sync sends what was written within the second again.
    const earlier = new Date("2026-01-01T00:00:00Z");
    for (const key of ["kept +.sql", "gone %20.sql"]) {
      writeFileSync(join(folder, key), key);
      utimesSync(join(folder, key), earlier, earlier);
    }
    const there = `s3://${BUCKET}/synced/`;
    expect(await aws("s3", "sync", "--no-progress", folder, there)).toContain("upload: ");
    expect(await aws("s3", "sync", "--no-progress", folder, there)).toBe("");
    rmSync(join(folder, "gone %20.sql"));
    expect(await aws("s3", "sync", "--delete", folder, there)).toContain("delete: ");
    const target = join(work, "synced-down");
    await aws("s3", "cp", "--recursive", "--no-progress", there, target);
    expectSameBytes(target, { "kept +.sql": Buffer.from("kept +.sql") });
  });

  test("ls lists every key, and folders as prefixes", async () => {
    await upload("listed");
    const all = await aws("s3", "ls", "--recursive", `s3://${BUCKET}/listed/`);
    const listed = all
      .trim()
      .split("\n")
      .map((line) => line.replace(/^.{19} +\d+ listed\//, ""));
    expect(listed).toEqual(KEYS);
    const folder = await aws("s3", "ls", `s3://${BUCKET}/listed/nested/`);
    expect(folder).toMatch(/^ +PRE deep\/\n.* 19 V8 \+&%20\.sql\n$/);
    expect(await aws("s3", "ls")).toMatch(new RegExp(` ${BUCKET}\n$`));
  });

  test("both list operations name every key, in pages too", async () => {
    await upload("paged");
    for (const operation of ["list-objects", "list-objects-v2"]) {
      const { Contents } = await api(operation, "--prefix", "paged/", "--page-size", "2");
      expect(Contents.map(({ Key }: { Key: string }) => Key)).toEqual(KEYS.map((key) => `paged/${key}`));
    }
  });

  test("list-object-versions tells each version and its size, the newest first, in pages too", async () => {
    const names = KEYS.filter((key) => key !== "zz/20 MB.bin");
    const folder = join(work, "versions");
    for (const round of ["1", "22"]) {
      for (const key of names) {
        mkdirSync(dirname(join(folder, key)), { recursive: true });
        writeFileSync(join(folder, key), round);
      }
      await aws("s3", "cp", "--recursive", "--no-progress", folder, `s3://${BUCKET}/versions/`);
    }
    const { Versions } = await api("list-object-versions", "--prefix", "versions/", "--page-size", "3");
    type Listed = { Key: string; Size: number; IsLatest: boolean };
    expect(Versions.map(({ Key, Size, IsLatest }: Listed) => [Key, Size, IsLatest])).toEqual(
      names.flatMap((key) => [
        [`versions/${key}`, 2, true],
        [`versions/${key}`, 1, false],
      ]),
    );
  });

  test("rm hides a key behind a delete marker; its version can still be read; without the marker it's back", async () => {
    const key = "removed/a +%20ä.sql";
    const at = ["--key", key];
    writeFileSync(join(work, "removed.sql"), "still there");
    await aws("s3", "cp", join(work, "removed.sql"), `s3://${BUCKET}/${key}`);
    await aws("s3", "rm", `s3://${BUCKET}/${key}`);
    expect(await refusal(aws("s3", "ls", `s3://${BUCKET}/${key}`))).toBe("");
    expect(await refusal(api("head-object", ...at))).toContain("(404)");
    const { Versions, DeleteMarkers } = await api("list-object-versions", "--prefix", key);
    expect([Versions.length, DeleteMarkers.length, DeleteMarkers[0].IsLatest]).toEqual([1, 1, true]);
    expect(DeleteMarkers[0].Key).toBe(key);
    const read = join(work, "removed.read");
    await api("get-object", ...at, "--version-id", Versions[0].VersionId, read);
    expect(readFileSync(read, "utf8")).toBe("still there");
    await api("delete-object", ...at, "--version-id", DeleteMarkers[0].VersionId);
    expect((await api("head-object", ...at)).VersionId).toBe(Versions[0].VersionId);
  });

  test("rm --recursive and delete-objects remove every key", async () => {
    await upload("many");
    await aws("s3", "rm", "--recursive", "--exclude", "V*", `s3://${BUCKET}/many/`);
    const { Contents } = await api("list-objects-v2", "--prefix", "many/");
    const keys = Contents.map(({ Key }: { Key: string }) => ({ Key }));
    expect(keys.map(({ Key }: { Key: string }) => Key)).toEqual(
      KEYS.filter((key) => key.startsWith("V")).map((key) => `many/${key}`),
    );
    const { Deleted } = await api("delete-objects", "--delete", JSON.stringify({ Objects: keys }));
    expect(Deleted).toHaveLength(keys.length);
    expect((await api("list-objects-v2", "--prefix", "many/")).Contents ?? []).toEqual([]);
  });

  test("a file of 20 MB gets the ETag of its three parts, and can be read in ranges", async () => {
    const content = FILES["zz/20 MB.bin"] as Buffer;
    const key = "parts/20 MB.bin";
    await aws("s3", "cp", "--no-progress", join(source, "zz/20 MB.bin"), `s3://${BUCKET}/${key}`);
    const part = 8 * 1024 * 1024;
    const digests = [0, 1, 2].map((index) => content.subarray(index * part, (index + 1) * part)).map(md5);
    const head = await api("head-object", "--key", key);
    expect([head.ContentLength, head.ETag]).toEqual([
      content.length,
      `"${md5(Buffer.concat(digests)).toString("hex")}-3"`,
    ]);
    const read = join(work, "range");
    const object = await api("get-object", "--key", key, "--range", "bytes=8388600-8388699", read);
    expect(object.ContentRange).toBe(`bytes 8388600-8388699/${content.length}`);
    expect(readFileSync(read).equals(content.subarray(8_388_600, 8_388_700))).toBe(true);
  });

  test("cp within the bucket keeps the content, and in one piece the metadata too", async () => {
    const [from, to] = [`s3://${BUCKET}/copy/from`, `s3://${BUCKET}/copy/to`];
    const described = ["--content-type", "text/x-sql", "--metadata", "author=somebody"];
    for (const key of ["V4__100%20.sql", "zz/20 MB.bin"]) {
      await aws("s3", "cp", "--no-progress", join(source, key), `${from}/${key}`, ...described);
      await aws("s3", "cp", "--no-progress", `${from}/${key}`, `${to}/${key}`);
      const read = join(work, "copied");
      const object = await api("get-object", "--key", `copy/to/${key}`, read);
      // AWS CLI v1 loses them where it copies in parts, v2 doesn't.
      const isInParts = key === "zz/20 MB.bin";
      if (!isInParts)
        expect([object.ContentType, object.Metadata]).toEqual(["text/x-sql", { author: "somebody" }]);
      expect(readFileSync(read).equals(FILES[key] as Buffer)).toBe(true);
    }
  });

  test("multipart operations one by one: completed it's an object, aborted it's nothing", async () => {
    const at = ["--key", "multipart/one by one"];
    const path = join(work, "part");
    writeFileSync(path, "only part");
    const body = ["--part-number", "1", "--body", path];
    const aborted = (await api("create-multipart-upload", ...at)).UploadId;
    await api("upload-part", ...at, ...body, "--upload-id", aborted);
    await api("abort-multipart-upload", ...at, "--upload-id", aborted);
    expect(await refusal(api("head-object", ...at))).toContain("(404)");
    const id = (await api("create-multipart-upload", ...at)).UploadId;
    const { ETag } = await api("upload-part", ...at, ...body, "--upload-id", id);
    const parts = JSON.stringify({ Parts: [{ PartNumber: 1, ETag }] });
    await api("complete-multipart-upload", ...at, "--upload-id", id, "--multipart-upload", parts);
    expect((await api("head-object", ...at)).ContentLength).toBe(9);
  });

  test("put-object --if-none-match '*' doesn't replace an object", async () => {
    const put = () => api("put-object", "--key", "once", "--if-none-match", "*");
    await put();
    expect(await refusal(put())).toContain("(PreconditionFailed)");
  });

  test("the bucket tells its place, its versioning and its name", async () => {
    expect(await api("get-bucket-location")).toEqual({ LocationConstraint: REGION });
    expect((await api("get-bucket-versioning")).Status).toBe("Enabled");
    expect((await api("list-buckets")).Buckets[0].Name).toBe(BUCKET);
    expect(await refusal(aws("s3", "ls", "s3://no-such-bucket"))).toContain("(NoSuchBucket)");
  });

  // moto sends no notifications here
  if (name === "our LocalS3") {
    test("an upload of each file sends one notification each", async () => {
      server?.events.splice(0);
      await upload("notified");
      const records = server?.events.flatMap(({ Records }) => Records) ?? [];
      const decoded = records.map(({ s3 }) => decodeURIComponent(s3.object.key.replaceAll("+", " ")));
      expect(decoded.sort()).toEqual(KEYS.map((key) => `notified/${key}`).sort());
      const inParts = records.filter(
        ({ eventName }) => eventName === "ObjectCreated:CompleteMultipartUpload",
      );
      expect(inParts.map(({ s3 }) => s3.object.key)).toEqual(["notified/zz/20+MB.bin"]);
    });
  }
});

function md5(content: Buffer): Buffer {
  return createHash("md5").update(content).digest();
}
