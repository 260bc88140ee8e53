import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsEc2InstanceTypeOfferings } from "@cdktf/provider-aws/lib/data-aws-ec2-instance-type-offerings";
import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition";
import { DataAwsRegion } from "@cdktf/provider-aws/lib/data-aws-region";
import { DataAwsSubnets } from "@cdktf/provider-aws/lib/data-aws-subnets";
import { DataAwsVpc } from "@cdktf/provider-aws/lib/data-aws-vpc";
import { TerraformLocal, Token } from "cdktf";
import { Construct } from "constructs";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

/** The host's type, of 1 GiB of memory. Not every Availability Zone offers it: about one of six in us-east-1 does not. */
export const HOST_TYPE = "t3.micro";

/** The subnets of zones that offer it. Empty where there is none, which is refused below. */
const HOST_SUBNETS = "data.aws_subnets.flyway_host.ids";

/** Terraform expression for the zones that offer it. */
const ZONES = "sort(data.aws_ec2_instance_type_offerings.flyway_host.locations)";

export interface DataProps {
  readonly variables: Variables;
}

/** data.tf: where everything is deployed. */
export class Data extends Construct {
  readonly vpc: DataAwsVpc;
  readonly subnets: DataAwsSubnets;
  /** The ids of the subnets to use: those that were given, else all of the VPC's. */
  readonly subnetIds: string[];
  /** The subnet for a new host: the first of those that were given, else of the default subnets by id, in whose zone is its type. */
  readonly hostSubnetId: string;
  readonly region: DataAwsRegion;
  readonly callerIdentity: DataAwsCallerIdentity;
  /** `aws`; `aws-cn` and `aws-us-gov` elsewhere: what an ARN has behind `arn:`. */
  readonly partition: DataAwsPartition;

  constructor(scope: Construct, id: string, { variables }: DataProps) {
    super(scope, id);
    const vpcId = addressOf(variables.vpcId);
    const subnetIds = addressOf(variables.subnetIds);
    this.vpc = new DataAwsVpc(this, "data.aws_vpc.default", {
      id: variables.vpcId.stringValue,
      default: Token.asAny(`\${${vpcId} == null ? true : null}`),
      lifecycle: {
        precondition: [
          {
            condition: `\${${vpcId} == null || length(${subnetIds}) > 0}`,
            errorMessage:
              `vpc_id is \${jsonencode(${vpcId})}, without subnet_ids: which of its subnets have a way out cannot be ` +
              "seen. Name two or more, in two Availability Zones, in subnet_ids.",
          },
        ],
      },
    });
    this.subnets = new DataAwsSubnets(this, "data.aws_subnets.default", {
      filter: [{ name: "vpc-id", values: [this.vpc.id] }],
    });
    const chosen = new TerraformLocal(
      this,
      "local.subnet_ids",
      `\${coalescelist(${subnetIds}, data.aws_subnets.default.ids)}`,
    );
    this.subnetIds = Token.asList(chosen.expression);
    new DataAwsEc2InstanceTypeOfferings(this, "data.aws_ec2_instance_type_offerings.flyway_host", {
      filter: [{ name: "instance-type", values: [HOST_TYPE] }],
      locationType: "availability-zone",
    });
    new DataAwsSubnets(this, "data.aws_subnets.flyway_host", {
      filter: [
        { name: "vpc-id", values: [this.vpc.id] },
        // EC2 takes no filter without a value.
        { name: "availability-zone", values: Token.asList(`\${coalescelist(${ZONES}, ["none"])}`) },
        // Others of the default VPC may have no way to the internet; which to take is then for the team to say.
        {
          name: "default-for-az",
          values: Token.asList(`\${length(${subnetIds}) > 0 ? ["true", "false"] : ["true"]}`),
        },
      ],
      lifecycle: {
        postcondition: [
          {
            condition:
              `\${length(${subnetIds}) == 0 ? ${vpcId} != null || length(self.ids) > 0 ` +
              `: length(setintersection(${subnetIds}, self.ids)) > 0 ` +
              `|| length(setsubtract(${subnetIds}, data.aws_subnets.default.ids)) > 0}`,
            errorMessage:
              `The host's type ${HOST_TYPE} is offered in \${length(${ZONES}) > 0 ? join(", ", ${ZONES}) : "no zone of this region"}, and ` +
              `\${length(${subnetIds}) > 0 ? "none of subnet_ids is there. Give one that is" : "the default VPC has no default ` +
              'subnet there. Make one with aws ec2 create-default-subnet, or give subnet_ids"}.',
          },
        ],
      },
    });
    const ofHost = new TerraformLocal(
      this,
      "local.host_subnet_id",
      `\${try(concat([for s in ${subnetIds} : s if contains(${HOST_SUBNETS}, s)], sort(${HOST_SUBNETS}))[0], null)}`,
    );
    this.hostSubnetId = Token.asString(ofHost.expression);
    this.region = new DataAwsRegion(this, "data.aws_region.current");
    this.callerIdentity = new DataAwsCallerIdentity(this, "data.aws_caller_identity.this");
    this.partition = new DataAwsPartition(this, "data.aws_partition.current");
  }

  /** What the ARNs of the deployment's own region and account begin with, of a service: `ssm`. */
  arnOf(service: string): string {
    return `arn:${this.partition.partition}:${service}:${this.region.id}:${this.callerIdentity.accountId}`;
  }
}
