/**
 * What the function and the constructs must agree on: names, patterns, the mapping's shape. It knows
 * nothing of AWS, so both sides can import it.
 */

/** Path under which `s3.tf` keeps one mapping parameter per bucket: `/flyway/s3-mapping/<bucket>`. */
export const MAPPING_PATH = "/flyway/s3-mapping";

/**
 * Allow-lists, as regular expressions that JavaScript, Terraform (RE2) and Systems Manager read alike.
 * A value reaches the host's shell only if it matches its pattern as a whole.
 */
export const PATTERNS = {
  /** A bucket's name: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
  bucket: "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
  /** A MySQL schema: at most 64 characters, https://dev.mysql.com/doc/refman/8.0/en/identifier-length.html */
  schema: "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
  /** A Flyway release: `11.8.2`. */
  flywayVersion: "^[0-9]{1,3}(\\.[0-9]{1,3}){1,2}$",
  /** A configuration's name: `test_flyway.conf`. It becomes part of a parameter's name. */
  flywayConf: "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
} as const;

/** The JSON in a mapping parameter: what is done with the uploads of one bucket. */
export interface Mapping {
  /** The schema that Flyway migrates; the entry of `flyway_managed_databases`. */
  readonly schema: string;
  /** The Flyway release that migrates it. */
  readonly flywayVersion: string;
  /** Names the target, that is the database server and the secret to log in with. */
  readonly flywayConf: string;
}

/** A bucket's mapping is missing or wrong. Retrying does not help; a person must mend the parameter. */
export class MappingError extends Error {
  override readonly name = "MappingError";
}

/** The name of a bucket's mapping parameter. */
export function mappingName(bucket: string): string {
  return `${MAPPING_PATH}/${bucket}`;
}

/**
 * Reads a mapping parameter's value.
 *
 * @throws MappingError that names the parameter, what is wrong with it and the remedy
 */
export function parseMapping(bucket: string, value: string): Mapping {
  const remedy = "It is written by aws_ssm_parameter.s3_mapping: apply the Terraform configuration again.";
  const wrong = (what: string) => new MappingError(`Parameter ${mappingName(bucket)} ${what}. ${remedy}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    throw wrong("is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null) throw wrong("is not a JSON object");
  const field = (name: keyof Mapping): string => {
    const found = (parsed as Record<string, unknown>)[name];
    if (typeof found !== "string" || !new RegExp(PATTERNS[name]).test(found)) {
      throw wrong(`has no valid "${name}": ${JSON.stringify(found)} does not match ${PATTERNS[name]}`);
    }
    return found;
  };
  return { schema: field("schema"), flywayVersion: field("flywayVersion"), flywayConf: field("flywayConf") };
}
