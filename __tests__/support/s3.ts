import { RECORD_PREFIX, type RunRecord } from "../../records/record";

/** A local S3, asked without `aws`, which takes a third of a second to start. */
export interface S3Access {
  readonly endpoint: string;
  readonly accessKeyId: string;
}

/**
 * Sends S3 a request.
 *
 * @param path a bucket, and what follows it in the URL: see `objectPath`
 * @throws if the answer is an error
 */
export async function s3Request(
  { endpoint, accessKeyId }: S3Access,
  method: string,
  path: string,
  body?: string | Uint8Array<ArrayBuffer>,
): Promise<Response> {
  const headers = { authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/` };
  const response = await fetch(`${endpoint}/${path}`, { method, headers, body });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response;
}

/** An object's path in a URL. */
export function objectPath(bucket: string, key: string): string {
  return [bucket, ...key.split("/")].map(encodeURIComponent).join("/");
}

/** The run records in a bucket, in the order of the runs. */
export async function recordsIn(s3: S3Access, bucket: string): Promise<RunRecord[]> {
  const list = `${bucket}?list-type=2&prefix=${RECORD_PREFIX}`;
  const keys = (await (await s3Request(s3, "GET", list)).text()).matchAll(/<Key>([^<]+)<\/Key>/g);
  const read = async (key: string) => (await s3Request(s3, "GET", objectPath(bucket, key))).json();
  return Promise.all([...keys].map(([, key]) => read(key as string) as Promise<RunRecord>));
}
