import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  authorization,
  changes,
  LOST_BY_MOTO,
  LOST_OF_FUNCTION,
  type Plan,
  type ResourceChange,
  type Stage,
  type State,
  useWorkspace,
  type Values,
  type Variables,
  valuesOf,
  type Workspace,
} from "../support/terraform";

/** The article's Terraform files, written after the contract. */
const ARTICLE = join(__dirname, "contract");

/** The default of the article's master_password. */
const DEFAULT_PASSWORD = /master_password"[^}]*default += "(.*)"/.exec(
  readFileSync(join(ARTICLE, "variables.tf"), "utf8"),
)?.[1] as string;

const CLUSTER = "aws_rds_cluster.aurora_mysql";
const INSTANCE = "aws_rds_cluster_instance.aurora_mysql[0]";
const FUNCTION = "aws_lambda_function.flyway_trigger";
const HOST = "aws_instance.flyway_host";
const OWN_SECRET = "aws_secretsmanager_secret.master_password[0]";

/** What AWS's conversion of Serverless v1 leaves behind; the name and the class are its choice. */
const LEFT_BEHIND = { DBInstanceIdentifier: "aurora-mysql-instance-1", DBInstanceClass: "db.t3.medium" };

/** What adoption changes in place, by address, and why. */
const IN_PLACE: Readonly<
  Record<string, { readonly arguments: readonly string[]; readonly because: string }>
> = {
  "aws_iam_policy.cloudwatch_access": {
    arguments: ["policy"],
    because: "streams are described by the group's own ARN, which `:*` does not match",
  },
  "aws_iam_policy.s3_access": {
    arguments: ["policy"],
    because: "a run copies exact versions of the objects, and writes run records",
  },
  "aws_iam_policy.ssm_access": {
    arguments: ["policy"],
    because: "the function may send the one document, and no longer any shell script",
  },
  "aws_iam_role.flyway_host": {
    arguments: ["tags", "tags_all"],
    because: "the tag tells a deployment in another region that the name is taken",
  },
  "aws_iam_role.flyway_trigger": {
    arguments: ["tags", "tags_all"],
    because: "the same",
  },
  [HOST]: {
    arguments: ["metadata_options", "tags", "tags_all"],
    because: "metadata only by token, and a name; neither restarts the host",
  },
  [FUNCTION]: {
    arguments: [
      ...["environment", "filename", "handler", "last_modified", "logging_config", "runtime"],
      "source_code_hash",
    ],
    because:
      "Python 3.9 is deprecated: the Node.js function takes its place, has a log group of ours, and is told of the document",
  },
  'aws_ssm_parameter.s3_mapping["Products"]': {
    arguments: ["insecure_value", "value", "version"],
    because: "flyway_version has another default",
  },
  'aws_ssm_parameter.s3_mapping["Users"]': {
    arguments: ["insecure_value", "value", "version"],
    because: "flyway_version has another default",
  },
};

/** What it changes of the cluster: capacity for Serverless v2, that it is at once, and who keeps the password. */
const CHANGED = ["apply_immediately", "master_password", "serverlessv2_scaling_configuration"];
const MANAGED = [...CHANGED, "manage_master_user_password"];
const KEPT = [...CHANGED, "master_password_wo_version"];

/** Not known to provider 4.59, and so not in its state: off, as it is. */
const UNKNOWN_TO_459 = ["enable_local_write_forwarding"];

/** The conversion turns the Data API off; moto cannot turn it on again. */
const UNDONE = LOST_BY_MOTO;

/** What a plan has besides when the cluster is to be changed: it reads RDS's secret only afterwards. */
const FOLLOWS = {
  [CLUSTER]: "update",
  "data.aws_rds_cluster.aurora_mysql": "read",
  "data.aws_iam_policy_document.secret_access": "read",
  "aws_iam_policy.secret_access": "update",
  "aws_ssm_parameter.target": "update",
};

/** What the provider sets of an imported instance: its own `force_destroy`, and the default order of failover. */
const IMPORTED = ["force_destroy", "promotion_tier"];

/**
 * Attributes that provider 4.59 does not have and 5.100 does, by type: the difference between a state of 5.100's
 * and what version 12.0.10 of @cdktf/provider-aws, the bindings for 4.59.0, lists.
 */
const SINCE_4_59: Readonly<Record<string, readonly string[]>> = {
  aws_cloudwatch_log_group: ["log_group_class"],
  aws_db_subnet_group: ["vpc_id"],
  aws_iam_policy: ["attachment_count"],
  aws_instance: [
    "cpu_options",
    "enable_primary_ipv6",
    "instance_lifecycle",
    "instance_market_options",
    "spot_instance_request_id",
    "metadata_options.http_protocol_ipv6",
  ],
  aws_lambda_function: ["code_sha256", "logging_config"],
  aws_rds_cluster: [
    "ca_certificate_identifier",
    "ca_certificate_valid_till",
    "cluster_scalability_type",
    "database_insights_mode",
    "db_system_id",
    "delete_automated_backups",
    "domain",
    "domain_iam_role_name",
    "enable_local_write_forwarding",
    "engine_lifecycle_support",
    "manage_master_user_password",
    "master_password_wo",
    "master_password_wo_version",
    "master_user_secret",
    "master_user_secret_kms_key_id",
    "monitoring_interval",
    "monitoring_role_arn",
    "performance_insights_enabled",
    "performance_insights_kms_key_id",
    "performance_insights_retention_period",
    "scaling_configuration.seconds_before_timeout",
  ],
  aws_ssm_parameter: ["has_value_wo", "value_wo", "value_wo_version"],
};

/**
 * A state as provider 4.59 may have written it. That provider was not run: what it does not know is taken away by
 * hand, and the cluster's schema version set back to 0, which it was up to 5.25.
 */
function asOf459(state: string): string {
  const parsed = JSON.parse(state);
  for (const { type, instances } of parsed.resources) {
    for (const instance of instances) {
      for (const path of SINCE_4_59[type] ?? []) {
        const [name, inner] = path.split(".") as [string, string?];
        if (!(name in instance.attributes)) throw new Error(`${type} has no ${name} to take away`);
        if (inner) for (const block of instance.attributes[name]) delete block[inner];
        else delete instance.attributes[name];
      }
      if (type === "aws_rds_cluster") instance.schema_version = 0;
    }
  }
  return JSON.stringify(parsed);
}

/** A call of RDS's, to moto. */
async function rds(stage: Stage, Action: string, parameters: Record<string, string>): Promise<void> {
  const response = await fetch(stage.endpoint, {
    method: "POST",
    headers: authorization("rds"),
    body: new URLSearchParams({ Action, Version: "2014-10-31", ...parameters }),
  });
  if (!response.ok) throw new Error(`${Action}: ${await response.text()}`);
}

/** What AWS did to clusters of Serverless v1 when it ended: provisioned, with an instance, without the Data API. */
async function convert(stage: Stage): Promise<void> {
  const cluster = { DBClusterIdentifier: "aurora-mysql" };
  await rds(stage, "ModifyDBCluster", {
    ...cluster,
    EngineMode: "provisioned",
    AllowEngineModeChange: "true",
  });
  await rds(stage, "ModifyDBCluster", { ...cluster, EnableHttpEndpoint: "false" });
  await rds(stage, "CreateDBInstance", { ...cluster, ...LEFT_BEHIND, Engine: "aurora-mysql" });
}

/** An import block beside the synthesized JSON. */
async function importInstance({ folder }: Workspace): Promise<void> {
  const block = { to: INSTANCE, id: LEFT_BEHIND.DBInstanceIdentifier };
  await writeFile(join(folder, "import.tf.json"), JSON.stringify({ import: [block] }));
}

/** An upload from before, to the bucket of Users. */
const OLD = "V1__create_table_persons.sql";

interface Adoption {
  /** The state that the article's files left, and as the backend had it. */
  readonly article: State;
  readonly articleText: string;
  /** What ours plans with it, and then, after the apply, once more. */
  readonly plan: Plan & { readonly text: string };
  readonly second: Plan;
  /** What it plans for the other values. */
  readonly otherPlan?: Plan & { readonly text: string };
  /** The state after the apply, and as the backend has it. */
  readonly state: State;
  readonly stateText: string;
}

interface How {
  /** Values of variables; as a team gives them, so to both. */
  readonly variables?: Variables;
  /** What else is done before ours is planned. */
  readonly before?: () => Promise<void>;
  /** Other values, for which ours is planned too, before it is applied. */
  readonly otherwise?: Variables;
  /** What is done to the state before that. */
  readonly rewrite?: (state: string) => string;
}

/** Applies the article's files, puts ours in their place, plans, applies and plans again. */
async function adopt(
  stage: Stage,
  { variables, before, otherwise, rewrite = (text) => text }: How = {},
): Promise<Adoption> {
  const theirs = await stage.openCopy(ARTICLE);
  await theirs.apply(variables);
  const article = await theirs.state();
  const articleText = theirs.stateText();
  const { bucket } = valuesOf(article, 'aws_s3_bucket.this["Users"]');
  const upload = { method: "PUT", body: "SELECT 1;", headers: authorization("s3") };
  await fetch(`${stage.endpoint}/${bucket}/${OLD}`, upload);
  await before?.();

  const ours = stage.workspace;
  ours.putState(rewrite(articleText));
  const plan = await ours.plan(variables);
  const otherPlan = otherwise && (await ours.plan(otherwise));
  ours.ignoreWhatMotoLoses();
  await ours.apply(variables);
  const state = await ours.state();
  const stateText = ours.stateText();
  ours.heedWhatMotoLoses();
  const second = await ours.plan(variables);
  ours.ignoreWhatMotoLoses();
  return { article, articleText, plan, otherPlan, state, stateText, second };
}

/** The arguments that a plan changes, or may change, of each object that it changes in place. */
function inPlace(plan: Plan): Record<string, string[]> {
  const changed = plan.resource_changes.filter(({ change }) => change.actions.join() === "update");
  return Object.fromEntries(changed.map((resource) => [resource.address, differing(resource)]));
}

function differing({ change: { before, after, after_unknown } }: ResourceChange): string[] {
  const names = new Set([...Object.keys({ ...before, ...after }), ...Object.keys(after_unknown)]);
  const text = (value: unknown) => JSON.stringify(value ?? null);
  return [...names]
    .filter((name) => after_unknown[name] === true || text(before?.[name]) !== text(after?.[name]))
    .sort();
}

/** The list above, with what is changed of the cluster and, where it is imported, of the instance. */
function listed(cluster: readonly string[], instance?: readonly string[]): Record<string, string[]> {
  const rest = Object.entries(IN_PLACE).map(([address, { arguments: names }]) => [address, [...names]]);
  return {
    ...Object.fromEntries(rest),
    [CLUSTER]: [...cluster].sort(),
    ...(instance && { [INSTANCE]: [...instance].sort() }),
  };
}

/** What a plan does away with, wholly or to make it anew, with Terraform or without. */
function lost(plan: Plan): string[] {
  const gone = plan.resource_changes.filter(({ change }) =>
    change.actions.some((action) => (action as string) === "delete" || (action as string) === "forget"),
  );
  return gone.map(({ address }) => address);
}

/** The managed objects of a state, by address. */
function objects({ resources }: State): Record<string, string> {
  const managed = resources.filter(({ mode }) => mode === "managed");
  return Object.fromEntries(managed.map(({ address, values }) => [address, values.id]));
}

/** Attributes in which a state holds a text, as it stands or in base64. */
function holders(stateText: string, text: string): string[] {
  const { resources } = JSON.parse(stateText);
  return resources.flatMap(({ type, name, instances }: Values) =>
    instances.flatMap(({ attributes }: Values) =>
      Object.entries(attributes)
        .filter(([attribute, value]) => {
          const shown = attribute.endsWith("_base64")
            ? Buffer.from(String(value), "base64")
            : JSON.stringify(value);
          return shown?.includes(text);
        })
        .map(([attribute]) => `${type}.${name}.${attribute}`),
    ),
  );
}

/** "Plan: …", as Terraform sums a plan up. */
function summary(plan: { readonly text: string }): string {
  return /^Plan: .*$/m.exec(plan.text)?.[0] as string;
}

const asItWas = useWorkspace();
const withPassword = useWorkspace();
const converted = useWorkspace();

const GIVEN = { master_password: DEFAULT_PASSWORD };

/** Each, and what is done there later. */
let article: Adoption & { readonly replaced: Plan; readonly after: State; readonly afterText: string };
let passworded: Adoption & { readonly unset: Plan };
let provisioned: Adoption & { readonly serverless: Plan };

// Three deployments, side by side: nearly all of the time is spent in waiting for moto's RDS.
beforeAll(async () => {
  if (!asItWas.workspace || !withPassword.workspace || !converted.workspace) return;
  await Promise.all([
    (async () => {
      const adoption = await adopt(asItWas);
      const replace = `-replace=${HOST}`;
      const replaced = await asItWas.workspace.plan({}, replace);
      await asItWas.workspace.apply({}, replace);
      const after = await asItWas.workspace.state();
      article = { ...adoption, replaced, after, afterText: asItWas.workspace.stateText() };
    })(),
    (async () => {
      const adoption = await adopt(withPassword, { variables: GIVEN, rewrite: asOf459 });
      passworded = { ...adoption, unset: await withPassword.workspace.plan() };
    })(),
    (async () => {
      const before = async () => {
        await convert(converted);
        await importInstance(converted.workspace);
      };
      const adoption = await adopt(converted, { before, otherwise: GIVEN });
      await rds(converted, "ModifyDBInstance", { ...LEFT_BEHIND, DBInstanceClass: "db.serverless" });
      provisioned = { ...adoption, serverless: await converted.workspace.plan() };
    })(),
  ]);
});

// Read when a test runs: there is none before.
const ADOPTIONS = [
  { of: "the article's state", get: () => article, cluster: MANAGED },
  {
    of: "a state of provider 4.59, with master_password set,",
    get: () => passworded,
    cluster: [...KEPT, ...UNKNOWN_TO_459],
  },
  {
    of: "a cluster that AWS has converted to provisioned",
    get: () => provisioned,
    cluster: [...MANAGED, ...UNDONE],
    instance: IMPORTED,
    lostByMoto: UNDONE,
  },
];

describe.each(ADOPTIONS)("adopting $of", ({ get, cluster, instance, lostByMoto }) => {
  it("begins with all that the contract has", () => {
    expect(Object.keys(objects(get().article))).toHaveLength(27);
  });

  it("replaces, destroys and forgets nothing", () => {
    expect(lost(get().plan)).toEqual([]);
    expect(summary(get().plan)).toMatch(/ 0 to destroy\.$/);
    expect(get().plan.text).not.toMatch(/must be replaced|will be destroyed|no longer be managed/);
  });

  it("keeps each object in the plan", () => {
    const planned = get().plan.resource_changes.map(({ address }) => address);
    expect(Object.keys(objects(get().article)).filter((address) => !planned.includes(address))).toEqual([]);
  });

  it("changes in place only what is on the list", () => {
    expect(inPlace(get().plan)).toEqual(listed(cluster, instance));
  });

  it("leaves each object what it was, in AWS too", () => {
    expect(objects(get().state)).toMatchObject(objects(get().article));
  });

  it("plans nothing more afterwards, but for what moto does not keep", () => {
    const { second } = get();
    const changed = inPlace(second);
    expect(changed[CLUSTER]).toEqual(lostByMoto);
    expect(changed[FUNCTION]?.filter((name) => name !== "last_modified")).toEqual(LOST_OF_FUNCTION);
    expect(changes(second)).toEqual({ [FUNCTION]: "update", ...(lostByMoto && FOLLOWS) });
  });
});

describe("adopting the article's state", () => {
  it("adds no instance to a cluster of Serverless v1, which takes none, and keeps its capacity", () => {
    expect(changes(article.plan)).not.toHaveProperty([INSTANCE]);
    const capacity = ({ scaling_configuration }: Values) => scaling_configuration;
    expect(valuesOf(article.state, CLUSTER).engine_mode).toBe("serverless");
    expect(capacity(valuesOf(article.state, CLUSTER))).toEqual(capacity(valuesOf(article.article, CLUSTER)));
  });

  it("has RDS keep the password from now on, and tells the host of its secret", () => {
    const [{ secret_arn }] = valuesOf(article.state, CLUSTER).master_user_secret;
    expect(JSON.parse(valuesOf(article.state, "aws_ssm_parameter.target").value).secret).toBe(secret_arn);
  });

  it("has the password in the state before, and then only in the user data of the old host", () => {
    expect(holders(article.articleText, DEFAULT_PASSWORD)).toEqual([
      `${HOST}.user_data_base64`,
      `${CLUSTER}.master_password`,
    ]);
    expect(holders(article.stateText, DEFAULT_PASSWORD)).toEqual([`${HOST}.user_data_base64`]);
  });

  it("leaves the buckets' objects in place, as the version null", async () => {
    const { bucket } = valuesOf(article.state, 'aws_s3_bucket.this["Users"]');
    const listing = await fetch(`${asItWas.endpoint}/${bucket}?versions`, { headers: authorization("s3") });
    const xml = await listing.text();
    expect(xml.match(/<Key>.*?<\/Key>/g)).toEqual([`<Key>${OLD}</Key>`]);
    expect(xml).toContain("<VersionId>null</VersionId>");
    expect(xml).toContain("<IsLatest>true</IsLatest>");
  });

  it("lets the host be replaced when one is ready, and nothing else with it", () => {
    expect(changes(article.replaced)).toEqual({
      [HOST]: "create, delete", // for the buckets' permissions depend on the function, and it on the host
      "data.aws_iam_policy_document.ssm_access": "read",
      "aws_iam_policy.ssm_access": "update",
      "aws_lambda_function.flyway_trigger": "update",
      "aws_ssm_parameter.flyway_deployment": "update",
    });
    const { ami } = valuesOf(article.state, HOST);
    expect(valuesOf(article.after, HOST).ami).not.toBe(ami);
    expect(valuesOf(article.after, HOST).ami).toBe(
      valuesOf(article.after, "data.aws_ami.flyway_host_ami").id,
    );
  });

  it("has the password in no state any more once the host is replaced", () => {
    expect(holders(article.afterText, DEFAULT_PASSWORD)).toEqual([]);
  });
});

describe("adopting with master_password set", () => {
  it("keeps the password: the host finds it in a secret, and the cluster's state no longer has it", () => {
    const { arn } = valuesOf(passworded.state, OWN_SECRET);
    expect(JSON.parse(valuesOf(passworded.state, "aws_ssm_parameter.target").value).secret).toBe(arn);
    expect(valuesOf(passworded.state, CLUSTER)).toMatchObject({
      master_password_wo: null,
      master_user_secret: [],
    });
    expect(holders(passworded.stateText, DEFAULT_PASSWORD)).toEqual([`${HOST}.user_data_base64`]);
  });

  it("lets RDS have it later, in place; only the secret of one's own is then destroyed", () => {
    expect(inPlace(passworded.unset)[CLUSTER]).toEqual([
      "manage_master_user_password",
      "master_password_wo_version",
    ]);
    expect(lost(passworded.unset)).toEqual([
      OWN_SECRET,
      "aws_secretsmanager_secret_version.master_password[0]",
    ]);
  });
});

describe("adopting a cluster that AWS has converted to provisioned", () => {
  it("imports the instance that is left behind, and makes no second one", () => {
    const instances = provisioned.state.resources.filter(({ address }) =>
      address.startsWith("aws_rds_cluster_instance."),
    );
    expect(instances.map(({ values }) => values.identifier)).toEqual([LEFT_BEHIND.DBInstanceIdentifier]);
    expect(summary(provisioned.plan)).toMatch(/^Plan: 1 to import, /);
  });

  it("leaves the instance its class, and plans nothing once that is changed by hand", () => {
    expect(valuesOf(provisioned.state, INSTANCE).instance_class).toBe(LEFT_BEHIND.DBInstanceClass);
    expect(changes(provisioned.serverless)).toEqual({});
  });

  it("replaces, destroys and forgets nothing with master_password set either", () => {
    const plan = provisioned.otherPlan as Plan;
    expect(lost(plan)).toEqual([]);
    expect(inPlace(plan)).toEqual(listed([...KEPT, ...UNDONE], IMPORTED));
  });
});

describe("docs/adopt.md", () => {
  const guide = readFileSync(join(__dirname, "..", "..", "docs", "adopt.md"), "utf8");

  it.each(ADOPTIONS)("shows the plan's summary for $of", ({ get }) => {
    expect(guide).toContain(summary(get().plan));
  });

  it("shows it for a converted cluster with master_password too", () => {
    expect(guide).toContain(summary(provisioned.otherPlan as NonNullable<Adoption["otherPlan"]>));
  });

  it("says of each object that is changed in place why", () => {
    const missing = Object.keys(listed([], IMPORTED)).filter(
      (address) => !guide.includes(`| \`${address.replace(/\[.*/, "")}\``),
    );
    expect(missing).toEqual([]);
  });
});
