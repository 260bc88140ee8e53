import { TerraformVariable } from "cdktf";
import { Construct } from "constructs";
import { PATTERNS } from "../lambda/mapping";

/** The Flyway release of a new deployment: the newest whose official bundle could be checked, see archives.ts. */
export const DEFAULT_FLYWAY_VERSION = "11.8.2";

/** The contract's databases. */
export const DEFAULT_DATABASES: readonly string[] = ["Users", "Products"];

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
}

/**
 * A schema and, lower-cased with `-` for `_`, a bucket prefix: at most 37 characters, since Terraform appends
 * 26 to a prefix and a bucket's name has at most 63.
 */
const DATABASE = "^[A-Za-z0-9][A-Za-z0-9_-]{0,36}$";

/** MySQL's own schemas, and prefixes that S3 keeps for itself. */
const RESERVED = "^(mysql|sys|information_schema|performance_schema)$|^(xn--|sthree-|amzn-s3-demo-)";

const LIST = "var.flyway_managed_databases";

/** variables.tf */
export class Variables extends Construct {
  readonly masterPassword: TerraformVariable;
  readonly masterPasswordVersion: TerraformVariable;
  readonly masterUsername: TerraformVariable;
  readonly flywayManagedDatabases: TerraformVariable;
  readonly flywayVersion: TerraformVariable;
  readonly flywayConf: TerraformVariable;
  readonly flywayArchives: TerraformVariable;
  readonly flywaySettleSeconds: TerraformVariable;
  readonly lambdaRuntime: TerraformVariable;

  /** @throws if a default is one that the variable's own validation would refuse */
  constructor(scope: Construct, id: string, props: VariablesProps = {}) {
    super(scope, id);
    const databases = props.flywayManagedDatabases ?? DEFAULT_DATABASES;
    const version = props.flywayVersion ?? DEFAULT_FLYWAY_VERSION;
    const conf = props.flywayConf ?? "test_flyway.conf";
    checkDatabases(databases);
    refuse(
      [version].filter((v) => !new RegExp(PATTERNS.flywayVersion).test(v)),
      NO_VERSION,
    );
    refuse(
      [conf].filter((c) => !new RegExp(PATTERNS.flywayConf).test(c)),
      NO_CONF,
    );

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
    this.flywayManagedDatabases = new TerraformVariable(this, "var.flyway_managed_databases", {
      type: "list(string)",
      default: [...databases],
      nullable: false,
      description: "The databases: each gets a bucket, and is the schema that the bucket's migrations go to.",
      validation: [
        { condition: `\${length(${LIST}) > 0}`, errorMessage: EMPTY },
        {
          condition: `\${alltrue([for d in ${LIST} : can(regex("${DATABASE}", d))])}`,
          errorMessage: `\${join(", ", [for d in ${LIST} : format("%q", d) if !can(regex("${DATABASE}", d))])}${NO_NAME}`,
        },
        {
          condition: `\${!anytrue([for d in ${LIST} : can(regex("${RESERVED}", lower(d)))])}`,
          errorMessage: `\${join(", ", [for d in ${LIST} : format("%q", d) if can(regex("${RESERVED}", lower(d)))])}${NO_RESERVED}`,
        },
        {
          condition: `\${length(distinct([for d in ${LIST} : ${bucketPrefix("d")}])) == length(${LIST})}`,
          errorMessage: `\${join(", ", [for d in ${LIST} : format("%q", d) if length([for o in ${LIST} : o if ${bucketPrefix("o")} == ${bucketPrefix("d")}]) > 1])}${NOT_DISTINCT}`,
        },
      ],
    });
    this.flywayVersion = new TerraformVariable(this, "var.flyway_version", {
      type: "string",
      default: version,
      nullable: false,
      description: "The Flyway release. The host installs it when it first runs; no host is replaced.",
      validation: [
        {
          condition: `\${can(regex("${terraformString(PATTERNS.flywayVersion)}", var.flyway_version))}`,
          errorMessage: `flyway_version \${format("%q", var.flyway_version)}${NO_VERSION}`,
        },
      ],
    });
    this.flywayConf = new TerraformVariable(this, "var.flyway_conf", {
      type: "string",
      default: conf,
      nullable: false,
      description:
        "Names the target: parameter /flyway/target/<flyway_conf> holds the JDBC URL and the secret's ARN.",
      validation: [
        {
          condition: `\${can(regex("${PATTERNS.flywayConf}", var.flyway_conf))}`,
          errorMessage: `flyway_conf \${format("%q", var.flyway_conf)}${NO_CONF}`,
        },
      ],
    });
    this.flywayArchives = new TerraformVariable(this, "var.flyway_archives", {
      type: "map(object({ url = string, sha256 = string }))",
      default: {},
      nullable: false,
      description:
        "Where a Flyway release is downloaded from, by version: url (https://) and SHA-256 of its " +
        "linux-x64 archive. For releases that this stack does not know, or to use a mirror.",
      validation: [
        {
          condition:
            '${alltrue([for v, a in var.flyway_archives : can(regex("^https://[^[:space:]]+$", a.url)) && can(regex("^[0-9a-f]{64}$", a.sha256))])}',
          errorMessage:
            'flyway_archives ${join(", ", [for v, a in var.flyway_archives : format("%q", v) if !(can(regex("^https://[^[:space:]]+$", a.url)) && can(regex("^[0-9a-f]{64}$", a.sha256)))])}: url must begin with https://, and sha256 be 64 lower-case hex digits.',
        },
      ],
    });
    this.flywaySettleSeconds = new TerraformVariable(this, "var.flyway_settle_seconds", {
      type: "number",
      default: 2,
      nullable: false,
      description:
        "How long, in seconds, a bucket must be still before it is migrated: aws s3 sync uploads in no order.",
      validation: [
        {
          condition:
            "${var.flyway_settle_seconds >= 0 && var.flyway_settle_seconds <= 300 && floor(var.flyway_settle_seconds) == var.flyway_settle_seconds}",
          errorMessage:
            "flyway_settle_seconds is ${var.flyway_settle_seconds}: use a whole number from 0 to 300.",
        },
      ],
    });
    this.lambdaRuntime = new TerraformVariable(this, "var.lambda_runtime", {
      type: "string",
      default: "nodejs24.x",
      nullable: false,
      description:
        "The function's runtime. AWS supports nodejs24.x until 2028-04-30 and nodejs22.x until 2027-04-30; " +
        "provider 5.100 knows only the latter.",
      validation: [
        {
          condition: '${can(regex("^nodejs(2[2-9]|[3-9][0-9])\\\\.x$", var.lambda_runtime))}',
          errorMessage:
            'lambda_runtime ${format("%q", var.lambda_runtime)} cannot run the function: use nodejs22.x or later.',
        },
      ],
    });
  }
}

const EMPTY = 'flyway_managed_databases is empty: name at least one database, as in ["Users"].';
const NO_NAME =
  ": no valid database. A name is a schema and a bucket prefix: 1 to 37 letters, digits, - and _, beginning with a letter or digit.";
const NO_RESERVED = ": the name belongs to MySQL or S3. Choose another for the database.";
const NOT_DISTINCT =
  ": the lower-cased names make one bucket prefix (_ counts as -). Rename or remove all but one of them.";
const NO_VERSION = " is no Flyway version: use one such as 11.8.2.";
const NO_CONF =
  " is no valid name: use 1 to 100 letters, digits, . _ and -, beginning with a letter or digit.";

/** The Terraform expression for a database's bucket prefix. S3 knows no capitals and no `_`. */
export function bucketPrefix(database: string): string {
  return `replace(lower(${database}), "_", "-")`;
}

/** The same of a name that is known. */
export function bucketPrefixOf(database: string): string {
  return database.toLowerCase().replaceAll("_", "-");
}

/** A regular expression as it stands between the quotes of a Terraform string. */
function terraformString(pattern: string): string {
  return pattern.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
}

function refuse(offenders: readonly string[], message: string): void {
  if (offenders.length > 0)
    throw new Error(offenders.map((name) => JSON.stringify(name)).join(", ") + message);
}

/**
 * The rules of flyway_managed_databases, for whoever has the names before Terraform does.
 *
 * @throws with the names that break a rule and what to do
 */
export function checkDatabases(databases: readonly string[]): void {
  if (databases.length === 0) throw new Error(EMPTY);
  refuse(
    databases.filter((name) => !new RegExp(DATABASE).test(name)),
    NO_NAME,
  );
  refuse(
    databases.filter((name) => new RegExp(RESERVED).test(name.toLowerCase())),
    NO_RESERVED,
  );
  const prefixes = databases.map(bucketPrefixOf);
  refuse(
    databases.filter((_, i) => prefixes.filter((prefix) => prefix === prefixes[i]).length > 1),
    NOT_DISTINCT,
  );
}
