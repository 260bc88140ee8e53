import type { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import type { ListObjectVersionsCommandOutput, S3Client } from "@aws-sdk/client-s3";
import type { CommandInvocation, SSMClient } from "@aws-sdk/client-ssm";
import type { Command } from "../deployment/command";
import { FLYWAY_FOLDER } from "../records/record";
import { decodeKey } from "../records/upload";
import type { UploadedVersion } from "../records/verdict";

/** Where AWS is, and who asks it. */
export interface AwsSettings {
  /** @default as the AWS SDK finds it: AWS_REGION, the profile's */
  readonly region?: string;
  /** A profile of `~/.aws/config`. @default AWS_PROFILE, else the default one */
  readonly profile?: string;
  /** Instead of AWS: of `npm start -- --serve`. */
  readonly endpointUrl?: string;
}

/** A version of an object, and what its content is known by. */
export interface ListedVersion extends UploadedVersion {
  readonly eTag: string;
  /** Bytes. */
  readonly size: number;
  readonly isLatest: boolean;
}

/** Whether a command of that status has not ended. */
export function isUnderWay(status: string): boolean {
  return ["Pending", "InProgress", "Delayed", "Cancelling"].includes(status);
}

/** A line of a command's output. */
export interface LogEvent {
  readonly id: string;
  /** In milliseconds. */
  readonly time: number;
  /** `<command>/<host>/<step>/stdout` or `stderr`. */
  readonly stream: string;
  readonly text: string;
}

/** The calls to AWS. The SDK is loaded when it is needed: it takes longer than the rest of the command. */
export class Aws {
  private s3Client: S3Client | undefined;
  private ssmClient: SSMClient | undefined;
  private logsClient: CloudWatchLogsClient | undefined;

  constructor(private readonly settings: AwsSettings) {}

  /** @returns undefined where there is none of that name */
  async parameter(name: string): Promise<string | undefined> {
    const { GetParameterCommand } = await import("@aws-sdk/client-ssm");
    try {
      const { Parameter: parameter } = await (await this.ssm()).send(new GetParameterCommand({ Name: name }));
      return parameter?.Value;
    } catch (error) {
      if ((error as Error).name === "ParameterNotFound") return undefined;
      throw error;
    }
  }

  /** All parameters directly below a path, by name. */
  async parametersBelow(path: string): Promise<Map<string, string>> {
    const { paginateGetParametersByPath } = await import("@aws-sdk/client-ssm");
    const parameters = new Map<string, string>();
    for await (const page of paginateGetParametersByPath({ client: await this.ssm() }, { Path: path })) {
      for (const { Name, Value } of page.Parameters ?? []) parameters.set(Name as string, Value as string);
    }
    return parameters;
  }

  /** The versions of a bucket's objects but the host's own, newest first within a key. */
  async versions(bucket: string): Promise<ListedVersion[]> {
    const { ListObjectVersionsCommand } = await import("@aws-sdk/client-s3");
    const client = await this.s3();
    const versions: ListedVersion[] = [];
    let marker: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
    while (marker) {
      // By URL encoding: XML has no control characters, and a key may
      const command = new ListObjectVersionsCommand({ Bucket: bucket, EncodingType: "url", ...marker });
      const page: ListObjectVersionsCommandOutput = await client.send(command);
      const markers = (page.DeleteMarkers ?? []).map((each) => ({
        ...each,
        ETag: "",
        Size: 0,
        isDeleteMarker: true,
      }));
      const objects = (page.Versions ?? []).map((each) => ({ ...each, isDeleteMarker: false }));
      for (const each of [...objects, ...markers]) {
        const key = decodeKey(each.Key as string);
        if (key.startsWith(FLYWAY_FOLDER)) continue;
        versions.push({
          key,
          versionId: each.VersionId as string,
          lastModified: (each.LastModified as Date).toISOString(),
          isDeleteMarker: each.isDeleteMarker,
          isLatest: each.IsLatest ?? false,
          eTag: (each.ETag ?? "").replaceAll('"', ""),
          size: each.Size ?? 0,
        });
      }
      marker = page.IsTruncated
        ? behind(decodeKey(page.NextKeyMarker ?? ""), page.NextVersionIdMarker)
        : undefined;
    }
    const order = (a: ListedVersion, b: ListedVersion) =>
      a.key < b.key
        ? -1
        : a.key > b.key
          ? 1
          : Number(b.isLatest) - Number(a.isLatest) || b.lastModified.localeCompare(a.lastModified);
    return versions.sort(order);
  }

  /** The keys below a prefix, in their order. @param after a key that all are behind */
  async keys(bucket: string, prefix: string, after?: string): Promise<string[]> {
    const { paginateListObjectsV2 } = await import("@aws-sdk/client-s3");
    const input = { Bucket: bucket, Prefix: prefix, StartAfter: after };
    const keys: string[] = [];
    for await (const page of paginateListObjectsV2({ client: await this.s3() }, input)) {
      for (const { Key: key } of page.Contents ?? []) keys.push(key as string);
    }
    return keys;
  }

  /** @returns undefined where it is gone */
  async get(bucket: string, key: string, versionId?: string): Promise<Uint8Array | undefined> {
    const { GetObjectCommand } = await import("@aws-sdk/client-s3");
    const command = new GetObjectCommand({ Bucket: bucket, Key: key, VersionId: versionId });
    try {
      return await (await (await this.s3()).send(command)).Body?.transformToByteArray();
    } catch (error) {
      if ((error as Error).name === "NoSuchKey") return undefined;
      throw error;
    }
  }

  /** @returns the id of the version that it makes */
  async put(bucket: string, key: string, body: Uint8Array): Promise<string> {
    const { PutObjectCommand } = await import("@aws-sdk/client-s3");
    const command = new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: body,
      ContentType: "application/sql",
    });
    return (await (await this.s3()).send(command)).VersionId ?? "null";
  }

  /** Puts a delete marker on top of an object. */
  async remove(bucket: string, key: string): Promise<void> {
    const { DeleteObjectCommand } = await import("@aws-sdk/client-s3");
    await (await this.s3()).send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
  }

  /** @returns the command's id */
  async sendCommand(command: Command): Promise<string> {
    const { SendCommandCommand } = await import("@aws-sdk/client-ssm");
    const { Command: sent } = await (await this.ssm()).send(new SendCommandCommand(command));
    return sent?.CommandId as string;
  }

  /** The commands that a host was sent, newest first: all that Systems Manager still knows, or one. */
  async commands(instanceId: string, commandId?: string): Promise<CommandInvocation[]> {
    const { ListCommandInvocationsCommand } = await import("@aws-sdk/client-ssm");
    const command = new ListCommandInvocationsCommand({ InstanceId: instanceId, CommandId: commandId });
    const { CommandInvocations: invocations = [] } = await (await this.ssm()).send(command);
    const time = ({ RequestedDateTime }: CommandInvocation) => RequestedDateTime?.getTime() ?? 0;
    return invocations.sort((a, b) => time(b) - time(a));
  }

  /** Whether Systems Manager hears of a host: `Online`, `ConnectionLost`, `Inactive`; undefined where it does not know it. */
  async pingStatus(instanceId: string): Promise<string | undefined> {
    const { DescribeInstanceInformationCommand } = await import("@aws-sdk/client-ssm");
    const command = new DescribeInstanceInformationCommand({
      Filters: [{ Key: "InstanceIds", Values: [instanceId] }],
    });
    const { InstanceInformationList: instances } = await (await this.ssm()).send(command);
    return instances?.[0]?.PingStatus;
  }

  /** The output of a command, oldest line first. @param since in milliseconds */
  async logEvents(logGroupName: string, commandId: string, since: number): Promise<LogEvent[]> {
    const { paginateFilterLogEvents } = await import("@aws-sdk/client-cloudwatch-logs");
    const input = { logGroupName, logStreamNamePrefix: `${commandId}/`, startTime: since };
    const events: LogEvent[] = [];
    try {
      for await (const page of paginateFilterLogEvents({ client: await this.logs() }, input)) {
        for (const { eventId, timestamp, logStreamName, message } of page.events ?? []) {
          events.push({
            id: eventId as string,
            time: timestamp as number,
            stream: logStreamName as string,
            text: message as string,
          });
        }
      }
    } catch (error) {
      if ((error as Error).name !== "ResourceNotFoundException") throw error; // no output yet
    }
    return events;
  }

  private async s3(): Promise<S3Client> {
    const { S3Client } = await import("@aws-sdk/client-s3");
    this.s3Client ??= new S3Client({
      ...this.options,
      forcePathStyle: this.settings.endpointUrl !== undefined,
    });
    return this.s3Client;
  }

  private async ssm(): Promise<SSMClient> {
    const { SSMClient } = await import("@aws-sdk/client-ssm");
    this.ssmClient ??= new SSMClient(this.options);
    return this.ssmClient;
  }

  private async logs(): Promise<CloudWatchLogsClient> {
    const { CloudWatchLogsClient } = await import("@aws-sdk/client-cloudwatch-logs");
    this.logsClient ??= new CloudWatchLogsClient(this.options);
    return this.logsClient;
  }

  private get options() {
    const { region, profile, endpointUrl: endpoint } = this.settings;
    return {
      ...(region && { region }),
      ...(profile && { profile }),
      ...(endpoint && { endpoint }),
      maxAttempts: 5,
      userAgentAppId: "flyway-aws", // in CloudTrail
    };
  }
}

/** What comes behind what the host keeps in a bucket: `0` comes after `/`. */
const BEHIND_FLYWAY = `${FLYWAY_FOLDER.slice(0, -1)}0`;

/** From where a listing goes on; the records of many runs are passed over. */
function behind(key: string, versionId: string | undefined): { KeyMarker: string; VersionIdMarker?: string } {
  if (key.startsWith(FLYWAY_FOLDER)) return { KeyMarker: BEHIND_FLYWAY };
  return { KeyMarker: key, VersionIdMarker: versionId || undefined };
}
