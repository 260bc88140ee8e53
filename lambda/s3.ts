/** What the function needs of S3: loaded for messages alone, for it takes its time, and named here, so that no more of it is bundled. */
export { GetObjectCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
