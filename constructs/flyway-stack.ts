import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { LocalBackend } from "cdktf";
import type { Construct } from "constructs";
import type { FlywayArchives } from "./archives";
import { Data } from "./data";
import { Ec2 } from "./ec2";
import { Lambda } from "./lambda";
import { Rds } from "./rds";
import { S3 } from "./s3";
import { AddressStack } from "./stack";
import { Variables, type VariablesProps } from "./variables";

/** Releases of the AWS provider that take this stack's JSON. The bindings alone would pin one. */
const AWS_PROVIDER = ">= 5.100, < 7";

/** `data.archive_file` is written with what 1.3 and 2.x share. */
const ARCHIVE_PROVIDER = ">= 1.3, < 3";

export interface FlywayStackProps {
  /** The Flyway releases whose URL and checksum are known: `await officialArchives()`. */
  readonly archives: FlywayArchives;
  /** Other defaults for the Terraform variables. */
  readonly defaults?: VariablesProps;
}

/** The contract's six files, one construct each, and nothing else. */
export class FlywayStack extends AddressStack {
  constructor(scope: Construct, id: string, { archives, defaults }: FlywayStackProps) {
    super(scope, id);
    new AwsProvider(this, "provider.aws");
    new ArchiveProvider(this, "provider.archive");
    this.addOverride("terraform.required_providers.aws.version", AWS_PROVIDER);
    this.addOverride("terraform.required_providers.archive.version", ARCHIVE_PROVIDER);
    // Beside the project, as CDKTF's own default, but relative: Terraform runs in cdktf.out/stacks/<id>.
    new LocalBackend(this, { path: `../../../terraform.${id}.tfstate` });

    const variables = new Variables(this, "variables.tf", defaults);
    const data = new Data(this, "data.tf");
    const rds = new Rds(this, "rds.tf", { variables, data });
    const s3 = new S3(this, "s3.tf", { variables });
    const ec2 = new Ec2(this, "ec2.tf", { variables, data, rds, s3, archives });
    const lambda = new Lambda(this, "lambda.tf", { variables, data, ec2, s3 });
    s3.notify(lambda.fn, lambda.permission);
  }
}
