import type { S3Client } from "@aws-sdk/client-s3";
import { RECORD_PREFIX, type RunRecord } from "../records/record";

/** Of how many runs of a reconcile the records are read. */
export const RECORDS = 10;

/** The record that a command has left in a bucket; undefined where it left none. Its key ends in the command's id. */
export async function readRecord(
  s3: S3Client,
  bucket: string,
  commandId: string,
): Promise<RunRecord | undefined> {
  const { GetObjectCommand, paginateListObjectsV2 } = await import("./s3.js");
  let recordKey: string | undefined;
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: bucket, Prefix: RECORD_PREFIX })) {
    for (const { Key: key } of page.Contents ?? []) if (key?.endsWith(`-${commandId}.json`)) recordKey = key;
  }
  if (recordKey === undefined) return undefined;
  const { Body: body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: recordKey }));
  const record = JSON.parse((await body?.transformToString()) ?? "null") as RunRecord | null;
  return record?.recordVersion === 2 ? record : undefined;
}
