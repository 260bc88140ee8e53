import type { Construct } from "constructs";
import { addBackend, type Backend } from "./backend";
import { Flyway, type FlywayProps } from "./flyway";
import { Providers } from "./providers";
import { AddressStack } from "./stack";

export interface FlywayStackProps extends FlywayProps {
  /**
   * Where Terraform keeps the state.
   * @default { type: "local" }, a file beside the project
   */
  readonly backend?: Backend;
}

/** A deployment as a stack of its own: providers, backend, and the contract's six files. */
export class FlywayStack extends AddressStack {
  constructor(scope: Construct, id: string, { backend, ...props }: FlywayStackProps) {
    super(scope, id);
    this.addOverride("terraform.required_version", ">= 1.5"); // check blocks
    addBackend(this, backend ?? { type: "local" });
    new Providers(this, "providers.tf");
    new Flyway(this, "flyway", props);
  }
}
