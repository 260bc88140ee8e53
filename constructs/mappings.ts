import { TerraformLocal } from "cdktf";
import { Construct } from "constructs";
import { serverOf } from "./jdbc";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

export interface MappingsProps {
  readonly variables: Variables;
}

/** What is done with the uploads for each database, as the settings have it: see deployment/mapping.ts. */
export class Mappings extends Construct {
  /** Terraform expression for the mappings, by database. */
  readonly mappings: string;
  private readonly databasesBySchema: string;
  private readonly targets: string;

  constructor(scope: Construct, id: string, { variables }: MappingsProps) {
    super(scope, id);
    this.targets = addressOf(variables.flywayTargets);
    const mappings = new TerraformLocal(
      this,
      "local.mappings",
      `\${{ for d in ${addressOf(variables.flywayManagedDatabases)} : d => ${mappingOf("d", variables)} }}`,
    );
    this.mappings = addressOf(mappings);
    const databasesBySchema = new TerraformLocal(
      this,
      "local.databases_by_schema",
      `\${{ for d, m in ${this.mappings} : ${this.schemaOf("m")} => d... }}`,
    );
    this.databasesBySchema = addressOf(databasesBySchema);
  }

  /** The Terraform expression for the databases whose migrations go where a mapping, an expression itself, has its go. */
  databasesOf(mapping: string): string {
    return `${this.databasesBySchema}[${this.schemaOf(mapping)}]`;
  }

  /** One server may be a target under two names. */
  private schemaOf(mapping: string): string {
    const server = `try(${serverOf(`${this.targets}[${mapping}.flywayConf].url`)}, ${mapping}.flywayConf)`;
    return `lower(format("%s/%s", ${server}, ${mapping}.schema))`;
  }
}

/** The Terraform expression for a database's mapping. What is not set is not in it. */
function mappingOf(database: string, variables: Variables): string {
  const settings = `${addressOf(variables.flywayDatabaseSettings)}[${database}]`;
  return `merge({
  schema = coalesce(try(${settings}.schema, null), ${database})
  flywayVersion = coalesce(try(${settings}.flyway_version, null), ${addressOf(variables.flywayVersion)})
  flywayConf = coalesce(try(${settings}.flyway_conf, null), ${addressOf(variables.flywayConf)})
}, { for name, value in {
  outOfOrder = try(${settings}.out_of_order, null)
  placeholders = try(length(${settings}.placeholders) > 0 ? ${settings}.placeholders : null, null)
  placeholderReplacement = try(${settings}.placeholder_replacement, null)
  placeholderPrefix = try(${settings}.placeholder_prefix, null)
  placeholderSuffix = try(${settings}.placeholder_suffix, null)
  encoding = try(${settings}.encoding, null)
  baselineVersion = try(${settings}.baseline_version, null)
  lockWaitTimeout = try(${settings}.lock_wait_timeout, null)
  migrationTimeout = try(${settings}.migration_timeout, null)
} : name => value if value != null })`;
}
