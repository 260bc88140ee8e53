import { describe, expect, it } from "vitest";
import { synthesize } from "./support/synthesis";

describe("s3.tf", () => {
  it("has a bucket per entry, with the lower-cased entry as prefix", async () => {
    const { at } = await synthesize();
    expect(at("aws_s3_bucket.this")).toEqual({
      for_each: "${toset(var.flyway_managed_databases)}",
      bucket_prefix: '${replace(lower(each.key), "_", "-")}',
      force_destroy: "${var.force_destroy}",
    });
  });

  it("takes up to 40 databases for few: past them, permissions are no longer one each", async () => {
    expect((await synthesize()).at("local.few_databases").value).toBe(
      "${length(var.flyway_managed_databases) <= 40}",
    );
  });

  it.each([
    "aws_s3_bucket_versioning.this",
    "aws_s3_bucket_public_access_block.this",
    "aws_ssm_parameter.s3_mapping",
    "aws_s3_bucket_notification.this",
  ])("has a %s for each bucket", async (address) => {
    const { at } = await synthesize();
    expect(at(address).for_each).toBe("${local.buckets}");
  });

  it("keeps every version of an object, for a verdict is of a version", async () => {
    const { at } = await synthesize();
    expect(at("aws_s3_bucket_versioning.this")).toMatchObject({
      bucket: "${each.value.id}",
      versioning_configuration: { status: "Enabled" },
    });
  });

  it("removes run records after some days, their old versions and what marks their removal, and no migration", async () => {
    const { at } = await synthesize();
    const records = { status: "Enabled", filter: [{ prefix: ".flyway/runs/" }] };
    expect(at("aws_s3_bucket_lifecycle_configuration.this")).toEqual({
      for_each: "${var.flyway_record_days > 0 ? local.buckets : tomap({})}",
      bucket: "${each.value.id}",
      rule: [
        {
          ...records,
          id: "run-records",
          expiration: [{ days: "${var.flyway_record_days}" }],
          noncurrent_version_expiration: [{ noncurrent_days: 1 }],
        },
        { ...records, id: "run-record-markers", expiration: [{ expired_object_delete_marker: true }] },
      ],
      depends_on: ["aws_s3_bucket_versioning.this"],
    });
  });

  it("makes no bucket public", async () => {
    const { at } = await synthesize();
    expect(at("aws_s3_bucket_public_access_block.this")).toMatchObject({
      bucket: "${each.value.id}",
      block_public_acls: true,
      block_public_policy: true,
      ignore_public_acls: true,
      restrict_public_buckets: true,
    });
  });

  it("has the contract's mapping per bucket, its type left as it is", async () => {
    const { at } = await synthesize();
    expect(at("aws_ssm_parameter.s3_mapping")).toMatchObject({
      for_each: "${local.buckets}",
      name: "/flyway/s3-mapping/${each.value.id}",
      type: "StringList",
      value: "${jsonencode(local.mappings[each.key])}",
    });
  });

  it("calls the function for each new .sql object, once it is permitted to", async () => {
    const { at } = await synthesize();
    expect(at("aws_s3_bucket_notification.this")).toEqual({
      for_each: "${local.buckets}",
      bucket: "${each.value.id}",
      lambda_function: [
        {
          lambda_function_arn: "${aws_lambda_function.flyway_trigger.arn}",
          events: ["s3:ObjectCreated:*"],
          filter_suffix: ".sql",
        },
      ],
      depends_on: ["aws_lambda_permission.flyway_trigger", "aws_lambda_permission.account"],
    });
  });

  it("puts out each database's bucket", async () => {
    const { at } = await synthesize();
    expect(at("output.buckets").value).toBe(
      "${{ for database, bucket in local.buckets : database => bucket.id }}",
    );
  });

  it("lets the host and the function in by each bucket's own policy, and nobody else write run records", async () => {
    const { at } = await synthesize();
    const { policy, ...rest } = at("aws_s3_bucket_policy.this");
    expect(rest).toEqual({ for_each: "${local.buckets}", bucket: "${each.value.id}" });
    const statements = String(policy).split('Effect = "').slice(1);
    const of = (role: string) =>
      statements
        .filter((statement) => statement.includes(`AWS = aws_iam_role.${role}.arn }`))
        .map((statement) => /Action = (.*)\s+Resource = (.*)/.exec(statement)?.slice(1));
    const records = '"${each.value.arn}/.flyway/runs/*.json"';
    expect(of("flyway_host")).toEqual([
      [
        '["s3:ListBucket","s3:ListBucketVersions","s3:GetObject","s3:GetObjectVersion"]',
        '[each.value.arn, "${each.value.arn}/*"]',
      ],
      ['["s3:PutObject"]', records],
    ]);
    expect(of("flyway_trigger")).toEqual([
      ['["s3:ListBucket"]', "each.value.arn"],
      ['["s3:GetObject"]', records],
    ]);
    expect(statements.at(-1)).toMatch(
      /^Deny"\s+Principal = "\*"\s+Action = "s3:PutObject"\s+Resource = "[^"]+\/\.flyway\/\*"/,
    );
    expect(statements.at(-1)).toContain(
      '"aws:PrincipalArn" = concat([aws_iam_role.flyway_host.arn], var.run_record_writers)',
    );
  });
});
