import { S3BucketNotification } from "@cdktf/provider-aws/lib/s3-bucket-notification";
import { S3BucketPolicy } from "@cdktf/provider-aws/lib/s3-bucket-policy";
import { Construct } from "constructs";
import { FLYWAY_FOLDER, RECORD_PREFIX } from "../records/record";
import { NOW_PREFIX } from "../records/work";
import type { Ec2 } from "./ec2";
import type { Lambda } from "./lambda";
import type { S3 } from "./s3";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

/** What a run does with a bucket: it copies it exactly, versions and all. */
const READ = ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetObject", "s3:GetObjectVersion"];

export interface UploadsProps {
  readonly variables: Variables;
  readonly s3: S3;
  readonly ec2: Ec2;
  readonly lambda: Lambda;
}

/** What becomes of an upload: who may read it, and that it calls the function. */
export class Uploads extends Construct {
  constructor(scope: Construct, id: string, { variables, s3, ec2, lambda }: UploadsProps) {
    super(scope, id);
    const forEach = s3.eachBucket;
    const bucket = forEach.getString("id");
    const host = `${addressOf(ec2.role)}.arn`;
    const fn = `${addressOf(lambda.role)}.arn`;
    const below = (prefix: string) => `"\${each.value.arn}/${prefix}*.json"`;
    const [records, now] = [below(RECORD_PREFIX), below(NOW_PREFIX)];
    const listed = `{ StringLike = { "s3:prefix" = "${RECORD_PREFIX}*" } }`;
    const writers = `concat([${host}], ${addressOf(variables.runRecordWriters)})`;
    // By each bucket's policy, for many do not fit into one of a role. It also keeps who may upload migrations from
    // forging what became of them.
    new S3BucketPolicy(this, "aws_s3_bucket_policy.this", {
      forEach,
      bucket,
      policy: `\${jsonencode({
        Version = "2012-10-17"
        Statement = [
        ${allow(host, READ, '[each.value.arn, "${each.value.arn}/*"]')},
        ${allow(host, ["s3:PutObject"], `[${records}, ${now}]`)},
        ${allow(host, ["s3:DeleteObjectVersion"], now)},
        ${allow(fn, ["s3:ListBucket"], "each.value.arn", listed)},
        ${allow(fn, ["s3:GetObject"], records)},
        {
          Effect = "Deny"
          Principal = "*"
          Action = "s3:PutObject"
          Resource = "\${each.value.arn}/${FLYWAY_FOLDER}*"
          Condition = { ArnNotLike = { "aws:PrincipalArn" = ${writers} } }
        }]
      })}`,
    });
    new S3BucketNotification(this, "aws_s3_bucket_notification.this", {
      forEach,
      bucket,
      lambdaFunction: [
        { lambdaFunctionArn: lambda.fn.arn, events: ["s3:ObjectCreated:*"], filterSuffix: ".sql" },
      ],
      dependsOn: lambda.permissions,
    });
  }
}

/** A statement that lets a role do something, its ARN and what it does it to being Terraform expressions. */
function allow(role: string, action: readonly string[], resource: string, condition?: string): string {
  return `{
          Effect = "Allow"
          Principal = { AWS = ${role} }
          Action = ${JSON.stringify(action)}
          Resource = ${resource}${condition ? `\n          Condition = ${condition}` : ""}
        }`;
}
