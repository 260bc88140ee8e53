import { DataAwsRdsCluster } from "@cdktf/provider-aws/lib/data-aws-rds-cluster";
import { DbSubnetGroup } from "@cdktf/provider-aws/lib/db-subnet-group";
import { RdsCluster } from "@cdktf/provider-aws/lib/rds-cluster";
import { RdsClusterInstance } from "@cdktf/provider-aws/lib/rds-cluster-instance";
import { SecretsmanagerSecret } from "@cdktf/provider-aws/lib/secretsmanager-secret";
import { SecretsmanagerSecretVersion } from "@cdktf/provider-aws/lib/secretsmanager-secret-version";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { SecurityGroupRule } from "@cdktf/provider-aws/lib/security-group-rule";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import { Fn, TerraformIterator, TerraformOutput, Token } from "cdktf";
import { Construct } from "constructs";
import type { Artifacts } from "./artifacts";
import type { Data } from "./data";
import type { Names } from "./names";
import type { Variables } from "./variables";

/** MySQL's port. */
const PORT = 3306;

/** True where RDS manages the password. Whether a password is set is no secret; what it is, is. */
const MANAGED = "nonsensitive(var.master_password == null)";

const SECRET_ARN =
  `${MANAGED} ? try(one(data.aws_rds_cluster.aurora_mysql.master_user_secret[*].secret_arn), null)` +
  " : one(aws_secretsmanager_secret.master_password[*].arn)";

/** RDS: 8 to 41 printable ASCII characters without `/`, `"` and `@`, written as ranges for lack of a subtraction. */
const PASSWORD = "^[ !#-.0-?A-~]{8,41}$";

export interface RdsProps {
  readonly names: Names;
  readonly variables: Variables;
  readonly data: Data;
  readonly artifacts: Artifacts;
}

/** rds.tf: the Aurora MySQL cluster, and what the host needs to reach it and the other targets. */
export class Rds extends Construct {
  readonly cluster: RdsCluster;
  readonly securityGroup: SecurityGroup;
  /** Without it, whatever is in the security group reaches nothing. */
  readonly egress: SecurityGroupRule;
  /**
   * ARNs of the secrets of all targets, each with a `username` and a `password`. Without the cluster's where an
   * adopted one, which has none yet, is only refreshed or imported to: a policy refuses null.
   */
  readonly secretArns: string[];

  constructor(scope: Construct, id: string, { names, variables, data, artifacts }: RdsProps) {
    super(scope, id);
    this.securityGroup = new SecurityGroup(this, "aws_security_group.aurora_mysql", {
      name: names.of("aurora-mysql"),
      vpcId: data.vpc.id,
      lifecycle: { ignoreChanges: ["description", "vpc_id"] }, // a change replaces it
    });
    new SecurityGroupRule(this, "aws_security_group_rule.ingress", {
      type: "ingress",
      protocol: "tcp",
      fromPort: PORT,
      toPort: PORT,
      sourceSecurityGroupId: this.securityGroup.id,
      securityGroupId: this.securityGroup.id,
      // Two ways to say "from itself"; the other one than an adopted rule's replaces it.
      lifecycle: { ignoreChanges: ["self", "source_security_group_id"] },
    });
    this.egress = new SecurityGroupRule(this, "aws_security_group_rule.egress", {
      type: "egress",
      protocol: "-1",
      fromPort: 0,
      toPort: 0,
      cidrBlocks: ["0.0.0.0/0"],
      securityGroupId: this.securityGroup.id,
    });
    const subnetGroup = new DbSubnetGroup(this, "aws_db_subnet_group.aurora_mysql", {
      name: names.of("aurora_mysql"),
      subnetIds: data.subnetIds,
      lifecycle: {
        ignoreChanges: ["subnet_ids"], // a cluster stays where it is
        precondition: [
          {
            condition: "${length(setsubtract(var.subnet_ids, data.aws_subnets.default.ids)) == 0}",
            errorMessage:
              "subnet_ids has subnets that VPC ${data.aws_vpc.default.id} does not have: " +
              '${join(", ", setsubtract(var.subnet_ids, data.aws_subnets.default.ids))}. Correct them, or vpc_id.',
          },
        ],
      },
    });

    this.cluster = new RdsCluster(this, "aws_rds_cluster.aurora_mysql", {
      clusterIdentifier: names.of("aurora-mysql"),
      engine: "aurora-mysql",
      engineMode: "provisioned", // what Serverless v2 runs in
      databaseName: "test",
      backupRetentionPeriod: 30,
      masterUsername: variables.masterUsername.stringValue,
      manageMasterUserPassword: Token.asAny(`\${${MANAGED} ? true : null}`),
      masterPasswordWo: variables.masterPassword.stringValue,
      masterPasswordWoVersion: Token.asNumber(`\${${MANAGED} ? null : var.master_password_version}`),
      dbSubnetGroupName: subnetGroup.name,
      vpcSecurityGroupIds: [this.securityGroup.id],
      serverlessv2ScalingConfiguration: { minCapacity: 1, maxCapacity: 2 },
      storageEncrypted: true,
      enableHttpEndpoint: Token.asAny(variables.enableHttpEndpoint.value),
      engineVersion: variables.engineVersion.stringValue,
      applyImmediately: Token.asAny(variables.applyImmediately.value),
      deletionProtection: Token.asAny(variables.deletionProtection.value),
      skipFinalSnapshot: Token.asAny(variables.skipFinalSnapshot.value),
      // A snapshot's name may be taken once; so it has what a deployment made anew has another of.
      finalSnapshotIdentifier: `\${var.skip_final_snapshot ? null : "${names.of("aurora-mysql")}-final-\${trimprefix(aws_security_group.aurora_mysql.id, "sg-")}"}`,
      lifecycle: {
        // The first six would replace an adopted cluster, and its data with it.
        ignoreChanges: [
          "engine_mode",
          "database_name",
          "master_username",
          "db_subnet_group_name",
          "storage_encrypted",
          "kms_key_id",
          "engine_version", // an upgrade is a person's, see docs/operations.md; or AWS's, of a minor release
          "scaling_configuration", // Serverless v1's: would not replace it, but turn its pause on
        ],
        precondition: [
          {
            condition: '${can(regex("^[A-Za-z][A-Za-z0-9_]{0,31}$", var.master_username))}',
            errorMessage:
              "RDS would reject this master_username: use 1 to 32 letters, digits and _, beginning with a letter.",
          },
          {
            // Not the variable's validation: Terraform prints the value that one refuses, sensitive or not.
            condition: `\${var.master_password == null || can(regex("${PASSWORD}", var.master_password))}`,
            errorMessage:
              'RDS would reject this master_password: use 8 to 41 printable ASCII characters without /, " and @, ' +
              "or leave it unset and RDS makes one.",
          },
          {
            condition: '${var.master_password == null || !can(regex("[$][{]", var.master_password))}',
            errorMessage:
              'This master_password has ${"$"}{ in it, which Flyway would take for the beginning of a placeholder. Use another.',
          },
        ],
      },
    });
    // Read after any change of the cluster: the resource itself is planned with the secret that it had before.
    new DataAwsRdsCluster(this, "data.aws_rds_cluster.aurora_mysql", {
      clusterIdentifier: this.cluster.id,
      dependsOn: [this.cluster],
      lifecycle: {
        postcondition: [
          {
            condition: `\${!${MANAGED} || try(length(self.master_user_secret), 0) > 0}`,
            errorMessage:
              "RDS does not manage the password of cluster ${self.cluster_identifier} yet, so the host could not log in. " +
              "With apply_immediately = false it does from the next maintenance window on: apply again then, or set it to true.",
          },
        ],
      },
    });
    new RdsClusterInstance(this, "aws_rds_cluster_instance.aurora_mysql", {
      // An adopted cluster may still be of Serverless v1, which takes no instance.
      count: Token.asNumber('${aws_rds_cluster.aurora_mysql.engine_mode == "serverless" ? 0 : 1}'),
      identifier: `${names.of("aurora-mysql")}-1`,
      clusterIdentifier: this.cluster.id,
      engine: Token.asString(this.cluster.engine),
      instanceClass: "db.serverless",
      publiclyAccessible: false, // in the cluster's subnet group, as every instance of a cluster
      // An imported one keeps its name, whose change replaces it, and its class, whose change restarts it.
      lifecycle: { ignoreChanges: ["identifier", "instance_class"] },
    });

    new SecretsmanagerSecret(this, "aws_secretsmanager_secret.master_password", {
      count: Token.asNumber(`\${${MANAGED} ? 0 : 1}`),
      namePrefix: `${names.of("flyway-master-password")}-`,
      description: "The Aurora MySQL master user, as given by the variable master_password",
      lifecycle: { createBeforeDestroy: true }, // so it is removed only once the host is told of another
    });
    new SecretsmanagerSecretVersion(this, "aws_secretsmanager_secret_version.master_password", {
      count: Token.asNumber(`\${${MANAGED} ? 0 : 1}`),
      secretId: "${aws_secretsmanager_secret.master_password[0].id}",
      secretStringWo: Fn.jsonencode({
        username: this.cluster.masterUsername, // not the variable, whose change the cluster ignores
        password: variables.masterPassword.value,
      }),
      secretStringWoVersion: Token.asNumber("${var.master_password_version}"),
    });

    const path = `${names.parameters}/target`;
    new SsmParameter(this, "aws_ssm_parameter.target", {
      name: `${path}/${variables.flywayConf.stringValue}`,
      type: "String",
      value: `\${jsonencode({
        url = format("jdbc:mysql://%s:%d", aws_rds_cluster.aurora_mysql.endpoint, aws_rds_cluster.aurora_mysql.port)
        secret = ${SECRET_ARN}
        ca = ${artifacts.rdsCa}
      })}`,
      lifecycle: {
        precondition: [
          {
            condition: "${!contains(keys(var.flyway_targets), var.flyway_conf)}",
            errorMessage:
              'flyway_targets "${var.flyway_conf}" has the name that flyway_conf gives to the cluster of this stack. ' +
              "Rename one of them.",
          },
        ],
      },
    });
    const eachTarget = TerraformIterator.fromMap(Token.asAnyMap(variables.flywayTargets.value));
    new SsmParameter(this, "aws_ssm_parameter.targets", {
      forEach: eachTarget,
      name: `${path}/${eachTarget.key}`,
      type: "String",
      value: `\${jsonencode({ for name, value in {
        url = each.value.url
        secret = each.value.secret_arn
        tls = each.value.tls
        ca = coalesce(each.value.tls, "verified") != "verified" ? null : (
          each.value.ca_certificate == null ? ${artifacts.rdsCa} : ${artifacts.targetCa}
        )
      } : name => value if value != null })}`,
    });
    // Into another server's group the host is let in by a rule; two targets of one server share it.
    const target = new SecurityGroupRule(this, "aws_security_group_rule.targets", {
      type: "ingress",
      protocol: "tcp",
      fromPort: Token.asNumber("${each.value.port}"),
      toPort: Token.asNumber("${each.value.port}"),
      sourceSecurityGroupId: this.securityGroup.id,
      securityGroupId: "${each.value.group}",
    });
    target.addOverride(
      "for_each",
      "${{ for rule in distinct([for t in values(var.flyway_targets) : " +
        `{ group = t.security_group_id, port = ${portOf("t.url")} } ` +
        'if t.security_group_id != null]) : "${rule.group}:${rule.port}" => rule }}',
    );
    this.secretArns = Token.asList(
      `\${distinct(compact(concat([${SECRET_ARN}], values(var.flyway_targets)[*].secret_arn)))}`,
    );

    new TerraformOutput(this, "output.cluster_endpoint", {
      value: this.cluster.endpoint,
      description: "Where the database listens, port 3306",
    });
    new TerraformOutput(this, "output.secret_arn", {
      value: `\${${SECRET_ARN}}`,
      description: "The secret with the master user's username and password",
    });
  }
}

/** The Terraform expression for the port in a target's URL. */
function portOf(url: string): string {
  return `try(tonumber(regex("^[^?]*:([0-9]+)", ${url})[0]), ${PORT})`;
}

/** The Terraform expression for the host and the port in a target's URL. */
export function serverOf(url: string): string {
  return `format("%s:%d", regex("^jdbc:mysql://([^:/?]+)", ${url})[0], ${portOf(url)})`;
}
