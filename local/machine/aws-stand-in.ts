/**
 * The calls of AWS CLI that the host script makes, for a machine without it. Anything else is refused with exit
 * code 252. It talks to AWS_ENDPOINT_URL, which must be on loopback: its requests are not signed, they only name
 * the access key. Messages and exit codes are those of CLI version 2. `tools.ts` bundles and installs it.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream, statSync } from "node:fs";
import { mkdir, rename, rm, utimes } from "node:fs/promises";
import * as http from "node:http";
import { basename, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { xmlElements, xmlText } from "../aws/s3/xml";

/** Ends the program. */
class Failure extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}

/** The service's answer is an error. */
class ServiceError extends Error {}

type Options = Record<string, string | undefined>;

interface Command {
  /** How many words it takes beside options. */
  words: number;
  /** Options that it needs, with the only value that it knows, or undefined for any. */
  needs: Options;
  takes?: string[];
  /** Resolves to the exit code. */
  run(words: string[], options: Options): Promise<number>;
}

const commands: Record<string, Command> = {
  "s3 sync": {
    words: 2,
    needs: {},
    takes: ["exclude", "only-show-errors"],
    run: ([source = "", folder = ""], options) => sync(source, folder, options),
  },
  "s3 cp": {
    words: 2,
    needs: {},
    takes: ["only-show-errors"],
    run: ([source = "", target = ""], options) => copy(source, target, options),
  },
  "s3api list-object-versions": {
    words: 0,
    needs: { bucket: undefined, output: "json" },
    run: async (_, { bucket = "" }) => print(JSON.stringify(await versions(bucket), null, 4)),
  },
  "ssm get-parameter": {
    words: 0,
    needs: { name: undefined, query: "Parameter.Value", output: "text" },
    run: async (_, { name }) => {
      const answer = await json("ssm", "AmazonSSM.GetParameter", { Name: name });
      return print(answer.Parameter?.Value ?? "None");
    },
  },
  "ssm get-parameters-by-path": {
    words: 0,
    needs: { path: undefined, output: "json" },
    run: async (_, { path }) => {
      const found: object[] = [];
      let token: string | undefined;
      do {
        const body = { Path: path, ...(token ? { NextToken: token } : {}) };
        const answer = await json("ssm", "AmazonSSM.GetParametersByPath", body);
        found.push(...answer.Parameters);
        token = answer.NextToken;
      } while (token !== undefined);
      return print(JSON.stringify({ Parameters: found }, null, 4));
    },
  },
  "secretsmanager get-secret-value": {
    words: 0,
    needs: { "secret-id": undefined, query: "SecretString", output: "text" },
    run: async (_, { "secret-id": id }) => {
      const answer = await json("secretsmanager", "secretsmanager.GetSecretValue", { SecretId: id });
      return print(answer.SecretString ?? "None");
    },
  },
};

function unsupported(what: string): Failure {
  return new Failure(`aws stand-in: not supported: ${what}; install the AWS CLI`, 252);
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  endpoint();
  const { words, options } = parsed(args);
  const name = words.splice(0, 2).join(" ");
  const command = commands[name];
  if (!command || command.words !== words.length) throw unsupported(args.join(" "));
  for (const [option, value] of Object.entries(command.needs)) {
    const isRight = value === undefined ? options[option] : options[option] === value;
    if (!isRight) throw unsupported(`${name} without --${option}${value ? ` ${value}` : ""}`);
  }
  const known = [...Object.keys(command.needs), ...(command.takes ?? [])];
  const other = Object.keys(options).find((option) => !known.includes(option));
  if (other) throw unsupported(`${name} --${other}`);
  return command.run(words, options);
}

function parsed(args: string[]): { words: string[]; options: Options } {
  const type = "string";
  const named = { bucket: { type }, name: { type }, "secret-id": { type }, query: { type } } as const;
  const path = { path: { type } } as const;
  const others = { output: { type }, exclude: { type }, "only-show-errors": { type: "boolean" } } as const;
  try {
    const { positionals, values } = parseArgs({
      args,
      options: { ...named, ...path, ...others },
      allowPositionals: true,
    });
    const options = Object.entries(values).map(([name, value]) => [name, String(value)]);
    return { words: positionals, options: Object.fromEntries(options) };
  } catch {
    throw unsupported(args.join(" "));
  }
}

function print(line: string): number {
  process.stdout.write(`${line}\n`);
  return 0;
}

function warn(line: string): void {
  process.stderr.write(`${line}\n`);
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trimStart();
}

// ---- s3

/** Brings what is in the bucket and not, or older, in the folder; removes nothing there. */
async function sync(source: string, folder: string, { exclude }: Options): Promise<number> {
  const { bucket, key: prefix } = place(source);
  if (prefix !== "" || folder.startsWith("s3://")) throw unsupported(`s3 sync ${source} ${folder}`);
  const isExcluded = (key: string) => exclude !== undefined && matches(key, exclude);
  let code = 0;
  for (const object of await objects(bucket).catch(fatal)) {
    const { key, size } = object;
    if (isExcluded(key) || (key.endsWith("/") && size === 0)) continue;
    const file = join(folder, key);
    if (!isFileName(key)) {
      warn(`warning: Skipping file s3://${bucket}/${key}. Its key is no file name.`);
      code ||= 2;
    } else if (!isThere(file, object)) {
      try {
        await download(bucket, key, file);
      } catch (error) {
        warn(`download failed: s3://${bucket}/${key} to ${file} ${messageOf(error)}`);
        code = 1;
      }
    }
  }
  return code;
}

async function copy(source: string, target: string, options: Options): Promise<number> {
  const isDownload = source.startsWith("s3://");
  if (isDownload === target.startsWith("s3://")) throw unsupported(`s3 cp ${source} ${target}`);
  const { bucket, key } = place(isDownload ? source : target);
  const isWhole = key === "" || key.endsWith("/");
  if (isDownload && isWhole) throw unsupported(`s3 cp ${source}`);
  const file = isDownload ? target : source;
  if (!isDownload && !sizeOf(file)) throw new Failure(`The user-provided path ${file} does not exist.`, 255);
  const there = isDownload || !isWhole ? key : key + basename(file);
  const what = isDownload ? `download: ${source} to ${file}` : `upload: ${file} to s3://${bucket}/${there}`;
  try {
    await (isDownload ? download(bucket, there, file) : upload(file, bucket, there));
  } catch (error) {
    throw new Failure(`${what.replace(":", " failed:")} ${messageOf(error)}`, 1);
  }
  return options["only-show-errors"] ? 0 : print(what);
}

function fatal(error: unknown): never {
  throw new Failure(`fatal error: ${messageOf(error)}`, 1);
}

function place(uri: string): { bucket: string; key: string } {
  const [, bucket, key = ""] = /^s3:\/\/([^/]+)(?:\/(.*))?$/s.exec(uri) ?? [];
  if (!bucket) throw unsupported(uri);
  return { bucket, key };
}

/** Python's fnmatch without sets: "*" is any text, with slashes too. */
function matches(key: string, pattern: string): boolean {
  if (pattern.includes("[")) throw unsupported(`--exclude ${pattern}`);
  const literal = pattern.replace(/[.+^${}()|\]\\/]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll("*", ".*").replaceAll("?", ".")}$`, "su").test(key);
}

/** Whether a key stays in the folder, and is no other key's file; AWS CLI refuses less. */
function isFileName(key: string): boolean {
  return key.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0"));
}

function sizeOf(file: string): { size: number; mtime: Date } | undefined {
  return statSync(file, { throwIfNoEntry: false });
}

/** AWS CLI's rule: of the same size, and not newer than the object. */
function isThere(file: string, object: { size: number; lastModified: Date }): boolean {
  const found = sizeOf(file);
  return found?.size === object.size && found.mtime <= object.lastModified;
}

async function objects(bucket: string): Promise<{ key: string; size: number; lastModified: Date }[]> {
  const found: { key: string; size: number; lastModified: Date }[] = [];
  let token: string | undefined;
  do {
    const next: Record<string, string> = token === undefined ? {} : { "continuation-token": token };
    const xml = await list("ListObjectsV2", bucket, { "list-type": "2", ...next });
    for (const object of xmlElements(xml, "Contents")) {
      const lastModified = new Date(xmlText(object, "LastModified") ?? 0);
      found.push({ key: urlDecoded(object, "Key"), size: Number(xmlText(object, "Size")), lastModified });
    }
    token = xmlText(xml, "NextContinuationToken");
  } while (token !== undefined);
  return found;
}

/** What AWS CLI prints: all pages as one. */
async function versions(bucket: string): Promise<Record<string, unknown>> {
  const found: { Versions: object[]; DeleteMarkers: object[] } = { Versions: [], DeleteMarkers: [] };
  let next: Record<string, string> | undefined = {};
  while (next) {
    const xml = await list("ListObjectVersions", bucket, { versions: "", ...next });
    found.Versions.push(
      ...xmlElements(xml, "Version").map((version) => ({
        ETag: xmlText(version, "ETag"),
        Size: Number(xmlText(version, "Size")),
        StorageClass: xmlText(version, "StorageClass"),
        ...commonOf(version),
      })),
    );
    found.DeleteMarkers.push(...xmlElements(xml, "DeleteMarker").map(commonOf));
    const isLast = xmlText(xml, "IsTruncated") !== "true";
    const versionId = xmlText(xml, "NextVersionIdMarker");
    const marker = { "key-marker": urlDecoded(xml, "NextKeyMarker") };
    next = isLast ? undefined : { ...marker, ...(versionId ? { "version-id-marker": versionId } : {}) };
  }
  const lists = Object.entries(found).filter(([, list]) => list.length > 0);
  return { ...Object.fromEntries(lists), RequestCharged: null, Prefix: "" };
}

function commonOf(version: string): object {
  const owner = xmlElements(version, "Owner")[0];
  return {
    Key: urlDecoded(version, "Key"),
    VersionId: xmlText(version, "VersionId"),
    IsLatest: xmlText(version, "IsLatest") === "true",
    LastModified: xmlText(version, "LastModified"),
    Owner: owner && { DisplayName: xmlText(owner, "DisplayName"), ID: xmlText(owner, "ID") },
  };
}

function urlDecoded(xml: string, name: string): string {
  return decodeURIComponent((xmlText(xml, name) ?? "").replaceAll("+", " "));
}

async function list(operation: string, bucket: string, query: Record<string, string>): Promise<string> {
  const search = new URLSearchParams({ ...query, "encoding-type": "url" });
  const path = `/${encodeURIComponent(bucket)}?${search}`;
  return text(await call({ service: "s3", operation, method: "GET", path }));
}

function pathOf(bucket: string, key: string): string {
  return `/${[bucket, ...key.split("/")].map(encodeURIComponent).join("/")}`;
}

/** A file of that name is always a whole one. */
async function download(bucket: string, key: string, file: string): Promise<void> {
  const path = pathOf(bucket, key);
  const answer = await call({ service: "s3", operation: "GetObject", method: "GET", path });
  const partial = join(dirname(file), `.partial-${randomUUID()}`);
  await mkdir(dirname(file), { recursive: true });
  try {
    await pipeline(answer, createWriteStream(partial));
    const lastModified = new Date(answer.headers["last-modified"] ?? Date.now());
    await utimes(partial, lastModified, lastModified);
    await rename(partial, file);
  } finally {
    answer.destroy();
    await rm(partial, { force: true });
  }
}

async function upload(file: string, bucket: string, key: string): Promise<void> {
  const headers = { "content-length": sizeOf(file)?.size ?? 0 };
  const body = createReadStream(file);
  const path = pathOf(bucket, key);
  const answer = await call({ service: "s3", operation: "PutObject", method: "PUT", path, headers, body });
  answer.resume();
}

// ---- The services

/** Answer of a service that speaks JSON 1.1. */
async function json(service: string, target: string, body: object) {
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": target };
  const operation = target.split(".")[1] ?? "";
  const request = { service, operation, method: "POST", path: "/", headers, body: JSON.stringify(body) };
  return JSON.parse(await text(await call(request)));
}

/** @throws ServiceError; Failure where there is no endpoint to talk to. */
async function call(request: {
  service: string;
  operation: string;
  method: string;
  path: string;
  headers?: http.OutgoingHttpHeaders;
  body?: string | Readable;
}): Promise<http.IncomingMessage> {
  const { service, operation, method, path, headers, body } = request;
  const { origin, hostname, port } = endpoint();
  const outgoing = http.request({
    host: hostname.replace(/^\[|\]$/g, ""),
    port,
    method,
    path,
    headers: { ...headers, authorization: authorization(service) },
  });
  const answered = once(outgoing, "response");
  if (body === undefined || typeof body === "string") outgoing.end(body);
  else body.on("error", (error) => outgoing.destroy(error)).pipe(outgoing);
  const [answer] = (await answered.catch((error) => {
    if (error.syscall !== "connect") throw error;
    throw new Failure(`Could not connect to the endpoint URL: "${origin}${path}"`, 255);
  })) as [http.IncomingMessage];
  if (answer.statusCode === 200) return answer;
  const { code, message } = errorIn(await text(answer), answer.statusCode);
  throw new ServiceError(`An error occurred (${code}) when calling the ${operation} operation: ${message}`);
}

function errorIn(content: string, status: number | undefined): { code: string; message: string } {
  if (!content.startsWith("{")) {
    return { code: xmlText(content, "Code") ?? String(status), message: xmlText(content, "Message") ?? "" };
  }
  const error = JSON.parse(content);
  return { code: String(error.__type).replace(/^.*#/, ""), message: error.message ?? error.Message ?? "" };
}

function endpoint(): URL {
  const address = process.env.AWS_ENDPOINT_URL ?? "";
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === "http:" && /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname)) return url;
  throw unsupported(`the endpoint "${address}", which is not http on loopback`);
}

function authorization(service: string): string {
  const { AWS_ACCESS_KEY_ID: id, AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  if (!id) throw new Failure("Unable to locate credentials: AWS_ACCESS_KEY_ID is not set.", 253);
  const date = new Date().toISOString().slice(0, 10).replaceAll("-", "");
  const scope = `${date}/${AWS_REGION || AWS_DEFAULT_REGION || "us-east-1"}/${service}/aws4_request`;
  return `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=host, Signature=0`;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    warn(`\n${messageOf(error)}`);
    process.exitCode = error instanceof Failure ? error.exitCode : error instanceof ServiceError ? 254 : 255;
  },
);
