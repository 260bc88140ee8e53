import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsRegion } from "@cdktf/provider-aws/lib/data-aws-region";
import { DataAwsSubnets } from "@cdktf/provider-aws/lib/data-aws-subnets";
import { DataAwsVpc } from "@cdktf/provider-aws/lib/data-aws-vpc";
import { TerraformLocal, Token } from "cdktf";
import { Construct } from "constructs";
import type { Variables } from "./variables";

export interface DataProps {
  readonly variables: Variables;
}

/** data.tf: where everything is deployed. */
export class Data extends Construct {
  readonly vpc: DataAwsVpc;
  readonly subnets: DataAwsSubnets;
  /** The ids of the subnets to use: those that were given, else all of the VPC's. */
  readonly subnetIds: string[];
  readonly region: DataAwsRegion;
  readonly callerIdentity: DataAwsCallerIdentity;

  constructor(scope: Construct, id: string, { variables }: DataProps) {
    super(scope, id);
    this.vpc = new DataAwsVpc(this, "data.aws_vpc.default", {
      id: variables.vpcId.stringValue,
      default: Token.asAny("${var.vpc_id == null ? true : null}"),
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
    this.region = new DataAwsRegion(this, "data.aws_region.current");
    this.callerIdentity = new DataAwsCallerIdentity(this, "data.aws_caller_identity.this");
  }
}
