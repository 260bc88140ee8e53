import type { TerraformVariable } from "cdktf";
import { Construct } from "constructs";
import { DEFAULT_DATABASES, DEFAULT_FLYWAY_VERSION, databaseRules } from "../deployment/databases";
import { targetName } from "../deployment/mapping";
import type { Names } from "../deployment/names";
import { ofElements, ofValue, type Rule } from "../deployment/rules";
import { CONF_RULE, type DatabaseSettings, SETTINGS_RULES, VERSION_RULE } from "../deployment/settings";
import { CERTIFICATES, type FlywayTarget, NO_CERTIFICATE, TARGET_RULES } from "../deployment/targets";
import { declare } from "./declaration";
import { expressionOf, wholeNumber } from "./rules";

/** Other defaults for the variables of the same name. A tfvars file still overrides them. */
export interface VariablesProps {
  /**
   * The databases: one bucket and one schema each.
   * @default DEFAULT_DATABASES
   */
  readonly flywayManagedDatabases?: readonly string[];
  /**
   * The Flyway release that migrates them.
   * @default DEFAULT_FLYWAY_VERSION
   */
  readonly flywayVersion?: string;
  /**
   * Names the target, that is the database server and the secret to log in with.
   * @default "test_flyway.conf"
   */
  readonly flywayConf?: string;
  /**
   * What differs for single databases, by database.
   * @default none
   */
  readonly flywayDatabaseSettings?: Readonly<Record<string, DatabaseSettings>>;
  /**
   * Further database servers, by the flyway_conf that names them.
   * @default none
   */
  readonly flywayTargets?: Readonly<Record<string, FlywayTarget>>;
}

/** Where a Flyway release may come from: by https, or from a bucket. For Terraform alone: JavaScript knows no `[:space:]`. */
const ARCHIVE_URL =
  "^https://[^[:space:]@/]+(/[^[:space:]]*)?$|^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9._/+=-]+$";

/** IAM's own, not a session's: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn */
const PRINCIPAL_ARN = "^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/*-]+$";

/**
 * The lines that Serverless v2, the Data API and Flyway work with, as a full version: of a short one, the provider says at each
 * later change of the cluster that it be had again, and AWS may then upgrade it, or refuse.
 */
const ENGINE_VERSION = "^8[.][04][.]mysql_aurora[.][0-9]+([.][0-9]+)+$";

/** Plain addresses only: what SNS takes beyond them nobody uses. */
const EMAIL = "^[A-Za-z0-9._+-]+@[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+$";

/** What is left of a policy's 6,144 characters for the URLs of archives in buckets, beside the ARNs of 40 buckets. */
const ARCHIVES_LENGTH = 2_000;

export interface VariablesConfig {
  readonly names: Names;
  readonly defaults?: VariablesProps;
}

/** variables.tf */
export class Variables extends Construct {
  readonly masterPassword = declare(this, "master_password", {
    type: "string",
    sensitive: true,
    default: null,
    description:
      "The database's master password. Unset, RDS makes one, keeps it in Secrets Manager and rotates it every " +
      "7 days. Set, it is kept in a secret of its own and in no state; that needs Terraform 1.11.",
  });
  readonly masterPasswordVersion = declare(this, "master_password_version", {
    type: "number",
    default: 1,
    description:
      "Raise it to have a changed master_password sent: Terraform keeps no password to compare with.",
    validation: [wholeNumber("master_password_version", 1)],
  });
  readonly masterUsername = declare(this, "master_username", {
    type: "string",
    sensitive: true,
    default: "admin",
    description: "The database's master user. RDS cannot change it later.",
  });
  readonly engineVersion = declare(this, "engine_version", {
    type: "string",
    // The newest of the long-term support line of Aurora MySQL 3, of 2026-03:
    // https://docs.aws.amazon.com/AmazonRDS/latest/AuroraMySQLReleaseNotes/doc-history.html
    default: "8.0.mysql_aurora.3.10.4",
    description:
      "The Aurora MySQL version of a new cluster, in full: 8.0.mysql_aurora.3.10.4 or 8.4.mysql_aurora.8.4.7. A cluster " +
      "that exists keeps its own; docs/operations.md has the upgrade. AWS's standard support of Aurora MySQL 3 ends on " +
      "2028-04-30.",
    rules: [
      ofValue(
        ENGINE_VERSION,
        " is no full version of Aurora MySQL 8: use one such as 8.0.mysql_aurora.3.10.4 or 8.4.mysql_aurora.8.4.7.",
      ),
    ],
  });
  readonly enableHttpEndpoint = declare(this, "enable_http_endpoint", {
    type: "bool",
    default: true,
    description:
      "Whether the cluster has the Data API, which the query editor needs. Some regions do not offer it.",
  });
  readonly applyImmediately = declare(this, "apply_immediately", {
    type: "bool",
    default: true,
    description:
      "Whether changes of the cluster are made at once, with all that waits for the maintenance window by other means. " +
      "If not, they wait for that window, a changed master password among them, and until then runs fail to log in.",
  });
  readonly deletionProtection: TerraformVariable;
  readonly skipFinalSnapshot: TerraformVariable;
  readonly forceDestroy: TerraformVariable;
  readonly iamPath = declare(this, "iam_path", {
    type: "string",
    default: "/",
    description: "The path of the roles, policies and the instance profile. Those that exist keep theirs.",
    rules: [
      ofValue(
        "^/([!-.0-~]+/)*$",
        " is no path of IAM's: use one such as /teams/data/, which begins and ends with a slash.",
      ),
    ],
  });
  readonly permissionsBoundary = declare(this, "permissions_boundary", {
    type: "string",
    default: null,
    description: "ARN of the policy that bounds what the roles may do at most. Unset, none.",
    rules: [
      orUnset(
        "^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]+$",
        " is no policy's ARN: use one such as arn:aws:iam::123456789012:policy/boundary, or leave it unset.",
      ),
    ],
  });
  readonly flywayManagedDatabases: TerraformVariable;
  readonly flywayVersion: TerraformVariable;
  readonly flywayConf: TerraformVariable;
  readonly flywayDatabaseSettings: TerraformVariable;
  readonly flywayTargets: TerraformVariable;
  readonly rdsCaCertificates = declare(this, "rds_ca_certificates", {
    type: "string",
    default: null,
    description:
      "The authorities that the cluster and all targets without a ca_certificate are verified with, PEM. Unset, " +
      "Amazon's for RDS and RDS Proxy. For another partition, a region that is newer, or a newer bundle of Amazon's.",
    validation: [
      {
        condition: `\${${expressionOf({ any: [{ unset: true }, { matches: CERTIFICATES }] }, "var.rds_ca_certificates")}}`,
        errorMessage: `rds_ca_certificates${NO_CERTIFICATE}`,
      },
    ],
  });
  readonly flywayArchives = declare(this, "flyway_archives", {
    type: "map(object({ url = string, sha256 = string }))",
    default: {},
    description:
      "Where a Flyway release is downloaded from, by version: url (https://, or s3://bucket/key) and SHA-256 of " +
      "its linux-x64 archive. For releases that this stack does not know, or to use a mirror.",
    loop: "v, a",
    rules: [
      {
        each: "entry",
        allowed: {
          all: [
            { matches: ARCHIVE_URL, of: "url" },
            { not: { matches: "[{][{]", of: "url" } },
            { matches: "^[0-9a-f]{64}$", of: "sha256" },
          ],
        },
        message:
          ": url must begin with https:// or be s3://bucket/key, and sha256 be 64 lower-case hex digits.",
      },
    ],
    validation: [
      {
        condition: `\${sum(concat([0], [for a in values(var.flyway_archives) : length(a.url) + 11 if startswith(a.url, "s3://")])) <= ${ARCHIVES_LENGTH}}`,
        errorMessage: `flyway_archives: the s3:// URLs are longer than ${ARCHIVES_LENGTH} characters together, and would not fit into the host's policy. Use fewer, or shorter keys.`,
      },
    ],
  });
  readonly flywaySettleSeconds = declare(this, "flyway_settle_seconds", {
    type: "number",
    default: 2,
    description:
      "How long, in seconds, a bucket must be still before it is migrated: aws s3 sync uploads in no order.",
    validation: [wholeNumber("flyway_settle_seconds", 0, 300)],
  });
  readonly flywayRecordDays = declare(this, "flyway_record_days", {
    type: "number",
    default: 90,
    description:
      "How long, in days, run records are kept; at least 7, for reconcile makes each bucket a new one once a day. 0 " +
      "keeps them all, and leaves the buckets' lifecycle configuration to you.",
    validation: [
      wholeNumber("flyway_record_days", 0, 3_650),
      {
        condition: "${var.flyway_record_days <= 0 || var.flyway_record_days >= 7}",
        errorMessage:
          "flyway_record_days is ${var.flyway_record_days}: verdicts would be lost. Use 7 or more, or 0 to keep all.",
      },
    ],
  });
  readonly runRecordWriters = declare(this, "run_record_writers", {
    type: "list(string)",
    default: [],
    description:
      "ARNs of roles and users that may write below .flyway/ in the buckets, as for a restore, beside the host; * stands " +
      "for any text. All others are denied, so that who may upload migrations cannot forge run records.",
    loop: "arn",
    rules: [
      ofElements(
        PRINCIPAL_ARN,
        " is no ARN of a role or user: use one such as arn:aws:iam::123456789012:role/restore.",
      ),
    ],
  });
  readonly reconcileMinutes = declare(this, "reconcile_minutes", {
    type: "number",
    default: 15,
    description:
      "How often, in minutes, the host looks at every bucket, for uploads whose event was lost. 0 switches it off.",
    validation: [wholeNumber("reconcile_minutes", 0, 720)],
  });
  readonly notificationEmails = declare(this, "notification_emails", {
    type: "list(string)",
    default: [],
    description:
      "Who hears by e-mail of what went wrong; AWS asks each for a confirmation first. For other ways, subscribe to " +
      "the output topic_arn.",
    loop: "a",
    rules: [ofElements(EMAIL, " is no e-mail address: use one such as team@example.com.")],
  });
  readonly uploadAlarmMinutes = declare(this, "upload_alarm_minutes", {
    type: "number",
    default: 60,
    description:
      "An alarm goes off when an upload has waited this long, in minutes, for a run to look at it.",
    validation: [wholeNumber("upload_alarm_minutes", 1, 1_440)],
  });
  readonly lambdaRuntime = declare(this, "lambda_runtime", {
    type: "string",
    default: "nodejs24.x",
    description:
      "The function's runtime. AWS supports nodejs24.x until 2028-04-30 and nodejs22.x until 2027-04-30; " +
      "nodejs24.x needs AWS provider 6.21 or later; before, the newest is nodejs22.x.",
    rules: [ofValue("^nodejs(2[2-9]|[3-9][0-9])\\.x$", " cannot run the function: use nodejs22.x or later.")],
  });
  readonly vpcId = declare(this, "vpc_id", {
    type: "string",
    default: null,
    description:
      "The VPC for the host and the cluster, with subnet_ids. Unset, the region's default VPC. Not to be changed later.",
    rules: [
      orUnset(
        "^vpc-[0-9a-f]+$",
        " is no VPC's id: use one such as vpc-0123456789abcdef0, or leave vpc_id unset for the default VPC.",
      ),
    ],
  });
  readonly subnetIds = declare(this, "subnet_ids", {
    type: "list(string)",
    default: [],
    description:
      "The subnets of that VPC to use: a new host is in the first whose zone offers its type, the cluster in all of " +
      "them. Empty, for the default VPC only: the host is in a default subnet, the cluster in all that the VPC has. " +
      "Aurora needs two Availability Zones.",
    loop: "s",
    rules: [ofElements("^subnet-[0-9a-f]+$", ": no subnet's id: use ids such as subnet-0123456789abcdef0.")],
    validation: [
      {
        condition: "${length(distinct(var.subnet_ids)) != 1}",
        errorMessage:
          "subnet_ids has one subnet: Aurora needs subnets in two Availability Zones. Add another, or leave it empty for all of the VPC's.",
      },
    ],
  });

  /** @throws if a default is one that the variable's own validation would refuse */
  constructor(scope: Construct, id: string, { names, defaults = {} }: VariablesConfig) {
    super(scope, id);
    this.deletionProtection = declare(this, "deletion_protection", {
      type: "bool",
      default: names.production,
      description: "Whether RDS refuses to delete the cluster, to Terraform and to people.",
    });
    this.skipFinalSnapshot = declare(this, "skip_final_snapshot", {
      type: "bool",
      default: !names.production,
      description: "Whether the cluster is destroyed without a last snapshot.",
    });
    this.forceDestroy = declare(this, "force_destroy", {
      type: "bool",
      default: !names.production,
      description:
        "Whether a bucket is destroyed with all migrations and run records in it; else only an empty one is.",
    });
    this.flywayManagedDatabases = declare(this, "flyway_managed_databases", {
      type: "list(string)",
      default: defaults.flywayManagedDatabases ?? DEFAULT_DATABASES,
      description: "The databases: each gets a bucket, and is the schema that the bucket's migrations go to.",
      loop: "d",
      rules: databaseRules(names),
    });
    this.flywayVersion = declare(this, "flyway_version", {
      type: "string",
      default: defaults.flywayVersion ?? DEFAULT_FLYWAY_VERSION,
      description: "The Flyway release. The host installs it when it first runs; no host is replaced.",
      rules: [VERSION_RULE],
    });
    this.flywayConf = declare(this, "flyway_conf", {
      type: "string",
      default: defaults.flywayConf ?? "test_flyway.conf",
      description: `Names the target: parameter ${targetName(names.parameters, "<flyway_conf>")} holds the JDBC URL and the secret's ARN.`,
      rules: [CONF_RULE],
    });
    this.flywayDatabaseSettings = declare(this, "flyway_database_settings", {
      type:
        "map(object({ schema = optional(string), flyway_version = optional(string), flyway_conf = optional(string), " +
        "out_of_order = optional(bool), placeholders = optional(map(string), {}), " +
        "placeholder_replacement = optional(bool), placeholder_prefix = optional(string), " +
        "placeholder_suffix = optional(string), encoding = optional(string), baseline_version = optional(string), " +
        "lock_wait_timeout = optional(number), migration_timeout = optional(number) }))",
      default: inSnakeCase(defaults.flywayDatabaseSettings),
      description:
        "What differs for single databases, by database: schema, flyway_version, flyway_conf (the target), " +
        "out_of_order, placeholders (no secrets), placeholder_replacement (the default is true), " +
        "placeholder_prefix, placeholder_suffix, encoding (the default is UTF-8), " +
        "baseline_version, lock_wait_timeout (seconds; the default is 300), migration_timeout (seconds; the default is none).",
      loop: "d, s",
      rules: SETTINGS_RULES,
    });
    this.flywayTargets = declare(this, "flyway_targets", {
      type:
        "map(object({ url = string, secret_arn = string, security_group_id = optional(string), " +
        "tls = optional(string), ca_certificate = optional(string) }))",
      default: inSnakeCase(defaults.flywayTargets),
      description:
        "Further database servers, by the flyway_conf that names them: url (jdbc:mysql://host:port), secret_arn (a " +
        "secret with username and password), security_group_id (the server's; the host is let in), tls (verified, the " +
        "default; unverified: whoever answers in the server's place is given the password; cleartext: whoever is on the " +
        "way reads the password and all data), ca_certificate (PEM; the default is Amazon's).",
      loop: "c, t",
      rules: TARGET_RULES,
    });
  }
}

/** A rule for a variable that may be unset. */
function orUnset(pattern: string, message: string): Rule {
  return { each: "value", allowed: { any: [{ unset: true }, { matches: pattern }] }, message };
}

/** A map whose entries' members are called as in a tfvars file. */
function inSnakeCase(entries: Readonly<Record<string, object>> = {}): Record<string, object> {
  const snakeCase = (name: string) => name.replaceAll(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
  const renamed = (entry: object) =>
    Object.fromEntries(Object.entries(entry).map(([name, value]) => [snakeCase(name), value]));
  return Object.fromEntries(Object.entries(entries).map(([key, entry]) => [key, renamed(entry)]));
}
