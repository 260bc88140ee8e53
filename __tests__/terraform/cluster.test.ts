import { describe, expect, it } from "vitest";
import { type Run, useTerraformTest } from "../support/terraform-test";

const CLUSTER = "aws_rds_cluster.aurora_mysql";
const READ = `data.${CLUSTER}`;
const SECRET = {
  secret_arn: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!cluster-a",
  secret_status: "active",
  kms_key_id: "a",
};

/** The cluster made, with what is then read of it. */
function applyOf(secrets: readonly object[], variables: Run["variables"] = {}, ...assert: string[]): Run {
  return {
    command: "apply",
    target: [READ],
    variables,
    data: {
      "data.aws_subnets.default": { ids: ["subnet-1", "subnet-2"] },
      [READ]: { master_user_secret: secrets },
    },
    assert,
  };
}

const result = useTerraformTest({
  "a secret of RDS's": applyOf([SECRET], {}, `${CLUSTER}.final_snapshot_identifier == null`),
  "no secret": applyOf([]),
  "a password of one's own and no secret": applyOf([], { master_password: "12345678" }),
  "a final snapshot": applyOf(
    [SECRET],
    { skip_final_snapshot: false },
    `${CLUSTER}.final_snapshot_identifier == "aurora-mysql-final-\${substr(terraform_data.final_snapshot[0].id, 0, 8)}"`,
    `can(regex("^aurora-mysql-final-[0-9a-f]{8}$", ${CLUSTER}.final_snapshot_identifier))`,
  ),
});

describe("the cluster", () => {
  it("is refused where RDS is to keep the password and has no secret, and says what to do", () => {
    expect(result("no secret")).toEqual({
      status: "error",
      errors: [
        expect.stringMatching(
          /has no secret for it yet\. .* set apply_immediately = true and apply again; .* --manage-master-user-password --apply-immediately$/,
        ),
      ],
    });
  });

  it.each(["a secret of RDS's", "a password of one's own and no secret"])("is fine with %s", (what) => {
    expect(result(what)).toEqual({ status: "pass", errors: [] });
  });

  it("gets a name for its final snapshot that no other deployment of its name has", () => {
    expect(result("a final snapshot")).toEqual({ status: "pass", errors: [] });
  });
});
