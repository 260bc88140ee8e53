import { beforeAll, describe, expect, it } from "vitest";
import { authorization, changes, type Plan, type State, useWorkspace, valuesOf } from "../support/terraform";

const stage = useWorkspace();

const PASSWORD = "S3cret-pass-w0rd";
const OTHER_PASSWORD = "An0ther-pass-w0rd";

/** A call of Secrets Manager's, to moto. */
async function secretValue(id: string): Promise<Response> {
  return fetch(stage.endpoint, {
    method: "POST",
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": "secretsmanager.GetSecretValue",
      ...authorization("secretsmanager"),
    },
    body: JSON.stringify({ SecretId: id }),
  });
}

async function secretString(id: string): Promise<unknown> {
  const response = await secretValue(id);
  expect(response.status, await response.clone().text()).toBe(200);
  return JSON.parse(((await response.json()) as { SecretString: string }).SecretString);
}

/** The ARN that the target's parameter names, which the host reads. */
function targetSecret(state: State): string {
  return JSON.parse(valuesOf(state, "aws_ssm_parameter.target").value).secret;
}

/** The one ARN that the host's policy lets it read. */
function grantedSecret(state: State): string {
  const { Statement } = JSON.parse(valuesOf(state, "aws_iam_policy.secret_access").policy);
  expect(Statement).toHaveLength(1);
  return Statement[0].Resource;
}

const OWN = "aws_secretsmanager_secret.master_password[0]";
const OWN_VERSION = "aws_secretsmanager_secret_version.master_password[0]";
const CLUSTER = "aws_rds_cluster.aurora_mysql";

// These build on each other: one deployment, from its creation on.
describe("a deployment with a master_password of the team's own", () => {
  let plan: Plan & { readonly text: string };
  let applied: string;
  let state: State;
  beforeAll(async () => {
    if (!stage.workspace) return;
    plan = await stage.workspace.plan({ master_password: PASSWORD });
    applied = await stage.workspace.apply({ master_password: PASSWORD });
    state = await stage.workspace.state();
  });

  it("keeps the password in a secret, with the user's name", async () => {
    expect(await secretString(valuesOf(state, OWN).arn)).toEqual({ username: "admin", password: PASSWORD });
  });

  it("tells the host of this secret and lets it read no other", () => {
    expect(targetSecret(state)).toBe(valuesOf(state, OWN).arn);
    expect(grantedSecret(state)).toBe(valuesOf(state, OWN).arn);
    expect(state.outputs.secret_arn?.value).toBe(valuesOf(state, OWN).arn);
  });

  it("does not have RDS manage one", () => {
    expect(valuesOf(state, CLUSTER)).toMatchObject({
      manage_master_user_password: null,
      master_user_secret: [],
      master_password_wo_version: 1,
    });
  });

  it("has the password in no state", async () => {
    expect(stage.workspace.stateText()).toContain(valuesOf(state, OWN).arn);
    expect(stage.workspace.stateText()).not.toContain(PASSWORD);
    expect(await stage.workspace.stateShown()).not.toContain(PASSWORD);
  });

  it("prints the password neither when it plans nor when it applies", () => {
    expect(plan.text).toContain("secret_string_wo         = (write-only attribute)");
    expect(plan.text).not.toContain(PASSWORD);
    expect(applied).not.toContain(PASSWORD);
  });

  it("plans it for no resource and no output; a saved plan has it as the variable's value, and so is a secret", () => {
    const { variables, ...rest } = plan;
    expect(JSON.stringify(rest)).not.toContain(PASSWORD);
    expect(variables.master_password?.value).toBe(PASSWORD);
  });

  it("plans nothing when nothing changed, nor for a new password without a new version", async () => {
    stage.workspace.ignoreWhatMotoLoses();
    expect(changes(await stage.workspace.plan({ master_password: PASSWORD }))).toEqual({});
    expect(changes(await stage.workspace.plan({ master_password: OTHER_PASSWORD }))).toEqual({});
  });

  it("sends a new password with a new version to the cluster and the secret, in place", async () => {
    const next = { master_password: OTHER_PASSWORD, master_password_version: 2 };
    const planned = changes(await stage.workspace.plan(next));
    expect(planned[CLUSTER]).toBe("update");
    expect(planned[OWN]).toBeUndefined();
    expect(planned[OWN_VERSION]).toMatch(/^(update|delete, create)$/);
  });

  describe("that leaves it to RDS from now on", () => {
    let before: State;
    beforeAll(async () => {
      if (!stage.workspace) return;
      before = state;
      applied = await stage.workspace.apply();
      state = await stage.workspace.state();
    });

    it("has RDS make and manage one", () => {
      expect(valuesOf(state, CLUSTER)).toMatchObject({
        manage_master_user_password: true,
        master_user_secret: [{ secret_arn: expect.stringContaining(":secret:rds!cluster-") }],
      });
      expect(valuesOf(state, CLUSTER).master_password_wo_version).toBeFalsy();
    });

    it("tells the host of RDS's secret and lets it read no other", () => {
      const [{ secret_arn }] = valuesOf(state, CLUSTER).master_user_secret;
      expect(targetSecret(state)).toBe(secret_arn);
      expect(grantedSecret(state)).toBe(secret_arn);
      expect(state.outputs.secret_arn?.value).toBe(secret_arn);
    });

    it("removes the secret of its own, once the host is told of the other", async () => {
      const targetAt = applied.indexOf("aws_ssm_parameter.target: Modifications complete");
      expect(targetAt).toBeGreaterThan(-1);
      expect(applied.indexOf(`${OWN}: Destroying...`)).toBeGreaterThan(targetAt);

      expect(state.resources.map(({ address }) => address)).not.toContain(OWN);
      const { status, ok } = await secretValue(valuesOf(before, OWN).arn);
      expect(ok, `status ${status}`).toBe(false);
    });

    it("plans nothing more", async () => {
      expect(changes(await stage.workspace.plan())).toEqual({});
    });
  });

  describe("that takes it back", () => {
    let managed: string;
    beforeAll(async () => {
      if (!stage.workspace) return;
      managed = targetSecret(state);
      await stage.workspace.apply({ master_password: OTHER_PASSWORD });
      state = await stage.workspace.state();
    });

    it("keeps the new password in a secret, tells the host of it and lets it read no other", async () => {
      const { arn } = valuesOf(state, OWN);
      expect(arn).not.toBe(managed);
      expect(await secretString(arn)).toEqual({ username: "admin", password: OTHER_PASSWORD });
      expect(targetSecret(state)).toBe(arn);
      expect(grantedSecret(state)).toBe(arn);
    });

    it("no longer has RDS manage one", () => {
      expect(valuesOf(state, CLUSTER)).toMatchObject({
        master_user_secret: [],
        master_password_wo_version: 1,
      });
      expect(valuesOf(state, CLUSTER).manage_master_user_password).toBeFalsy();
    });
  });
});
