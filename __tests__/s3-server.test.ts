import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import * as http from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { S3Event } from "aws-lambda";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { unframed } from "../local/aws/s3/body";
import { LocalS3 } from "../local/aws/s3/server";

const AUTHORIZATION =
  "AWS4-HMAC-SHA256 Credential=local/20261123/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0";

let directory: string;
let s3: LocalS3;
let server: http.Server;
let port: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "s3-server-"));
  s3 = new LocalS3({ directory, region: "eu-central-1", accessKeyId: "local" });
  s3.createBucket("b");
  server = http.createServer((request, response) => s3.handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});

interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

type Headers = Record<string, string | undefined>;

/** Sends the path as it is; a header that is undefined is left out. */
function send(
  method: string,
  path: string,
  body: string | Buffer = "",
  headers: Headers = {},
): Promise<Reply> {
  const sent = Object.fromEntries(
    Object.entries({
      authorization: AUTHORIZATION,
      "content-length": String(Buffer.byteLength(body)),
      ...headers,
    }).filter(([, value]) => value !== undefined),
  );
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: "127.0.0.1", port, method, path, headers: sent },
      async (response) => {
        const pieces: Buffer[] = [];
        for await (const piece of response) pieces.push(piece);
        const text = Buffer.concat(pieces).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

/** Status and error code. */
async function refusal(reply: Promise<Reply>): Promise<[number, string | undefined]> {
  const { status, body } = await reply;
  return [status, texts(body, "Code")[0]];
}

function texts(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))].map((match) => match[1] ?? "");
}

function md5(content: string | Buffer): Buffer {
  return createHash("md5").update(content).digest();
}

async function put(key: string, body: string | Buffer = "", headers: Headers = {}): Promise<string> {
  const reply = await send("PUT", `/b/${encodeURIComponent(key)}`, body, headers);
  expect(reply.status).toBe(200);
  return String(reply.headers["x-amz-version-id"]);
}

async function putFramed(frames: string | Buffer, headers: Headers): Promise<number> {
  return (await send("PUT", "/b/framed", frames, headers)).status;
}

describe("content", () => {
  const unsigned = {
    "content-encoding": "aws-chunked",
    "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
  };
  const frames = "5\r\nhello\r\n8\r\n\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";

  test("stores unsigned chunks with a trailer, as AWS CLI v2 sends them, without their framing", async () => {
    const headers = {
      ...unsigned,
      "x-amz-decoded-content-length": "13",
      "x-amz-trailer": "x-amz-checksum-crc32",
    };
    expect(await putFramed(frames, headers)).toBe(200);
    expect((await s3.read("b", "framed"))?.toString()).toBe("hello\r\n world");
    expect(s3.versions("b")[0]?.eTag).toBe(md5("hello\r\n world").toString("hex"));
    const head = await send("HEAD", "/b/framed");
    expect(head.headers["content-encoding"]).toBeUndefined();
  });

  test("finds the frames wherever the network cuts them", async () => {
    async function* bytes() {
      for (const byte of Buffer.from(frames)) yield Buffer.of(byte);
    }
    const content: Buffer[] = [];
    for await (const piece of unframed(bytes())) content.push(piece);
    expect(Buffer.concat(content).toString()).toBe("hello\r\n world");
  });

  test("stores signed chunks without their signatures", async () => {
    const signature = `;chunk-signature=${"0f".repeat(32)}`;
    const content = Buffer.alloc(70_000, "0123456789\r\n");
    const signed = Buffer.concat([
      Buffer.from(`10000${signature}\r\n`),
      content.subarray(0, 65_536),
      Buffer.from(`\r\n${(70_000 - 65_536).toString(16)}${signature}\r\n`),
      content.subarray(65_536),
      Buffer.from(`\r\n0${signature}\r\n\r\n`),
    ]);
    const headers = {
      "content-encoding": "aws-chunked,gzip",
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      "x-amz-decoded-content-length": "70000",
    };
    expect(await putFramed(signed, headers)).toBe(200);
    expect((await s3.read("b", "framed"))?.equals(content)).toBe(true);
    expect((await send("HEAD", "/b/framed")).headers["content-encoding"]).toBe("gzip");
  });

  test.each([
    ["no framing at all", "hello, how are you?", "19"],
    ["a chunk longer than announced", "3\r\nhello\r\n0\r\n\r\n", "5"],
    ["no last chunk", "5\r\nhello\r\n", "5"],
    ["another length than announced", "5\r\nhello\r\n0\r\n\r\n", "6"],
  ])("refuses chunks with %s", async (_what, wrong, length) => {
    expect(await putFramed(wrong, { ...unsigned, "x-amz-decoded-content-length": length })).toBe(400);
    expect(s3.versions("b")).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("keeps content type, its own metadata and an empty body", async () => {
    await put("k", "", { "content-type": "text/x-sql", "x-amz-meta-author": "somebody" });
    const { status, headers, body } = await send("GET", "/b/k");
    expect([status, body, headers["content-length"]]).toEqual([200, "", "0"]);
    expect([headers["content-type"], headers["x-amz-meta-author"]]).toEqual(["text/x-sql", "somebody"]);
    expect(headers["last-modified"]).toBe(new Date(s3.versions("b")[0]?.lastModified ?? "").toUTCString());
  });

  test("sends ranges with 206, and 416 where there is nothing to send", async () => {
    await put("k", "0123456789");
    const ranged = (range: string) => send("GET", "/b/k", "", { range });
    const middle = await ranged("bytes=2-4");
    expect([middle.status, middle.body, middle.headers["content-range"]]).toEqual([
      206,
      "234",
      "bytes 2-4/10",
    ]);
    expect((await ranged("bytes=8-")).body).toBe("89");
    expect((await ranged("bytes=-3")).body).toBe("789");
    expect((await ranged("bytes=8-100")).body).toBe("89");
    expect((await ranged("bytes=4-2")).status).toBe(200);
    expect(await refusal(ranged("bytes=10-"))).toEqual([416, "InvalidRange"]);
  });

  test("refuses a body that isn't what Content-MD5 says, and stores nothing", async () => {
    const wrong = { "content-md5": md5("other").toString("base64") };
    expect(await refusal(send("PUT", "/b/k", "body", wrong))).toEqual([400, "BadDigest"]);
    expect([s3.versions("b"), readdirSync(directory)]).toEqual([[], []]);
    await put("k", "body", { "content-md5": md5("body").toString("base64") });
  });

  test("stores nothing of an upload that breaks off", async () => {
    const events: S3Event[] = [];
    s3.notify("b", { suffix: "" }, (event) => events.push(event));
    const socket = connect(port, "127.0.0.1");
    const head = `PUT /b/k HTTP/1.1\r\nhost: localhost\r\nauthorization: ${AUTHORIZATION}\r\ncontent-length: 100000\r\n\r\n`;
    socket.write(`${head}${"x".repeat(50_000)}`);
    while (readdirSync(directory).length === 0) await sleep(5);
    socket.destroy();
    while (readdirSync(directory).length > 0) await sleep(5);
    expect([s3.versions("b"), events]).toEqual([[], []]);
  });
});

describe("keys", () => {
  const keys = [
    "a b",
    "a+b",
    "a&b<>\"'",
    "a%20b",
    "ä 漢字🚀",
    "../../etc/passwd",
    "a//b/./c",
    "tab\tand\u0001",
    "?x=#y",
    "folder/",
  ];

  test.each(keys)("stores %j under exactly that key", async (key) => {
    await put(key, key);
    expect(s3.versions("b").map((version) => version.key)).toEqual([key]);
    expect((await s3.read("b", key))?.toString()).toBe(key);
    const { body } = await send("GET", "/b?list-type=2&encoding-type=url");
    expect(texts(body, "Key").map((text) => decodeURIComponent(text.replaceAll("+", " ")))).toEqual([key]);
  });

  test("takes a plus in a path as a plus", async () => {
    await send("PUT", "/b/a+b", "");
    expect(s3.versions("b")[0]?.key).toBe("a+b");
  });

  test("names body files by version id", async () => {
    const versionId = await put("../up", "x");
    expect(readdirSync(directory)).toEqual([versionId]);
  });

  test("escapes keys in a listing without encoding-type", async () => {
    await put("<&\u0001>");
    expect((await send("GET", "/b")).body).toContain("<Key>&lt;&amp;&#1;&gt;</Key>");
  });

  test("refuses a key of more than 1,024 bytes, and one that isn't UTF-8", async () => {
    await put("ä".repeat(512));
    expect(await refusal(send("PUT", `/b/${"a".repeat(1025)}`))).toEqual([400, "KeyTooLongError"]);
    expect(await refusal(send("PUT", "/b/%E4"))).toEqual([400, "InvalidURI"]);
  });

  test("lists them by their UTF-8 bytes", async () => {
    for (const key of ["🚀", "\ufb01", "b", "B", "a/b", "a"]) await put(key);
    expect(s3.versions("b").map(({ key }) => key)).toEqual(["B", "a", "a/b", "b", "\ufb01", "🚀"]);
  });
});

describe("versions", () => {
  test("each upload makes a version, each readable by its id", async () => {
    const [first, second] = [await put("k", "one"), await put("k", "two")];
    expect(s3.versions("b").map(({ versionId, isLatest }) => [versionId, isLatest])).toEqual([
      [second, true],
      [first, false],
    ]);
    expect((await send("GET", "/b/k")).body).toBe("two");
    expect((await send("GET", `/b/k?versionId=${first}`)).body).toBe("one");
    expect((await s3.read("b", "k", first))?.toString()).toBe("one");
  });

  test("a delete hides the key behind a marker; deleting the marker brings it back", async () => {
    const first = await put("k", "one");
    const deleted = await send("DELETE", "/b/k");
    expect([deleted.status, deleted.headers["x-amz-delete-marker"]]).toEqual([204, "true"]);
    const marker = String(deleted.headers["x-amz-version-id"]);
    expect(s3.versions("b").map(({ versionId, isDeleteMarker }) => [versionId, isDeleteMarker])).toEqual([
      [marker, true],
      [first, false],
    ]);
    expect(await s3.read("b", "k")).toBeUndefined();
    expect(await refusal(send("GET", "/b/k"))).toEqual([404, "NoSuchKey"]);
    expect(await refusal(send("GET", `/b/k?versionId=${marker}`))).toEqual([405, "MethodNotAllowed"]);
    expect(texts((await send("GET", "/b?list-type=2")).body, "KeyCount")).toEqual(["0"]);
    await send("DELETE", `/b/k?versionId=${marker}`);
    expect((await send("GET", "/b/k")).body).toBe("one");
  });

  test("a version deleted by its id is gone, with its body", async () => {
    const [first, second] = [await put("k", "one"), await put("k", "two")];
    await send("DELETE", `/b/k?versionId=${second}`);
    expect((await send("GET", "/b/k")).body).toBe("one");
    expect(await refusal(send("GET", `/b/k?versionId=${second}`))).toEqual([404, "NoSuchVersion"]);
    expect(readdirSync(directory)).toEqual([first]);
  });

  test("DeleteObjects unescapes keys, and reports what it did unless asked to be quiet", async () => {
    const key = "<&>'\"ä";
    await put(key);
    const named = `<Object><Key>&lt;&amp;&gt;&apos;&quot;&#228;</Key></Object>`;
    const { body } = await send("POST", "/b?delete", `<Delete>${named}</Delete>`);
    expect(texts(body, "DeleteMarker")).toEqual(["true"]);
    expect(s3.versions("b").map((version) => [version.key, version.isDeleteMarker])).toEqual([
      [key, true],
      [key, false],
    ]);
    const quiet = await send("POST", "/b?delete", `<Delete>${named}<Quiet>true</Quiet></Delete>`);
    expect(texts(quiet.body, "DeleteMarker")).toEqual([]);
    expect(await refusal(send("POST", "/b?delete", "<Delete/>"))).toEqual([400, "MalformedXML"]);
  });
});

describe("listings", () => {
  const many = Array.from({ length: 1005 }, (_, index) => `dir/${String(index).padStart(4, "0")}`);

  test("come in pages of 1,000 in each of the three operations", async () => {
    for (const key of many) await put(key);
    const first = (await send("GET", "/b?list-type=2")).body;
    expect([texts(first, "IsTruncated"), texts(first, "KeyCount")]).toEqual([["true"], ["1000"]]);
    const token = encodeURIComponent(texts(first, "NextContinuationToken")[0] ?? "");
    const second = (await send("GET", `/b?list-type=2&continuation-token=${token}`)).body;
    expect([...texts(first, "Key"), ...texts(second, "Key")]).toEqual(many);
    expect(texts(second, "IsTruncated")).toEqual(["false"]);
    const older = (await send("GET", `/b?marker=${texts(first, "Key").at(-1)}`)).body;
    expect(texts(older, "Key")).toEqual(many.slice(1000));
    const versions = (await send("GET", "/b?versions&max-keys=5000")).body;
    expect(texts(versions, "NextKeyMarker")).toEqual([many[999]]);
    const { body } = await send(
      "GET",
      `/b?versions&key-marker=${many[999]}&version-id-marker=${texts(versions, "NextVersionIdMarker")[0]}`,
    );
    expect(texts(body, "Key")).toEqual(many.slice(1000));
  });

  test("go on behind a version that was deleted since the page before", async () => {
    for (const content of ["1", "2", "3", "4"]) await put("k", content);
    const all = s3.versions("b").map(({ versionId }) => versionId);
    const page = (await send("GET", "/b?versions&max-keys=2")).body;
    expect(texts(page, "VersionId")).toEqual(all.slice(0, 2));
    for (const versionId of all.slice(0, 2)) await send("DELETE", `/b/k?versionId=${versionId}`);
    const next = await send("GET", `/b?versions&key-marker=k&version-id-marker=${all[1]}`);
    expect(texts(next.body, "VersionId")).toEqual(all.slice(2));
  });

  test("fold what a delimiter ends into one entry, in pages too", async () => {
    for (const key of ["a/", "a/1", "a/2", "b", "c/1/x", "c/2", "d"]) await put(key);
    const keys: string[] = [];
    let marker = "";
    for (let page = 0; page < 10; page += 1) {
      const { body } = await send("GET", `/b?delimiter=%2F&max-keys=1&marker=${encodeURIComponent(marker)}`);
      keys.push(...texts(body, "Key"), ...texts(body.slice(body.indexOf("</MaxKeys>")), "Prefix"));
      marker = texts(body, "NextMarker")[0] ?? "";
      if (marker === "") break;
    }
    expect(keys).toEqual(["a/", "b", "c/", "d"]);
    const inside = await send("GET", "/b?list-type=2&delimiter=%2F&prefix=a%2F");
    expect(texts(inside.body, "Key")).toEqual(["a/", "a/1", "a/2"]);
    const after = await send("GET", "/b?list-type=2&delimiter=%2F&prefix=a%2F&start-after=a%2F");
    expect(texts(after.body, "Key")).toEqual(["a/1", "a/2"]);
  });

  test("take max-keys of 0, and refuse one that is no number", async () => {
    await put("k");
    expect(texts((await send("GET", "/b?max-keys=0")).body, "IsTruncated")).toEqual(["false"]);
    expect(await refusal(send("GET", "/b?max-keys=x"))).toEqual([400, "InvalidArgument"]);
    expect(await refusal(send("GET", "/b?list-type=2&continuation-token=!"))).toEqual([
      400,
      "InvalidArgument",
    ]);
  });
});

describe("multipart uploads", () => {
  const [large, small] = [Buffer.alloc(5 * 1024 * 1024, "a"), Buffer.from("the end")];

  async function start(key = "k"): Promise<string> {
    return texts((await send("POST", `/b/${key}?uploads`)).body, "UploadId")[0] ?? "";
  }

  async function part(id: string, number: number, body: Buffer): Promise<string> {
    const { status, headers } = await send("PUT", `/b/k?partNumber=${number}&uploadId=${id}`, body);
    expect(status).toBe(200);
    return String(headers.etag);
  }

  function complete(id: string, parts: [number, string][]): Promise<Reply> {
    const named = parts.map(
      ([number, eTag]) => `<Part><ETag>${eTag}</ETag><PartNumber>${number}</PartNumber></Part>`,
    );
    return send(
      "POST",
      `/b/k?uploadId=${id}`,
      `<CompleteMultipartUpload>${named.join("")}</CompleteMultipartUpload>`,
    );
  }

  test("join the named parts in their order, and leave no file behind", async () => {
    const id = await start();
    const [last, first] = [await part(id, 7, small), await part(id, 2, large)];
    await part(id, 9, Buffer.from("not named"));
    const { status } = await complete(id, [
      [2, first],
      [7, last.replaceAll('"', "&quot;")],
    ]);
    expect(status).toBe(200);
    expect((await s3.read("b", "k"))?.equals(Buffer.concat([large, small]))).toBe(true);
    const [version] = s3.versions("b");
    expect(version?.eTag).toBe(`${md5(Buffer.concat([md5(large), md5(small)])).toString("hex")}-2`);
    expect(readdirSync(directory)).toEqual([version?.versionId]);
    expect(await refusal(complete(id, [[2, first]]))).toEqual([404, "NoSuchUpload"]);
  });

  test("refuse unknown parts, wrong order and small parts, and can go on after that", async () => {
    const id = await start();
    const [one, two] = [await part(id, 1, small), await part(id, 2, small)];
    expect(await refusal(complete(id, [[3, one]]))).toEqual([400, "InvalidPart"]);
    expect(await refusal(complete(id, [[1, md5("other").toString("hex")]]))).toEqual([400, "InvalidPart"]);
    const wrongOrder: [number, string][] = [
      [2, two],
      [1, one],
    ];
    expect(await refusal(complete(id, wrongOrder))).toEqual([400, "InvalidPartOrder"]);
    expect(await refusal(complete(id, wrongOrder.reverse()))).toEqual([400, "EntityTooSmall"]);
    expect(await refusal(complete(id, []))).toEqual([400, "MalformedXML"]);
    expect((await complete(id, [[2, two]])).status).toBe(200);
    expect((await s3.read("b", "k"))?.equals(small)).toBe(true);
  });

  test("leave nothing when aborted", async () => {
    const id = await start();
    await part(id, 1, small);
    expect((await send("DELETE", `/b/k?uploadId=${id}`)).status).toBe(204);
    expect([s3.versions("b"), readdirSync(directory)]).toEqual([[], []]);
    expect(await refusal(send("PUT", `/b/k?partNumber=1&uploadId=${id}`, "x"))).toEqual([
      404,
      "NoSuchUpload",
    ]);
    expect(await refusal(send("DELETE", `/b/k?uploadId=${id}`))).toEqual([404, "NoSuchUpload"]);
  });

  test("send one notification, named after their completion", async () => {
    const events: S3Event[] = [];
    s3.notify("b", { suffix: "" }, (event) => events.push(event));
    const id = await start();
    const eTag = await part(id, 1, small);
    await complete(id, [[1, eTag]]);
    await expect.poll(() => events.length).toBe(1);
    expect(events[0]?.Records[0]?.eventName).toBe("ObjectCreated:CompleteMultipartUpload");
  });
});

describe("copies", () => {
  const from = (source: string, more: Headers = {}) => ({ "x-amz-copy-source": source, ...more });

  test("take content and metadata of the newest or a named version", async () => {
    const first = await put("a +%20", "one", { "x-amz-meta-by": "me" });
    await put("a +%20", "two");
    await send("PUT", "/b/newest", "", from("b/a%20%2B%2520"));
    await send("PUT", "/b/first", "", from(`/b/a%20%2B%2520?versionId=${first}`));
    expect((await send("GET", "/b/newest")).body).toBe("two");
    const { body, headers } = await send("GET", "/b/first");
    expect([body, headers["x-amz-meta-by"]]).toEqual(["one", "me"]);
  });

  test("are refused of what isn't there, of an unwanted version, and onto themselves without a change", async () => {
    await put("k", "one");
    const copy = (key: string, source: string, more?: Headers) =>
      refusal(send("PUT", `/b/${key}`, "", from(source, more)));
    expect(await copy("x", "b/none")).toEqual([404, "NoSuchKey"]);
    expect(await copy("x", "none/k")).toEqual([404, "NoSuchBucket"]);
    expect(await copy("x", "b/k", { "x-amz-copy-source-if-match": "other" })).toEqual([
      412,
      "PreconditionFailed",
    ]);
    expect(await copy("k", "b/k")).toEqual([400, "InvalidRequest"]);
    expect(s3.versions("b")).toHaveLength(1);
  });
});

describe("notifications", () => {
  test("tell the key as S3 encodes it, after the response", async () => {
    const events: S3Event[] = [];
    let response: http.ServerResponse | undefined;
    server.once("request", (_request, sent) => {
      response = sent;
    });
    const wasSent: (boolean | undefined)[] = [];
    s3.notify("b", { suffix: ".sql" }, (event) => {
      events.push(event);
      wasSent.push(response?.writableFinished);
    });
    const versionId = await put("a/b c+d%20ä(1)~*.sql", "body");
    await expect.poll(() => events.length).toBe(1);
    expect(wasSent).toEqual([true]);
    expect(events[0]?.Records[0]).toMatchObject({
      eventVersion: "2.1",
      eventSource: "aws:s3",
      awsRegion: "eu-central-1",
      eventName: "ObjectCreated:Put",
      s3: {
        bucket: { name: "b", arn: "arn:aws:s3:::b" },
        object: {
          key: "a/b+c%2Bd%2520%C3%A4%281%29%7E*.sql",
          size: 4,
          eTag: md5("body").toString("hex"),
          versionId,
        },
      },
    });
  });

  test("go to those whose bucket and suffix match, the suffix case-sensitive", async () => {
    s3.createBucket("other");
    const deliveries: string[] = [];
    const tell = (listener: string) => (event: S3Event) =>
      deliveries.push(`${listener} ${event.Records[0]?.s3.object.key}`);
    s3.notify("b", { suffix: ".sql" }, tell("sql"));
    s3.notify("other", { suffix: "" }, tell("other"));
    s3.notify("b", { suffix: "" }, tell("all"));
    for (const key of ["1.SQL", "2.sql.bak", "3.sql"]) await put(key);
    await send("DELETE", "/b/3.sql");
    await send("PUT", "/b/4.sql", "", { "x-amz-copy-source": "b/3.sql" });
    await expect.poll(() => deliveries).toEqual(["all 1.SQL", "all 2.sql.bak", "sql 3.sql", "all 3.sql"]);
  });

  test("have sequencers that grow with each version of a key", async () => {
    const sequencers: string[] = [];
    s3.notify("b", { suffix: "" }, (event) => sequencers.push(event.Records[0]?.s3.object.sequencer ?? ""));
    for (let round = 0; round < 20; round += 1) await put("k");
    await expect.poll(() => sequencers.length).toBe(20);
    expect([...sequencers].sort()).toEqual(sequencers);
    expect(new Set(sequencers).size).toBe(20);
  });
});

describe("refusals", () => {
  test.each([
    ["no Authorization", undefined],
    ["another access key id", AUTHORIZATION.replace("=local/", "=locals/")],
    ["a signature of version 2", "AWS local:0"],
  ])("a request with %s gets 403, and stores nothing", async (_what, wrong) => {
    expect(await refusal(send("PUT", "/b/k", "x", { authorization: wrong }))).toEqual([
      403,
      "InvalidAccessKeyId",
    ]);
    expect(await refusal(send("OPTIONS", "/b/k", "", { authorization: wrong }))).toEqual([
      403,
      "InvalidAccessKeyId",
    ]);
    expect(s3.versions("b")).toEqual([]);
  });

  test("what is missing gets 404 with its name, and HEAD no body", async () => {
    expect(await refusal(send("GET", "/none?list-type=2"))).toEqual([404, "NoSuchBucket"]);
    expect(await refusal(send("PUT", "/none/k", "x"))).toEqual([404, "NoSuchBucket"]);
    expect(await refusal(send("GET", "/b/none"))).toEqual([404, "NoSuchKey"]);
    expect(await refusal(send("GET", "/b/none?versionId=1"))).toEqual([404, "NoSuchVersion"]);
    const { status, body } = await send("HEAD", "/b/none");
    expect([status, body]).toEqual([404, ""]);
    expect(() => s3.versions("none")).toThrow("There is no bucket none.");
  });

  test.each([
    ["GET", "/b?acl"],
    ["PUT", "/b?policy"],
    ["PUT", "/b"],
    ["DELETE", "/b"],
    ["GET", "/b?uploads"],
    ["PUT", "/b/k?tagging"],
    ["GET", "/b/k?acl"],
    ["GET", "/b/k?partNumber=1"],
    ["PUT", "/b/k?versionId=1"],
    ["POST", "/b/k"],
    ["PATCH", "/b/k"],
  ])("%s %s is not in the subset: 501", async (method, path) => {
    const before = [await put("k"), s3.versions("b").length];
    const { status, body } = await send(method, path, "x");
    expect([status, texts(body, "Code")]).toEqual([501, ["NotImplemented"]]);
    expect(texts(body, "Message")[0]).toContain(method);
    expect([s3.versions("b")[0]?.versionId, s3.versions("b").length]).toEqual(before);
  });

  test.each([
    ["x-amz-acl", "public-read"],
    ["x-amz-tagging", "a=b"],
    ["x-amz-storage-class", "GLACIER"],
    ["x-amz-server-side-encryption", "aws:kms"],
    ["x-amz-server-side-encryption-customer-key", "secret"],
    ["if-none-match", '"0"'],
  ])("an upload that asks for %s: %s gets 501, and stores nothing", async (name, value) => {
    expect(await refusal(send("PUT", "/b/k", "x", { [name]: value }))).toEqual([501, "NotImplemented"]);
    expect([s3.versions("b"), readdirSync(directory)]).toEqual([[], []]);
  });

  test("conditions on an upload are met or refused with 412", async () => {
    const once = { "if-none-match": "*" };
    await put("k", "one", once);
    expect(await refusal(send("PUT", "/b/k", "two", once))).toEqual([412, "PreconditionFailed"]);
    const same = { "if-match": `"${md5("one").toString("hex")}"` };
    await put("k", "two", same);
    expect(await refusal(send("PUT", "/b/k", "three", same))).toEqual([412, "PreconditionFailed"]);
    expect(await refusal(send("PUT", "/b/new", "one", same))).toEqual([404, "NoSuchKey"]);
    expect(readdirSync(directory)).toHaveLength(2);
    await send("DELETE", "/b/k");
    await put("k", "after the marker", once);
  });

  test("conditions on a read give 412 and 304", async () => {
    await put("k", "one");
    const eTag = `"${md5("one").toString("hex")}"`;
    expect(await refusal(send("GET", "/b/k", "", { "if-match": '"0"' }))).toEqual([
      412,
      "PreconditionFailed",
    ]);
    const unchanged = await send("GET", "/b/k", "", { "if-none-match": eTag });
    expect([unchanged.status, unchanged.body, unchanged.headers.etag]).toEqual([304, "", eTag]);
    expect((await send("GET", "/b/k", "", { "if-match": eTag, "if-none-match": '"0"' })).body).toBe("one");
  });
});
