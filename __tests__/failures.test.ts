import { describe, expect, it } from "vitest";
import { FAILURES, failureOf } from "../records/failures";
import type { FlywayError } from "../records/record";

/** As Flyway's releases say it: 12.5.0 and 11.8.2 with MariaDB's driver, 7.7.3 with MySQL's too. */
function error(sqlErrorCode: number | null, sqlState: string | null, message: string): FlywayError {
  return { errorCode: "DB_CONNECTION", sqlErrorCode, sqlState, message };
}

/** With all options that the host adds, which are no failure. */
const CONNECT =
  "Unable to obtain connection from database (jdbc:mysql://127.0.0.1:3306?allowLocalInfile=false&permitMysqlScheme=true&useSsl=true&sslMode=verify-full&serverSslCert=ca.pem) for user 'admin': ";

describe("a failure of the database", () => {
  it.each([
    [-1, "08000", `${CONNECT}Socket fail to connect to host:127.0.0.1, port:3306. Connection refused`],
    [0, "08S01", `\n${CONNECT}Communications link failure\n\nThe last packet sent successfully`],
    [1045, "28000", `${CONNECT}(conn=12) Access denied for user 'admin'@'127.0.0.1' (using password: YES)`],
    [1226, "42000", `${CONNECT}User 'lim' has exceeded the 'max_questions' resource (current value: 3)`],
    [1203, "42000", `${CONNECT}User limited already has more than 'max_user_connections' active connections`],
    [1040, "08004", `${CONNECT}Too many connections`],
    [1053, "08S01", "Server shutdown in progress"],
    [1129, "HY000", `${CONNECT}Host 'h' is blocked because of many connection errors`],
    [
      1290,
      "HY000",
      "Unable to create schema `s`\n---\nThe MySQL server is running with the --read-only option",
    ],
    [1836, "HY000", "Running in read-only mode"],
    [1927, "70100", "Connection was killed"],
    [2013, "HY000", "Lost connection to MySQL server during query"],
    [1205, "HY000", "Lock wait timeout exceeded; try restarting transaction"],
    [1213, "40001", "Deadlock found when trying to get lock; try restarting transaction"],
    [3100, "HY000", "Error on observer while running replication hook 'before_commit'."],
    [1317, "70100", "Query execution was interrupted"],
  ])("passes by itself: %s, %s, %s", (code, state, message) => {
    expect(failureOf(error(code, state, message))).toMatchObject({
      passes: true,
      remedy: expect.stringContaining("nothing with the file"),
    });
  });

  it.each([
    [
      3159,
      "HY000",
      `${CONNECT}(conn=34) Connections using insecure transport are prohibited`,
      /encrypted.*tls/,
    ],
    [3159, "08004", `${CONNECT}Connections using insecure transport are prohibited`, /encrypted.*tls/],
    [4151, "08004", `${CONNECT}Connections using insecure transport are prohibited`, /encrypted.*tls/],
    [
      0,
      "S1009",
      `${CONNECT}RSA public key is not available client side (option serverRsaPublicKeyFile`,
      /tls/,
    ],
    [
      -1,
      "08000",
      `${CONNECT}PKIX path building failed: SunCertPathBuilderException: unable to find valid certification path`,
      /verified.*ca_certificate/,
    ],
    [
      -1,
      "08000",
      `${CONNECT}PKIX path validation failed: CertificateExpiredException: NotAfter`,
      /ca_certificate/,
    ],
    [
      -1,
      "08006",
      `${CONNECT}(conn=76) SSL hostname verification failed : IPv4 host`,
      /as the certificate does/,
    ],
    [-1, "08000", `${CONNECT}Trying to connect with ssl, but ssl not enabled in the server`, /tls/],
    [0, "08", `${CONNECT}Failed to find serverSslCert file. serverSslCert=ca.pem`, /ca_certificate/],
    [
      1044,
      "42000",
      "Unable to create schema `s`\n---\nAccess denied for user 'lim'@'%' to database 's'",
      /right/,
    ],
    [1142, "42000", "SELECT command denied to user 'lim'@'127.0.0.1'", /right/],
    [1049, "42000", `${CONNECT}Unknown database 'nodb'`, /url/],
    [1130, "HY000", `${CONNECT}Host '10.0.0.1' is not allowed to connect`, /log in from the host/],
    [3118, "HY000", `${CONNECT}Access denied for user 'lim'@'127.0.0.1'. Account is locked.`, /account/],
    [1862, "HY000", `${CONNECT}Your password has expired.`, /account/],
  ] as const)("needs a person, who is told what to do: %s, %s, %s", (code, state, message, remedy) => {
    expect(failureOf(error(code, state, message))).toMatchObject({
      passes: false,
      remedy: expect.stringMatching(remedy),
    });
  });

  it("is not known by words where the server gave a code", () => {
    expect(failureOf(error(1064, "42000", "near 'PKIX path, read-only'"))).toBeUndefined();
    expect(failureOf(error(1290, "HY000", "running with the --secure-file-priv option"))).toBeUndefined();
    expect(failureOf(error(1146, "42S02", `${CONNECT}read-only`))).toBeUndefined();
  });

  it("is none of a script of the bucket, which is not tried again by itself", () => {
    const callback =
      "Error while executing beforeMigrate callback: Failed to execute script beforeMigrate.sql\n---\nSQL State  : HY000\nError Code : 1205\nMessage    : x\nLocation   : /sql/beforeMigrate.sql (/sql/beforeMigrate.sql)\n";
    expect(failureOf(error(1205, "HY000", callback))).toBeUndefined();
    expect(
      failureOf({ errorCode: "FAILED_VERSIONED_MIGRATION", message: "x", sqlErrorCode: 1205 }),
    ).toBeUndefined();
  });
});

describe("the table", () => {
  it("has one way to know each, and each code once", () => {
    const codes = FAILURES.flatMap((failure) => failure.codes ?? []);
    expect(new Set(codes).size).toBe(codes.length);
    for (const { codes, matches, state } of FAILURES) {
      expect([codes, matches, state].some((way) => way !== undefined)).toBe(true);
      expect(state === undefined || (codes === undefined && matches === undefined)).toBe(true);
    }
  });
});
