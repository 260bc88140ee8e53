import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsRegion } from "@cdktf/provider-aws/lib/data-aws-region";
import { DataAwsSubnets } from "@cdktf/provider-aws/lib/data-aws-subnets";
import { DataAwsVpc } from "@cdktf/provider-aws/lib/data-aws-vpc";
import { Construct } from "constructs";

/** data.tf: where everything is deployed. */
export class Data extends Construct {
  readonly vpc: DataAwsVpc;
  readonly subnets: DataAwsSubnets;
  readonly region: DataAwsRegion;
  readonly callerIdentity: DataAwsCallerIdentity;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.vpc = new DataAwsVpc(this, "data.aws_vpc.default", { default: true });
    this.subnets = new DataAwsSubnets(this, "data.aws_subnets.default", {
      filter: [{ name: "vpc-id", values: [this.vpc.id] }],
    });
    this.region = new DataAwsRegion(this, "data.aws_region.current");
    this.callerIdentity = new DataAwsCallerIdentity(this, "data.aws_caller_identity.this");
  }
}
