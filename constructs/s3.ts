import type { LambdaFunction } from "@cdktf/provider-aws/lib/lambda-function";
import type { LambdaPermission } from "@cdktf/provider-aws/lib/lambda-permission";
import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketNotification } from "@cdktf/provider-aws/lib/s3-bucket-notification";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block";
import { S3BucketVersioningA } from "@cdktf/provider-aws/lib/s3-bucket-versioning";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import { Fn, type ResourceTerraformIterator, TerraformIterator, TerraformOutput } from "cdktf";
import { Construct } from "constructs";
import { type Mapping, mappingName } from "../lambda/mapping";
import { bucketPrefix, type Variables } from "./variables";

export interface S3Props {
  readonly variables: Variables;
}

/** s3.tf: a bucket and a mapping per database. */
export class S3 extends Construct {
  readonly buckets: S3Bucket;
  /** Over the buckets, by database: what a resource per bucket uses as its `for_each`. */
  readonly eachBucket: ResourceTerraformIterator;

  constructor(scope: Construct, id: string, { variables }: S3Props) {
    super(scope, id);
    const eachDatabase = TerraformIterator.fromList(variables.flywayManagedDatabases.listValue);
    this.buckets = new S3Bucket(this, "aws_s3_bucket.this", {
      forEach: eachDatabase,
      bucketPrefix: `\${${bucketPrefix("each.key")}}`,
      forceDestroy: true,
    });
    this.eachBucket = TerraformIterator.fromResources(this.buckets);
    const bucket = this.eachBucket.getString("id");

    new S3BucketVersioningA(this, "aws_s3_bucket_versioning.this", {
      forEach: this.eachBucket,
      bucket,
      versioningConfiguration: { status: "Enabled" }, // a verdict is of one version of an object
    });
    new S3BucketPublicAccessBlock(this, "aws_s3_bucket_public_access_block.this", {
      forEach: this.eachBucket,
      bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    const mapping: Mapping = {
      schema: this.eachBucket.key,
      flywayVersion: variables.flywayVersion.stringValue,
      flywayConf: variables.flywayConf.stringValue,
    };
    new SsmParameter(this, "aws_ssm_parameter.s3_mapping", {
      forEach: this.eachBucket,
      name: mappingName(bucket),
      type: "StringList",
      value: Fn.jsonencode(mapping),
    });
    new TerraformOutput(this, "output.buckets", {
      value: `\${{ for database, bucket in ${this.buckets.terraformResourceType}.${this.buckets.friendlyUniqueId} : database => bucket.id }}`,
      description: "Database to bucket: where a database's migrations are uploaded",
    });
  }

  /** Has every bucket call the function for its migrations. Called once the function and its permission exist. */
  notify(fn: LambdaFunction, permission: LambdaPermission): void {
    new S3BucketNotification(this, "aws_s3_bucket_notification.this", {
      forEach: this.eachBucket,
      bucket: this.eachBucket.getString("id"),
      lambdaFunction: [{ lambdaFunctionArn: fn.arn, events: ["s3:ObjectCreated:*"], filterSuffix: ".sql" }],
      dependsOn: [permission],
    });
  }
}
