import { beforeAll, describe, expect, it } from "vitest";
import { invocation, outcome, Permissions } from "../support/permissions";
import { forbiddenRequests, neededRequests, type Things, thingsOf } from "../support/requests";
import { changes, type Plan, type State, useWorkspace, type Values } from "../support/terraform";

/** The longest stage, so that every name and policy is as long as it can be. */
const STAGE = "sixteen-letters1";
const deployment = useWorkspace({ stage: STAGE });

/** An IAM policy's size, in characters without white space: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const IAM_POLICY = 6_144;
/** A bucket policy's: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html */
const BUCKET_POLICY = 20_480;
/** A function's resource policy's: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const FUNCTION_POLICY = 20_480;

/** A database's name of the greatest length that this stage allows. */
const name = (i: number) => `${String(i).padStart(4, "0")}-`.padEnd(20, "x");

/** So many databases, and all that else makes a policy longer, as far as the variables take it. */
const variables = (count: number) => ({
  flyway_managed_databases: Array.from({ length: count }, (_, i) => name(i)),
  flyway_targets: Object.fromEntries(
    Array.from({ length: 11 }, (_, i) => [
      `t${i}`,
      {
        url: "jdbc:mysql://host",
        secret_arn: `arn:aws:secretsmanager:eu-central-1:123456789012:secret:${i}-`.padEnd(497, "x"),
      },
    ]),
  ),
  flyway_archives: Object.fromEntries(
    [1, 2].map((i) => [`90.${i}`, { url: `s3://bucket/${i}-`.padEnd(989, "x"), sha256: "0".repeat(64) }]),
  ),
});

/** A policy's size as AWS counts it. */
function size(policy: string): number {
  return JSON.stringify(JSON.parse(policy)).length;
}

/** The attributes that the instances of one resource have after the plan. */
function planned(plan: Plan, resource: string): Values[] {
  return plan.resource_changes
    .filter(({ address }) => address === resource || address.startsWith(`${resource}[`))
    .flatMap(({ change }) => (change.after ? [change.after] : []));
}

function functionPolicy(plan: Plan, permissions: Values[]): string {
  const arn = planned(plan, "aws_lambda_function.flyway_trigger")[0]?.arn;
  const Statement = permissions.map((permission) => invocation(arn, permission));
  return JSON.stringify({ Version: "2012-10-17", Id: "default", Statement });
}

const perBucket = (plan: Plan) => planned(plan, "aws_lambda_permission.flyway_trigger");
const ofAccount = (plan: Plan) => planned(plan, "aws_lambda_permission.account");

/** Terraform's state file, as far as this test writes one: https://developer.hashicorp.com/terraform/internals/json-format */
interface StateFile {
  serial: number;
  resources: { instances: { index_key?: string | number }[] }[];
}

/**
 * The state of a deployment with another number of databases: what each of them has is the last one's, renamed.
 * The plan over it must be empty, which shows that it is such a deployment's.
 */
function withDatabases(text: string, bucket: string, count: number): string {
  const file = JSON.parse(text) as StateFile;
  const last = bucketName(bucket);
  for (const resource of file.resources) {
    const pattern = resource.instances.find(({ index_key }) => index_key === last);
    if (!pattern) continue;
    const prefix = JSON.stringify(pattern);
    resource.instances = Array.from({ length: count }, (_, i) =>
      JSON.parse(prefix.replaceAll(last, name(i))),
    );
  }
  return JSON.stringify({ ...file, serial: file.serial + 1 });
}

/** The database of a bucket in this stage. */
function bucketName(bucket: string): string {
  return bucket.slice(0, bucket.indexOf(`-${STAGE}`));
}

/** Where a line of an apply's output is that begins and ends so; the last such, or the first. */
function line(output: string, which: "first" | "last", pattern: RegExp): number {
  const lines = output.split("\n");
  const indexes = lines.flatMap((text, i) => (pattern.test(text) ? [i] : []));
  expect(indexes.length, `no line matches ${pattern}`).toBeGreaterThan(0);
  return indexes.at(which === "first" ? 0 : -1) as number;
}

// These build on each other: one deployment of 40 databases, then 41, then 40, and states made of these.
describe("a deployment in the longest stage, of databases with the longest names", () => {
  let few: { plan: Plan; file: string };
  let many: { plan: Plan; file: string };
  let manyState: State;
  let more: string;
  let fewer: string;
  let end: State;
  beforeAll(async () => {
    const { workspace } = deployment;
    if (!workspace) return;
    const settled = async (count: number) => {
      const plan = await workspace.plan(variables(count), "-refresh=false");
      return { plan, file: workspace.stateText() };
    };
    workspace.ignoreWhatMotoLoses();
    await workspace.apply(variables(40));
    few = await settled(40);
    more = await workspace.apply(variables(41));
    many = await settled(41);
    manyState = await workspace.state();
    fewer = await workspace.apply(variables(40));
    end = await workspace.state();
  });

  describe.each([1, 40, 41, 50, 1000])("of %d", (count) => {
    let plan: Plan;
    beforeAll(async () => {
      if (!deployment.workspace) return;
      const base = count <= 40 ? few : many;
      const bucket = planned(base.plan, "aws_s3_bucket.this").at(-1)?.bucket;
      deployment.workspace.putState(withDatabases(base.file, bucket, count));
      plan = await deployment.workspace.plan(variables(count), "-refresh=false");
    });

    it("is complete: nothing is left to plan, and each bucket is there", () => {
      expect(changes(plan)).toEqual({});
      expect(planned(plan, "aws_s3_bucket.this")).toHaveLength(count);
      expect(planned(plan, "aws_s3_bucket_notification.this")).toHaveLength(count);
    });

    it("has no IAM policy that is longer than IAM takes", () => {
      const policies = plan.resource_changes.filter(({ address }) => address.startsWith("aws_iam_policy."));
      expect(policies.map(({ address }) => address).sort()).toEqual(
        [
          "cloudwatch_access",
          "deployment_access",
          "notification_access",
          "s3_access",
          "secret_access",
          "ssm_access",
        ].map((n) => `aws_iam_policy.${n}`),
      );
      for (const { address, change } of policies) {
        expect(size(change.after?.policy), address).toBeLessThanOrEqual(IAM_POLICY);
      }
    });

    it("has no bucket policy that is longer than S3 takes", () => {
      const policies = planned(plan, "aws_s3_bucket_policy.this");
      expect(policies).toHaveLength(count);
      for (const { policy } of policies) expect(size(policy)).toBeLessThanOrEqual(BUCKET_POLICY);
    });

    it("has a policy of the function that Lambda takes", () => {
      const permissions = [...perBucket(plan), ...ofAccount(plan)];
      expect(functionPolicy(plan, permissions).length).toBeLessThanOrEqual(FUNCTION_POLICY);
    });

    it(
      count > 40
        ? "lets all of the account's buckets call the function by one permission"
        : "lets each bucket call the function",
      () => {
        expect([perBucket(plan).length, ofAccount(plan).length]).toEqual(count > 40 ? [0, 1] : [count, 0]);
        for (const permission of [...perBucket(plan), ...ofAccount(plan)]) {
          expect(permission.source_account).toMatch(/^\d{12}$/);
        }
      },
    );

    it("lets the host read every bucket, by that one's policy", () => {
      const policies = new Map(
        planned(plan, "aws_s3_bucket_policy.this").map(({ bucket, policy }) => [bucket, policy as string]),
      );
      for (const { arn, bucket } of planned(plan, "aws_s3_bucket.this")) {
        expect(policies.get(bucket)).toContain(`"${arn}/*"`);
      }
    });
  });

  it("has room in the function's policy for both kinds of permission, as there are while they change over", () => {
    const permissions = [...perBucket(few.plan), ...ofAccount(many.plan)];
    expect(permissions).toHaveLength(41);
    expect(functionPolicy(few.plan, permissions).length).toBeLessThanOrEqual(FUNCTION_POLICY);
  });

  describe("given a 41st database", () => {
    it("lets the account's buckets call the function before it takes the 40 permissions away", () => {
      const created = line(more, "last", /^aws_lambda_permission\.account\[0\]: Creation complete/);
      expect(line(more, "first", /^aws_lambda_permission\.flyway_trigger\[.*: Destroying/)).toBeGreaterThan(
        created,
      );
    });
  });

  it("lets all who need to do what they do past 40 too, and nothing more", async () => {
    const of = new Permissions(manyState);
    const own = thingsOf(of, `-${STAGE}`);
    const foreign = {
      ...Object.fromEntries(Object.entries(own).map(([name, arn]) => [name, arn.replaceAll(STAGE, "other")])),
      host: own.host.replace(/.{4}$/, "0000"),
      secret: own.secret.replace(/.{4}$/, "0000"),
    } as Things;
    expect(await outcome(of, neededRequests(of, own), false)).toEqual([]);
    expect(await outcome(of, forbiddenRequests(of, own, foreign), true)).toEqual([]);
  });

  describe("given 40 again", () => {
    it("lets each bucket call the function before it takes the account's permission away", () => {
      const created = line(fewer, "last", /^aws_lambda_permission\.flyway_trigger\[.*: Creation complete/);
      expect(line(fewer, "first", /^aws_lambda_permission\.account\[0\]: Destroying/)).toBeGreaterThan(
        created,
      );
    });

    it("has what it had", () => {
      const addresses = end.resources.map(({ address }) => address);
      expect(addresses.filter((address) => address.startsWith("aws_lambda_permission.flyway_"))).toHaveLength(
        40,
      );
      expect(addresses.filter((address) => /permission\.account/.test(address))).toEqual([]);
    });
  });
});
