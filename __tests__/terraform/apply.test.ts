import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { fromBuffer } from "yauzl";
import {
  authorization,
  bucketsInMoto,
  changes,
  LOST_BY_MOTO,
  objectInMoto,
  type Plan,
  REGION,
  type State,
  useWorkspace,
  type Validation,
  type Values,
  valuesOf,
} from "../support/terraform";

const execute = promisify(execFile);
const stage = useWorkspace();

/** moto's account. */
const ACCOUNT = "123456789012";

/** The contract's addresses that have one instance. */
const CONTRACT = [
  "data.aws_vpc.default",
  "data.aws_subnets.default",
  "data.aws_region.current",
  "data.aws_caller_identity.this",
  "aws_rds_cluster.aurora_mysql",
  "aws_db_subnet_group.aurora_mysql",
  "aws_security_group.aurora_mysql",
  "aws_security_group_rule.ingress",
  "aws_security_group_rule.egress",
  "aws_instance.flyway_host",
  "aws_cloudwatch_log_group.flyway_host",
  "data.aws_ami.flyway_host_ami",
  "aws_iam_role.flyway_host",
  "aws_iam_instance_profile.flyway_host",
  "data.aws_iam_policy_document.cloudwatch_access",
  "aws_iam_policy.cloudwatch_access",
  "aws_iam_role_policy_attachment.cloudwatch_access",
  "data.aws_iam_policy_document.s3_access",
  "aws_iam_policy.s3_access",
  "aws_iam_role_policy_attachment.s3_access",
  "aws_iam_role_policy_attachment.ssm_managed_instance_core",
  "aws_lambda_function.flyway_trigger",
  "data.archive_file.flyway_trigger",
  "aws_iam_role.flyway_trigger",
  "data.aws_iam_policy_document.ssm_access",
  "aws_iam_policy.ssm_access",
  "aws_iam_role_policy_attachment.ssm_access",
  "aws_iam_role_policy_attachment.basic_execution_role",
];

/** Those that have one per database. */
const PER_DATABASE = [
  "aws_s3_bucket.this",
  "aws_ssm_parameter.s3_mapping",
  "aws_s3_bucket_notification.this",
  "aws_lambda_permission.flyway_trigger",
];

/** What else there is per database. */
const ALSO_PER_DATABASE = [
  "aws_s3_bucket_policy.this",
  "aws_s3_bucket_versioning.this",
  "aws_s3_bucket_public_access_block.this",
  "aws_s3_bucket_lifecycle_configuration.this",
];

/** `{"aws_s3_bucket.this[\"Users\"]": action}` and so on, for all objects of one database. */
function ofDatabase(database: string, action: string): Record<string, string> {
  const all = [...PER_DATABASE, ...ALSO_PER_DATABASE];
  return Object.fromEntries(all.map((address) => [`${address}["${database}"]`, action]));
}

/** Statements as lists in an order that does not depend on names. */
function statements(state: State, policy: string): unknown[] {
  const list = (value: string | string[]) => [value].flat().sort();
  const { Statement } = JSON.parse(valuesOf(state, `aws_iam_policy.${policy}`).policy);
  return Statement.map(({ Action, Resource, ...rest }: Record<string, string>) => ({
    ...rest,
    Action: list(Action as string),
    Resource: list(Resource as string),
  })).sort((a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function allow(Action: string[], Resource: string[], rest: object = {}): unknown {
  return { Effect: "Allow", Action: Action.sort(), Resource: Resource.sort(), ...rest };
}

/** The files in a zip archive, by name. */
function unzip(file: string): Promise<Map<string, Buffer>> {
  return new Promise((resolve, reject) => {
    const files = new Map<string, Buffer>();
    fromBuffer(readFileSync(file), { lazyEntries: true }, (error, zip) => {
      if (error) return reject(error);
      zip.on("error", reject);
      zip.on("end", () => resolve(files));
      zip.on("entry", (entry) => {
        zip.openReadStream(entry, async (failure, stream) => {
          if (failure) return reject(failure);
          files.set(entry.fileName, Buffer.concat(await stream.toArray()));
          zip.readEntry();
        });
      });
      zip.readEntry();
    });
  });
}

/** What Terraform warns of, in one line each. */
function warnings(text: string): string[] {
  const blocks = text.split(/^Warning: /m).slice(1);
  return blocks.map((block) => block.replaceAll(/[\s│]+/g, " "));
}

// These build on each other: one deployment, from nothing to nothing.
describe("the stack", () => {
  let validation: Validation;
  let plan: Plan & { readonly text: string };
  let applied: string;
  let state: State;
  beforeAll(async () => {
    if (!stage.workspace) return;
    validation = await stage.workspace.validate();
    plan = await stage.workspace.plan();
    applied = await stage.workspace.apply();
    state = await stage.workspace.state();
  });

  it("is valid, without a warning", () => {
    expect(validation).toMatchObject({ valid: true, error_count: 0, warning_count: 0, diagnostics: [] });
  });

  it("is made from nothing: it only creates, and reads what is there", () => {
    const actions = new Set(Object.values(changes(plan)));
    expect([...actions].sort()).toEqual(["create", "read"]);
    expect(warnings(plan.text + applied)).toEqual([]);
  });

  it("has each of the contract's addresses", () => {
    const instances = ["Users", "Products"].flatMap((database) =>
      PER_DATABASE.map((address) => `${address}["${database}"]`),
    );
    const addresses = state.resources.map(({ address }) => address);
    expect([...CONTRACT, ...instances].filter((address) => !addresses.includes(address))).toEqual([]);
  });

  it("has these outputs", () => {
    const outputs = Object.entries(state.outputs).map(([name, { value }]) => [name, value]);
    const cluster = valuesOf(state, "aws_rds_cluster.aurora_mysql");
    expect(Object.fromEntries(outputs)).toMatchObject({
      buckets: {
        Users: expect.stringMatching(/^users\d{26}$/),
        Products: expect.stringMatching(/^products\d{26}$/),
      },
      cluster_endpoint: cluster.endpoint,
      function_name: "flyway-trigger",
      host_id: expect.stringMatching(/^i-[0-9a-f]+$/),
      log_group: "/ssm/runcommand/flyway-host",
      secret_arn: cluster.master_user_secret[0].secret_arn,
    });
    expect(cluster.endpoint).toMatch(/^aurora-mysql\.cluster-/);
  });

  it("has, without a master_password, RDS make one and the target name its secret and its CA", async () => {
    const cluster = valuesOf(state, "aws_rds_cluster.aurora_mysql");
    const bundle = valuesOf(state, "aws_s3_object.rds_ca_bundle");
    expect(cluster).toMatchObject({ manage_master_user_password: true, master_password_wo_version: null });
    expect(JSON.parse(valuesOf(state, "aws_ssm_parameter.target").value)).toEqual({
      url: `jdbc:mysql://${cluster.endpoint}:3306`,
      secret: cluster.master_user_secret[0].secret_arn,
      ca: {
        url: `s3://${bundle.bucket}/${bundle.key}`,
        sha256: createHash("sha256")
          .update(await objectInMoto(stage.endpoint, bundle.bucket, bundle.key))
          .digest("hex"),
      },
    });
    expect(cluster.master_user_secret[0].secret_arn).toContain(":secret:rds!cluster-");
    expect(state.resources.filter(({ address }) => address.includes("master_password"))).toEqual([]);
  });

  it.each(["Users", "Products"])(
    "plans the mapping of %s before there is a bucket, and keeps it",
    (database) => {
      const address = `aws_ssm_parameter.s3_mapping["${database}"]`;
      const planned = plan.resource_changes.find((resource) => resource.address === address)?.change.after;
      const bucket = valuesOf(state, `aws_s3_bucket.this["${database}"]`).bucket;
      for (const parameter of [planned, valuesOf(state, address)]) {
        expect(parameter?.type).toBe("StringList");
        expect(JSON.parse(parameter?.value)).toEqual({
          schema: database,
          flywayVersion: "11.8.2",
          flywayConf: "test_flyway.conf",
        });
      }
      expect(valuesOf(state, address).name).toBe(`/flyway/s3-mapping/${bucket}`);
    },
  );

  it.each(["Users", "Products"])("has the bucket of %s, and no other, call the function", (database) => {
    const bucket = valuesOf(state, `aws_s3_bucket.this["${database}"]`);
    const fn = valuesOf(state, "aws_lambda_function.flyway_trigger");
    expect(valuesOf(state, `aws_lambda_permission.flyway_trigger["${database}"]`)).toMatchObject({
      statement_id: `allow-execute-from-${bucket.bucket}`,
      action: "lambda:InvokeFunction",
      function_name: "flyway-trigger",
      principal: "s3.amazonaws.com",
      source_arn: bucket.arn,
      source_account: ACCOUNT,
    });
    const { bucket: notifying, lambda_function } = valuesOf(
      state,
      `aws_s3_bucket_notification.this["${database}"]`,
    );
    expect(notifying).toBe(bucket.bucket);
    expect(lambda_function).toMatchObject([
      { lambda_function_arn: fn.arn, events: ["s3:ObjectCreated:*"], filter_suffix: ".sql" },
    ]);
  });

  it("tells the function of the host, the document and the log group", () => {
    expect(valuesOf(state, "aws_lambda_function.flyway_trigger").environment).toMatchObject([
      {
        variables: {
          INSTANCE_ID: valuesOf(state, "aws_instance.flyway_host").id,
          DOCUMENT_NAME: "flyway-migrate",
          CLOUDWATCH_LOG_GROUP_NAME: "/ssm/runcommand/flyway-host",
          SETTLE_SECONDS: "2",
        },
      },
    ]);
  });

  it("lets the host read the databases' buckets and the artifacts, write run records, say what it does, and nothing else of S3", () => {
    const arns = ["Users", "Products"].map(
      (database) => valuesOf(state, `aws_s3_bucket.this["${database}"]`).arn,
    );
    expect(statements(state, "s3_access")).toEqual([
      allow(["s3:GetObject"], [`${valuesOf(state, "aws_s3_bucket.artifacts").arn}/*`]),
    ]);
    const host = valuesOf(state, "aws_iam_role.flyway_host").arn;
    for (const [index, database] of ["Users", "Products"].entries()) {
      const policy = JSON.parse(valuesOf(state, `aws_s3_bucket_policy.this["${database}"]`).policy);
      const granted = policy.Statement.filter(({ Principal }: Values) => Principal.AWS === host);
      expect(granted.map(({ Action, Resource }: Values) => [Action, Resource])).toEqual([
        [
          ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetObject", "s3:GetObjectVersion"],
          [arns[index], `${arns[index]}/*`],
        ],
        [["s3:PutObject"], ["runs", "now"].map((folder) => `${arns[index]}/.flyway/${folder}/*.json`)],
        [["s3:DeleteObjectVersion"], `${arns[index]}/.flyway/now/*.json`],
      ]);
    }
  });

  it("lets the host read the one secret", () => {
    const { secret_arn } = valuesOf(state, "aws_rds_cluster.aurora_mysql").master_user_secret[0];
    expect(statements(state, "secret_access")).toEqual([
      allow(["secretsmanager:GetSecretValue"], [secret_arn]),
    ]);
  });

  it("lets the host write to its log group", () => {
    const group = `arn:aws:logs:${REGION}:${ACCOUNT}:log-group:/ssm/runcommand/flyway-host`;
    expect(statements(state, "cloudwatch_access")).toEqual([
      allow(["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], [group, `${group}:*`]),
      allow(["logs:DescribeLogGroups"], ["*"]),
    ]);
  });

  it("lets the function read the mappings, send the one document to the one host, and look at the outcome", () => {
    const ssm = `arn:aws:ssm:${REGION}:${ACCOUNT}`;
    const host = `arn:aws:ec2:${REGION}:${ACCOUNT}:instance/${valuesOf(state, "aws_instance.flyway_host").id}`;
    expect(statements(state, "ssm_access")).toEqual([
      allow(["ssm:GetCommandInvocation", "ssm:ListCommandInvocations"], ["*"]),
      allow(["ssm:GetParameter", "ssm:GetParametersByPath"], [`${ssm}:parameter/flyway/s3-mapping/*`]),
      allow(["ssm:SendCommand"], [`${ssm}:document/flyway-migrate`, host]),
    ]);
  });

  it.each([
    [
      "flyway_host",
      ["s3_access", "secret_access", "cloudwatch_access", "deployment_access", "ssm_managed_instance_core"],
    ],
    ["flyway_trigger", ["ssm_access", "notification_access", "basic_execution_role"]],
  ])("gives the role %s these policies", (role, attachments) => {
    const attached = state.resources.filter(
      ({ address, values }) =>
        address.startsWith("aws_iam_role_policy_attachment.") && values.role === role.replace("_", "-"),
    );
    const expected = attachments.map((name) => `aws_iam_role_policy_attachment.${name}`);
    expect(attached.map(({ address }) => address).sort()).toEqual(expected.sort());
  });

  it("packs one file, which loads and has the handler", async () => {
    const fn = valuesOf(state, "aws_lambda_function.flyway_trigger");
    const zip = join(stage.workspace.folder, fn.filename);
    expect(createHash("sha256").update(readFileSync(zip)).digest("base64")).toBe(fn.source_code_hash);

    const files = await unzip(zip);
    expect([...files.keys()]).toEqual(["index.js"]);
    const folder = join(stage.workspace.folder, "unzipped");
    mkdirSync(folder);
    writeFileSync(join(folder, "index.js"), files.get("index.js") as Buffer);
    const [module, name] = fn.handler.split(".");
    const { stdout } = await execute(
      process.execPath,
      ["-p", `typeof require(${JSON.stringify(`./${module}.js`)}).${name}`],
      { cwd: folder, env: { AWS_REGION: REGION, ...fn.environment[0].variables } },
    );
    expect(stdout.trim()).toBe("function");
  });

  it("plans nothing more, but for what moto does not keep", async () => {
    const second = await stage.workspace.plan();
    const cluster = second.resource_changes.find(({ address }) => address === "aws_rds_cluster.aurora_mysql");
    const { before, after } = { ...cluster?.change } as { before: Values; after: Values };
    const differ = Object.keys(after).filter(
      (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
    );
    expect(differ.sort()).toEqual([...LOST_BY_MOTO].sort());

    // All else follows from the cluster's being changed, as the next test shows.
    stage.workspace.ignoreWhatMotoLoses();
    const third = await stage.workspace.plan();
    expect(changes(third)).toEqual({});
    expect(third.text).toContain("No changes.");
    const outputs = Object.values(third.output_changes).flatMap(({ actions }) => actions);
    expect(new Set(outputs)).toEqual(new Set(["no-op"]));
  });

  describe("given one more database", () => {
    const variables = { flyway_managed_databases: ["Users", "Products", "Order_Items"] };
    let added: State;
    beforeAll(async () => {
      if (!stage.workspace) return;
      plan = await stage.workspace.plan(variables);
      await stage.workspace.apply(variables);
      added = await stage.workspace.state();
    });

    it("creates this database's objects, and changes nothing else", () => {
      expect(changes(plan)).toEqual(ofDatabase("Order_Items", "create"));
      expect(warnings(plan.text)).toEqual([]);
    });

    it("lets the host at the third bucket", () => {
      expect(valuesOf(added, 'aws_s3_bucket.this["Order_Items"]').bucket).toMatch(/^order-items\d{26}$/);
      const { arn } = valuesOf(added, 'aws_s3_bucket.this["Order_Items"]');
      const { policy } = valuesOf(added, 'aws_s3_bucket_policy.this["Order_Items"]');
      expect(policy).toContain(`"${arn}/*"`);
    });

    it("leaves the other buckets as they were", () => {
      for (const database of ["Users", "Products"]) {
        const address = `aws_s3_bucket.this["${database}"]`;
        expect(valuesOf(added, address).bucket).toBe(valuesOf(state, address).bucket);
      }
    });
  });

  describe("given the first database no longer", () => {
    const variables = { flyway_managed_databases: ["Products", "Order_Items"] };
    let bucket: string;
    let kept: string;
    let removed: State;
    beforeAll(async () => {
      if (!stage.workspace) return;
      bucket = valuesOf(state, 'aws_s3_bucket.this["Users"]').bucket;
      for (const body of ["one", "another"]) {
        const url = `${stage.endpoint}/${bucket}/notes.txt`;
        const put = await fetch(url, { method: "PUT", body, headers: authorization("s3") });
        expect(put.headers.get("x-amz-version-id"), await put.text()).toMatch(/^[0-9a-f-]{36}$/);
      }
      kept = (await stage.workspace.plan({ ...variables, force_destroy: false })).text;
      plan = await stage.workspace.plan(variables);
      await stage.workspace.apply(variables);
      removed = await stage.workspace.state();
    });

    it("says at plan what is deleted with it", () => {
      expect(warnings(plan.text)).toEqual([
        expect.stringContaining(
          `which will be deleted: ${bucket}. All migrations and run records in them go too, every version.`,
        ),
      ]);
    });

    it("says at plan that the deletion will fail where force_destroy is off", () => {
      expect(warnings(kept)).toEqual([expect.stringContaining("so their deletion will fail")]);
    });

    it("destroys this database's objects, and changes nothing else", () => {
      expect(changes(plan)).toEqual(ofDatabase("Users", "delete"));
    });

    it("removes the bucket with all versions in it", async () => {
      expect(await bucketsInMoto(stage.endpoint)).not.toContain(bucket);
    });

    it("leaves the other buckets where they were", async () => {
      const addresses = ['this["Products"]', 'this["Order_Items"]', "artifacts"].map(
        (name) => valuesOf(removed, `aws_s3_bucket.${name}`).bucket,
      );
      expect((await bucketsInMoto(stage.endpoint)).sort()).toEqual(addresses.sort());
      expect(addresses).toContain(valuesOf(state, 'aws_s3_bucket.this["Products"]').bucket);
    });
  });

  describe("destroyed", () => {
    beforeAll(async () => {
      await stage.workspace?.destroy();
    });

    it("leaves nothing", async () => {
      expect(await stage.workspace.state()).toEqual({ outputs: {}, resources: [] });
      expect(await bucketsInMoto(stage.endpoint)).toEqual([]);
    });
  });
});
