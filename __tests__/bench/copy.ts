import { Aws } from "../../runner/aws";
import { listBucket } from "../../runner/bucket";
import { Copy } from "../../runner/copy";

/** Lists a bucket and brings a folder to it, as a run does, without the rest of one. */
async function main(bucket: string, folder: string): Promise<void> {
  const aws = new Aws(process.env.AWS_DEFAULT_REGION as string);
  const { objects } = await listBucket(aws, bucket);
  await new Copy(aws, bucket, folder).bringTo(objects);
}

main(process.argv[2] as string, process.argv[3] as string);
