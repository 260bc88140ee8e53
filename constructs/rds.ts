import { DataAwsRdsCluster } from "@cdktf/provider-aws/lib/data-aws-rds-cluster";
import { DbSubnetGroup } from "@cdktf/provider-aws/lib/db-subnet-group";
import { RdsCluster } from "@cdktf/provider-aws/lib/rds-cluster";
import { RdsClusterInstance } from "@cdktf/provider-aws/lib/rds-cluster-instance";
import { SecretsmanagerSecret } from "@cdktf/provider-aws/lib/secretsmanager-secret";
import { SecretsmanagerSecretVersion } from "@cdktf/provider-aws/lib/secretsmanager-secret-version";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { SecurityGroupRule } from "@cdktf/provider-aws/lib/security-group-rule";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import { Fn, TerraformIterator, TerraformOutput, TerraformResource, Token } from "cdktf";
import { Construct } from "constructs";
import { targetName } from "../deployment/mapping";
import type { Names } from "../deployment/names";
import type { Artifacts } from "./artifacts";
import type { Data } from "./data";
import { MYSQL_PORT, portOf } from "./jdbc";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

/** RDS: 8 to 41 printable ASCII characters without `/`, `"` and `@`, written as ranges for lack of a subtraction. */
const PASSWORD = "^[ !#-.0-?A-~]{8,41}$";

/** Flyway takes spaces around a value of its environment away, and cannot log in (tried with 11.8.2). */
const SPACE_AROUND = "^ | $";

/**
 * What Flyway may take for a reference in a value of its environment, and fail on or replace: of 11.8.2 it is `${a.b}`,
 * also behind `$`, `!` and `\`; without the dot it leaves it as it is.
 */
const REFERENCE = "[$][{].*[}]";

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
    const masterPassword = addressOf(variables.masterPassword);
    const passwordVersion = addressOf(variables.masterPasswordVersion);
    const targets = addressOf(variables.flywayTargets);
    const flywayConf = addressOf(variables.flywayConf);
    // True where RDS manages the password. Whether a password is set is no secret; what it is, is.
    const managed = `nonsensitive(${masterPassword} == null)`;
    const secretArn =
      `${managed} ? try(one(data.aws_rds_cluster.aurora_mysql.master_user_secret[*].secret_arn), null)` +
      " : one(aws_secretsmanager_secret.master_password[*].arn)";
    this.securityGroup = new SecurityGroup(this, "aws_security_group.aurora_mysql", {
      name: names.of("aurora-mysql"),
      vpcId: data.vpc.id,
      lifecycle: { ignoreChanges: ["description", "vpc_id"] }, // a change replaces it
    });
    new SecurityGroupRule(this, "aws_security_group_rule.ingress", {
      type: "ingress",
      protocol: "tcp",
      fromPort: MYSQL_PORT,
      toPort: MYSQL_PORT,
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
    const foreignSubnets = `setsubtract(${addressOf(variables.subnetIds)}, ${addressOf(data.subnets)}.ids)`;
    const subnetGroup = new DbSubnetGroup(this, "aws_db_subnet_group.aurora_mysql", {
      name: names.of("aurora_mysql"),
      subnetIds: data.subnetIds,
      lifecycle: {
        ignoreChanges: ["subnet_ids"], // a cluster stays where it is
        precondition: [
          {
            condition: `\${length(${foreignSubnets}) == 0}`,
            errorMessage:
              `subnet_ids has subnets that VPC \${${addressOf(data.vpc)}.id} does not have: ` +
              `\${join(", ", ${foreignSubnets})}. Correct them, or vpc_id.`,
          },
        ],
      },
    });

    // The random id, so that the snapshots of two deployments of one name, one after the other, do not collide.
    // Not CDKTF's DataResource, which asks the machine that synthesizes for its Terraform
    const snapshot = new TerraformResource(this, "terraform_data.final_snapshot", {
      terraformResourceType: "terraform_data",
      terraformGeneratorMetadata: { providerName: "terraform" },
      count: Token.asNumber(`\${${addressOf(variables.skipFinalSnapshot)} ? 0 : 1}`),
    });
    this.cluster = new RdsCluster(this, "aws_rds_cluster.aurora_mysql", {
      clusterIdentifier: names.of("aurora-mysql"),
      engine: "aurora-mysql",
      engineVersion: variables.engineVersion.stringValue,
      engineMode: "provisioned", // what Serverless v2 runs in
      databaseName: "test",
      backupRetentionPeriod: 30,
      masterUsername: variables.masterUsername.stringValue,
      manageMasterUserPassword: Token.asAny(`\${${managed} ? true : null}`),
      masterPasswordWo: variables.masterPassword.stringValue,
      masterPasswordWoVersion: Token.asNumber(`\${${managed} ? null : ${passwordVersion}}`),
      dbSubnetGroupName: subnetGroup.name,
      vpcSecurityGroupIds: [this.securityGroup.id],
      serverlessv2ScalingConfiguration: { minCapacity: 1, maxCapacity: 2 },
      storageEncrypted: true,
      enableHttpEndpoint: variables.enableHttpEndpoint.booleanValue,
      applyImmediately: variables.applyImmediately.booleanValue,
      deletionProtection: variables.deletionProtection.booleanValue,
      skipFinalSnapshot: variables.skipFinalSnapshot.booleanValue,
      finalSnapshotIdentifier: `\${one([for s in ${snapshot.fqn}[*] : "${names.of("aurora-mysql")}-final-\${substr(s.id, 0, 8)}"])}`,
      lifecycle: {
        // Each but the last two would replace an adopted cluster, and its data with it.
        ignoreChanges: [
          "engine_mode",
          "database_name",
          "master_username",
          "db_subnet_group_name",
          "storage_encrypted",
          "kms_key_id",
          "scaling_configuration", // Serverless v1's: would not replace it, but turn its pause on
          "engine_version", // an upgrade is a step of its own, and RDS makes the minor ones by itself
        ],
        precondition: [
          {
            condition: `\${can(regex("^[A-Za-z][A-Za-z0-9_]{0,31}$", ${addressOf(variables.masterUsername)}))}`,
            errorMessage:
              "RDS would reject this master_username: use 1 to 32 letters, digits and _, beginning with a letter.",
          },
          {
            // Not the variable's validation: Terraform prints the value that one refuses, sensitive or not.
            condition: `\${${masterPassword} == null || can(regex("${PASSWORD}", ${masterPassword}))}`,
            errorMessage:
              'RDS would reject this master_password: use 8 to 41 printable ASCII characters without /, " and @, ' +
              "or leave it unset and RDS makes one.",
          },
          {
            condition: `\${${masterPassword} == null || !can(regex("${SPACE_AROUND}", ${masterPassword}))}`,
            errorMessage:
              "This master_password begins or ends with a space, which Flyway takes away. Leave that out, or leave the " +
              "password unset and RDS makes one.",
          },
          {
            condition: `\${${masterPassword} == null || !can(regex("${REFERENCE}", ${masterPassword}))}`,
            errorMessage:
              "This master_password has $${ and } in it, which Flyway may take for a reference and fail on. Leave " +
              "that out, or leave the password unset and RDS makes one.",
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
            // An adopted cluster that has not been changed yet is managed by the configuration alone.
            condition:
              `\${!${managed} || aws_rds_cluster.aurora_mysql.manage_master_user_password != true || ` +
              "try(length(self.master_user_secret), 0) > 0}",
            errorMessage:
              "RDS is to keep the master password of the cluster ${self.cluster_identifier}, and has no secret for it " +
              "yet. Where the change waits for the maintenance window, set apply_immediately = true and apply again; a cluster " +
              "that was restored needs it by hand: aws rds modify-db-cluster --db-cluster-identifier " +
              "${self.cluster_identifier} --manage-master-user-password --apply-immediately",
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
      count: Token.asNumber(`\${${managed} ? 0 : 1}`),
      namePrefix: `${names.of("flyway-master-password")}-`,
      description: "The Aurora MySQL master user, as given by the variable master_password",
      lifecycle: { createBeforeDestroy: true }, // so it is removed only once the host is told of another
    });
    new SecretsmanagerSecretVersion(this, "aws_secretsmanager_secret_version.master_password", {
      count: Token.asNumber(`\${${managed} ? 0 : 1}`),
      secretId: "${aws_secretsmanager_secret.master_password[0].id}",
      secretStringWo: Fn.jsonencode({
        username: this.cluster.masterUsername, // not the variable, whose change the cluster ignores
        password: variables.masterPassword.value,
      }),
      secretStringWoVersion: Token.asNumber(`\${${passwordVersion}}`),
    });

    new SsmParameter(this, "aws_ssm_parameter.target", {
      name: targetName(names.parameters, variables.flywayConf.stringValue),
      type: "String",
      value: `\${jsonencode({
        url = format("jdbc:mysql://%s:%d", aws_rds_cluster.aurora_mysql.endpoint, aws_rds_cluster.aurora_mysql.port)
        secret = ${secretArn}
        ca = ${artifacts.rdsCa}
      })}`,
      lifecycle: {
        precondition: [
          {
            condition: `\${!contains(keys(${targets}), ${flywayConf})}`,
            errorMessage:
              `flyway_targets "\${${flywayConf}}" has the name that flyway_conf gives to the cluster of this stack. ` +
              "Rename one of them.",
          },
        ],
      },
    });
    const eachTarget = TerraformIterator.fromMap(Token.asAnyMap(variables.flywayTargets.value));
    new SsmParameter(this, "aws_ssm_parameter.targets", {
      forEach: eachTarget,
      name: targetName(names.parameters, eachTarget.key),
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
      `\${{ for rule in distinct([for t in values(${targets}) : ` +
        `{ group = t.security_group_id, port = ${portOf("t.url")} } ` +
        'if t.security_group_id != null]) : "${rule.group}:${rule.port}" => rule }}',
    );
    this.secretArns = Token.asList(
      `\${distinct(compact(concat([${secretArn}], values(${targets})[*].secret_arn)))}`,
    );

    new TerraformOutput(this, "output.cluster_endpoint", {
      value: this.cluster.endpoint,
      description: "Where the database listens, port 3306",
    });
    new TerraformOutput(this, "output.secret_arn", {
      value: `\${${secretArn}}`,
      description: "The secret with the master user's username and password",
    });
  }
}
