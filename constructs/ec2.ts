import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { DataAwsAmi } from "@cdktf/provider-aws/lib/data-aws-ami";
import { IamInstanceProfile } from "@cdktf/provider-aws/lib/iam-instance-profile";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { Instance } from "@cdktf/provider-aws/lib/instance";
import { SsmDocument } from "@cdktf/provider-aws/lib/ssm-document";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import { Fn, TerraformLocal, TerraformOutput } from "cdktf";
import { Construct } from "constructs";
import type { FlywayArchives } from "./archives";
import { fileAsset } from "./bundle";
import type { Data } from "./data";
import { commandDocument } from "./document";
import { attachManaged, grant, trust } from "./policies";
import type { Rds } from "./rds";
import type { S3 } from "./s3";
import type { Variables } from "./variables";

export interface Ec2Props {
  readonly variables: Variables;
  readonly data: Data;
  readonly rds: Rds;
  readonly s3: S3;
  /** The Flyway releases whose URL and checksum are known; the variable flyway_archives adds to them. */
  readonly archives: FlywayArchives;
}

/** ec2.tf: the host that runs Flyway, the document it runs and what it may do. */
export class Ec2 extends Construct {
  readonly host: Instance;
  readonly logGroup: CloudwatchLogGroup;
  readonly document: SsmDocument;

  constructor(scope: Construct, id: string, { variables, data, rds, s3, archives }: Ec2Props) {
    super(scope, id);
    this.logGroup = new CloudwatchLogGroup(this, "aws_cloudwatch_log_group.flyway_host", {
      name: "/ssm/runcommand/flyway-host",
      retentionInDays: 30,
    });
    const role = new IamRole(this, "aws_iam_role.flyway_host", {
      name: "flyway-host",
      assumeRolePolicy: trust("ec2.amazonaws.com"),
      lifecycle: { ignoreChanges: ["description"] }, // an adopted role keeps its own
    });
    attachManaged(this, role, "ssm_managed_instance_core", "AmazonSSMManagedInstanceCore");
    grant(this, role, "cloudwatch_access", [
      { actions: ["logs:DescribeLogGroups"], resources: ["*"] },
      {
        actions: ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        resources: [this.logGroup.arn, `${this.logGroup.arn}:*`],
      },
    ]);
    const bucketArn = s3.eachBucket.getString("arn");
    const s3Access = grant(
      this,
      role,
      "s3_access",
      s3.eachBucket.dynamic({
        actions: ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetObject", "s3:GetObjectVersion"],
        resources: [bucketArn, `${bucketArn}/*`],
      }),
    );
    s3Access.addOverride("statement", [
      {
        actions: ["s3:PutObject"], // run records, and nothing that could be taken for a migration
        resources: '${[for bucket in aws_s3_bucket.this : "${bucket.arn}/.flyway/runs/*.json"]}',
      },
    ]);
    grant(this, role, "secret_access", [
      { actions: ["secretsmanager:GetSecretValue"], resources: rds.secretArns },
    ]);

    const ami = new DataAwsAmi(this, "data.aws_ami.flyway_host_ami", {
      mostRecent: true,
      owners: ["amazon"],
      filter: [
        { name: "name", values: ["al2023-ami-2023.*-x86_64"] },
        { name: "architecture", values: ["x86_64"] },
        { name: "root-device-type", values: ["ebs"] },
        { name: "virtualization-type", values: ["hvm"] },
      ],
    });
    const userData = readFileSync(join(__dirname, "..", "assets", "user-data.sh"), "utf8");
    this.host = new Instance(this, "aws_instance.flyway_host", {
      ami: ami.id,
      instanceType: "t3.micro",
      subnetId: Fn.element(data.subnets.ids, 0),
      vpcSecurityGroupIds: [rds.securityGroup.id],
      iamInstanceProfile: new IamInstanceProfile(this, "aws_iam_instance_profile.flyway_host", {
        name: "flyway-host",
        role: role.name,
      }).name,
      userDataBase64: `\${filebase64(${fileAsset(this, "user_data", "user-data.sh", userData)})}`,
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required" },
      rootBlockDevice: { volumeType: "gp3", volumeSize: 16, encrypted: true },
      tags: { Name: "flyway-host" },
      lifecycle: {
        // A new image, another order of the subnets or an encrypted disk would replace the host; new user data
        // would restart it, in the middle of a migration, and not run.
        ignoreChanges: ["ami", "subnet_id", "user_data", "user_data_base64", "root_block_device"],
      },
    });

    const content = `${JSON.stringify(commandDocument(), null, 2)}\n`;
    this.document = new SsmDocument(this, "aws_ssm_document.flyway_migrate", {
      name: "flyway-migrate",
      documentType: "Command",
      documentFormat: "JSON",
      targetType: "/AWS::EC2::Instance",
      content: `\${file(${fileAsset(this, "flyway_migrate", "flyway-migrate.json", content)})}`,
    });
    new TerraformLocal(
      this,
      "local.flyway_archives",
      `\${merge(${JSON.stringify(archives)}, var.flyway_archives)}`,
    );
    new SsmParameter(this, "aws_ssm_parameter.flyway_archive", {
      name: `/flyway/archive/${variables.flywayVersion.stringValue}`,
      type: "String",
      value: "${jsonencode(lookup(local.flyway_archives, var.flyway_version, null))}",
      lifecycle: {
        precondition: [
          {
            condition: "${contains(keys(local.flyway_archives), var.flyway_version)}",
            errorMessage:
              'The archive of Flyway ${var.flyway_version} is not known; known are ${join(", ", keys(local.flyway_archives))}. ' +
              "Add it to flyway_archives, with its url and sha256.",
          },
        ],
      },
    });

    new TerraformOutput(this, "output.host_id", { value: this.host.id, description: "The Flyway host" });
    new TerraformOutput(this, "output.log_group", {
      value: this.logGroup.name,
      description: "Where the output of the runs is",
    });
  }
}
