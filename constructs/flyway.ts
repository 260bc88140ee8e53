import { Construct } from "constructs";
import type { FlywayArchives } from "../deployment/archives";
import { Names } from "../deployment/names";
import { Archives } from "./archives";
import { Artifacts } from "./artifacts";
import { Data } from "./data";
import { Ec2 } from "./ec2";
import { Lambda } from "./lambda";
import { Mappings } from "./mappings";
import { Monitoring } from "./monitoring";
import { Notifications } from "./notifications";
import { Rds } from "./rds";
import { Reconcile } from "./reconcile";
import { S3 } from "./s3";
import { AddressStack } from "./stack";
import { Uploads } from "./uploads";
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
  constructor(scope: Construct, id: string, { archives: known, stage, defaults }: FlywayProps) {
    super(scope, id);
    const stack = AddressStack.of(this);
    if (!(stack instanceof AddressStack)) {
      throw new Error(
        `Flyway's addresses are not kept in ${stack.constructor.name} "${stack.node.id}": let it extend AddressStack, of constructs/stack.ts.`,
      );
    }
    const names = new Names(stage);
    const variables = new Variables(this, "variables.tf", { names, defaults });
    const data = new Data(this, "data.tf", { variables });
    const artifacts = new Artifacts(this, "artifacts.tf", { names, variables, data });
    const rds = new Rds(this, "rds.tf", { names, variables, data, artifacts });
    const mappings = new Mappings(this, "mappings.tf", { variables });
    const archives = new Archives(this, "archives.tf", { names, variables, mappings, known });
    const s3 = new S3(this, "s3.tf", { names, variables, mappings, archives });
    const ec2 = new Ec2(this, "ec2.tf", { names, variables, data, artifacts, rds, archives });
    const notifications = new Notifications(this, "notifications.tf", { names, variables, data });
    const lambda = new Lambda(this, "lambda.tf", { names, variables, data, ec2, s3, notifications });
    new Uploads(this, "uploads.tf", { variables, s3, ec2, lambda });
    const reconcile = new Reconcile(this, "reconcile.tf", { names, variables, lambda });
    new Monitoring(this, "monitoring.tf", { names, variables, data, ec2, lambda, notifications, reconcile });
    this.variables = variables;
    this.data = data;
    this.artifacts = artifacts;
    this.rds = rds;
    this.s3 = s3;
    this.ec2 = ec2;
    this.notifications = notifications;
    this.lambda = lambda;
    this.reconcile = reconcile;
  }
}
