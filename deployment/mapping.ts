import type { CommandTarget } from "./command";

/**
 * What the function, the runner and the constructs must agree on: names, patterns, the mapping's shape. It knows
 * nothing of AWS, so all sides can import it.
 */

/** Under a deployment's parameters, the path of one mapping per bucket: `/flyway/s3-mapping/<bucket>`. */
export const MAPPING_PATH = "s3-mapping";

/** The same of one target per `flyway_conf`: `/flyway/target/<flyway_conf>`. */
export const TARGET_PATH = "target";

/** The same of one archive per Flyway release: `/flyway/archive/<version>`. */
export const ARCHIVE_PATH = "archive";

/**
 * The encodings that migrations may have, by names that Java and Node.js know; Node.js takes ISO-8859-1 and UTF-16 for others:
 * see deployment/decode.ts. https://www.iana.org/assignments/character-sets/character-sets.xhtml
 */
export const ENCODINGS = [
  ...(["UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "ISO-8859-1", "ISO-8859-15"] as const),
  ...(["windows-1250", "windows-1251", "windows-1252", "windows-31j", "Shift_JIS", "EUC-JP"] as const),
  ...(["GBK", "GB18030", "Big5", "EUC-KR"] as const),
] as const;

export type Encoding = (typeof ENCODINGS)[number];

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
  /** A version that Flyway baselines a schema at: `2.1`. */
  baselineVersion: "^[0-9]{1,18}([._][0-9]{1,18}){0,9}$",
  /** A time in whole seconds: 1 to 9,999,999, which is 115 days. */
  seconds: "^[1-9][0-9]{0,6}$",
  /** A placeholder's name. Flyway from 10 on takes none with a dot. */
  placeholder: "^[A-Za-z][A-Za-z0-9_-]{0,63}$",
  /** A placeholder's value: printable ASCII, without the `{{` that Parameter Store refuses. */
  placeholderValue: "^(\\{?[ -z|}~])*\\{?$",
  /** What a placeholder begins or ends with: printable ASCII without white space and quotes. */
  placeholderMark: "^[!#-&(-_a-~]{1,10}$",
  /** One of ENCODINGS. */
  encoding: `^(${ENCODINGS.join("|")})$`,
} as const;

/** Whether a text matches a pattern as a whole. */
export function isMatch(text: string, pattern: keyof typeof PATTERNS): boolean {
  return new RegExp(PATTERNS[pattern]).test(text);
}

/** The JSON in a mapping parameter: what is done with the uploads of one bucket. */
export interface Mapping {
  /** The schema that Flyway migrates; the entry of `flyway_managed_databases`. */
  readonly schema: string;
  /** The Flyway release that migrates it. */
  readonly flywayVersion: string;
  /** Names the target, that is the database server and the secret to log in with. */
  readonly flywayConf: string;
  /** Whether a version below the newest applied one is applied too; unset, it is refused. */
  readonly outOfOrder?: boolean;
  /** What `${name}` stands for in the migrations, by name; no secrets. */
  readonly placeholders?: Readonly<Record<string, string>>;
  /** Whether they are put in; unset, they are. If not, `${name}` stands for itself. */
  readonly placeholderReplacement?: boolean;
  /** What a placeholder begins with; unset, `${`. */
  readonly placeholderPrefix?: string;
  /** What it ends with; unset, `}`. */
  readonly placeholderSuffix?: string;
  /** How the migrations are encoded; unset, UTF-8. */
  readonly encoding?: Encoding;
  /** The version at which a schema is baselined that is not empty and has no history; unset, 0. */
  readonly baselineVersion?: string;
  /** How long, in seconds, a statement waits for a table that others use; unset, LOCK_WAIT_TIMEOUT. */
  readonly lockWaitTimeout?: number;
  /** How long, in seconds, a migration may take; unset, as long as it does. */
  readonly migrationTimeout?: number;
}

/**
 * In seconds: MySQL's own default is a year, in which nobody else gets at the table.
 * https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_lock_wait_timeout
 */
export const LOCK_WAIT_TIMEOUT = 300;

/** The JSON in a target parameter, `/flyway/target/<flyway_conf>`: a database server, and who logs in there. */
export interface Target {
  /** JDBC URL, without a schema and without credentials. */
  readonly url: string;
  /** ARN of the secret with `username` and `password`. */
  readonly secret: string;
  /** How the connection is encrypted; unset, `verified`. */
  readonly tls?: Tls;
  /** The authorities that a verified connection trusts: PEM certificates. */
  readonly ca?: Source;
}

/** Something that the host downloads, and what it must be. */
export interface Source {
  /** `https://`, `s3://` or `file://`. */
  readonly url: string;
  /** SHA-256, 64 hexadecimal digits. */
  readonly sha256: string;
}

/**
 * How the connection to a database is encrypted.
 *
 * | value | meaning |
 * | --- | --- |
 * | `verified` | encrypted, and the server's certificate must be of a trusted authority and for the URL's host name |
 * | `unverified` | encrypted, but whoever answers in the server's place is given the password |
 * | `cleartext` | not encrypted: whoever is on the way reads the password and all data |
 */
export const TLS = ["verified", "unverified", "cleartext"] as const;

export type Tls = (typeof TLS)[number];

/** An option of TLS in a JDBC URL, in whatever case: such a URL sets its own. */
export const TLS_OPTION = "[?&][^=&]*(ssl|tls|trust|keystore)[^=&]*=";

/** A bucket's mapping is missing or wrong. Retrying does not help; a person must mend the parameter. */
export class MappingError extends Error {
  override readonly name = "MappingError";
}

/**
 * The name of a bucket's mapping parameter.
 *
 * @param parameters what the names of the deployment's parameters begin with: `/flyway`
 */
export function mappingName(parameters: string, bucket: string): string {
  return `${parameters}/${MAPPING_PATH}/${bucket}`;
}

/** The name of a target's parameter. */
export function targetName(parameters: string, flywayConf: string): string {
  return `${parameters}/${TARGET_PATH}/${flywayConf}`;
}

/** The name of the parameter that says where the deployment's commands go: `/flyway/deployment`. */
export function deploymentName(parameters: string): string {
  return `${parameters}/deployment`;
}

/** The name of the parameter that says where a Flyway release is. */
export function archiveName(parameters: string, flywayVersion: string): string {
  return `${parameters}/${ARCHIVE_PATH}/${flywayVersion}`;
}

/**
 * Reads the value of a mapping parameter.
 *
 * @throws MappingError that names the parameter, what is wrong with it and the remedy
 */
export function parseMapping(name: string, value: string): Mapping {
  const { object, wrong } = membersOf(name, value, "aws_ssm_parameter.s3_mapping");
  const matching = (member: string, value: unknown, pattern: keyof typeof PATTERNS): string => {
    const text = typeof value === "number" && pattern === "seconds" ? String(value) : value;
    if (typeof text === "string" && isMatch(text, pattern)) return text;
    throw wrong(`has no valid "${member}": ${JSON.stringify(value)} does not match ${PATTERNS[pattern]}`);
  };
  const member = (name: keyof typeof PATTERNS & keyof Mapping) => matching(name, object[name], name);
  const { placeholders } = object;
  /** What may be unset. */
  const given = <T>(member: keyof Mapping, read: (value: unknown) => T) => {
    const value = object[member] ?? undefined;
    return value === undefined ? {} : { [member]: read(value) };
  };
  const text = (name: keyof Mapping, pattern: keyof typeof PATTERNS) =>
    given(name, (value) => matching(name, value, pattern));
  const flag = (name: keyof Mapping) =>
    given(name, (value) => {
      if (typeof value === "boolean") return value;
      throw wrong(`has no valid "${name}": ${JSON.stringify(value)} is neither true nor false`);
    });
  const seconds = (name: keyof Mapping) => given(name, (value) => Number(matching(name, value, "seconds")));
  if (typeof (placeholders ?? {}) !== "object" || Array.isArray(placeholders)) {
    throw wrong(`has no valid "placeholders": ${JSON.stringify(placeholders)} is no object`);
  }
  const pairs = Object.entries(placeholders ?? {}).map(([key, text]) => [
    matching("placeholders", key, "placeholder"),
    matching(`placeholders.${key}`, text, "placeholderValue"),
  ]);
  return {
    schema: member("schema"),
    flywayVersion: member("flywayVersion"),
    flywayConf: member("flywayConf"),
    ...flag("outOfOrder"),
    ...(pairs.length > 0 ? { placeholders: Object.fromEntries(pairs) } : {}),
    ...flag("placeholderReplacement"),
    ...text("placeholderPrefix", "placeholderMark"),
    ...text("placeholderSuffix", "placeholderMark"),
    ...text("encoding", "encoding"),
    ...text("baselineVersion", "baselineVersion"),
    ...seconds("lockWaitTimeout"),
    ...seconds("migrationTimeout"),
  };
}

/**
 * Reads the value of a target parameter.
 *
 * @throws MappingError that names the parameter, what is wrong with it and the remedy
 */
export function parseTarget(name: string, value: string): Target {
  const { object, wrong } = membersOf(name, value, "aws_ssm_parameter.target");
  const { url, secret, tls, ca } = object as { [member in keyof Target]?: unknown };
  if (typeof url !== "string") throw wrong('has no "url"');
  if (typeof secret !== "string") throw wrong('has no "secret"');
  if (tls !== undefined && tls !== null && !TLS.includes(tls as Tls)) {
    throw wrong(`has the tls ${JSON.stringify(tls)}, not ${TLS.join(", ")}`);
  }
  return {
    url,
    secret,
    ...(typeof tls === "string" ? { tls: tls as Tls } : {}),
    ...(ca ? { ca: sourceOf(ca, "ca", wrong) } : {}),
  };
}

/**
 * Reads the value of an archive's parameter.
 *
 * @throws MappingError that names the parameter, what is wrong with it and the remedy
 */
export function parseArchive(name: string, value: string): Source {
  const { object, wrong } = membersOf(name, value, "aws_ssm_parameter.flyway_archive");
  return sourceOf(object, undefined, wrong);
}

/**
 * Reads the value of a deployment's parameter.
 *
 * @throws MappingError that names the parameter, what is wrong with it and the remedy
 */
export function parseDeployment(name: string, value: string): CommandTarget {
  const { object, wrong } = membersOf(name, value, "aws_ssm_parameter.flyway_deployment");
  const text = (member: keyof CommandTarget) => {
    const value = object[member];
    if (typeof value !== "string" || value === "") throw wrong(`has no "${member}"`);
    return value;
  };
  return {
    instanceId: text("instanceId"),
    documentName: text("documentName"),
    logGroupName: text("logGroupName"),
    settleSeconds: text("settleSeconds"),
    reconcileMinutes: Number(text("reconcileMinutes")),
  };
}

type Wrong = (what: string) => MappingError;

function membersOf(
  name: string,
  value: string,
  address: string,
): { readonly object: Record<string, unknown>; readonly wrong: Wrong } {
  const wrong: Wrong = (what) =>
    new MappingError(
      `Parameter ${name} ${what}. It is written by ${address}: apply the Terraform configuration again.`,
    );
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    throw wrong("is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null) throw wrong("is not a JSON object");
  return { object: parsed as Record<string, unknown>, wrong };
}

function sourceOf(value: unknown, member: string | undefined, wrong: Wrong): Source {
  const { url, sha256 } = value as { [member in keyof Source]?: unknown };
  const where = member ? `"${member}" with ` : "";
  if (typeof url !== "string") throw wrong(`has no ${where}"url"`);
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw wrong(`has no ${where}"sha256" of 64 hexadecimal digits`);
  }
  return { url, sha256: sha256.toLowerCase() };
}
