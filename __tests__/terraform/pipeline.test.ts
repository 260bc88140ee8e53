import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { runMain } from "../support/project";
import {
  authorization,
  bucketsInMoto,
  changes,
  homeFolder,
  ignoreWhatMotoLoses,
  overrideProvider,
  type Plan,
  REGION,
  type Resource,
  succeed,
  useCloud,
  type Validation,
  type Values,
} from "../support/terraform";

const cloud = useCloud();

/** Exports the stack, as a pipeline would, and has its provider call moto. */
async function exportTo(folder: string, backend: string): Promise<void> {
  const { code, stderr } = await runMain(["export", folder], { env: { BACKEND: backend } });
  if (code !== 0) throw new Error(`main.ts ended with ${code}: ${stderr}`);
  overrideProvider(folder, cloud.endpoint);
}

/** A new folder for one machine of a pipeline. */
function machine(): string {
  return mkdtempSync(join(homeFolder(), "machine-"));
}

/** Runs Terraform with credentials and a region in its environment, and nothing else; what it prints. */
function terraform(folder: string, ...args: string[]): Promise<string> {
  const { binary, env } = cloud.terraform;
  const credentials = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test", AWS_REGION: REGION };
  // 5.100 does not know the default
  return succeed(
    { binary, env: { ...env, ...credentials, TF_VAR_lambda_runtime: "nodejs22.x" } },
    folder,
    args,
  );
}

/** Plans into a file, and reads the plan. */
async function plan(folder: string, file: string): Promise<Plan> {
  await terraform(folder, "plan", "-input=false", "-no-color", `-out=${file}`);
  return JSON.parse(await terraform(folder, "show", "-json", file));
}

async function resources(folder: string): Promise<readonly Resource[]> {
  const { values } = JSON.parse(await terraform(folder, "show", "-json"));
  return values?.root_module?.resources ?? [];
}

function values(all: readonly Resource[], address: string): Values {
  const found = all.find((resource) => resource.address === address);
  if (!found) throw new Error(`${address} is not there`);
  return found.values;
}

describe("the exported folder, copied to another place", () => {
  let validation: Validation;
  let planned: Plan;
  let files: readonly string[];
  beforeAll(async () => {
    if (!cloud.isAvailable) return;
    const origin = join(machine(), "flyway");
    await exportTo(origin, "local");
    const target = join(machine(), "a folder with spaces", "stack");
    cpSync(origin, target, { recursive: true });
    rmSync(origin, { recursive: true });
    await terraform(target, "init", "-input=false");
    validation = JSON.parse(await terraform(target, "validate", "-json"));
    planned = await plan(target, join(machine(), "plan"));
    files = readdirSync(dirname(target));
  });

  it("is valid, without a warning", () => {
    expect(validation).toMatchObject({ valid: true, error_count: 0, warning_count: 0, diagnostics: [] });
  });

  it("plans everything that there is to create, and leaves nothing beside it", () => {
    const actions = Object.values(changes(planned));
    expect(new Set(actions)).toEqual(new Set(["create", "read"]));
    expect(actions.filter((action) => action === "create").length).toBeGreaterThan(30);
    expect(files).toEqual(["stack"]);
  });

  it("takes region and credentials from the environment where no variable gives them", () => {
    const read = planned.prior_state.values.root_module.resources;
    expect(values(read, "data.aws_region.current").name).toBe(REGION);
    expect(values(read, "data.aws_caller_identity.this").arn).not.toContain(":assumed-role/");
  });

  it("sets no tags where no variable gives them", () => {
    const tags = planned.resource_changes
      .filter(({ mode, change }) => mode === "managed" && change.after && "tags_all" in change.after)
      .map(({ address, change }) => [address, change.after?.tags_all]);
    expect(tags).not.toEqual([]);
    const role = { "flyway-region": REGION };
    expect(tags.filter(([, all]) => all !== null)).toEqual([
      ["aws_iam_role.flyway_host", role],
      ["aws_iam_role.flyway_trigger", role],
      ["aws_instance.flyway_host", { Name: "flyway-host" }],
    ]);
  });
});

describe("the exported folder, with BACKEND=none", () => {
  it("goes with a backend that the pipeline puts beside it", async () => {
    const folder = join(machine(), "stack");
    await exportTo(folder, "none");
    writeFileSync(
      join(folder, "backend.tf"),
      'terraform {\n  backend "local" { path = "../ours.tfstate" }\n}\n',
    );
    await terraform(folder, "init", "-input=false");
    const { backend } = JSON.parse(readFileSync(join(folder, ".terraform", "terraform.tfstate"), "utf8"));
    expect(backend).toMatchObject({ type: "local", config: { path: "../ours.tfstate" } });
  });

  it("goes with a cloud block that the pipeline puts beside it", async () => {
    const folder = join(machine(), "stack");
    await exportTo(folder, "none");
    const cloudBlock = 'cloud {\n    organization = "ours"\n    workspaces { name = "flyway" }\n  }';
    writeFileSync(join(folder, "cloud.tf"), `terraform {\n  ${cloudBlock}\n}\n`);
    await terraform(folder, "init", "-input=false", "-backend=false");
    const validation = JSON.parse(await terraform(folder, "validate", "-json"));
    expect(validation).toMatchObject({ valid: true, diagnostics: [] });
  });
});

// These build on each other: one deployment, from nothing to nothing.
describe("a plan that is saved on one machine and applied on another, its state in S3", () => {
  const STATES = "states";
  const ELSEWHERE = "eu-west-1";
  const SETTINGS = {
    aws_region: ELSEWHERE,
    default_tags: { Team: "data", "Cost centre": "4711" },
    assume_role: {
      role_arn: "arn:aws:iam::123456789012:role/ci/deploy",
      external_id: "4711",
      session_name: "flyway-pipeline",
    },
  };
  let folder: string;
  let file: string;
  let archive: Buffer;
  let uploaded: Buffer;
  let state: readonly Resource[];

  /** Exports and initializes, as each job of a pipeline does. */
  async function prepare(root: string): Promise<string> {
    const stack = join(root, "stack");
    await exportTo(stack, "s3");
    writeFileSync(join(stack, "pipeline.auto.tfvars.json"), JSON.stringify(SETTINGS));
    return stack;
  }
  const config = (root: string) => {
    const path = join(root, "backend.hcl");
    writeFileSync(
      path,
      `bucket = "${STATES}"
key = "flyway.tfstate"
region = "${REGION}"
endpoints = { s3 = "${cloud.endpoint}", sts = "${cloud.endpoint}" }
use_path_style = true
`,
    );
    return `-backend-config=${path}`;
  };
  const archiveIn = (stack: string) => {
    const [path] = readdirSync(join(stack, "assets", "flyway_trigger_zip"), {
      recursive: true,
      encoding: "utf8",
    }).filter((name) => name.endsWith(".zip"));
    return readFileSync(join(stack, "assets", "flyway_trigger_zip", path as string));
  };

  beforeAll(async () => {
    if (!cloud.isAvailable) return;
    const created = await fetch(`${cloud.endpoint}/${STATES}`, {
      method: "PUT",
      headers: authorization("s3"),
      body: `<CreateBucketConfiguration><LocationConstraint>${REGION}</LocationConstraint></CreateBucketConfiguration>`,
    });
    if (!created.ok) throw new Error(`There is no bucket for the state: ${await created.text()}`);

    const planner = machine();
    const first = await prepare(planner);
    await terraform(first, "init", "-input=false", config(planner));
    await terraform(first, "plan", "-input=false", `-out=${join(planner, "plan")}`);
    archive = archiveIn(first);
    const store = machine();
    cpSync(join(planner, "plan"), join(store, "plan"));
    cpSync(join(first, ".terraform.lock.hcl"), join(store, "lock"));
    rmSync(planner, { recursive: true });

    const applier = machine();
    folder = await prepare(applier);
    cpSync(join(store, "lock"), join(folder, ".terraform.lock.hcl"));
    uploaded = archiveIn(folder);
    await terraform(folder, "init", "-input=false", config(applier));
    file = join(store, "plan");
    await terraform(folder, "apply", "-input=false", file);
    state = await resources(folder);
  });

  it("is applied", () => {
    expect(state.filter(({ mode }) => mode === "managed").length).toBeGreaterThan(30);
  });

  it("uploads the archive that the export brought, not the first machine's", () => {
    const hash = (zip: Buffer) => createHash("sha256").update(zip).digest("base64");
    const fn = values(state, "aws_lambda_function.flyway_trigger");
    expect(fn.code_sha256).toBe(hash(uploaded));
    expect(fn.source_code_hash).toBe(hash(archive));
  });

  it("deploys into the region of aws_region, not the environment's", () => {
    expect(values(state, "data.aws_region.current").name).toBe(ELSEWHERE);
    const arns = state.map((resource) => resource.values.arn).filter((arn) => /:(rds|lambda|ec2):/.test(arn));
    expect(arns.length).toBeGreaterThan(4);
    expect(arns.filter((arn) => !arn.includes(`:${ELSEWHERE}:`))).toEqual([]);
  });

  it("works as the role of assume_role", () => {
    expect(values(state, "data.aws_caller_identity.this").arn).toMatch(
      /:assumed-role\/(ci\/)?deploy\/flyway-pipeline$/,
    );
  });

  it("gives everything that takes tags those of default_tags", () => {
    const tagged = state.filter(({ mode, values }) => mode === "managed" && "tags_all" in values);
    expect(tagged.length).toBeGreaterThan(12);
    for (const { address, values } of tagged) {
      expect([address, values.tags_all]).toEqual([address, expect.objectContaining(SETTINGS.default_tags)]);
    }
  });

  it("leaves nothing to change, but for what moto does not keep", async () => {
    ignoreWhatMotoLoses(folder);
    expect(changes(await plan(folder, file))).toEqual({});
  });

  it("has its state in the bucket and none on the machine", async () => {
    const url = `${cloud.endpoint}/${STATES}/flyway.tfstate`;
    const kept = await fetch(url, { headers: authorization("s3") });
    expect(JSON.parse(await kept.text()).resources).not.toEqual([]);
    expect(readdirSync(dirname(folder)).sort()).toEqual(["backend.hcl", "stack"]);
    expect(readdirSync(folder).filter((name) => name.includes("tfstate"))).toEqual([]);
  });

  describe("destroyed", () => {
    beforeAll(async () => {
      if (cloud.isAvailable) await terraform(folder, "destroy", "-auto-approve", "-input=false");
    });

    it("leaves nothing", async () => {
      expect(await resources(folder)).toEqual([]);
      expect(await bucketsInMoto(cloud.endpoint)).toEqual([STATES]);
    });
  });
});
