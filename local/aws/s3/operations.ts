import { xmlOf } from "./body";
import type { Bucket } from "./bucket";
import type { Answer, Call } from "./call";
import { S3Error } from "./error";
import { listObjects, listObjectsV2, listObjectVersions } from "./listing";
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  uploadPart,
} from "./multipart";
import { deleteObject, getObject, getObjectTagging, putObject, remove } from "./objects";
import { xmlDocument, xmlElements, xmlText } from "./xml";

export interface Operation {
  method: string;
  of: "service" | "bucket" | "object";
  /** Query parameters that tell the operation from others. */
  needs?: string[];
  /** Other query parameters that it understands. */
  takes?: string[];
  run(call: Call): Answer | Promise<Answer>;
}

const LISTING = ["prefix", "delimiter", "max-keys", "encoding-type"];

/** All that is in the subset; of several that fit, the first is meant. */
export const OPERATIONS: Operation[] = [
  { method: "GET", of: "service", takes: ["prefix"], run: listBuckets },
  { method: "HEAD", of: "bucket", run: headBucket },
  { method: "GET", of: "bucket", needs: ["location"], run: getBucketLocation },
  { method: "GET", of: "bucket", needs: ["versioning"], run: getBucketVersioning },
  {
    method: "GET",
    of: "bucket",
    needs: ["versions"],
    takes: [...LISTING, "key-marker", "version-id-marker"],
    run: ({ bucket, query }) => ({ content: listObjectVersions(bucket, query) }),
  },
  {
    method: "GET",
    of: "bucket",
    needs: ["list-type"],
    takes: [...LISTING, "continuation-token", "start-after", "fetch-owner"],
    run: ({ bucket, query }) => ({ content: listObjectsV2(bucket, query) }),
  },
  {
    method: "GET",
    of: "bucket",
    takes: [...LISTING, "marker"],
    run: ({ bucket, query }) => ({ content: listObjects(bucket, query) }),
  },
  { method: "POST", of: "bucket", needs: ["delete"], run: deleteObjects },
  { method: "HEAD", of: "object", takes: ["versionId"], run: getObject },
  { method: "GET", of: "object", needs: ["tagging"], takes: ["versionId"], run: getObjectTagging },
  { method: "GET", of: "object", takes: ["versionId"], run: getObject },
  { method: "PUT", of: "object", needs: ["uploadId", "partNumber"], run: uploadPart },
  { method: "PUT", of: "object", run: putObject },
  { method: "POST", of: "object", needs: ["uploads"], run: createMultipartUpload },
  { method: "POST", of: "object", needs: ["uploadId"], run: completeMultipartUpload },
  { method: "DELETE", of: "object", needs: ["uploadId"], run: abortMultipartUpload },
  { method: "DELETE", of: "object", takes: ["versionId"], run: deleteObject },
];

function listBuckets({ buckets, query, region }: Call): Answer {
  const prefix = query.get("prefix") ?? "";
  const named = [...buckets.values()].filter(({ name }) => name.startsWith(prefix));
  const bucketXml = ({ name, created }: Bucket) => ({
    Name: name,
    CreationDate: created,
    BucketRegion: region,
  });
  const sorted = named.sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    content: xmlDocument("ListAllMyBucketsResult", {
      Owner: { ID: "local", DisplayName: "local" },
      Buckets: { Bucket: sorted.map(bucketXml) },
    }),
  };
}

function headBucket({ bucket, region }: Call): Answer {
  return { headers: { "x-amz-bucket-region": region, "x-amz-bucket-arn": `arn:aws:s3:::${bucket.name}` } };
}

function getBucketLocation({ region }: Call): Answer {
  return { content: xmlDocument("LocationConstraint", region === "us-east-1" ? "" : region) };
}

function getBucketVersioning(): Answer {
  return { content: xmlDocument("VersioningConfiguration", { Status: "Enabled" }) };
}

async function deleteObjects({ request, bucket }: Call): Promise<Answer> {
  const xml = await xmlOf(request);
  const objects = xmlElements(xml, "Object").map((object) => {
    const key = xmlText(object, "Key");
    if (key === undefined) throw new S3Error("MalformedXML", "An object has no key.");
    for (const condition of ["ETag", "LastModifiedTime", "Size"]) {
      if (xmlText(object, condition))
        throw new S3Error("NotImplemented", `DeleteObjects by ${condition} is not here.`);
    }
    return { key, versionId: xmlText(object, "VersionId") ?? null };
  });
  if (objects.length === 0 || objects.length > 1000) {
    throw new S3Error("MalformedXML", "The request must name 1 to 1,000 objects.");
  }
  const results = [];
  for (const { key, versionId } of objects) {
    const deleted = await remove(bucket, key, versionId);
    results.push({
      Key: key,
      VersionId: versionId ?? undefined,
      DeleteMarker: deleted.isMarker || undefined,
      DeleteMarkerVersionId: deleted.isMarker ? deleted.versionId : undefined,
    });
  }
  const isQuiet = xmlText(xml, "Quiet") === "true";
  return { content: xmlDocument("DeleteResult", { Deleted: isQuiet ? [] : results }) };
}
