import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { DataAwsAmi } from "@cdktf/provider-aws/lib/data-aws-ami";
import { IamInstanceProfile } from "@cdktf/provider-aws/lib/iam-instance-profile";
import type { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { Instance } from "@cdktf/provider-aws/lib/instance";
import { SsmDocument } from "@cdktf/provider-aws/lib/ssm-document";
import { TerraformOutput } from "cdktf";
import { Construct } from "constructs";
import type { Names } from "../deployment/names";
import type { Archives } from "./archives";
import type { Artifacts } from "./artifacts";
import { fileAsset } from "./asset";
import { type Data, HOST_TYPE } from "./data";
import { commandDocument, contentOf } from "./document";
import { attachManaged, grant, serviceRole } from "./policies";
import type { Rds } from "./rds";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

const READ_PARAMETERS = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"];

/** Where the runner's URL, which has the bucket's name, stands in the document's file. */
const RUNNER_URL = "s3://ARTIFACTS";

export interface Ec2Props {
  readonly names: Names;
  readonly variables: Variables;
  readonly data: Data;
  readonly artifacts: Artifacts;
  readonly rds: Rds;
  readonly archives: Archives;
}

/** ec2.tf: the host that runs Flyway, the document it runs and what it may do. */
export class Ec2 extends Construct {
  readonly host: Instance;
  /** What the host may do. */
  readonly role: IamRole;
  readonly logGroup: CloudwatchLogGroup;
  readonly document: SsmDocument;

  constructor(scope: Construct, id: string, props: Ec2Props) {
    super(scope, id);
    const { names, variables, data, artifacts, rds, archives } = props;
    this.logGroup = new CloudwatchLogGroup(this, "aws_cloudwatch_log_group.flyway_host", {
      name: names.of("/ssm/runcommand/flyway-host"),
      retentionInDays: 30,
    });
    this.role = serviceRole(this, "aws_iam_role.flyway_host", {
      name: names.of("flyway-host"),
      service: "ec2.amazonaws.com",
      variables,
      data,
    });
    const { role } = this;
    const managed = attachManaged(
      this,
      data,
      role,
      "ssm_managed_instance_core",
      "AmazonSSMManagedInstanceCore",
    );
    const logs = grant(this, names, role, "cloudwatch_access", [
      { actions: ["logs:DescribeLogGroups"], resources: ["*"] },
      {
        actions: ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        resources: [this.logGroup.arn, `${this.logGroup.arn}:*`],
      },
    ]);
    const buckets = grant(this, names, role, "s3_access", [
      { actions: ["s3:GetObject"], resources: [`${artifacts.bucket.arn}/*`] },
    ]);
    buckets.document.addOverride("dynamic", {
      statement: {
        for_each:
          `\${[for arns in [[for a in values(${archives.archives}) : "arn:\${${addressOf(data.partition)}.partition}:s3:::\${trimprefix(a.url, "s3://")}" ` +
          'if startswith(a.url, "s3://")]] : arns if length(arns) > 0]}',
        content: { actions: ["s3:GetObject"], resources: "${statement.value}" },
      },
    });
    // AWS's own policy for the agent lets it read every parameter of the account, so all but this deployment's are denied.
    const parameters = `${data.arnOf("ssm")}:parameter${names.parameters}/*`;
    const deployment = grant(this, names, role, "deployment_access", [
      { actions: READ_PARAMETERS, resources: [parameters] },
      { effect: "Deny", actions: READ_PARAMETERS, notResources: [parameters] },
    ]);
    grant(this, names, role, "secret_access", [
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
      instanceType: HOST_TYPE,
      subnetId: data.hostSubnetId,
      vpcSecurityGroupIds: [rds.securityGroup.id],
      iamInstanceProfile: new IamInstanceProfile(this, "aws_iam_instance_profile.flyway_host", {
        name: names.of("flyway-host"),
        path: role.path,
        role: role.name,
        lifecycle: { ignoreChanges: ["path"] }, // a change replaces it
      }).name,
      // Not for the secrets' policy: it leads to the cluster, which Terraform then would, as all that the function's permissions
      // lead to, create anew before it destroys the former one of the same name. A run reads its secret when it begins.
      dependsOn: [rds.egress, managed, ...[logs, buckets, deployment].map(({ attachment }) => attachment)],
      userDataBase64: `\${filebase64(${fileAsset(this, "user_data", "user-data.sh", userData)})}`,
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required" },
      rootBlockDevice: { volumeType: "gp3", volumeSize: 16, encrypted: true },
      tags: { Name: names.of("flyway-host") },
      lifecycle: {
        // A new image, another order of the subnets or an encrypted disk would replace the host; new user data
        // would restart it, in the middle of a migration, and not run.
        ignoreChanges: ["ami", "subnet_id", "user_data", "user_data_base64", "root_block_device"],
      },
    });

    const { url, sha256 } = artifacts.runner;
    const content = contentOf(commandDocument(names.parameters, { url: RUNNER_URL, sha256 }));
    const file = fileAsset(this, "flyway_migrate", "flyway-migrate.json", content);
    this.document = new SsmDocument(this, "aws_ssm_document.flyway_migrate", {
      name: names.of("flyway-migrate"),
      documentType: "Command",
      documentFormat: "JSON",
      targetType: "/AWS::EC2::Instance",
      content: `\${replace(file(${file}), "${RUNNER_URL}", "${url}")}`,
    });
    new TerraformOutput(this, "output.host_id", { value: this.host.id, description: "The Flyway host" });
    new TerraformOutput(this, "output.log_group", {
      value: this.logGroup.name,
      description: "Where the output of the runs is",
    });
  }
}
