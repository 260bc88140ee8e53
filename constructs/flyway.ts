import { Construct } from "constructs";
import type { FlywayArchives } from "../deployment/archives";
import { Names } from "../deployment/names";
import { Artifacts } from "./artifacts";
import { Data } from "./data";
import { Ec2 } from "./ec2";
import { Lambda } from "./lambda";
import { Notifications } from "./notifications";
import { Rds } from "./rds";
import { Reconcile } from "./reconcile";
import { S3 } from "./s3";
import { AddressStack } from "./stack";
import { Variables, type VariablesProps } from "./variables";

export interface FlywayProps {
  /** The Flyway releases whose URL and checksum are known: `await officialArchives()`. */
  readonly archives: FlywayArchives;
  /**
   * Tells several deployments in one account apart: the suffix of every name, `flyway-host-dev`.
   * @default none: the contract's names
   */
  readonly stage?: string;
  /**
   * Other defaults for the Terraform variables.
   * @default those of variables.tf
   */
  readonly defaults?: VariablesProps;
}

/** The contract's six files and what they do not have, one construct each: no provider, no backend. */
export class Flyway extends Construct {
  readonly variables: Variables;
  readonly data: Data;
  readonly artifacts: Artifacts;
  readonly rds: Rds;
  readonly s3: S3;
  readonly ec2: Ec2;
  readonly notifications: Notifications;
  readonly lambda: Lambda;
  readonly reconcile: Reconcile;

  /** @throws if its stack is no AddressStack: any other would put hashes into the addresses */
  constructor(scope: Construct, id: string, { archives, stage, defaults }: FlywayProps) {
    super(scope, id);
    const stack = AddressStack.of(this);
    if (!(stack instanceof AddressStack)) {
      throw new Error(
        `Flyway's addresses are not kept in ${stack.constructor.name} "${stack.node.id}": let it extend AddressStack, of constructs/stack.ts.`,
      );
    }
    const names = new Names(stage);
    this.variables = new Variables(this, "variables.tf", { names, defaults });
    const { variables } = this;
    this.data = new Data(this, "data.tf", { variables });
    this.artifacts = new Artifacts(this, "artifacts.tf", { names, variables });
    const { artifacts } = this;
    this.rds = new Rds(this, "rds.tf", { names, variables, data: this.data, artifacts });
    this.s3 = new S3(this, "s3.tf", { names, variables });
    const { data, rds, s3 } = this;
    this.ec2 = new Ec2(this, "ec2.tf", { names, variables, data, artifacts, rds, archives });
    this.notifications = new Notifications(this, "notifications.tf", { names, data });
    const { ec2, notifications } = this;
    this.lambda = new Lambda(this, "lambda.tf", { names, variables, data, ec2, s3, notifications });
    const { lambda } = this;
    s3.letIn(ec2.role, lambda.role);
    s3.notify(lambda.fn, lambda.permissions);
    notifications.watch(ec2, lambda);
    this.reconcile = new Reconcile(this, "reconcile.tf", { names, lambda });
  }
}
