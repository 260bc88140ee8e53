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
const NO_EMAIL = "is no e-mail address: use one such as team@example.com.";
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
    flyway_record_days: [
      6,
      "flyway_record_days is 6: verdicts would be lost. Use 7 or more, or 0 to keep all.",
    ],
    reconcile_minutes: [-1, "reconcile_minutes is -1: use a whole number from 0 to 720."],
    upload_alarm_minutes: [0, "upload_alarm_minutes is 0: use a whole number from 1 to 1440."],
    notification_emails: [["team"], `"team" ${NO_EMAIL}`],
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
    flyway_record_days: [3_651, "flyway_record_days is 3651: use a whole number from 0 to 3650."],
    reconcile_minutes: [721, "reconcile_minutes is 721: use a whole number from 0 to 720."],
    upload_alarm_minutes: [1_441, "upload_alarm_minutes is 1441: use a whole number from 1 to 1440."],
    notification_emails: [["a@b"], `"a@b" ${NO_EMAIL}`],
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
    flyway_record_days: [7.5, "flyway_record_days is 7.5: use a whole number from 0 to 3650."],
    reconcile_minutes: [1.5, "reconcile_minutes is 1.5: use a whole number from 0 to 720."],
    upload_alarm_minutes: [1.5, "upload_alarm_minutes is 1.5: use a whole number from 1 to 1440."],
    notification_emails: [
      ["team@example.com, boss@example.com"],
      `"team@example.com, boss@example.com" ${NO_EMAIL}`,
    ],
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
