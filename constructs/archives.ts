import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import { TerraformLocal } from "cdktf";
import { Construct } from "constructs";
import type { FlywayArchives } from "../deployment/archives";
import { archiveName } from "../deployment/mapping";
import type { Names } from "../deployment/names";
import type { Mappings } from "./mappings";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

export interface ArchivesProps {
  readonly names: Names;
  readonly variables: Variables;
  readonly mappings: Mappings;
  /** The Flyway releases whose URL and checksum are known; the variable flyway_archives adds to them. */
  readonly known: FlywayArchives;
}

/** Where the host finds the Flyway releases that the mappings ask for. */
export class Archives extends Construct {
  /** Terraform expression for all that are known, by version. */
  readonly archives: string;
  /** One for each release that is asked for. */
  readonly parameters: SsmParameter;

  constructor(scope: Construct, id: string, { names, variables, mappings, known }: ArchivesProps) {
    super(scope, id);
    const local = new TerraformLocal(
      this,
      "local.flyway_archives",
      `\${merge(${JSON.stringify(known)}, ${addressOf(variables.flywayArchives)})}`,
    );
    this.archives = addressOf(local);
    this.parameters = new SsmParameter(this, "aws_ssm_parameter.flyway_archive", {
      name: archiveName(names.parameters, "${each.key}"),
      type: "String",
      value: `\${jsonencode(lookup(${this.archives}, each.key, null))}`,
      lifecycle: {
        precondition: [
          {
            condition: `\${contains(keys(${this.archives}), each.key)}`,
            errorMessage:
              `The archive of Flyway \${each.key} is not known; known are \${join(", ", keys(${this.archives}))}. ` +
              "Add it to flyway_archives, with its url and sha256.",
          },
        ],
      },
    });
    this.parameters.addOverride("lifecycle.create_before_destroy", true); // and the mappings in between
    this.parameters.addOverride("for_each", `\${toset(values(${mappings.mappings})[*].flywayVersion)}`);
  }
}
