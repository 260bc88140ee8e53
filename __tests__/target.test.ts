import { describe, expect, it } from "vitest";
import type { Target } from "../deployment/mapping";
import { connectionTo } from "../runner/target";

const ca = { url: "s3://artifacts/ca.pem", sha256: "a".repeat(64) };
const to = (target: Partial<Target> = {}) =>
  connectionTo({ url: "jdbc:mysql://db:3307", secret: "s", ca, ...target });

describe("the connection to a target", () => {
  it.each<[string, Partial<Target>, RegExp]>([
    ["is verified where nothing is said", {}, /&useSsl=true&sslMode=verify-full&serverSslCert=a{64}\.pem$/],
    ["is verified where that is said", { tls: "verified" }, /&sslMode=verify-full&/],
    [
      "takes any certificate",
      { tls: "unverified" },
      /&useSsl=true&trustServerCertificate=true&sslMode=trust$/,
    ],
    ["is in clear", { tls: "cleartext" }, /&useSsl=false&sslMode=disable$/],
  ])("%s, for the drivers 2 and 3 of MariaDB", (_, target, url) => {
    expect(to(target).url).toMatch(url);
    expect(to(target).url).toContain("&permitMysqlScheme=true");
    expect(to(target).options).toEqual(["-driver=org.mariadb.jdbc.Driver"]);
    expect(to(target).tls).toBe(target.tls ?? "verified");
  });

  it.each<[string, "verified" | "unverified" | "cleartext"]>([
    ["useSSL=true", "verified"],
    ["sslMode=VERIFY_CA", "verified"],
    ["a=b&useSsl=false", "cleartext"],
    ["sslMode=disable", "cleartext"],
    ["sslMode=DISABLED&x=y", "cleartext"],
    ["useSsl=true&trustServerCertificate=true", "unverified"],
    ["enabledTLSProtocols=TLSv1.3", "verified"],
    ["trustStore=/x", "verified"],
    ["keystore=/x", "verified"],
  ])("is left alone where the URL has ?%s", (options, tls) => {
    const url = `jdbc:mysql://db/?${options}`;
    expect(to({ url })).toEqual({
      host: "db",
      port: 3306,
      url: `${url}&allowLocalInfile=false`,
      options: [],
      tls,
    });
  });

  it("is not one that sets its options of TLS for an option whose value has such a word", () => {
    expect(to({ url: "jdbc:mysql://db/?user=ssl" }).tls).toBe("verified");
    expect(to({ url: "jdbc:mysql://db/?user=ssl" }).url).toContain("verify-full");
  });

  it.each([
    ["jdbc:mysql://db:3307", "db", 3307],
    ["jdbc:mysql://db", "db", 3306],
    ["jdbc:mariadb://db.example:13306/?x=y", "db.example", 13306],
  ])("of %s is to host and port", (url, host, port) => {
    expect(to({ url })).toMatchObject({ host, port });
  });

  it("lets no migration read files of the host, whatever the URL has", () => {
    for (const url of ["jdbc:mysql://db", "jdbc:mysql://db?a=b", "jdbc:mysql://db/?allowLocalInfile=true"]) {
      expect(to({ url }).url).toMatch(/[?&]allowLocalInfile=false(&|$)/);
    }
  });

  it("is refused where it is to be verified, and no authorities are named", () => {
    expect(() => to({ ca: undefined })).toThrow("names no CA certificates");
    expect(to({ ca: undefined, tls: "unverified" }).ca).toBeUndefined();
  });
});
