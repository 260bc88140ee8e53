import { TerraformVariable, type TerraformVariableValidationConfig } from "cdktf";
import { Construct } from "constructs";
import { PATTERNS, TLS, type Tls } from "../deployment/mapping";
import type { Names } from "../deployment/names";

/** The Flyway release of a new deployment: the newest whose official bundle could be checked, see archives.ts. */
export const DEFAULT_FLYWAY_VERSION = "11.8.2";

/** The contract's databases. */
export const DEFAULT_DATABASES: readonly string[] = ["Users", "Products"];

/** What differs for one database. In a tfvars file the names are those of the members, in snake_case. */
export interface DatabaseSettings {
  /**
   * The schema that its migrations go to.
   * @default the database's name
   */
  readonly schema?: string;
  /**
   * The Flyway release that migrates it.
   * @default flyway_version
   */
  readonly flywayVersion?: string;
  /**
   * Names its target: `flyway_conf`, or a key of `flyway_targets`.
   * @default flyway_conf
   */
  readonly flywayConf?: string;
  /**
   * Whether a version below the newest applied one is applied too; else it is refused.
   * https://documentation.red-gate.com/fd/flyway-out-of-order-setting-277579004.html
   * @default false
   */
  readonly outOfOrder?: boolean;
  /**
   * What `${name}` stands for in its migrations, by name. No secrets: Parameter Store and the host's process
   * list show them. https://documentation.red-gate.com/fd/flyway-placeholders-namespace-277579006.html
   * @default none
   */
  readonly placeholders?: Readonly<Record<string, string>>;
  /**
   * The version that a schema gets which is not empty and has no history yet: migrations up to it are skipped.
   * https://documentation.red-gate.com/fd/flyway-baseline-version-setting-277578968.html
   * @default "0": none is skipped
   */
  readonly baselineVersion?: string;
}

/** A database server beside the cluster of rds.tf. In a tfvars file: `url`, `secret_arn`, `security_group_id`. */
export interface FlywayTarget {
  /** JDBC URL without a schema and without credentials: `jdbc:mysql://host:3306`. */
  readonly url: string;
  /** ARN of the secret with `username` and `password`, as RDS makes them. */
  readonly secretArn: string;
  /**
   * The server's security group; the host is let in.
   * @default none: the host is let in by other means
   */
  readonly securityGroupId?: string;
  /**
   * How the connection is encrypted: `verified`, `unverified` (whoever answers in the server's place is given the
   * password) or `cleartext` (whoever is on the way reads the password and all data). Not for a URL that sets its own
   * options of TLS.
   * @default "verified"
   */
  readonly tls?: Tls;
  /**
   * The authorities that a verified connection trusts, PEM.
   * @default Amazon's, for RDS and RDS Proxy
   */
  readonly caCertificate?: string;
}

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

/** MySQL's own schemas, and prefixes that S3 keeps for itself. */
const RESERVED = "^(mysql|sys|information_schema|performance_schema)$|^(xn--|sthree-|amzn-s3-demo-)";

/** Where a Flyway release may come from: by https, or from a bucket. */
const ARCHIVE_URL =
  "^https://[^[:space:]@/]+(/[^[:space:]]*)?$|^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9._/+=-]+$";

/** Without a schema, which is the mapping's, and without anything that could break out of a policy or a log. */
const JDBC_URL = "^jdbc:mysql://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?([?][A-Za-z0-9._=&,:/-]*)?$";

/** In a URL they would be in the state, in Parameter Store and in logs. */
const CREDENTIALS = "(?i)[?&][^=&]*(user|password)[^=&]*=";

/** A URL that sets its own options of TLS. assets/flyway-migrate.sh looks for them too. */
const TLS_OPTION = "(?i)[?&][^=&]*(ssl|tls|trust|keystore)[^=&]*=";

/** MariaDB's driver 2.7, which Flyway brings, passes over sslMode without a word, and connects in clear. */
const SSL_MODE = "(?i)[?&]sslmode=";
const USE_SSL = "(?i)[?&]usessl=";

const CERTIFICATES = "^(\\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----\\s*)+$";

const SECRET_ARN = "^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]+$";

/** IAM's own, not a session's: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn */
const PRINCIPAL_ARN = "^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/*-]+$";

const SECURITY_GROUP = "^sg-[0-9a-f]+$";

/**
 * The lines that Serverless v2, the Data API and Flyway work with, as a full version: of a short one, the provider says at each
 * later change of the cluster that it be had again, and AWS may then upgrade it, or refuse.
 */
const ENGINE_VERSION = "^8[.][04][.]mysql_aurora[.][0-9]+([.][0-9]+)+$";

/**
 * The newest of the long-term support line of Aurora MySQL 3, of 2026-03:
 * https://docs.aws.amazon.com/AmazonRDS/latest/AuroraMySQLReleaseNotes/doc-history.html
 */
const DEFAULT_ENGINE_VERSION = "8.0.mysql_aurora.3.10.4";

/** Plain addresses only: what SNS takes beyond them nobody uses. */
const EMAIL = "^[A-Za-z0-9._+-]+@[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+$";

/** What is left of a policy's 6,144 characters for the ARNs of targets' secrets, beside the cluster's own. */
const SECRETS_LENGTH = 5_500;

/** The same for archives in buckets, beside the ARNs of 40 buckets. */
const ARCHIVES_LENGTH = 2_000;

const LIST = "var.flyway_managed_databases";

export interface VariablesConfig {
  readonly names: Names;
  readonly defaults?: VariablesProps;
}

/** variables.tf */
export class Variables extends Construct {
  readonly masterPassword: TerraformVariable;
  readonly masterPasswordVersion: TerraformVariable;
  readonly masterUsername: TerraformVariable;
  readonly engineVersion: TerraformVariable;
  readonly enableHttpEndpoint: TerraformVariable;
  readonly applyImmediately: TerraformVariable;
  readonly deletionProtection: TerraformVariable;
  readonly skipFinalSnapshot: TerraformVariable;
  readonly forceDestroy: TerraformVariable;
  readonly iamPath: TerraformVariable;
  readonly permissionsBoundary: TerraformVariable;
  readonly flywayManagedDatabases: TerraformVariable;
  readonly flywayVersion: TerraformVariable;
  readonly flywayConf: TerraformVariable;
  readonly flywayDatabaseSettings: TerraformVariable;
  readonly flywayTargets: TerraformVariable;
  readonly rdsCaCertificates: TerraformVariable;
  readonly flywayArchives: TerraformVariable;
  readonly flywaySettleSeconds: TerraformVariable;
  readonly flywayRecordDays: TerraformVariable;
  readonly runRecordWriters: TerraformVariable;
  readonly reconcileMinutes: TerraformVariable;
  readonly notificationEmails: TerraformVariable;
  readonly uploadAlarmMinutes: TerraformVariable;
  readonly lambdaRuntime: TerraformVariable;
  readonly vpcId: TerraformVariable;
  readonly subnetIds: TerraformVariable;

  /** @throws if a default is one that the variable's own validation would refuse */
  constructor(scope: Construct, id: string, { names, defaults = {} }: VariablesConfig) {
    super(scope, id);
    const databases = defaults.flywayManagedDatabases ?? DEFAULT_DATABASES;
    const version = defaults.flywayVersion ?? DEFAULT_FLYWAY_VERSION;
    const conf = defaults.flywayConf ?? "test_flyway.conf";
    const settings = defaults.flywayDatabaseSettings ?? {};
    const targets = defaults.flywayTargets ?? {};
    checkDatabases(databases, names);
    refuse([version], PATTERNS.flywayVersion, NO_VERSION);
    refuse([conf], PATTERNS.flywayConf, NO_CONF);
    for (const { schema, flywayVersion, flywayConf, baselineVersion, placeholders } of Object.values(
      settings,
    )) {
      refuse([schema], PATTERNS.schema, NO_SCHEMA);
      refuse([flywayVersion], PATTERNS.flywayVersion, NO_VERSION);
      refuse([flywayConf], PATTERNS.flywayConf, NO_CONF);
      refuse([baselineVersion], PATTERNS.baselineVersion, NO_BASELINE);
      refuse(Object.keys(placeholders ?? {}), PATTERNS.placeholder, NO_PLACEHOLDER);
      refuse(Object.values(placeholders ?? {}), PATTERNS.placeholderValue, NO_PLACEHOLDER_VALUE);
    }
    refuse(Object.keys(targets), PATTERNS.flywayConf, NO_CONF);
    for (const { url, secretArn, securityGroupId, tls, caCertificate } of Object.values(targets)) {
      refuse([url], JDBC_URL, NO_URL);
      if (hasOption(url, CREDENTIALS)) throw new Error(JSON.stringify(url) + NO_URL);
      if (hasOption(url, SSL_MODE) && !hasOption(url, USE_SSL))
        throw new Error(JSON.stringify(url) + IN_CLEAR);
      refuse([secretArn], SECRET_ARN, NO_SECRET);
      refuse([securityGroupId], SECURITY_GROUP, NO_GROUP);
      refuse([tls], TLS_PATTERN, NO_TLS);
      refuse([caCertificate], CERTIFICATES, NO_CERTIFICATE);
      if (caCertificate !== undefined && (tls ?? "verified") !== "verified") {
        throw new Error(JSON.stringify(tls) + UNUSED_CERTIFICATE);
      }
      if ((tls !== undefined || caCertificate !== undefined) && hasOption(url, TLS_OPTION)) {
        throw new Error(JSON.stringify(url) + TWICE);
      }
    }
    const secrets = Object.values(targets).reduce((sum, { secretArn }) => sum + secretArn.length + 3, 0);
    if (secrets > SECRETS_LENGTH) throw new Error(MANY_SECRETS);

    this.masterPassword = new TerraformVariable(this, "var.master_password", {
      type: "string",
      sensitive: true,
      description:
        "The database's master password. Unset, RDS makes one, keeps it in Secrets Manager and rotates it every " +
        "7 days. Set, it is kept in a secret of its own and in no state; that needs Terraform 1.11.",
    });
    this.masterPassword.addOverride("default", null); // as a prop, CDKTF fails on it
    this.masterPasswordVersion = new TerraformVariable(this, "var.master_password_version", {
      type: "number",
      default: 1,
      nullable: false,
      description:
        "Raise it to have a changed master_password sent: Terraform keeps no password to compare with.",
      validation: [
        {
          condition:
            "${var.master_password_version >= 1 && floor(var.master_password_version) == var.master_password_version}",
          errorMessage:
            "master_password_version is ${var.master_password_version}: use a whole number from 1.",
        },
      ],
    });
    this.masterUsername = new TerraformVariable(this, "var.master_username", {
      type: "string",
      sensitive: true,
      default: "admin",
      nullable: false,
      description: "The database's master user. RDS cannot change it later.",
    });
    this.engineVersion = new TerraformVariable(this, "var.engine_version", {
      type: "string",
      default: DEFAULT_ENGINE_VERSION,
      nullable: false,
      description:
        "The Aurora MySQL version of a new cluster, in full: 8.0.mysql_aurora.3.10.4 or 8.4.mysql_aurora.8.4.7. A cluster " +
        "that exists keeps its own; docs/operations.md has the upgrade. AWS's standard support of Aurora MySQL 3 ends on " +
        "2028-04-30.",
      validation: [
        one(
          "engine_version",
          matches(ENGINE_VERSION, "v"),
          " is no full version of Aurora MySQL 8: use one such as 8.0.mysql_aurora.3.10.4 or 8.4.mysql_aurora.8.4.7.",
        ),
      ],
    });
    this.enableHttpEndpoint = flag(
      this,
      "enable_http_endpoint",
      true,
      "Whether the cluster has the Data API, which the query editor needs. Some regions do not offer it.",
    );
    this.applyImmediately = flag(
      this,
      "apply_immediately",
      true,
      "Whether changes of the cluster are made at once, with all that waits for the maintenance window by other means. " +
        "If not, they wait for that window, a changed master password among them, and until then runs fail to log in.",
    );
    this.deletionProtection = flag(
      this,
      "deletion_protection",
      names.production,
      "Whether RDS refuses to delete the cluster, to Terraform and to people.",
    );
    this.skipFinalSnapshot = flag(
      this,
      "skip_final_snapshot",
      !names.production,
      "Whether the cluster is destroyed without a last snapshot.",
    );
    this.forceDestroy = flag(
      this,
      "force_destroy",
      !names.production,
      "Whether a bucket is destroyed with all migrations and run records in it; else only an empty one is.",
    );
    this.iamPath = new TerraformVariable(this, "var.iam_path", {
      type: "string",
      default: "/",
      nullable: false,
      description: "The path of the roles, policies and the instance profile. Those that exist keep theirs.",
      validation: [
        one(
          "iam_path",
          matches("^/([!-.0-~]+/)*$", "v"),
          " is no path of IAM's: use one such as /teams/data/, which begins and ends with a slash.",
        ),
      ],
    });
    this.permissionsBoundary = new TerraformVariable(this, "var.permissions_boundary", {
      type: "string",
      description: "ARN of the policy that bounds what the roles may do at most. Unset, none.",
      validation: [
        one(
          "permissions_boundary",
          `v == null || ${matches("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]+$", "v")}`,
          " is no policy's ARN: use one such as arn:aws:iam::123456789012:policy/boundary, or leave it unset.",
        ),
      ],
    });
    this.permissionsBoundary.addOverride("default", null);
    const byPrefix = `{ for d in ${LIST} : ${bucketPrefix("d", names)} => d... }`;
    this.flywayManagedDatabases = new TerraformVariable(this, "var.flyway_managed_databases", {
      type: "list(string)",
      default: [...databases],
      nullable: false,
      description: "The databases: each gets a bucket, and is the schema that the bucket's migrations go to.",
      validation: [
        { condition: `\${length(${LIST}) > 0}`, errorMessage: EMPTY },
        each(`d in ${LIST}`, quoted("d"), matches(databasePattern(names), "d"), noName(names)),
        each(`d in ${LIST}`, quoted("d"), `!${matches(RESERVED, "lower(d)")}`, NO_RESERVED),
        {
          condition: `\${length(${byPrefix}) == length(${LIST})}`,
          errorMessage: `\${join(", ", flatten([for ds in values(${byPrefix}) : formatlist("%q", ds) if length(ds) > 1]))}${NOT_DISTINCT}`,
        },
      ],
    });
    this.flywayVersion = new TerraformVariable(this, "var.flyway_version", {
      type: "string",
      default: version,
      nullable: false,
      description: "The Flyway release. The host installs it when it first runs; no host is replaced.",
      validation: [one("flyway_version", matches(PATTERNS.flywayVersion, "v"), NO_VERSION)],
    });
    this.flywayConf = new TerraformVariable(this, "var.flyway_conf", {
      type: "string",
      default: conf,
      nullable: false,
      description: `Names the target: parameter ${names.parameters}/target/<flyway_conf> holds the JDBC URL and the secret's ARN.`,
      validation: [one("flyway_conf", matches(PATTERNS.flywayConf, "v"), NO_CONF)],
    });
    const eachSetting = (name: string, pattern: string, message: string) =>
      each(
        "d, s in var.flyway_database_settings",
        `format("${name} %q of flyway_database_settings %q", s.${name}, d)`,
        `s.${name} == null || ${matches(pattern, `s.${name}`)}`,
        message,
      );
    const eachPlaceholder = (values: "keys" | "values", pattern: string, message: string) =>
      each(
        "d, s in var.flyway_database_settings",
        `format("a placeholder of flyway_database_settings %q", d)`,
        `alltrue([for p in ${values}(s.placeholders) : ${matches(pattern, "p")}])`,
        message,
      );
    this.flywayDatabaseSettings = new TerraformVariable(this, "var.flyway_database_settings", {
      type:
        "map(object({ schema = optional(string), flyway_version = optional(string), flyway_conf = optional(string), " +
        "out_of_order = optional(bool), placeholders = optional(map(string), {}), baseline_version = optional(string) }))",
      nullable: false,
      description:
        "What differs for single databases, by database: schema, flyway_version, flyway_conf (the target), " +
        "out_of_order, placeholders (no secrets), baseline_version.",
      validation: [
        eachSetting("schema", PATTERNS.schema, NO_SCHEMA),
        eachSetting("flyway_version", PATTERNS.flywayVersion, NO_VERSION),
        eachSetting("flyway_conf", PATTERNS.flywayConf, NO_CONF),
        eachSetting("baseline_version", PATTERNS.baselineVersion, NO_BASELINE),
        eachPlaceholder("keys", PATTERNS.placeholder, NO_PLACEHOLDER),
        eachPlaceholder("values", PATTERNS.placeholderValue, NO_PLACEHOLDER_VALUE),
      ],
    });
    setDefault(
      this.flywayDatabaseSettings,
      Object.entries(settings).map(([database, s]) => [
        database,
        {
          schema: s.schema,
          flyway_version: s.flywayVersion,
          flyway_conf: s.flywayConf,
          out_of_order: s.outOfOrder,
          placeholders: s.placeholders,
          baseline_version: s.baselineVersion,
        },
      ]),
    );
    const eachTarget = (name: string, ok: string, message: string) =>
      each(
        "c, t in var.flyway_targets",
        `format("${name} %q of flyway_targets %q", t.${name}, c)`,
        ok,
        message,
      );
    this.flywayTargets = new TerraformVariable(this, "var.flyway_targets", {
      type:
        "map(object({ url = string, secret_arn = string, security_group_id = optional(string), " +
        "tls = optional(string), ca_certificate = optional(string) }))",
      nullable: false,
      description:
        "Further database servers, by the flyway_conf that names them: url (jdbc:mysql://host:port), secret_arn (a " +
        "secret with username and password), security_group_id (the server's; the host is let in), tls (verified, the " +
        "default; unverified: whoever answers in the server's place is given the password; cleartext: whoever is on the " +
        "way reads the password and all data), ca_certificate (PEM; the default is Amazon's).",
      validation: [
        each(
          "c in keys(var.flyway_targets)",
          `format("flyway_targets %q", c)`,
          matches(PATTERNS.flywayConf, "c"),
          NO_CONF,
        ),
        eachTarget("url", `${matches(JDBC_URL, "t.url")} && !${matches(CREDENTIALS, "t.url")}`, NO_URL),
        eachTarget("secret_arn", matches(SECRET_ARN, "t.secret_arn"), NO_SECRET),
        eachTarget(
          "security_group_id",
          `t.security_group_id == null || ${matches(SECURITY_GROUP, "t.security_group_id")}`,
          NO_GROUP,
        ),
        eachTarget("url", `!${matches(SSL_MODE, "t.url")} || ${matches(USE_SSL, "t.url")}`, IN_CLEAR),
        eachTarget("tls", `t.tls == null || ${matches(TLS_PATTERN, "t.tls")}`, NO_TLS),
        each(
          "c, t in var.flyway_targets",
          `format("ca_certificate of flyway_targets %q", c)`,
          `t.ca_certificate == null || ${matches(CERTIFICATES, "t.ca_certificate")}`,
          NO_CERTIFICATE,
        ),
        eachTarget(
          "tls",
          't.ca_certificate == null || coalesce(t.tls, "verified") == "verified"',
          UNUSED_CERTIFICATE,
        ),
        eachTarget(
          "url",
          `(t.tls == null && t.ca_certificate == null) || !${matches(TLS_OPTION, "t.url")}`,
          TWICE,
        ),
        {
          condition: `\${sum(concat([0], [for t in values(var.flyway_targets) : length(t.secret_arn) + 3])) <= ${SECRETS_LENGTH}}`,
          errorMessage: MANY_SECRETS,
        },
      ],
    });
    setDefault(
      this.flywayTargets,
      Object.entries(targets).map(([name, t]) => [
        name,
        {
          url: t.url,
          secret_arn: t.secretArn,
          security_group_id: t.securityGroupId,
          tls: t.tls,
          ca_certificate: t.caCertificate,
        },
      ]),
    );
    this.rdsCaCertificates = new TerraformVariable(this, "var.rds_ca_certificates", {
      type: "string",
      description:
        "The authorities that the cluster and all targets without a ca_certificate are verified with, PEM. Unset, " +
        "Amazon's for RDS and RDS Proxy. For another partition, a region that is newer, or a newer bundle of Amazon's.",
      validation: [
        {
          condition: `\${var.rds_ca_certificates == null || ${matches(CERTIFICATES, "var.rds_ca_certificates")}}`,
          errorMessage: `rds_ca_certificates${NO_CERTIFICATE}`,
        },
      ],
    });
    this.rdsCaCertificates.addOverride("default", null);
    this.flywayArchives = new TerraformVariable(this, "var.flyway_archives", {
      type: "map(object({ url = string, sha256 = string }))",
      default: {},
      nullable: false,
      description:
        "Where a Flyway release is downloaded from, by version: url (https://, or s3://bucket/key) and SHA-256 of " +
        "its linux-x64 archive. For releases that this stack does not know, or to use a mirror.",
      validation: [
        each(
          "v, a in var.flyway_archives",
          `format("flyway_archives %q", v)`,
          `${matches(ARCHIVE_URL, "a.url")} && !${matches("[{][{]", "a.url")} && ${matches("^[0-9a-f]{64}$", "a.sha256")}`,
          ": url must begin with https:// or be s3://bucket/key, and sha256 be 64 lower-case hex digits.",
        ),
        {
          condition: `\${sum(concat([0], [for a in values(var.flyway_archives) : length(a.url) + 11 if startswith(a.url, "s3://")])) <= ${ARCHIVES_LENGTH}}`,
          errorMessage: `flyway_archives: the s3:// URLs are longer than ${ARCHIVES_LENGTH} characters together, and would not fit into the host's policy. Use fewer, or shorter keys.`,
        },
      ],
    });
    this.flywaySettleSeconds = new TerraformVariable(this, "var.flyway_settle_seconds", {
      type: "number",
      default: 2,
      nullable: false,
      description:
        "How long, in seconds, a bucket must be still before it is migrated: aws s3 sync uploads in no order.",
      validation: [whole("flyway_settle_seconds", 0, 300)],
    });
    this.flywayRecordDays = new TerraformVariable(this, "var.flyway_record_days", {
      type: "number",
      default: 90,
      nullable: false,
      description:
        "How long, in days, run records are kept; at least 7, for reconcile makes each bucket a new one once a day. 0 " +
        "keeps them all, and leaves the buckets' lifecycle configuration to you.",
      validation: [
        whole("flyway_record_days", 0, 3_650),
        {
          condition: "${var.flyway_record_days <= 0 || var.flyway_record_days >= 7}",
          errorMessage:
            "flyway_record_days is ${var.flyway_record_days}: verdicts would be lost. Use 7 or more, or 0 to keep all.",
        },
      ],
    });
    this.runRecordWriters = new TerraformVariable(this, "var.run_record_writers", {
      type: "list(string)",
      default: [],
      nullable: false,
      description:
        "ARNs of roles and users that may write below .flyway/ in the buckets, as for a restore, beside the host; * stands " +
        "for any text. All others are denied, so that who may upload migrations cannot forge run records.",
      validation: [
        each(
          "arn in var.run_record_writers",
          quoted("arn"),
          matches(PRINCIPAL_ARN, "arn"),
          " is no ARN of a role or user: use one such as arn:aws:iam::123456789012:role/restore.",
        ),
      ],
    });
    this.reconcileMinutes = new TerraformVariable(this, "var.reconcile_minutes", {
      type: "number",
      default: 15,
      nullable: false,
      description:
        "How often, in minutes, the host looks at every bucket, for uploads whose event was lost. 0 switches it off.",
      validation: [whole("reconcile_minutes", 0, 720)],
    });
    this.notificationEmails = new TerraformVariable(this, "var.notification_emails", {
      type: "list(string)",
      default: [],
      nullable: false,
      description:
        "Who hears by e-mail of what went wrong; AWS asks each for a confirmation first. For other ways, subscribe to " +
        "the output topic_arn.",
      validation: [
        each(
          "a in var.notification_emails",
          quoted("a"),
          matches(EMAIL, "a"),
          " is no e-mail address: use one such as team@example.com.",
        ),
      ],
    });
    this.uploadAlarmMinutes = new TerraformVariable(this, "var.upload_alarm_minutes", {
      type: "number",
      default: 60,
      nullable: false,
      description:
        "An alarm goes off when an upload has waited this long, in minutes, for a run to look at it.",
      validation: [whole("upload_alarm_minutes", 1, 1_440)],
    });
    this.lambdaRuntime = new TerraformVariable(this, "var.lambda_runtime", {
      type: "string",
      default: "nodejs24.x",
      nullable: false,
      description:
        "The function's runtime. AWS supports nodejs24.x until 2028-04-30 and nodejs22.x until 2027-04-30; " +
        "nodejs24.x needs AWS provider 6.21 or later; before, the newest is nodejs22.x.",
      validation: [
        one(
          "lambda_runtime",
          matches("^nodejs(2[2-9]|[3-9][0-9])\\.x$", "v"),
          " cannot run the function: use nodejs22.x or later.",
        ),
      ],
    });
    this.vpcId = new TerraformVariable(this, "var.vpc_id", {
      type: "string",
      description:
        "The VPC for the host and the cluster, with subnet_ids. Unset, the region's default VPC. Not to be changed later.",
      validation: [
        one(
          "vpc_id",
          `v == null || ${matches("^vpc-[0-9a-f]+$", "v")}`,
          " is no VPC's id: use one such as vpc-0123456789abcdef0, or leave vpc_id unset for the default VPC.",
        ),
      ],
    });
    this.vpcId.addOverride("default", null);
    this.subnetIds = new TerraformVariable(this, "var.subnet_ids", {
      type: "list(string)",
      default: [],
      nullable: false,
      description:
        "The subnets of that VPC to use: a new host is in the first whose zone offers its type, the cluster in all of " +
        "them. Empty, for the default VPC only: the host is in a default subnet, the cluster in all that the VPC has. " +
        "Aurora needs two Availability Zones.",
      validation: [
        each(
          "s in var.subnet_ids",
          quoted("s"),
          matches("^subnet-[0-9a-f]+$", "s"),
          ": no subnet's id: use ids such as subnet-0123456789abcdef0.",
        ),
        {
          condition: "${length(distinct(var.subnet_ids)) != 1}",
          errorMessage:
            "subnet_ids has one subnet: Aurora needs subnets in two Availability Zones. Add another, or leave it empty for all of the VPC's.",
        },
      ],
    });
  }
}

const EMPTY = 'flyway_managed_databases is empty: name at least one database, as in ["Users"].';
const NO_RESERVED = ": the name belongs to MySQL or S3. Choose another for the database.";
const NOT_DISTINCT =
  ": the lower-cased names make one bucket prefix (_ counts as -). Rename or remove all but one of them.";
const NO_VERSION = " is no Flyway version: use one such as 11.8.2.";
const NO_CONF =
  " is no valid name: use 1 to 100 letters, digits, . _ and -, beginning with a letter or digit.";
const NO_SCHEMA =
  " is no valid schema: use 1 to 64 letters, digits, - and _, beginning with a letter or digit.";
const NO_BASELINE = " is no version: use digits, with . or _ between them, such as 1 or 2.1.";
const NO_PLACEHOLDER = " has no valid name: use 1 to 64 letters, digits, _ and -, beginning with a letter.";
const NO_PLACEHOLDER_VALUE =
  " has a value with a line break, {{ or other than printable ASCII: leave that out.";
const NO_URL =
  " is no JDBC URL of a server: use one such as jdbc:mysql://host:3306, without a schema, a user and a password.";
const NO_SECRET =
  " is no secret's ARN: use one such as arn:aws:secretsmanager:eu-central-1:123456789012:secret:name.";
const MANY_SECRETS = `flyway_targets: the secrets' ARNs are longer than ${SECRETS_LENGTH} characters together, and would not fit into the host's policy. Use fewer targets, or shorter names for the secrets.`;
const NO_GROUP = " is no security group's id: use one such as sg-0123456789abcdef0.";
const IN_CLEAR =
  " has sslMode, which Flyway's driver does not know: it would connect in clear. Leave it out, and set tls where the connection is not to be verified.";
const TLS_PATTERN = `^(${TLS.join("|")})$`;
const NO_TLS =
  " is no way to connect: use verified (the default), unverified (encrypted, but whoever answers in the server's place is given the password) or cleartext (whoever is on the way reads the password and all data).";
const NO_CERTIFICATE =
  " is no PEM certificate: use what is in the PEM file of the authority, or of several, from -----BEGIN CERTIFICATE----- on.";
const UNUSED_CERTIFICATE = " does not verify with the ca_certificate that is there: remove one of the two.";
const TWICE = " sets its own options of TLS: remove those, or tls and ca_certificate.";

/** The longest name of a database: of a bucket's 63 characters, Terraform appends 26 to the prefix. */
function longestName(names: Names): number {
  return 37 - names.suffix.length;
}

/** A database's name: a schema and, lower-cased with `-` for `_`, a bucket prefix. */
function databasePattern(names: Names): string {
  return `^[A-Za-z0-9][A-Za-z0-9_-]{0,${longestName(names) - 1}}$`;
}

function noName(names: Names): string {
  return `: no valid database. A name is a schema and a bucket prefix: 1 to ${longestName(names)} letters, digits, - and _, beginning with a letter or digit.`;
}

/** The Terraform expression for a database's bucket prefix. S3 knows no capitals and no `_`. */
export function bucketPrefix(database: string, names: Names): string {
  const prefix = `replace(lower(${database}), "_", "-")`;
  return names.suffix === "" ? prefix : `format("%s${names.suffix}", ${prefix})`;
}

/** The same of a name that is known. */
export function bucketPrefixOf(database: string, names: Names): string {
  return names.of(database.toLowerCase().replaceAll("_", "-"));
}

/** The Terraform expression for whether a value matches a pattern. */
function matches(pattern: string, value: string): string {
  return `can(regex("${pattern.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}", ${value}))`;
}

/** Whether a URL has an option that a pattern for Terraform, which begins with `(?i)`, describes. */
function hasOption(url: string, pattern: string): boolean {
  return new RegExp(pattern.replace("(?i)", ""), "i").test(url);
}

/** The Terraform expression for a value in quotes. */
function quoted(value: string): string {
  return `format("%q", ${value})`;
}

/**
 * A validation of several values, whose message names those that it refuses.
 *
 * @param of Terraform's `for` clause over them
 * @param shown expression for how a value is named in the message
 * @param ok expression for whether a value is allowed
 */
function each(of: string, shown: string, ok: string, message: string): TerraformVariableValidationConfig {
  return {
    condition: `\${alltrue([for ${of} : try(${ok}, false)])}`,
    errorMessage: `\${join(", ", [for ${of} : try(${shown}, "null") if !try(${ok}, false)])}${message}`,
  };
}

/** A validation of a variable that is one value, `v`. */
function one(variable: string, ok: string, message: string): TerraformVariableValidationConfig {
  return each(`v in [var.${variable}]`, `format("${variable} %q", v)`, ok, message);
}

/** A variable that is true or false. */
function flag(scope: Construct, name: string, value: boolean, description: string): TerraformVariable {
  return new TerraformVariable(scope, `var.${name}`, {
    type: "bool",
    default: value,
    nullable: false,
    description,
  });
}

/** Sets a map as it stands: as a prop, CDKTF would write its keys in snake_case, and Terraform expand `${`. */
function setDefault(variable: TerraformVariable, entries: readonly (readonly [string, object])[]): void {
  const text = JSON.stringify(Object.fromEntries(entries)).replaceAll(/([$%])(?=\{)/g, "$1$1");
  variable.addOverride("default", JSON.parse(text));
}

/** A validation of a variable that is a whole number. */
function whole(variable: string, from: number, to: number): TerraformVariableValidationConfig {
  const value = `var.${variable}`;
  return {
    condition: `\${${value} >= ${from} && ${value} <= ${to} && floor(${value}) == ${value}}`,
    errorMessage: `${variable} is \${${value}}: use a whole number from ${from} to ${to}.`,
  };
}

/** @throws with those of the values that are set and do not match */
function refuse(values: readonly (string | undefined)[], pattern: string, message: string): void {
  const regex = new RegExp(pattern);
  const offenders = values.filter((value) => value !== undefined && !regex.test(value));
  if (offenders.length > 0) throw new Error(list(offenders) + message);
}

function list(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value)).join(", ");
}

/**
 * The rules of flyway_managed_databases, for whoever has the names before Terraform does.
 *
 * @throws with the names that break a rule and what to do
 */
export function checkDatabases(databases: readonly string[], names: Names): void {
  if (databases.length === 0) throw new Error(EMPTY);
  refuse(databases, databasePattern(names), noName(names));
  const reserved = databases.filter((name) => new RegExp(RESERVED).test(name.toLowerCase()));
  if (reserved.length > 0) throw new Error(list(reserved) + NO_RESERVED);
  const prefixes = databases.map((database) => bucketPrefixOf(database, names));
  const alike = databases.filter((_, i) => prefixes.filter((prefix) => prefix === prefixes[i]).length > 1);
  if (alike.length > 0) throw new Error(list(alike) + NOT_DISTINCT);
}
