import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findExecutable } from "../../local/machine/processes";
import { copySources, PROJECT } from "../support/project";
import { bucketsInMoto, homeFolder, overrideProvider, REGION, succeed, useCloud } from "../support/terraform";

const cloud = useCloud();

/** The command line starts Terraform by node-pty, which has no binary for every Node.js; see README. */
function hasTerminals(): boolean {
  try {
    createRequire(join(PROJECT, "package.json"))("@cdktf/node-pty-prebuilt-multiarch");
    return true;
  } catch {
    process.stderr.write(`\nSKIPPED: cdktf deploy, because node-pty is not built for ${process.version}\n\n`);
    return false;
  }
}

const runs = hasTerminals();
beforeEach(({ skip }) => skip(!runs, "node-pty is not built for this Node.js"));

// These build on each other: one deployment, from nothing to nothing.
describe("npx cdktf deploy", () => {
  let project: string;

  /** Runs CDKTF's command line in a copy of the project whose provider calls moto; what it prints. */
  function cdktf(...args: string[]): Promise<string> {
    const folder = join(project, "cdktf.out", "stacks", "flyway");
    mkdirSync(folder, { recursive: true });
    overrideProvider(folder, cloud.endpoint);
    const env = {
      ...cloud.terraform.env,
      HOME: homeFolder(),
      CI: "1",
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_REGION: REGION,
      TF_VAR_lambda_runtime: "nodejs22.x", // 5.100 does not know the default
    };
    // The lock would be made for several platforms, from the registry.
    const options = ["--auto-approve", "--skip-provider-lock"];
    const npx = findExecutable(["npx"], []) as string;
    return succeed({ binary: npx, env }, project, ["cdktf", ...args, ...options]);
  }

  /** The state's resources, from where the README says that it is. */
  function managed(): string[] {
    const { resources } = JSON.parse(readFileSync(join(project, "terraform.flyway.tfstate"), "utf8"));
    return (resources as { mode: string; type: string; name: string }[])
      .filter(({ mode }) => mode === "managed")
      .map(({ type, name }) => `${type}.${name}`);
  }

  let printed: string;
  beforeAll(async () => {
    if (!cloud.isAvailable || !runs) return;
    project = join(mkdtempSync(join(homeFolder(), "project-")), "flyway");
    copySources(project);
    printed = await cdktf("deploy");
  });

  it("deploys, and keeps the state beside the project", async () => {
    expect(printed).toMatch(/Apply complete! Resources: \d+ added, 0 changed, 0 destroyed/);
    expect(managed()).toContain("aws_lambda_function.flyway_trigger");
    expect(await bucketsInMoto(cloud.endpoint)).toHaveLength(3);
  });

  describe("destroyed, after the output folder was lost", () => {
    beforeAll(async () => {
      if (!cloud.isAvailable || !runs) return;
      rmSync(join(project, "cdktf.out"), { recursive: true });
      printed = await cdktf("destroy");
    });

    it("leaves nothing", async () => {
      expect(printed).toMatch(/Destroy complete! Resources: \d+ destroyed/);
      expect(managed()).toEqual([]);
      expect(await bucketsInMoto(cloud.endpoint)).toEqual([]);
    });
  });
});
