import type { FlywayError } from "./record";

/** A failure of the database, or of the way to it, and what follows from it. */
export interface Failure {
  /** The server's error codes. */
  readonly codes?: readonly number[];
  /** Begins the SQLState; for what has no entry by its code. */
  readonly state?: string;
  /** A regular expression that the message matches: beside a code which is not enough, or where there is none. */
  readonly matches?: string;
  /** Whether it passes by itself, so that it is worth another try; else it needs a person. */
  readonly passes: boolean;
  /** What to do. */
  readonly remedy: string;
}

const WAIT = "nothing with the file: the next run tries it again, at the latest that of the reconcile";
const ENCRYPT =
  'the connection must be encrypted: set tls of this target in flyway_targets to "verified", and leave options of TLS out of its url';
const TRUST =
  'the server\'s certificate cannot be verified: set rds_ca_certificates, or ca_certificate of a target in flyway_targets, to the authority that issued it, and have the url name the host as the certificate does; or set tls of that target to "unverified"';
const GRANT = "give the secret's user the right that it lacks";
const ACCOUNT = "have the secret name an account that may log in from the host";

/**
 * Which failures pass by themselves, and which need a person; the first entry that fits. Whatever has none needs a
 * person. Codes and their meaning: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html,
 * https://dev.mysql.com/doc/mysql-errors/8.4/en/client-error-reference.html, https://mariadb.com/kb/en/mariadb-error-codes/
 *
 * The runner and the verdicts go by it, so what is tried again and what is said of it are one.
 */
export const FAILURES: readonly Failure[] = [
  // require_secure_transport of MySQL, of MariaDB
  { codes: [3159, 4151], passes: false, remedy: ENCRYPT },
  // A login with a key, which crosses an encrypted connection only
  { matches: "RSA public key is not available client side", passes: false, remedy: ENCRYPT },
  // Of the driver: unknown authority, expired, another name, none at all, no PEM file
  {
    matches:
      "PKIX path|valid certification path|[Hh]ostname verification failed|ssl not enabled in the server|CertificateExpired|Failed to find serverSslCert",
    passes: false,
    remedy: TRUST,
  },
  // No right to: a schema, a table, a column, what needs SUPER, a routine
  { codes: [1044, 1142, 1143, 1227, 1370], passes: false, remedy: GRANT },
  { codes: [1049], passes: false, remedy: "leave the database's name out of the target's url" },
  // This host may not log in; its plugin is unknown, or too old; locked; expired; locked after failures
  { codes: [1130, 1251, 1524, 1820, 1862, 3118, 3955], passes: false, remedy: ACCOUNT },
  // Full: the disk, a table
  { codes: [1021, 1114], passes: false, remedy: "make room on the database server" },
  // Login refused: the secret may just have been rotated
  { codes: [1045, 1698], passes: true, remedy: WAIT },
  // Too many connections: in all, of a user, by a limit; blocked after errors; out of memory
  { codes: [1040, 1203, 1226, 1129, 1041], passes: true, remedy: WAIT },
  // Shutting down, offline, not available
  { codes: [1053, 3032, 3168], passes: true, remedy: WAIT },
  // Connection lost: killed, by the network, interrupted, idle; by the client's own codes
  {
    codes: [1042, 1043, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 4031, 2002, 2003, 2006, 2013, 2055],
    passes: true,
    remedy: WAIT,
  },
  // A writer that has become a reader; 1290 is of other options too
  { codes: [1290], matches: "[Rr]ead[- ]only", passes: true, remedy: WAIT },
  { codes: [1792, 1836, 1874], passes: true, remedy: WAIT },
  // Another transaction in the way: of Flyway's own statements, which it repeats; lock wait, deadlock, commit undone
  { codes: [1205, 1213, 3058, 3100, 3101], passes: true, remedy: WAIT },
  { state: "08", passes: true, remedy: WAIT }, // no connection
  { state: "28", passes: true, remedy: WAIT }, // login refused
  { matches: "Unable to obtain connection", passes: true, remedy: WAIT },
];

/**
 * What kind of failure Flyway's error is; undefined where it is not of the database, or of none that is known. A
 * script of the bucket that fails is never one: it is not tried again by itself.
 */
export function failureOf(error: FlywayError): Failure | undefined {
  if (error.errorCode !== "DB_CONNECTION" || /\nLocation +: /.test(error.message)) return undefined;
  const code = error.sqlErrorCode ?? 0;
  const isSaid = ({ matches }: Failure) => matches === undefined || new RegExp(matches).test(error.message);
  return FAILURES.find((failure) => {
    if (failure.codes) return failure.codes.includes(code) && isSaid(failure);
    if (failure.matches) return code <= 0 && isSaid(failure); // drivers give 0 or -1 to what is their own
    return error.sqlState?.startsWith(failure.state as string);
  });
}

/** What a server forbids, or lacks, whatever else is in the script that fails; by its codes, as above. */
const CAUSES: readonly (readonly [codes: readonly number[], remedy: string])[] = [
  [[1419], "set log_bin_trust_function_creators to 1 in the cluster's parameter group"],
  [[1044, 1142, 1143, 1370], GRANT],
  [[1227], "leave out what needs a right that a managed server gives nobody, such as SUPER"],
  [[1449], "name a definer that exists, or write SQL SECURITY INVOKER, also in what was applied before"],
  [[3750], "give the table a primary key"],
  [[1193, 1694], "leave out what a dump sets for its own server: mysqldump --set-gtid-purged=OFF"],
  [[3948, 4166], "load the rows by INSERT: there is no local file here"],
];

/** What to do about what a server has against a script of the bucket; undefined where it is the script's own fault. */
export function causeOf({ sqlErrorCode }: FlywayError): string | undefined {
  return CAUSES.find(([codes]) => codes.includes(sqlErrorCode ?? 0))?.[1];
}
