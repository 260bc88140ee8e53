import { DataAwsSsmParametersByPath } from "@cdktf/provider-aws/lib/data-aws-ssm-parameters-by-path";
import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketLifecycleConfiguration } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block";
import { S3BucketVersioningA } from "@cdktf/provider-aws/lib/s3-bucket-versioning";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import { type MapTerraformIterator, TerraformIterator, TerraformLocal, TerraformOutput, Token } from "cdktf";
import { Construct } from "constructs";
import { prefixSpelling } from "../deployment/databases";
import { MAPPING_PATH, mappingName } from "../deployment/mapping";
import type { Names } from "../deployment/names";
import { RECORD_PREFIX } from "../records/record";
import type { Archives } from "./archives";
import type { Mappings } from "./mappings";
import { spellingOf } from "./rules";
import { AddressStack, addressOf } from "./stack";
import type { Variables } from "./variables";

/** How many databases have a permission each; past them IAM's and Lambda's limits are near. */
const FEW = 40;

/** A value of a standard parameter: https://docs.aws.amazon.com/general/latest/gr/ssm.html */
const PARAMETER_LENGTH = 4_096;

export interface S3Props {
  readonly names: Names;
  readonly variables: Variables;
  readonly mappings: Mappings;
  readonly archives: Archives;
}

/** s3.tf: a bucket and a mapping per database. */
export class S3 extends Construct {
  readonly buckets: S3Bucket;
  /** Terraform expression for the buckets, `id` and `arn`, by database. */
  readonly bucketsByDatabase: string;
  /** Over the buckets, by database: what a resource per bucket uses as its `for_each`. */
  readonly eachBucket: MapTerraformIterator;
  /** Terraform expression for whether the databases are few enough for a permission each. */
  readonly fewDatabases: string;

  constructor(scope: Construct, id: string, { names, variables, mappings, archives }: S3Props) {
    super(scope, id);
    const databases = addressOf(variables.flywayManagedDatabases);
    const settings = addressOf(variables.flywayDatabaseSettings);
    const eachDatabase = TerraformIterator.fromList(variables.flywayManagedDatabases.listValue);
    this.buckets = new S3Bucket(this, "aws_s3_bucket.this", {
      forEach: eachDatabase,
      bucketPrefix: `\${${spellingOf("each.key", prefixSpelling(names))}}`,
      forceDestroy: variables.forceDestroy.booleanValue,
    });
    this.warnOfRemoval(names, variables);
    const few = new TerraformLocal(this, "local.few_databases", `\${length(${databases}) <= ${FEW}}`);
    this.fewDatabases = addressOf(few);
    // Terraform evaluates a for_each anew for each instance, but a local once: planning 1,000 buckets takes one
    // minute so, and nine with the buckets themselves and conditions in each for_each.
    const buckets = new TerraformLocal(
      this,
      "local.buckets",
      "${tomap({ for d, b in aws_s3_bucket.this : d => { id = b.id, arn = b.arn } })}",
    );
    this.bucketsByDatabase = addressOf(buckets);
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
    expiry.addOverride(
      "for_each",
      `\${${addressOf(variables.flywayRecordDays)} > 0 ? ${this.bucketsByDatabase} : tomap({})}`,
    );
    new S3BucketPublicAccessBlock(this, "aws_s3_bucket_public_access_block.this", {
      forEach: this.eachBucket,
      bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    const mapping = `${mappings.mappings}[each.key]`;
    const sharing = mappings.databasesOf(mapping);
    const flywayConf = addressOf(variables.flywayConf);
    const targets = addressOf(variables.flywayTargets);
    new SsmParameter(this, "aws_ssm_parameter.s3_mapping", {
      forEach: this.eachBucket,
      name: mappingName(names.parameters, bucket),
      type: "StringList",
      dependsOn: [archives.parameters], // so that no run asks for one too early
      value: `\${jsonencode(${mapping})}`,
      lifecycle: {
        precondition: [
          {
            condition: `\${contains(concat([${flywayConf}], keys(${targets})), ${mapping}.flywayConf)}`,
            errorMessage:
              `flyway_database_settings "\${each.key}": there is no target \${${mapping}.flywayConf}. ` +
              "Add it to flyway_targets, or name flyway_conf or another of them.",
          },
          {
            condition: `\${length(${sharing}) == 1}`,
            errorMessage:
              `The databases \${join(", ", formatlist("%q", ${sharing}))} would share the schema \${${mapping}.schema}, and so Flyway's ` +
              "history: give each its own in flyway_database_settings.",
          },
          {
            condition: `\${length(jsonencode(${mapping})) <= ${PARAMETER_LENGTH}}`,
            errorMessage:
              `flyway_database_settings "\${each.key}" is longer than a parameter's ${PARAMETER_LENGTH} characters: ` +
              "use fewer or shorter placeholders.",
          },
        ],
      },
    });
    const output = new TerraformOutput(this, "output.buckets", {
      value: `\${{ for database, bucket in ${this.bucketsByDatabase} : database => bucket.id }}`,
      description: "Database to bucket: where a database's migrations are uploaded",
    });
    const unknown = `setsubtract(keys(${settings}), ${databases})`;
    // as a prop, CDKTF leaves it out
    output.addOverride("precondition", {
      condition: `\${length(${unknown}) == 0}`,
      error_message: `flyway_database_settings has names that flyway_managed_databases does not have: \${join(", ", ${unknown})}. Correct or remove them.`,
    });
  }

  /**
   * Says at plan what goes with a database that is no longer in the list: a warning, Terraform's check. Which there
   * are, only the mapping parameters tell that the last apply has left.
   */
  private warnOfRemoval(names: Names, variables: Variables): void {
    // Not in the check, where every plan would have it to be read once more, and so none be empty.
    const mapped = new DataAwsSsmParametersByPath(this, "data.aws_ssm_parameters_by_path.s3_mapping", {
      path: `${names.parameters}/${MAPPING_PATH}`,
    });
    const prefixes = `[for d in ${addressOf(variables.flywayManagedDatabases)} : ${spellingOf("d", prefixSpelling(names))}]`;
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
            `\${${addressOf(variables.forceDestroy)} ? "All migrations and run records in them go too, every version" : "They are not empty ` +
            "and force_destroy is off, so their deletion will fail: empty them first, or set force_destroy and apply that " +
            'before"}. The schemas in the database stay. To keep the buckets, put the databases back into the list.',
        },
      ],
    });
  }
}
