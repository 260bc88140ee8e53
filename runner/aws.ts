import type { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { GetParameterCommand, GetParametersByPathCommand, SSMClient } from "@aws-sdk/client-ssm";
import { decodeKey } from "../records/upload";

/** How long a connection may take to come about, and stand still, in milliseconds: as the AWS CLI has it. */
const TIMEOUTS = { connectionTimeout: 60_000, socketTimeout: 60_000 };

/** The calls to AWS that a run makes, each tried up to five times. */
export class Aws {
  private readonly s3: S3Client;
  private readonly options: {
    region: string;
    maxAttempts: number;
    requestHandler: typeof TIMEOUTS;
    cacheMiddleware: true;
  };
  private systemsManager: SSMClient | undefined;
  /** By the clock of S3, when it last answered, in milliseconds. */
  private s3Now = 0;

  constructor(region: string) {
    // The middleware is put together once for a command, not for each call of it
    this.options = { region, maxAttempts: 5, requestHandler: TIMEOUTS, cacheMiddleware: true };
    this.s3 = new S3Client({ ...this.options });
    this.s3.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const { headers } = (result.response ?? {}) as { headers?: Record<string, string> };
        if (headers?.date) this.s3Now = Date.parse(headers.date);
        return result;
      },
      { step: "deserialize", priority: "low", name: "serverTime" },
    );
  }

  /** @throws if there is none of that name */
  async parameter(name: string): Promise<string> {
    const { Parameter: parameter } = await this.ssm.send(new GetParameterCommand({ Name: name }));
    return parameter?.Value as string;
  }

  /** All parameters directly below a path, by name. */
  async parametersBelow(path: string): Promise<Map<string, string>> {
    const parameters = new Map<string, string>();
    let token: string | undefined;
    do {
      const page = await this.ssm.send(new GetParametersByPathCommand({ Path: path, NextToken: token }));
      for (const { Name, Value } of page.Parameters ?? []) parameters.set(Name as string, Value as string);
      token = page.NextToken;
    } while (token !== undefined);
    return parameters;
  }

  async secret(arn: string): Promise<string> {
    const client = new SecretsManagerClient({ ...this.options });
    return (await client.send(new GetSecretValueCommand({ SecretId: arn }))).SecretString as string;
  }

  /** The versions of a bucket's objects, by page of up to 1,000, and the time by S3's clock, in milliseconds. */
  async *versions(
    bucket: string,
  ): AsyncGenerator<{ readonly page: ListObjectVersionsCommandOutput; readonly now: number }> {
    let next: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
    while (next) {
      // By URL encoding: XML has no control characters, and a key may
      const command: ListObjectVersionsCommand = new ListObjectVersionsCommand({
        Bucket: bucket,
        EncodingType: "url",
        ...next,
      });
      const page: ListObjectVersionsCommandOutput = await this.s3.send(command);
      yield { page, now: this.s3Now };
      next = page.IsTruncated
        ? {
            KeyMarker: decodeKey(page.NextKeyMarker ?? ""),
            VersionIdMarker: page.NextVersionIdMarker || undefined,
          }
        : undefined;
    }
  }

  async get(bucket: string, key: string, versionId?: string): Promise<Readable> {
    const command = new GetObjectCommand({ Bucket: bucket, Key: key, VersionId: versionId });
    return (await this.s3.send(command)).Body as Readable;
  }

  /** @returns the id of the version that it makes; in a bucket without versions, S3's word for it */
  async put(bucket: string, key: string, body: Uint8Array, abortSignal?: AbortSignal): Promise<string> {
    const command = new PutObjectCommand({ Bucket: bucket, Key: key, Body: body });
    const { VersionId } = await this.s3.send(command, { abortSignal });
    return VersionId ?? "null";
  }

  /** Removes one version of an object, for good. */
  async remove(bucket: string, key: string, versionId: string, abortSignal?: AbortSignal): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: bucket, Key: key, VersionId: versionId });
    await this.s3.send(command, { abortSignal });
  }

  private get ssm(): SSMClient {
    this.systemsManager ??= new SSMClient({ ...this.options });
    return this.systemsManager;
  }
}

/** Whether AWS says that there is no such bucket. */
export function isNoBucket(error: unknown): boolean {
  return (error as { name?: unknown } | null)?.name === "NoSuchBucket";
}
