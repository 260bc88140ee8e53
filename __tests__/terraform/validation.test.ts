import { beforeAll, describe, expect, it } from "vitest";
import { type Plan, type Refusal, useWorkspace, type Variables } from "../support/terraform";

const stage = useWorkspace();

const NO_NAME =
  "no valid database. A name is a schema and a bucket prefix: 1 to 37 letters, digits, - and _, beginning with a letter or digit.";
const TWICE =
  "the lower-cased names make one bucket prefix (_ counts as -). Rename or remove all but one of them.";
const RESERVED = "the name belongs to MySQL or S3. Choose another for the database.";
const NO_VERSION = "is no Flyway version: use one such as 11.8.2.";
const NO_CONF =
  "is no valid name: use 1 to 100 letters, digits, . _ and -, beginning with a letter or digit.";
const NO_ARCHIVE = "url must begin with https://, and sha256 be 64 lower-case hex digits.";
const NO_RUNTIME = "cannot run the function: use nodejs22.x or later.";
const NO_SECONDS = "use a whole number from 0 to 300.";
const NO_REGION = "is no region: use one such as eu-central-1, or leave it unset for AWS_REGION.";
const NO_TAG =
  "a key is 1 to 128 letters, digits, spaces and _.:/=+-@, not beginning with aws:, a value up to 256 of them.";
const NO_ROLE = "is no role's ARN: use one such as arn:aws:iam::123456789012:role/deploy.";
const NO_EXTERNAL_ID = "is not possible: use 2 to 1000 letters, digits and _+=,.@:/-, or leave it out.";
const NO_SESSION = "is not possible: use 2 to 64 letters, digits and _+=,.@-, or leave it out.";
const ROLE = "arn:aws:iam::123456789012:role/ci/deploy";
/** It cannot name the value, which is a password. */
const NO_PASSWORD =
  'RDS would reject this master_password: use 8 to 41 printable ASCII characters without /, " and @, or leave it unset and RDS makes one.';

const ZEROS = "0".repeat(64);
const LONG = "a".repeat(38);

/** By variable, a value and what Terraform says of it. Terraform reports all of a plan's, so each is a plan. */
type Refused = Readonly<Record<string, readonly [value: unknown, message: string]>>;
const REFUSED: readonly Refused[] = [
  {
    flyway_managed_databases: [
      [],
      'flyway_managed_databases is empty: name at least one database, as in ["Users"].',
    ],
    flyway_version: ["latest", `flyway_version "latest" ${NO_VERSION}`],
    flyway_conf: ["../x", `flyway_conf "../x" ${NO_CONF}`],
    flyway_archives: [
      { "12.1.0": { url: "http://example.com/flyway.tar.gz", sha256: ZEROS } },
      `flyway_archives "12.1.0": ${NO_ARCHIVE}`,
    ],
    flyway_settle_seconds: [-1, `flyway_settle_seconds is -1: ${NO_SECONDS}`],
    lambda_runtime: ["python3.9", `lambda_runtime "python3.9" ${NO_RUNTIME}`],
    master_password: ["sh0rt-7", NO_PASSWORD],
  },
  {
    flyway_managed_databases: [["a b", "Users"], `"a b": ${NO_NAME}`],
    flyway_version: ["12", `flyway_version "12" ${NO_VERSION}`],
    flyway_conf: ["", `flyway_conf "" ${NO_CONF}`],
    flyway_archives: [
      {
        "12.1.0": { url: "https://example.com/flyway.tar.gz", sha256: "0".repeat(63) },
        "12.2.0": { url: "https://example.com/flyway.tar.gz", sha256: ZEROS },
      },
      `flyway_archives "12.1.0": ${NO_ARCHIVE}`,
    ],
    flyway_settle_seconds: [301, `flyway_settle_seconds is 301: ${NO_SECONDS}`],
    lambda_runtime: ["nodejs20.x", `lambda_runtime "nodejs20.x" ${NO_RUNTIME}`],
    master_password: ["with/a-slash", NO_PASSWORD],
  },
  {
    flyway_managed_databases: [["Users", LONG], `"${LONG}": ${NO_NAME}`],
    flyway_version: ["11.8.2; reboot", `flyway_version "11.8.2; reboot" ${NO_VERSION}`],
    flyway_conf: ["$(id)", `flyway_conf "$(id)" ${NO_CONF}`],
    flyway_archives: [
      { "12.1.0": { url: "https://mirror/flyway.tar.gz", sha256: "A".repeat(64) } },
      `flyway_archives "12.1.0": ${NO_ARCHIVE}`,
    ],
    flyway_settle_seconds: [1.5, `flyway_settle_seconds is 1.5: ${NO_SECONDS}`],
    lambda_runtime: ["nodejs22xx", `lambda_runtime "nodejs22xx" ${NO_RUNTIME}`],
    master_password: ['with"a-quote', NO_PASSWORD],
  },
  {
    flyway_managed_databases: [["Users", "Products", "users"], `"Users", "users": ${TWICE}`],
    master_password: ["with@an-at", NO_PASSWORD],
  },
  {
    flyway_managed_databases: [["my_db", "my-db"], `"my_db", "my-db": ${TWICE}`],
    master_password: ["with-an-umläut", NO_PASSWORD],
  },
  {
    flyway_managed_databases: [["mysql", "Users"], `"mysql": ${RESERVED}`],
    master_password: [`${"four-tee-2".repeat(4)}42`, NO_PASSWORD],
  },
  {
    flyway_managed_databases: [
      ["Information_Schema", "xn--users"],
      `"Information_Schema", "xn--users": ${RESERVED}`,
    ],
    master_password_version: [0, "master_password_version is 0: use a whole number from 1."],
  },
  // Without a provider nothing else is looked at, the password neither.
  {
    aws_region: ["Frankfurt", `aws_region "Frankfurt" ${NO_REGION}`],
    default_tags: [{ Team: "data", "aws:team": "data" }, `default_tags "aws:team" = "data": ${NO_TAG}`],
    assume_role: [{ role_arn: "deploy" }, `assume_role's role_arn "deploy" ${NO_ROLE}`],
  },
  {
    aws_region: ["", `aws_region "" ${NO_REGION}`],
    default_tags: [{ Team: "a, b" }, `default_tags "Team" = "a, b": ${NO_TAG}`],
    assume_role: [{ role_arn: ROLE, external_id: "4" }, `assume_role's external_id "4" ${NO_EXTERNAL_ID}`],
  },
  {
    default_tags: [{ Team: LONG.repeat(7) }, `default_tags "Team" = "${LONG.repeat(7)}": ${NO_TAG}`],
    assume_role: [
      { role_arn: ROLE, session_name: "a pipeline" },
      `assume_role's session_name "a pipeline" ${NO_SESSION}`,
    ],
  },
];

describe.each(REFUSED)("variables.tf, in plan %# of what it refuses", (refused) => {
  const given = Object.entries(refused).map(([name, [value]]) => [name, value] as const);
  let refusal: Refusal;
  beforeAll(async () => {
    if (stage.workspace) refusal = await stage.workspace.refusal(Object.fromEntries(given));
  });

  it.each(given)("refuses %s %j and says why", (name) => {
    expect(refusal.errors).toContain(refused[name]?.[1]);
  });

  it("complains of nothing else", () => {
    expect(refusal.errors).toHaveLength(given.length);
  });

  const password = refused.master_password?.[0] as string | undefined;
  if (password) {
    it("does not repeat the password", () => {
      expect(refusal.text).not.toContain(JSON.stringify(password).slice(1, -1));
    });
  }
});

it("refuses a Flyway version without a known archive, and names the variable for it", async () => {
  const { errors } = await stage.workspace.refusal({ flyway_version: "12.1.0" });
  expect(errors).toEqual([
    "The archive of Flyway 12.1.0 is not known; known are 10.22.0, 11.8.2, 7.7.3, 9.22.3. " +
      "Add it to flyway_archives, with its url and sha256.",
  ]);
});

const ARCHIVE = { url: "https://mirror/flyway.tar.gz", sha256: ZEROS };
const ACCEPTED: readonly Variables[] = [
  {
    flyway_managed_databases: [`${"N".repeat(36)}_`],
    flyway_version: "12.1.0",
    flyway_archives: { "12.1.0": ARCHIVE },
    flyway_settle_seconds: 300,
    master_password: "a b  c d",
    default_tags: { "Kostenstelle für: Ü/1": "", ["k".repeat(128)]: "v".repeat(256) },
    assume_role: { role_arn: ROLE, external_id: "x".repeat(1000), session_name: "ci" },
  },
  {
    flyway_managed_databases: ["1"],
    flyway_version: "11.8.2",
    flyway_archives: { "11.8.2": ARCHIVE },
    flyway_settle_seconds: 0,
    master_password: ` !#$%&'()*+,-.:;<=>?[\\]^_\`{|}~ ${"x".repeat(10)}`,
  },
];

describe.each(ACCEPTED)(
  "variables.tf, given $flyway_managed_databases and what else is at a limit",
  (given) => {
    let plan: Plan;
    beforeAll(async () => {
      if (stage.workspace) plan = await stage.workspace.plan(given);
    });
    const planned = (address: string) => plan.resource_changes.find((r) => r.address === address)?.change;

    it("plans the database's bucket", () => {
      const [name] = given.flyway_managed_databases as [string];
      expect(planned(`aws_s3_bucket.this["${name}"]`)).toMatchObject({
        actions: ["create"],
        after: { bucket_prefix: name.toLowerCase().replaceAll("_", "-") },
      });
    });

    it("plans the team's own password", () => {
      expect(planned("aws_secretsmanager_secret_version.master_password[0]")?.actions).toEqual(["create"]);
    });

    it("takes the given archive, for a version that is not known and for one that is", () => {
      const parameter = planned("aws_ssm_parameter.flyway_archive");
      expect(parameter?.after).toMatchObject({ name: `/flyway/archive/${given.flyway_version}` });
      expect(JSON.parse(parameter?.after?.value)).toEqual(ARCHIVE);
    });
  },
);
