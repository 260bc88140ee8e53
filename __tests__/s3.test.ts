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

  it("puts out each database's bucket", async () => {
    const { at } = await synthesize();
    expect(at("output.buckets").value).toBe(
      "${{ for database, bucket in local.buckets : database => bucket.id }}",
    );
  });
});
