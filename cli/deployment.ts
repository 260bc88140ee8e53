import type { CommandTarget } from "../deployment/command";
import {
  deploymentName,
  MAPPING_PATH,
  type Mapping,
  parseDeployment,
  parseMapping,
} from "../deployment/mapping";
import { Names } from "../deployment/names";
import type { Aws } from "./aws";
import { CliError } from "./exit";

/** A database that is migrated, and the bucket that its migrations are put into. */
export interface Database {
  /** The schema's name. */
  readonly name: string;
  readonly bucket: string;
  readonly mapping: Mapping;
}

/** A deployment, found by the parameters that Terraform wrote. */
export class Deployment {
  private constructor(
    private readonly aws: Aws,
    private readonly names: Names,
    /** By name, in its order. */
    readonly databases: readonly Database[],
  ) {}

  /** @throws CliError where there is none of that stage */
  static async find(aws: Aws, stage: string | undefined): Promise<Deployment> {
    const names = new Names(stage);
    const path = `${names.parameters}/${MAPPING_PATH}`;
    const parameters = await aws.parametersBelow(path);
    const databases = [...parameters].map(([name, value]): Database => {
      const mapping = parseMapping(name, value);
      return { name: mapping.schema, bucket: name.slice(path.length + 1), mapping };
    });
    if (databases.length === 0) {
      throw new CliError(
        `There is no deployment${stage === undefined ? "" : ` of stage ${stage}`} here: Parameter Store has nothing below ${path}`,
        "name the stage (--stage), the region (--region) and the profile (--profile) that it was deployed with",
      );
    }
    return new Deployment(
      aws,
      names,
      databases.sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
  }

  /** For a person: `stage dev`. */
  get title(): string {
    return this.names.stage === undefined ? "the deployment without a stage" : `stage ${this.names.stage}`;
  }

  /** The database of a name; where no other is named so but for its case, by whatever case. @throws CliError */
  database(name: string): Database {
    const exact = this.databases.find((database) => database.name === name);
    const alike = this.databases.filter((database) => database.name.toLowerCase() === name.toLowerCase());
    const found = exact ?? (alike.length === 1 ? alike[0] : undefined);
    if (found) return found;
    const names = this.databases.map((database) => database.name).join(", ");
    throw new CliError(`There is no database ${JSON.stringify(name)}`, `name one of these: ${names}`);
  }

  /** Where its commands go. @throws CliError where a deployment is too old to say so */
  async target(): Promise<CommandTarget> {
    const name = deploymentName(this.names.parameters);
    const value = await this.aws.parameter(name);
    if (value === undefined) {
      throw new CliError(
        `There is no parameter ${name}`,
        "apply the Terraform configuration of this version first",
      );
    }
    return parseDeployment(name, value);
  }
}
