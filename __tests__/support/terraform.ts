import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { devNull, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { App } from "cdktf";
import { afterAll, beforeAll, beforeEach } from "vitest";
import type { FlywayProps } from "../../constructs/flyway";
import { FlywayStack } from "../../constructs/flyway-stack";
import { officialArchives } from "../../deployment/archives";
import { Names } from "../../deployment/names";
import { findExecutable, leashed } from "../../local/machine/processes";
import { skipLoudly, startMoto } from "./moto";

const execute = promisify(execFile);

/** The services that the stack's resources talk to, and those that its next ones may. */
const SERVICES = [
  "cloudwatch",
  "ec2",
  "events",
  "iam",
  "kms",
  "lambda",
  "logs",
  "rds",
  "s3",
  "s3control",
  "secretsmanager",
  "sns",
  "sqs",
  "ssm",
  "sts",
];

/** The region that the provider is set to. */
export const REGION = "eu-central-1";

/** What the provider logs in to moto with. */
export const TEST_CREDENTIALS = { region: REGION, access_key: "test", secret_key: "test" };

/** Arguments of aws_rds_cluster.aurora_mysql that moto does not keep: every plan shows them as changed. */
export const LOST_BY_MOTO: readonly string[] = ["enable_http_endpoint"];

/** The same of the function. */
export const LOST_OF_FUNCTION: readonly string[] = ["logging_config"];

/** Where everything of this process is; it goes with the process. */
let home: string | undefined;

/** A folder that goes with the process. */
export function homeFolder(): string {
  if (home === undefined) {
    const path = mkdtempSync(join(tmpdir(), "flyway-on-aws-terraform-"));
    process.once("exit", () => rmSync(path, { recursive: true, force: true }));
    process.env.TMPDIR = path; // for what is made at synth
    home = path;
  }
  return home;
}

/** A Terraform that can have its providers. */
export interface Terraform {
  readonly binary: string;
  /** The environment of every command; nothing of AWS's or Terraform's in ours is in it. */
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Finds Terraform and where it gets the providers: as the file in TF_CLI_CONFIG_FILE says, where there is one;
 * else from the mirror that the project's neighbour `shared/bin/terraform-mirror` makes; else from the registry.
 *
 * @returns undefined where there is none, which is said on stderr.
 * @throws Error where CI is set instead of returning undefined.
 */
export async function findTerraform(): Promise<Terraform | undefined> {
  const binary = findExecutable(["terraform"], []);
  if (!binary) return void skipLoudly("tests of Terraform", "terraform is not on PATH");
  const folder = homeFolder();
  const ours = Object.entries(process.env).filter(([name]) => !/^(AWS_|TF_(?!TOKEN_))/.test(name));
  const config = await cliConfig(folder);
  const env = {
    ...Object.fromEntries(ours),
    TMPDIR: folder,
    CHECKPOINT_DISABLE: "1",
    TF_IN_AUTOMATION: "1",
    ...(config && { TF_CLI_CONFIG_FILE: config }),
    AWS_CONFIG_FILE: devNull,
    AWS_SHARED_CREDENTIALS_FILE: devNull,
    AWS_EC2_METADATA_DISABLED: "true",
  };
  // The smaller provider shows whether there is a way to any.
  const trial = join(folder, "trial");
  mkdirSync(trial, { recursive: true });
  const archive = { source: "hashicorp/archive", version: ">= 1.3, < 3" };
  const settings = { terraform: { required_providers: { archive } } };
  writeFileSync(join(trial, "main.tf.json"), JSON.stringify(settings));
  const { code, stderr } = await command({ binary, env }, trial, ["init", "-input=false", "-no-color"], {});
  if (code !== 0) return void skipLoudly("tests of Terraform", `it can't get its providers: ${stderr}`);
  return { binary, env };
}

/** The configuration file for Terraform's command line; undefined where its defaults must do. */
async function cliConfig(folder: string): Promise<string | undefined> {
  const file = process.env.TF_CLI_CONFIG_FILE;
  if (file && existsSync(file)) return file;
  const script = join(__dirname, "..", "..", "..", "shared", "bin", "terraform-mirror");
  if (!existsSync(script)) return undefined;
  // The script is not made for several at once, so it and the reading of its file happen under a lock.
  const read = 'exports=$("$0") && eval "$exports" && cat "$TF_CLI_CONFIG_FILE"';
  const words = ["bash", "-c", read, script];
  const lock = findExecutable(["flock"], []);
  const [first, ...rest] = lock ? [lock, script, ...words] : words;
  try {
    const { stdout } = await execute(first as string, rest);
    const config = join(folder, "terraformrc");
    writeFileSync(config, stdout);
    return config;
  } catch (error) {
    process.stderr.write(`No mirror of Terraform's providers, so the registry is asked: ${error}\n`);
    return undefined;
  }
}

/** Values for the stack's variables; undefined is as not given. */
export type Variables = Readonly<Record<string, unknown>>;

/** What a command came to. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command of Terraform; it dies with this process. */
export async function command(
  { binary, env }: Terraform,
  cwd: string,
  args: readonly string[],
  variables: Variables,
): Promise<Outcome> {
  // By environment: so no value is in a file or in the list of processes.
  const assignments = Object.entries(variables).filter(([, value]) => value !== undefined);
  const values = assignments.map(([name, value]) => [`TF_VAR_${name}`, variableText(value)]);
  const { child, exited } = leashed(binary, [...args], {
    cwd,
    env: { ...env, ...Object.fromEntries(values) },
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]?.setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
    });
  }
  return { code: await exited, ...output };
}

/** A string is taken as it is; anything else is read as an expression, in which `${` and `%{` begin a template. */
function variableText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value).replaceAll(/([$%])(?=\{)/g, "$1$1");
}

/** A warning or an error of Terraform's. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  readonly summary: string;
  readonly detail: string;
}

/** What `terraform validate -json` says. */
export interface Validation {
  readonly valid: boolean;
  readonly error_count: number;
  readonly warning_count: number;
  readonly diagnostics: readonly Diagnostic[];
}

/** Attributes of a resource, by name. */
// biome-ignore lint/suspicious/noExplicitAny: their shape is the provider's
export type Values = Record<string, any>;

/** One resource instance in a plan; https://developer.hashicorp.com/terraform/internals/json-format */
export interface ResourceChange {
  readonly address: string;
  readonly mode: "managed" | "data";
  readonly change: {
    readonly actions: readonly ("no-op" | "create" | "read" | "update" | "delete")[];
    readonly before: Values | null;
    readonly after: Values | null;
    /** `true` in the place of each value that is known only after the apply. */
    readonly after_unknown: Values;
    /** What makes a replacement of it. */
    readonly replace_paths?: readonly unknown[];
  };
}

/** What `terraform show -json` says of a plan, as far as the tests look. */
export interface Plan {
  readonly resource_changes: readonly ResourceChange[];
  readonly output_changes: Readonly<Record<string, ResourceChange["change"]>>;
  readonly variables: Readonly<Record<string, { readonly value: unknown }>>;
  /** What was there before, with what the data sources read. */
  readonly prior_state: {
    readonly values: { readonly root_module: { readonly resources: readonly Resource[] } };
  };
}

/** One resource instance in a state. */
export interface Resource {
  readonly address: string;
  readonly mode: "managed" | "data";
  readonly values: Values;
}

/** What `terraform show -json` says of a state. */
export interface State {
  readonly outputs: Readonly<Record<string, { readonly value: unknown; readonly sensitive: boolean }>>;
  readonly resources: readonly Resource[];
}

/** The attributes of an object. @throws if it is not in the state */
export function valuesOf(state: State, address: string): Values {
  const object = state.resources.find((resource) => resource.address === address);
  if (!object) throw new Error(`${address} is not in the state`);
  return object.values;
}

/** What a refused plan says. */
export interface Refusal {
  /** The errors' details, without the sentence on where in the file the rule is. */
  readonly errors: readonly string[];
  /** Everything that was printed. */
  readonly text: string;
}

/**
 * The stack, synthesized, in a temporary folder, as a user has it, but for an override file that sends the AWS
 * provider to moto. The state is where the stack's own backend keeps it, inside of the folder. Or a copy of
 * somebody else's Terraform files, with a state beside them.
 */
export class Workspace {
  /** Version of the AWS provider that the stack's own range came to. */
  readonly awsProvider: string;

  private constructor(
    private readonly terraform: Terraform,
    private readonly root: string,
    /** Where the synthesized JSON is and Terraform runs. */
    readonly folder: string,
    /** Where the backend keeps the state. */
    private readonly stateFile: string,
    awsProvider: string,
  ) {
    this.awsProvider = awsProvider;
  }

  /**
   * Synthesizes the stack, points it at moto and runs `terraform init`.
   *
   * @param beside another workspace whose project this one is another stage of
   */
  static async open(
    terraform: Terraform,
    endpoint: string,
    props: Partial<FlywayProps> = {},
    beside?: Workspace,
  ): Promise<Workspace> {
    const root = beside?.root ?? mkdtempSync(join(homeFolder(), "workspace-"));
    const folder = await synthesizeInto(root, props);
    overrideProvider(folder, endpoint, TEST_CREDENTIALS);
    const state = join(root, `terraform.${basename(folder)}.tfstate`);
    return new Workspace(terraform, root, folder, state, await initialize(terraform, folder));
  }

  /** Copies a folder of Terraform files that has neither provider nor backend, and does the same with it. */
  static async openCopy(terraform: Terraform, endpoint: string, source: string): Promise<Workspace> {
    const root = mkdtempSync(join(homeFolder(), "workspace-"));
    cpSync(source, root, { recursive: true });
    writeFileSync(join(root, "moto.tf.json"), providerOfMoto(endpoint, TEST_CREDENTIALS));
    const awsProvider = await initialize(terraform, root);
    return new Workspace(terraform, root, root, join(root, "terraform.tfstate"), awsProvider);
  }

  /** What the stack needs with every provider that it allows: 5.x does not know the default runtime. */
  private variables(variables: Variables): Variables {
    return this.awsProvider.startsWith("5.") ? { lambda_runtime: "nodejs22.x", ...variables } : variables;
  }

  /**
   * Has Terraform ignore what moto does not keep of the cluster. Without this every further apply would try to
   * set it, and moto has no EnableHttpEndpoint.
   */
  ignoreWhatMotoLoses(): void {
    ignoreWhatMotoLoses(this.folder);
  }

  /** Ends what ignoreWhatMotoLoses() began. */
  heedWhatMotoLoses(): void {
    rmSync(join(this.folder, "moto_override.tf.json"));
  }

  async validate(): Promise<Validation> {
    return JSON.parse(await succeed(this.terraform, this.folder, ["validate", "-json"]));
  }

  /** Plans, and reads the plan. */
  async plan(variables: Variables = {}, ...options: string[]): Promise<Plan & { readonly text: string }> {
    const file = join(this.folder, "plan");
    const args = ["plan", "-input=false", "-no-color", `-out=${file}`, ...options];
    const text = await succeed(this.terraform, this.folder, args, this.variables(variables));
    const plan = JSON.parse(await succeed(this.terraform, this.folder, ["show", "-json", file]));
    rmSync(file);
    return { ...plan, text };
  }

  /**
   * Plans what must not be planned.
   *
   * @throws Error where the plan succeeds
   */
  async refusal(variables: Variables): Promise<Refusal> {
    const args = ["plan", "-input=false", "-json"];
    const outcome = await command(this.terraform, this.folder, args, this.variables(variables));
    if (outcome.code === 0) throw new Error(`Terraform refused nothing: ${JSON.stringify(variables)}`);
    return { errors: errorsIn(outcome), text: outcome.stdout + outcome.stderr };
  }

  /** Applies; what Terraform printed. */
  apply(variables: Variables = {}, ...options: string[]): Promise<string> {
    const args = ["apply", "-auto-approve", "-input=false", "-no-color", ...options];
    return succeed(this.terraform, this.folder, args, this.variables(variables));
  }

  /** Destroys; what Terraform printed. */
  destroy(variables: Variables = {}): Promise<string> {
    const args = ["destroy", "-auto-approve", "-input=false", "-no-color"];
    return succeed(this.terraform, this.folder, args, this.variables(variables));
  }

  async state(): Promise<State> {
    const { values } = JSON.parse(await this.stateShown());
    return { outputs: values?.outputs ?? {}, resources: values?.root_module?.resources ?? [] };
  }

  /** What `terraform show -json` prints of the state. */
  stateShown(): Promise<string> {
    return succeed(this.terraform, this.folder, ["show", "-json"]);
  }

  /** The state as the backend keeps it. */
  stateText(): string {
    return readFileSync(this.stateFile, "utf8");
  }

  /** Puts a state where the backend looks for it. */
  putState(text: string): void {
    writeFileSync(this.stateFile, text);
  }
}

/** Runs `terraform init`; the version of the AWS provider that it came to. */
async function initialize(terraform: Terraform, folder: string): Promise<string> {
  await succeed(terraform, folder, ["init", "-input=false", "-no-color"]);
  const { provider_selections } = JSON.parse(await succeed(terraform, folder, ["version", "-json"]));
  const name = Object.keys(provider_selections).find((source) => source.endsWith("/hashicorp/aws"));
  return provider_selections[name as string];
}

/** Terraform's JSON for an AWS provider that calls moto, with these settings. */
function providerOfMoto(endpoint: string, settings: Values): string {
  const aws = {
    skip_credentials_validation: true,
    skip_requesting_account_id: false,
    s3_use_path_style: true,
    max_retries: 3, // what moto does not know would be asked for minutes
    endpoints: [Object.fromEntries(SERVICES.map((service) => [service, endpoint]))],
    ...settings,
  };
  return JSON.stringify({ provider: { aws } });
}

/** Has the AWS provider of a folder's stack call moto, with these settings. */
export function overrideProvider(folder: string, endpoint: string, settings: Values = {}): void {
  writeFileSync(join(folder, "cdk_override.tf.json"), providerOfMoto(endpoint, settings));
}

/** What {@link Workspace.ignoreWhatMotoLoses} does, in a folder. */
export function ignoreWhatMotoLoses(folder: string): void {
  const stack = JSON.parse(readFileSync(join(folder, "cdk.tf.json"), "utf8"));
  const ignored: string[] = stack.resource.aws_rds_cluster.aurora_mysql.lifecycle.ignore_changes;
  const override = {
    resource: {
      aws_rds_cluster: { aurora_mysql: { lifecycle: { ignore_changes: [...ignored, ...LOST_BY_MOTO] } } },
      aws_lambda_function: { flyway_trigger: { lifecycle: { ignore_changes: LOST_OF_FUNCTION } } },
    },
  };
  writeFileSync(join(folder, "moto_override.tf.json"), JSON.stringify(override));
}

/** The errors' details in the output of `plan -json`, without the sentence on where in the file the rule is. */
function errorsIn({ stdout }: Outcome): string[] {
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line).diagnostic as Diagnostic | undefined)
    .filter((diagnostic) => diagnostic?.severity === "error")
    .map((diagnostic) => diagnostic?.detail.replace(/\n\nThis was checked by [\s\S]*/, "") as string);
}

/** The stack's variables and nothing else: no provider, so that a plan takes a tenth of a second. */
export interface Rules {
  /** What Terraform says of these values: an error's details each, none where it takes all. */
  errors(values: Variables): Promise<readonly string[]>;
}

/**
 * Gives a test file the rules of the stack's variables: their validations, and the cluster's preconditions, which
 * are master_password's. Where there is no Terraform its tests are skipped.
 */
export function useRules(props: Partial<FlywayProps> = {}): Rules {
  let terraform: Terraform | undefined;
  let folder: string;
  beforeAll(async () => {
    terraform = await findTerraform();
    if (!terraform) return;
    folder = mkdtempSync(join(homeFolder(), "rules-"));
    const { variable, resource } = JSON.parse(
      readFileSync(join(await synthesizeInto(folder, props), "cdk.tf.json"), "utf8"),
    );
    const { precondition } = resource.aws_rds_cluster.aurora_mysql.lifecycle;
    const cluster = { terraform_data: { cluster: { lifecycle: { precondition } } } };
    writeFileSync(join(folder, "rules.tf.json"), JSON.stringify({ variable, resource: cluster }));
    await succeed(terraform, folder, ["init", "-input=false", "-no-color"]);
  });
  beforeEach(({ skip }) => skip(!terraform, "there is no Terraform, see stderr"));
  afterAll(() => rmSync(homeFolder(), { recursive: true, force: true }));
  return {
    async errors(values) {
      if (!terraform) return [];
      const outcome = await command(terraform, folder, ["plan", "-input=false", "-json"], values);
      const errors = errorsIn(outcome);
      if ((outcome.code === 0) !== (errors.length === 0)) throw new Error(outcome.stdout + outcome.stderr);
      return errors;
    },
  };
}

/** Synthesizes the stack as a project in this folder would; where Terraform runs. */
export async function synthesizeInto(root: string, props: Partial<FlywayProps>): Promise<string> {
  const app = new App({ outdir: join(root, "cdktf.out") });
  const id = new Names(props.stage).of("flyway");
  new FlywayStack(app, id, { archives: await officialArchives(), ...props });
  app.synth();
  return join(root, "cdktf.out", "stacks", id);
}

/** What a command of Terraform prints, @throws Error with all of it where the command fails */
export async function succeed(
  terraform: Terraform,
  cwd: string,
  args: readonly string[],
  variables: Variables = {},
): Promise<string> {
  const { code, stdout, stderr } = await command(terraform, cwd, args, variables);
  if (code !== 0)
    throw new Error(`${terraform.binary} ${args[0]} ended with exit code ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** Terraform and a moto; there from a test file's first `beforeAll` on, where they can be had. */
export interface Cloud {
  readonly terraform: Terraform;
  /** moto's address. */
  readonly endpoint: string;
  /** Whether they are there. A `beforeAll` must ask; tests without them are skipped. */
  readonly isAvailable: boolean;
}

/** Gives a test file Terraform and an empty moto. Where they can't be had its tests are skipped. */
export function useCloud(): Cloud {
  let terraform: Terraform | undefined;
  let moto: Awaited<ReturnType<typeof startMoto>>;
  beforeAll(async () => {
    terraform = await findTerraform();
    moto = terraform && (await startMoto());
  });
  beforeEach(({ skip }) => skip(!moto, "there is no Terraform or no moto, see stderr"));
  afterAll(async () => {
    await moto?.stop();
    rmSync(homeFolder(), { recursive: true, force: true }); // the runner may kill us before we exit
  });
  return {
    get terraform() {
      return terraform as Terraform;
    },
    get endpoint() {
      return moto?.endpoint as string;
    },
    get isAvailable() {
      return moto !== undefined;
    },
  };
}

/** What a test file works with; there from its first `beforeAll` on. */
export interface Stage {
  readonly workspace: Workspace;
  /** moto's address. */
  readonly endpoint: string;
  /** Another workspace before the same moto: a copy of a folder of Terraform files. */
  openCopy(folder: string): Promise<Workspace>;
}

/**
 * Gives a test file a moto and a workspace, both empty. Where they can't be had its tests are skipped.
 */
export function useWorkspace(props: Partial<FlywayProps> = {}): Stage {
  const cloud = useCloud();
  let workspace: Workspace | undefined;
  beforeAll(async () => {
    workspace = cloud.isAvailable ? await Workspace.open(cloud.terraform, cloud.endpoint, props) : undefined;
  });
  return {
    get workspace() {
      return workspace as Workspace;
    },
    get endpoint() {
      return cloud.endpoint;
    },
    openCopy: (folder) => Workspace.openCopy(cloud.terraform, cloud.endpoint, folder),
  };
}

/** What a plan does, by address: `{"aws_s3_bucket.this[\"Users\"]": "create"}`; nothing of what it leaves alone. */
export function changes(plan: Plan): Record<string, string> {
  const changed = plan.resource_changes.map(({ address, change }) => [address, change.actions.join(", ")]);
  return Object.fromEntries(changed.filter(([, actions]) => actions !== "no-op"));
}

/** The names of the buckets that moto has. */
export async function bucketsInMoto(endpoint: string): Promise<string[]> {
  const xml = await (await fetch(endpoint)).text();
  if (!xml.includes("ListAllMyBucketsResult")) throw new Error(`moto does not list buckets: ${xml}`);
  return [...xml.matchAll(/<Bucket>.*?<Name>(.*?)<\/Name>/gs)].map(([, name]) => name as string);
}

/** The content of an object that moto has. */
export async function objectInMoto(endpoint: string, bucket: string, key: string): Promise<string> {
  const response = await fetch(`${endpoint}/${bucket}/${key}`, { headers: authorization("s3") });
  if (!response.ok) throw new Error(await response.text());
  return response.text();
}

/** The header by which moto knows which service a call is for, and that it is not a stranger's. */
export function authorization(service: string): { readonly Authorization: string } {
  const credential = `test/20260101/${REGION}/${service}/aws4_request`;
  return { Authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host, Signature=0` };
}
