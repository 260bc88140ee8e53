import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsEc2InstanceTypeOfferings } from "@cdktf/provider-aws/lib/data-aws-ec2-instance-type-offerings";
import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition";
import { DataAwsRegion } from "@cdktf/provider-aws/lib/data-aws-region";
import { DataAwsSubnet } from "@cdktf/provider-aws/lib/data-aws-subnet";
import { DataAwsSubnets } from "@cdktf/provider-aws/lib/data-aws-subnets";
import { DataAwsVpc } from "@cdktf/provider-aws/lib/data-aws-vpc";
import { TerraformLocal, Token } from "cdktf";
import { Construct } from "constructs";
import type { Variables } from "./variables";

/** The host's. 1 GiB of memory: https://aws.amazon.com/ec2/instance-types/t3/ */
export const INSTANCE_TYPE = "t3.micro";

export interface DataProps {
  readonly variables: Variables;
}

/** data.tf: where everything is deployed. */
export class Data extends Construct {
  readonly vpc: DataAwsVpc;
  readonly subnets: DataAwsSubnets;
  /** The ids of the subnets to use: those that were given, else all of the VPC's. */
  readonly subnetIds: string[];
  /**
   * The Terraform expression for the ids of those where the host may be, best first: in zones that offer its instance
   * type; of the default VPC only its default subnets, since others may have no way out.
   */
  readonly hostSubnetIds: string;
  readonly region: DataAwsRegion;
  readonly callerIdentity: DataAwsCallerIdentity;
  /** `aws`; `aws-cn` and `aws-us-gov` elsewhere: what an ARN has behind `arn:`. */
  readonly partition: DataAwsPartition;

  constructor(scope: Construct, id: string, { variables }: DataProps) {
    super(scope, id);
    this.vpc = new DataAwsVpc(this, "data.aws_vpc.default", {
      id: variables.vpcId.stringValue,
      default: Token.asAny("${var.vpc_id == null ? true : null}"),
      lifecycle: {
        precondition: [
          {
            condition: "${var.vpc_id == null || length(var.subnet_ids) > 0}",
            errorMessage:
              "vpc_id is ${jsonencode(var.vpc_id)}, without subnet_ids: which of its subnets have a way out cannot be " +
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
      "${coalescelist(var.subnet_ids, data.aws_subnets.default.ids)}",
    );
    this.subnetIds = Token.asList(chosen.expression);
    new DataAwsSubnet(this, "data.aws_subnet.candidate", {
      id: "${each.key}",
    }).addOverride(
      "for_each",
      "${toset([for s in local.subnet_ids : s if contains(data.aws_subnets.default.ids, s)])}",
    );
    new DataAwsEc2InstanceTypeOfferings(this, "data.aws_ec2_instance_type_offerings.flyway_host", {
      locationType: "availability-zone",
      filter: [{ name: "instance-type", values: [INSTANCE_TYPE] }],
    });
    new TerraformLocal(
      this,
      "local.host_subnet_ids",
      "${[for s in length(var.subnet_ids) > 0 ? var.subnet_ids : sort(local.subnet_ids) : s if " +
        "try(contains(data.aws_ec2_instance_type_offerings.flyway_host.locations, data.aws_subnet.candidate[s].availability_zone) && " +
        "(length(var.subnet_ids) > 0 || data.aws_subnet.candidate[s].default_for_az), false)]}",
    );
    this.hostSubnetIds = "local.host_subnet_ids";
    this.region = new DataAwsRegion(this, "data.aws_region.current");
    this.callerIdentity = new DataAwsCallerIdentity(this, "data.aws_caller_identity.this");
    this.partition = new DataAwsPartition(this, "data.aws_partition.current");
  }

  /** What the ARNs of the deployment's own region and account begin with, of a service: `ssm`. */
  arnOf(service: string): string {
    return `arn:${this.partition.partition}:${service}:${this.region.id}:${this.callerIdentity.accountId}`;
  }
}
