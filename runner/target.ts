import { type Source, type Target, TLS_OPTION } from "../deployment/mapping";

/** How Flyway is to connect, and the runner's own look at the database. */
export interface Connection {
  /** JDBC URL, with all options. */
  readonly url: string;
  /** Flyway's options that go with it. */
  readonly options: readonly string[];
  readonly host: string;
  readonly port: number;
  /** Not encrypted; encrypted, whoever answers; encrypted, and verified with `ca`, else with the system's authorities. */
  readonly tls: "cleartext" | "unverified" | "verified";
  /** The authorities to download. */
  readonly ca?: Source;
}

/** A URL that sets its own options of TLS is left alone. */
const OWN_TLS = new RegExp(TLS_OPTION, "i");

const PORT = 3306;

/** The file of authorities with that SHA-256, in the folder where Flyway is started. */
export function caFile(sha256: string): string {
  return `${sha256}.pem`;
}

/**
 * Has the connection encrypted and verified, as the target says. MariaDB's driver is in each release of Flyway; its 2 heeds useSsl,
 * its 3 sslMode, and each passes over what it does not know. Before 8.2 there is MySQL's own too, which takes no
 * PEM file, so the driver is named.
 *
 * @throws if a connection is to be verified, and no authorities are named
 */
export function connectionTo({ url: targetUrl, tls = "verified", ca }: Target): Connection {
  const [, host = "localhost", port] = /^jdbc:\w+:\/\/([^:/?]+)(?::(\d+))?/.exec(targetUrl) ?? [];
  const where = { host, port: Number(port ?? PORT) };
  // Else LOAD DATA LOCAL INFILE reads this host's files
  const base = `${targetUrl}${targetUrl.includes("?") ? "&" : "?"}allowLocalInfile=false`;
  if (OWN_TLS.test(targetUrl)) return { ...where, url: base, options: [], tls: tlsOf(targetUrl) };
  const url = `${base}&permitMysqlScheme=true`; // MariaDB's 3 is else for jdbc:mariadb alone
  const options = ["-driver=org.mariadb.jdbc.Driver"];
  if (tls === "cleartext") return { ...where, url: `${url}&useSsl=false&sslMode=disable`, options, tls };
  if (tls === "unverified") {
    return { ...where, url: `${url}&useSsl=true&trustServerCertificate=true&sslMode=trust`, options, tls };
  }
  if (!ca) throw new Error("names no CA certificates");
  const verified = `${url}&useSsl=true&sslMode=verify-full&serverSslCert=${caFile(ca.sha256)}`;
  return { ...where, url: verified, options, tls, ca };
}

/** What a URL's own options mean, for the runner's look at the database; at worst it has no connection. */
function tlsOf(url: string): Connection["tls"] {
  const isSet = (option: RegExp) => option.test(url);
  if (isSet(/[?&]trustServerCertificate=true(&|$)/i) || isSet(/[?&]sslMode=trust(&|$)/i)) return "unverified";
  if (isSet(/[?&]useSsl=false(&|$)/i) || isSet(/[?&]sslMode=disabled?(&|$)/i)) return "cleartext";
  return "verified";
}
