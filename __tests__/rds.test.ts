import { describe, expect, it } from "vitest";
import { synthesize } from "./support/synthesis";

/** The secret with the master user, RDS's or the team's. */
const SECRET_ARN =
  "nonsensitive(var.master_password == null) ? try(one(data.aws_rds_cluster.aurora_mysql.master_user_secret[*].secret_arn), null) : one(aws_secretsmanager_secret.master_password[*].arn)";

describe("rds.tf", () => {
  it("has the contract's cluster", async () => {
    const { at } = await synthesize();
    expect(at("aws_rds_cluster.aurora_mysql")).toMatchObject({
      cluster_identifier: "aurora-mysql",
      engine: "aurora-mysql",
      database_name: "test",
      backup_retention_period: 30,
      master_username: "${var.master_username}",
      vpc_security_group_ids: ["${aws_security_group.aurora_mysql.id}"],
      storage_encrypted: true,
      engine_version: "${var.engine_version}",
      enable_http_endpoint: "${var.enable_http_endpoint}",
      apply_immediately: "${var.apply_immediately}",
      deletion_protection: "${var.deletion_protection}",
      skip_final_snapshot: "${var.skip_final_snapshot}",
    });
  });

  it("runs Serverless v2 where the contract had v1, with the contract's capacity", async () => {
    const { at } = await synthesize();
    const cluster = at("aws_rds_cluster.aurora_mysql");
    expect(cluster).toMatchObject({
      engine_mode: "provisioned",
      serverlessv2_scaling_configuration: { min_capacity: 1, max_capacity: 2 },
    });
    expect(cluster).not.toHaveProperty("scaling_configuration");
    expect(at("aws_rds_cluster_instance.aurora_mysql")).toEqual({
      count: '${aws_rds_cluster.aurora_mysql.engine_mode == "serverless" ? 0 : 1}',
      identifier: "aurora-mysql-1",
      cluster_identifier: "${aws_rds_cluster.aurora_mysql.id}",
      engine: "${aws_rds_cluster.aurora_mysql.engine}",
      instance_class: "db.serverless",
      publicly_accessible: false,
      lifecycle: { ignore_changes: ["identifier", "instance_class"] },
    });
  });

  it("puts a new cluster into the contract's subnet group", async () => {
    const { at } = await synthesize();
    expect(at("aws_db_subnet_group.aurora_mysql")).toMatchObject({
      name: "aurora_mysql",
      subnet_ids: "${local.subnet_ids}",
    });
    expect(at("aws_rds_cluster.aurora_mysql")).toMatchObject({
      db_subnet_group_name: "${aws_db_subnet_group.aurora_mysql.name}",
    });
  });

  it("leaves an adopted cluster what would replace it, Serverless v1's capacity and its engine version", async () => {
    const { at } = await synthesize();
    const { ignore_changes } = at("aws_rds_cluster.aurora_mysql").lifecycle as Record<string, unknown>;
    expect(ignore_changes).toEqual([
      "engine_mode",
      "database_name",
      "master_username",
      "db_subnet_group_name",
      "storage_encrypted",
      "kms_key_id",
      "scaling_configuration",
      "engine_version",
    ]);
  });

  it("has a final snapshot's name only where one is made", async () => {
    const { at } = await synthesize();
    expect(at("terraform_data.final_snapshot").count).toBe("${var.skip_final_snapshot ? 0 : 1}");
    expect(at("aws_rds_cluster.aurora_mysql").final_snapshot_identifier).toBe(
      '${one([for s in terraform_data.final_snapshot[*] : "aurora-mysql-final-${substr(s.id, 0, 8)}"])}',
    );
  });

  it("lets RDS manage the password unless the team has set one", async () => {
    const { at } = await synthesize();
    expect(at("aws_rds_cluster.aurora_mysql").manage_master_user_password).toBe(
      "${nonsensitive(var.master_password == null) ? true : null}",
    );
  });

  it("hands the team's password only to arguments that no state keeps", async () => {
    const { at, root } = await synthesize();
    const cluster = at("aws_rds_cluster.aurora_mysql");
    expect(cluster).toMatchObject({
      master_password_wo: "${var.master_password}",
      master_password_wo_version:
        "${nonsensitive(var.master_password == null) ? null : var.master_password_version}",
    });
    expect(cluster).not.toHaveProperty("master_password");
    const users = Object.entries(root.resource as Record<string, Record<string, Record<string, unknown>>>)
      .flatMap(([type, named]) =>
        Object.values(named).flatMap(({ lifecycle: _rules, ...block }) =>
          Object.entries(block).map(([argument, value]) => [`${type}.${argument}`, JSON.stringify(value)]),
        ),
      )
      .filter(([, value]) => /var\.master_password(?!_version)(?! == null)/.test(value as string))
      .map(([argument]) => argument);
    expect(users.sort()).toEqual([
      "aws_rds_cluster.master_password_wo",
      "aws_secretsmanager_secret_version.secret_string_wo",
    ]);
  });

  it("keeps the team's password in a secret of its own, with the user's name", async () => {
    const { at } = await synthesize();
    const count = "${nonsensitive(var.master_password == null) ? 0 : 1}";
    expect(at("aws_secretsmanager_secret.master_password")).toMatchObject({
      count,
      name_prefix: "flyway-master-password-",
    });
    expect(at("aws_secretsmanager_secret_version.master_password")).toEqual({
      count,
      secret_id: "${aws_secretsmanager_secret.master_password[0].id}",
      secret_string_wo:
        '${jsonencode({"username" = aws_rds_cluster.aurora_mysql.master_username, "password" = var.master_password})}',
      secret_string_wo_version: "${var.master_password_version}",
    });
  });

  it("has the contract's security group, whose description would replace it", async () => {
    const { at } = await synthesize();
    expect(at("aws_security_group.aurora_mysql")).toEqual({
      name: "aurora-mysql",
      vpc_id: "${data.aws_vpc.default.id}",
      lifecycle: { ignore_changes: ["description", "vpc_id"] },
    });
  });

  it("lets the group's members in to MySQL, and nobody else", async () => {
    const { at } = await synthesize();
    expect(at("aws_security_group_rule.ingress")).toEqual({
      type: "ingress",
      protocol: "tcp",
      from_port: 3306,
      to_port: 3306,
      source_security_group_id: "${aws_security_group.aurora_mysql.id}",
      security_group_id: "${aws_security_group.aurora_mysql.id}",
      lifecycle: { ignore_changes: ["self", "source_security_group_id"] },
    });
  });

  it("lets the group's members out to everywhere", async () => {
    const { at } = await synthesize();
    expect(at("aws_security_group_rule.egress")).toEqual({
      type: "egress",
      protocol: "-1",
      from_port: 0,
      to_port: 0,
      cidr_blocks: ["0.0.0.0/0"],
      security_group_id: "${aws_security_group.aurora_mysql.id}",
    });
  });

  it("tells the host where the database is and which secret to read, and no secret", async () => {
    const { at } = await synthesize();
    const target = at("aws_ssm_parameter.target");
    expect(target).toMatchObject({ name: "/flyway/target/${var.flyway_conf}", type: "String" });
    expect(String(target.value).replace(/\s+/g, " ")).toBe(
      '${jsonencode({ url = format("jdbc:mysql://%s:%d", aws_rds_cluster.aurora_mysql.endpoint, aws_rds_cluster.aurora_mysql.port) ' +
        `secret = ${SECRET_ARN} ` +
        'ca = { url = format("s3://%s/%s", aws_s3_object.rds_ca_bundle.bucket, aws_s3_object.rds_ca_bundle.key), ' +
        'sha256 = trimsuffix(basename(aws_s3_object.rds_ca_bundle.key), ".pem") } })}',
    );
  });

  it("puts out the endpoint and the secret's ARN", async () => {
    const { at } = await synthesize();
    expect(at("output.cluster_endpoint").value).toBe("${aws_rds_cluster.aurora_mysql.endpoint}");
    expect(at("output.secret_arn").value).toBe(`\${${SECRET_ARN}}`);
  });
});
