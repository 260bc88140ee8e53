import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { LocalBackend } from "cdktf";
import type { Construct } from "constructs";
import { Flyway, type FlywayProps } from "./flyway";
import { AddressStack } from "./stack";

/** Releases of the AWS provider that take this stack's JSON. The bindings alone would pin one. */
const AWS_PROVIDER = ">= 5.100, < 7";

/** `data.archive_file` is written with what 1.3 and 2.x share. */
const ARCHIVE_PROVIDER = ">= 1.3, < 3";

/** A deployment as a stack of its own: providers, backend, and the contract's six files. */
export class FlywayStack extends AddressStack {
  constructor(scope: Construct, id: string, props: FlywayProps) {
    super(scope, id);
    new AwsProvider(this, "provider.aws");
    new ArchiveProvider(this, "provider.archive");
    this.addOverride("terraform.required_providers.aws.version", AWS_PROVIDER);
    this.addOverride("terraform.required_providers.archive.version", ARCHIVE_PROVIDER);
    // Beside the project, as CDKTF's own default, but relative: Terraform runs in cdktf.out/stacks/<id>.
    new LocalBackend(this, { path: `../../../terraform.${id}.tfstate` });
    new Flyway(this, "flyway", props);
  }
}
