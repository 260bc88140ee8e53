import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { rdsCaBundle } from "../constructs/artifacts";
import { synthesize } from "./support/synthesis";

describe("artifacts.tf", () => {
  it("has a bucket that is not public", async () => {
    const { at } = await synthesize();
    expect(at("aws_s3_bucket.artifacts")).toEqual({
      bucket_prefix: "flyway-artifacts-",
      force_destroy: true,
    });
    expect(at("aws_s3_bucket_public_access_block.artifacts")).toEqual({
      bucket: "${aws_s3_bucket.artifacts.id}",
      block_public_acls: true,
      block_public_policy: true,
      ignore_public_acls: true,
      restrict_public_buckets: true,
    });
  });

  it("keeps Amazon's CA certificates there, under a key by which the host checks them", async () => {
    const { at } = await synthesize();
    const { source, ...object } = at("aws_s3_object.rds_ca_bundle");
    expect(object).toEqual({
      bucket: "${aws_s3_bucket.artifacts.id}",
      key: expect.stringMatching(
        /^rds-ca-bundle\/\$\{var\.rds_ca_certificates == null \? "[0-9a-f]{64}" : sha256\(var\.rds_ca_certificates\)\}\.pem$/,
      ),
      content: "${var.rds_ca_certificates}",
      lifecycle: { create_before_destroy: true, precondition: [expect.anything()] },
    });
    expect(String(source).replace(/[0-9A-F]{32}/, "HASH")).toBe(
      '${var.rds_ca_certificates == null ? "${path.module}/assets/rds_ca_bundle/HASH/rds-ca-bundle.pem" : null}',
    );
  });

  it("keeps the host's program there, under a key by which the host checks it", async () => {
    const { at } = await synthesize();
    expect(at("aws_s3_object.runner")).toMatchObject({
      key: expect.stringMatching(/^runner\/[0-9a-f]{64}\.cjs$/),
      source: expect.stringMatching(
        /^\$\{"\$\{path\.module\}\/assets\/runner\/[0-9A-F]{32}\/runner\.cjs"\}$/,
      ),
      lifecycle: { create_before_destroy: true },
    });
  });

  it("keeps a target's own beside them", async () => {
    const { at } = await synthesize();
    expect(at("aws_s3_object.ca_certificate")).toMatchObject({
      for_each:
        "${{ for name, target in var.flyway_targets : name => target.ca_certificate if target.ca_certificate != null }}",
      key: "ca-certificate/${sha256(each.value)}.pem",
      content: "${each.value}",
    });
  });
});

describe("Amazon's CA certificates", () => {
  const certificates = rdsCaBundle()
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .map((pem) => new X509Certificate(pem));
  const names = certificates.map(({ subject }) => /^CN=(.*)$/m.exec(subject)?.[1]);

  it.each(["us-east-1", "eu-central-1", "ap-southeast-2", "sa-east-1"])(
    "have those of today's three authorities in %s",
    (region) => {
      for (const key of ["RSA2048", "RSA4096", "ECC384"]) {
        expect(names).toContain(`Amazon RDS ${region} Root CA ${key} G1`);
      }
    },
  );

  it("have those of a region that is not refused at plan", async () => {
    const { at } = await synthesize();
    const { precondition } = at("aws_s3_object.rds_ca_bundle").lifecycle as {
      precondition: { condition: string; error_message: string }[];
    };
    const known = /contains\((\[.*\]), data\.aws_region\.current\.id\)/.exec(
      precondition[0]?.condition ?? "",
    )?.[1];
    const regions = JSON.parse(known ?? "[]") as string[];
    expect(regions).toEqual(expect.arrayContaining(["us-east-1", "eu-central-1", "ap-southeast-4"]));
    expect(regions).not.toContain("il-central-1"); // not in the package's newest release
    expect(
      regions.filter((region) => !names.some((name) => name?.startsWith(`Amazon RDS ${region} Root CA`))),
    ).toEqual([]);
    expect(precondition[0]?.error_message).toContain("Set rds_ca_certificates");
  });

  it("have none of Amazon's trials", () => {
    expect(names.filter((name) => /Beta|Preview/.test(name ?? ""))).toEqual([]);
  });

  it("have those of RDS Proxy's certificates", () => {
    expect(names).toContain("Amazon Root CA 1");
  });
});
