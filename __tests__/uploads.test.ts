import { describe, expect, it } from "vitest";
import { synthesize } from "./support/synthesis";

describe("the uploads", () => {
  it("call the function for each new .sql object, once they are permitted to", async () => {
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

  it("lets the host and the function in by each bucket's own policy, and nobody else write run records", async () => {
    const { at } = await synthesize();
    const { policy, ...attributes } = at("aws_s3_bucket_policy.this");
    expect(attributes).toEqual({ for_each: "${local.buckets}", bucket: "${each.value.id}" });
    const statements = String(policy).split('Effect = "').slice(1);
    const of = (role: string) =>
      statements
        .filter((statement) => statement.includes(`AWS = aws_iam_role.${role}.arn }`))
        .map((statement) => /Action = (.*)\s+Resource = (.*)/.exec(statement)?.slice(1));
    const records = '"${each.value.arn}/.flyway/runs/*.json"';
    const now = '"${each.value.arn}/.flyway/now/*.json"';
    expect(of("flyway_host")).toEqual([
      [
        '["s3:ListBucket","s3:ListBucketVersions","s3:GetObject","s3:GetObjectVersion"]',
        '[each.value.arn, "${each.value.arn}/*"]',
      ],
      ['["s3:PutObject"]', `[${records}, ${now}]`],
      ['["s3:DeleteObjectVersion"]', now],
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
