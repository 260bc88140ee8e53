import { DataAwsSsmParametersByPath } from "@cdktf/provider-aws/lib/data-aws-ssm-parameters-by-path";
import type { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import type { LambdaFunction } from "@cdktf/provider-aws/lib/lambda-function";
import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketLifecycleConfiguration } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration";
import { S3BucketNotification } from "@cdktf/provider-aws/lib/s3-bucket-notification";
import { S3BucketPolicy } from "@cdktf/provider-aws/lib/s3-bucket-policy";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block";
import { S3BucketVersioningA } from "@cdktf/provider-aws/lib/s3-bucket-versioning";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import {
  type ITerraformDependable,
  type MapTerraformIterator,
  TerraformIterator,
  TerraformLocal,
  TerraformOutput,
  Token,
} from "cdktf";
import { Construct } from "constructs";
import { prefixSpelling } from "../deployment/databases";
import { mappingName } from "../deployment/mapping";
import type { Names } from "../deployment/names";
import { FLYWAY_FOLDER, RECORD_PREFIX } from "../records/record";
import { serverOf } from "./rds";
import { spelled } from "./rules";
import { AddressStack } from "./stack";
import type { Variables } from "./variables";

/** How many databases have a permission each; past them IAM's and Lambda's limits are near. */
const FEW = 40;

/** Terraform expression for whether the databases are few enough for a permission each. */
export const FEW_DATABASES = "local.few_databases";

/** A value of a standard parameter: https://docs.aws.amazon.com/general/latest/gr/ssm.html */
const PARAMETER_LENGTH = 4_096;

/** The mapping of database `d`: see deployment/mapping.ts. What is not set is not in it. */
const MAPPING = `merge({
  schema = coalesce(try(var.flyway_database_settings[d].schema, null), d)
  flywayVersion = coalesce(try(var.flyway_database_settings[d].flyway_version, null), var.flyway_version)
  flywayConf = coalesce(try(var.flyway_database_settings[d].flyway_conf, null), var.flyway_conf)
}, { for name, value in {
  outOfOrder = try(var.flyway_database_settings[d].out_of_order, null)
  placeholders = try(length(var.flyway_database_settings[d].placeholders) > 0 ? var.flyway_database_settings[d].placeholders : null, null)
  baselineVersion = try(var.flyway_database_settings[d].baseline_version, null)
} : name => value if value != null })`;

/** What a run does with a bucket: it copies it exactly, versions and all. */
const READ = ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetObject", "s3:GetObjectVersion"];

export interface S3Props {
  readonly names: Names;
  readonly variables: Variables;
}

/** s3.tf: a bucket and a mapping per database. */
export class S3 extends Construct {
  readonly buckets: S3Bucket;
  /** Over the buckets, by database: what a resource per bucket uses as its `for_each`. */
  readonly eachBucket: MapTerraformIterator;

  constructor(scope: Construct, id: string, { names, variables }: S3Props) {
    super(scope, id);
    const eachDatabase = TerraformIterator.fromList(variables.flywayManagedDatabases.listValue);
    this.buckets = new S3Bucket(this, "aws_s3_bucket.this", {
      forEach: eachDatabase,
      bucketPrefix: `\${${spelled("each.key", prefixSpelling(names))}}`,
      forceDestroy: variables.forceDestroy.booleanValue,
    });
    this.warnOfRemoval(names);
    new TerraformLocal(this, FEW_DATABASES, `\${length(var.flyway_managed_databases) <= ${FEW}}`);
    // Terraform evaluates a for_each anew for each instance, but a local once: planning 1,000 buckets takes one
    // minute so, and nine with the buckets themselves and conditions in each for_each.
    const buckets = new TerraformLocal(
      this,
      "local.buckets",
      "${tomap({ for d, b in aws_s3_bucket.this : d => { id = b.id, arn = b.arn } })}",
    );
    this.eachBucket = TerraformIterator.fromMap(Token.asAnyMap(buckets.expression));
    const bucket = this.eachBucket.getString("id");

    const versioning = new S3BucketVersioningA(this, "aws_s3_bucket_versioning.this", {
      forEach: this.eachBucket,
      bucket,
      versioningConfiguration: { status: "Enabled" }, // a verdict is of one version of an object
    });
    const records = { status: "Enabled", filter: [{ prefix: RECORD_PREFIX }] };
    const expiry = new S3BucketLifecycleConfiguration(this, "aws_s3_bucket_lifecycle_configuration.this", {
      forEach: this.eachBucket,
      bucket,
      rule: [
        {
          ...records,
          id: "run-records",
          expiration: [{ days: variables.flywayRecordDays.numberValue }],
          noncurrentVersionExpiration: [{ noncurrentDays: 1 }],
        },
        // What an expired record leaves behind; S3 takes no days beside it.
        { ...records, id: "run-record-markers", expiration: [{ expiredObjectDeleteMarker: true }] },
      ],
      dependsOn: [versioning],
    });
    expiry.addOverride("for_each", "${var.flyway_record_days > 0 ? local.buckets : tomap({})}");
    new S3BucketPublicAccessBlock(this, "aws_s3_bucket_public_access_block.this", {
      forEach: this.eachBucket,
      bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    new TerraformLocal(
      this,
      "local.mappings",
      `\${{ for d in var.flyway_managed_databases : d => ${MAPPING} }}`,
    );
    const mine = "local.mappings[each.key]";
    // One server may be a target under two names.
    const server = (conf: string) => `try(${serverOf(`var.flyway_targets[${conf}].url`)}, ${conf})`;
    const schemaOf = (mapping: string) =>
      `lower(format("%s/%s", ${server(`${mapping}.flywayConf`)}, ${mapping}.schema))`;
    new TerraformLocal(
      this,
      "local.databases_by_schema",
      `\${{ for d, m in local.mappings : ${schemaOf("m")} => d... }}`,
    );
    const sharing = `local.databases_by_schema[${schemaOf(mine)}]`;
    const mapped = new SsmParameter(this, "aws_ssm_parameter.s3_mapping", {
      forEach: this.eachBucket,
      name: mappingName(names.parameters, bucket),
      type: "StringList",
      value: `\${jsonencode(${mine})}`,
      lifecycle: {
        precondition: [
          {
            condition: `\${contains(concat([var.flyway_conf], keys(var.flyway_targets)), ${mine}.flywayConf)}`,
            errorMessage:
              `flyway_database_settings "\${each.key}": there is no target \${${mine}.flywayConf}. ` +
              "Add it to flyway_targets, or name flyway_conf or another of them.",
          },
          {
            condition: `\${length(${sharing}) == 1}`,
            errorMessage:
              `The databases \${join(", ", formatlist("%q", ${sharing}))} would share the schema \${${mine}.schema}, and so Flyway's ` +
              "history: give each its own in flyway_database_settings.",
          },
          {
            condition: `\${length(jsonencode(${mine})) <= ${PARAMETER_LENGTH}}`,
            errorMessage:
              `flyway_database_settings "\${each.key}" is longer than a parameter's ${PARAMETER_LENGTH} characters: ` +
              "use fewer or shorter placeholders.",
          },
        ],
      },
    });
    mapped.addOverride("depends_on", ["aws_ssm_parameter.flyway_archive"]); // so no run asks for one too early
    const output = new TerraformOutput(this, "output.buckets", {
      value: `\${{ for database, bucket in local.buckets : database => bucket.id }}`,
      description: "Database to bucket: where a database's migrations are uploaded",
    });
    // as a prop, CDKTF leaves it out
    output.addOverride("precondition", {
      condition:
        "${length(setsubtract(keys(var.flyway_database_settings), var.flyway_managed_databases)) == 0}",
      error_message:
        'flyway_database_settings has names that flyway_managed_databases does not have: ${join(", ", ' +
        "setsubtract(keys(var.flyway_database_settings), var.flyway_managed_databases))}. Correct or remove them.",
    });
  }

  /**
   * Says at plan what goes with a database that is no longer in the list: a warning, Terraform's check. Which there
   * are, only the mapping parameters tell that the last apply has left.
   */
  private warnOfRemoval(names: Names): void {
    // Not in the check, where every plan would have it to be read once more, and so none be empty.
    const mapped = new DataAwsSsmParametersByPath(this, "data.aws_ssm_parameters_by_path.s3_mapping", {
      path: mappingName(names.parameters, "").replace(/\/$/, ""),
    });
    const prefixes = `[for d in var.flyway_managed_databases : ${spelled("d", prefixSpelling(names))}]`;
    // Terraform appends 26 characters to a bucket's prefix.
    const removed =
      `[for b in [for n in ${mapped.fqn}.names : basename(n)] : b ` +
      `if !contains(${prefixes}, replace(b, "/.{26}$/", ""))]`;
    const all = `join(", ", sort(${removed}))`;
    AddressStack.of(this).addOverride("check.removed_databases", {
      assert: [
        {
          condition: `\${length(${removed}) == 0}`,
          error_message:
            `flyway_managed_databases no longer has the databases of these buckets, which will be deleted: \${${all}}. ` +
            '${var.force_destroy ? "All migrations and run records in them go too, every version" : "They are not empty ' +
            "and force_destroy is off, so their deletion will fail: empty them first, or set force_destroy and apply that " +
            'before"}. The schemas in the database stay. To keep the buckets, put the databases back into the list.',
        },
      ],
    });
  }

  /**
   * Lets the host and the function into every bucket, by that one's policy, for many do not fit into one of a role. It also
   * keeps who may upload migrations from forging what became of them.
   */
  letIn(host: IamRole, fn: IamRole): void {
    // As an expression without a token: CDKTF writes the first token of an expression without its ${}
    const arnOf = (role: IamRole) => `${role.terraformResourceType}.${role.friendlyUniqueId}.arn`;
    const allow = (role: IamRole, action: readonly string[], resource: string, condition?: string) => `{
          Effect = "Allow"
          Principal = { AWS = ${arnOf(role)} }
          Action = ${JSON.stringify(action)}
          Resource = ${resource}${condition ? `\n          Condition = ${condition}` : ""}
        }`;
    const records = `"\${each.value.arn}/${RECORD_PREFIX}*.json"`;
    const listed = `{ StringLike = { "s3:prefix" = "${RECORD_PREFIX}*" } }`;
    new S3BucketPolicy(this, "aws_s3_bucket_policy.this", {
      forEach: this.eachBucket,
      bucket: this.eachBucket.getString("id"),
      policy: `\${jsonencode({
        Version = "2012-10-17"
        Statement = [
        ${allow(host, READ, '[each.value.arn, "${each.value.arn}/*"]')},
        ${allow(host, ["s3:PutObject"], records)},
        ${allow(fn, ["s3:ListBucket"], "each.value.arn", listed)},
        ${allow(fn, ["s3:GetObject"], records)},
        {
          Effect = "Deny"
          Principal = "*"
          Action = "s3:PutObject"
          Resource = "\${each.value.arn}/${FLYWAY_FOLDER}*"
          Condition = { ArnNotLike = { "aws:PrincipalArn" = concat([${arnOf(host)}], var.run_record_writers) } }
        }]
      })}`,
    });
  }

  /** Has every bucket call the function for its migrations. Called once the function and its permissions exist. */
  notify(fn: LambdaFunction, permissions: ITerraformDependable[]): void {
    new S3BucketNotification(this, "aws_s3_bucket_notification.this", {
      forEach: this.eachBucket,
      bucket: this.eachBucket.getString("id"),
      lambdaFunction: [{ lambdaFunctionArn: fn.arn, events: ["s3:ObjectCreated:*"], filterSuffix: ".sql" }],
      dependsOn: permissions,
    });
  }
}
