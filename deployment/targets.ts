import { PATTERNS, TLS, TLS_OPTION, type Tls } from "./mapping";
import { optional, type Rule, required } from "./rules";
import { NO_CONF } from "./settings";

/** A database server beside the cluster of rds.tf. In a tfvars file: `url`, `secret_arn`, `security_group_id`. */
export interface FlywayTarget {
  /** JDBC URL without a schema and without credentials: `jdbc:mysql://host:3306`. */
  readonly url: string;
  /** ARN of the secret with `username` and `password`, as RDS makes them. */
  readonly secretArn: string;
  /**
   * The server's security group; the host is let in.
   * @default none: the host is let in by other means
   */
  readonly securityGroupId?: string;
  /**
   * How the connection is encrypted: `verified`, `unverified` (whoever answers in the server's place is given the
   * password) or `cleartext` (whoever is on the way reads the password and all data). Not for a URL that sets its own
   * options of TLS.
   * @default "verified"
   */
  readonly tls?: Tls;
  /**
   * The authorities that a verified connection trusts, PEM.
   * @default Amazon's, for RDS and RDS Proxy
   */
  readonly caCertificate?: string;
}

/** Without a schema, which is the mapping's, and without anything that could break out of a policy or a log. */
const JDBC_URL = "^jdbc:mysql://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?([?][A-Za-z0-9._=&,:/-]*)?$";

/** In a URL they would be in the state, in Parameter Store and in logs. */
const CREDENTIALS = "[?&][^=&]*(user|password)[^=&]*=";

/** MariaDB's driver 2.7, which Flyway brings, passes over sslMode without a word, and connects in clear. */
const SSL_MODE = "[?&]sslmode=";
const USE_SSL = "[?&]usessl=";

/** PEM; one, or several one after the other. */
export const CERTIFICATES =
  "^(\\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----\\s*)+$";

/** What a message says of a certificate that is none. */
export const NO_CERTIFICATE =
  " is no PEM certificate: use what is in the PEM file of the authority, or of several, from -----BEGIN CERTIFICATE----- on.";

const SECRET_ARN = "^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]+$";

const SECURITY_GROUP = "^sg-[0-9a-f]+$";

/** What is left of a policy's 6,144 characters for the ARNs of targets' secrets, beside the cluster's own. */
const SECRETS_LENGTH = 5_500;

/** The rules of flyway_targets. */
export const TARGET_RULES: readonly Rule[] = [
  { each: "key", allowed: { matches: PATTERNS.flywayConf }, message: NO_CONF },
  {
    each: "entry",
    of: "url",
    allowed: {
      all: [{ matches: JDBC_URL, of: "url" }, { not: { matches: CREDENTIALS, of: "url", caseless: true } }],
    },
    message:
      " is no JDBC URL of a server: use one such as jdbc:mysql://host:3306, without a schema, a user and a password.",
  },
  required(
    "secret_arn",
    SECRET_ARN,
    " is no secret's ARN: use one such as arn:aws:secretsmanager:eu-central-1:123456789012:secret:name.",
  ),
  optional(
    "security_group_id",
    SECURITY_GROUP,
    " is no security group's id: use one such as sg-0123456789abcdef0.",
  ),
  {
    each: "entry",
    of: "url",
    allowed: {
      any: [
        { not: { matches: SSL_MODE, of: "url", caseless: true } },
        { matches: USE_SSL, of: "url", caseless: true },
      ],
    },
    message:
      " has sslMode, which Flyway's driver does not know: it would connect in clear. Leave it out, and set tls where the connection is not to be verified.",
  },
  optional(
    "tls",
    `^(${TLS.join("|")})$`,
    " is no way to connect: use verified (the default), unverified (encrypted, but whoever answers in the server's place is given the password) or cleartext (whoever is on the way reads the password and all data).",
  ),
  {
    each: "entry",
    name: "ca_certificate",
    allowed: {
      any: [
        { unset: true, of: "ca_certificate" },
        { matches: CERTIFICATES, of: "ca_certificate" },
      ],
    },
    message: NO_CERTIFICATE,
  },
  {
    each: "entry",
    of: "tls",
    allowed: {
      any: [
        { unset: true, of: "ca_certificate" },
        { is: "verified", of: "tls", otherwise: "verified" },
      ],
    },
    message: " does not verify with the ca_certificate that is there: remove one of the two.",
  },
  {
    each: "entry",
    of: "url",
    allowed: {
      any: [
        {
          all: [
            { unset: true, of: "tls" },
            { unset: true, of: "ca_certificate" },
          ],
        },
        { not: { matches: TLS_OPTION, of: "url", caseless: true } },
      ],
    },
    message: " sets its own options of TLS: remove those, or tls and ca_certificate.",
  },
  {
    total: "secret_arn",
    beside: 3,
    most: SECRETS_LENGTH,
    message: `flyway_targets: the secrets' ARNs are longer than ${SECRETS_LENGTH} characters together, and would not fit into the host's policy. Use fewer targets, or shorter names for the secrets.`,
  },
];
