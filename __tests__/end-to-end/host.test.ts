import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DEFAULT_FLYWAY_VERSION } from "../../deployment/databases";
import type { Chain } from "../../local/chain";
import { cacheFolder } from "../../local/machine/downloads";
import { migrate, query, remove, startTestChain, upload } from "../support/chain";
import { s3Request } from "../support/s3";
import { schemaErrors } from "../support/schema";

/** The host installs releases into a folder of its own here, from a server of its own. */
describe("the host", () => {
  let folder: string;
  let chain: Chain;
  let server: Server;
  let archive: Buffer;
  let downloads = 0;

  beforeAll(async () => {
    const warm = await startTestChain(); // has the real Flyway installed, which the archives below lead to
    try {
      await migrate(warm, "Users", "V1__warm.sql", "SELECT 1;");
    } finally {
      await warm.stop();
    }
    folder = mkdtempSync(join(tmpdir(), "host-"));
    mkdirSync(join(folder, "flyway-x"));
    const real = join(cacheFolder(), "releases", DEFAULT_FLYWAY_VERSION, "flyway");
    writeFileSync(join(folder, "flyway-x", "flyway"), `#!/bin/sh\nexec '${real}' "$@"\n`, { mode: 0o755 });
    archive = execFileSync("tar", ["-cz", "-C", folder, "flyway-x"]);
    server = createServer((_, response) => {
      downloads++;
      response.end(archive);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const databases = ["Users", "Products", "Unchecked", "Unknown", "Untargeted"];
    chain = await startTestChain({ databases, releases: join(folder, "releases") });
    publish("90.2", createHash("sha256").update(archive).digest("hex"));
    for (const database of ["Users", "Products"]) chain.configure(database, { flywayVersion: "90.2" });
  });
  afterAll(async () => {
    await chain.stop();
    server.close();
    rmSync(folder, { recursive: true });
  });

  function publish(version: string, sha256: string): void {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/flyway.tar.gz`;
    chain.parameters.set(`/flyway/archive/${version}`, JSON.stringify({ url, sha256 }));
  }

  const installed = () => (existsSync(join(folder, "releases")) ? readdirSync(join(folder, "releases")) : []);

  it("refuses an archive with another checksum, and installs nothing", async () => {
    publish("90.1", "0".repeat(64));
    chain.configure("Unchecked", { flywayVersion: "90.1" });
    const judged = await migrate(chain, "Unchecked", "V1__a.sql", "CREATE TABLE A (id int);");
    expect(judged.verdict).toBe("failed");
    expect(judged.message).toContain(`does not have the SHA-256 ${"0".repeat(64)}`);
    expect(installed()).toEqual([]);
  });

  it("installs a release on demand, once for two runs at once, and goes on with what failed before", async () => {
    chain.configure("Users", { flywayVersion: "90.4" }); // has no archive
    const failed = await migrate(chain, "Users", "V1__a.sql", "CREATE TABLE A (id int);");
    expect(failed.verdict).toBe("failed");
    const before = downloads;
    chain.configure("Users", { flywayVersion: "90.2" });
    const judged = await Promise.all([
      migrate(chain, "Users", "V2__b.sql", "CREATE TABLE B (id int);"),
      migrate(chain, "Products", "V1__a.sql", "CREATE TABLE A (id int);"),
    ]);
    expect(judged.map(({ verdict }) => verdict)).toEqual(["applied", "applied"]);
    expect(downloads - before).toBe(1);
    expect(installed()).toEqual(["90.2"]);
    expect((await chain.verdicts.of("Users")).map(({ key, verdict }) => `${key} ${verdict}`)).toEqual([
      "V1__a.sql applied",
      "V2__b.sql applied",
    ]);
  });

  it("names the variable to set for a version whose archive is not known", async () => {
    chain.configure("Unknown", { flywayVersion: "90.3" });
    const judged = await migrate(chain, "Unknown", "V1__a.sql", "SELECT 1;");
    expect(judged.verdict).toBe("failed");
    expect(judged.message).toContain("add its URL and SHA-256 to flyway_archives");
  });

  it("names a target that is not there", async () => {
    chain.configure("Untargeted", { flywayVersion: "90.2", flywayConf: "other.conf" });
    const judged = await migrate(chain, "Untargeted", "V1__a.sql", "SELECT 1;");
    expect(judged.verdict).toBe("failed");
    expect(judged.message).toContain("no target is named other.conf");
  });

  it("migrates once for three uploads at once: one runs, one waits, the third is covered", async () => {
    const keys = ["V5__e.sql", "V6__f.sql", "V7__g.sql"];
    await Promise.all(keys.map((key, i) => upload(chain, "Users", key, `CREATE TABLE T${i} (id int);`)));
    const judged = await Promise.all(keys.map((key) => chain.verdicts.wait("Users", key)));
    expect(judged.map(({ verdict }) => verdict)).toEqual(["applied", "applied", "applied"]);
    expect(new Set(judged.map(({ commandId }) => commandId)).size).toBeLessThanOrEqual(2);
  });

  it("refuses a key that is no file name, by that key", async () => {
    const judged = await migrate(chain, "Products", "V3__odd.sql//x.sql", "SELECT 1;");
    expect(judged.verdict).toBe("refused");
    expect(judged.message).toMatch(/no file name.*\nTo do: delete it$/);
    await remove(chain, "Products", "V3__odd.sql//x.sql");
    expect(await migrate(chain, "Products", "V3__even.sql", "SELECT 1;")).toMatchObject({
      verdict: "applied",
    });
  });

  it("lets no migration read a file of the host", async () => {
    const judged = await migrate(
      chain,
      "Products",
      "V4__read.sql",
      "CREATE TABLE Loot (l text);\nLOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE Loot;",
    );
    expect(judged.verdict).toBe("failed");
    expect(await query(chain, "SELECT * FROM Products.Loot")).toEqual([]);
  });

  it("runs no script that lies in the bucket", async () => {
    const proof = join(folder, "proof");
    const keys = ["beforeMigrate.sh", "V50__evil.sh", "beforeMigrate.py"];
    for (const key of keys) await upload(chain, "Users", key, `#!/bin/sh\ntouch '${proof}'\n`);
    const judged = await migrate(chain, "Users", "V51__good.sql", "CREATE TABLE Good (id int);");
    expect(judged.verdict).toBe("applied");
    for (const key of keys) {
      expect(await chain.verdicts.wait("Users", key)).toMatchObject({
        verdict: "refused",
        message: expect.stringMatching(/^only \.sql files are run here/),
      });
      await remove(chain, "Users", key);
    }
    expect(existsSync(proof)).toBe(false);
  });

  it("takes a key with a newline, and refuses one below .flyway/", async () => {
    expect(await migrate(chain, "Users", "V52__new\nline.sql", "SELECT 1;")).toMatchObject({
      verdict: "applied",
    });
    const damaged = { recordVersion: 1, number: 1, objects: [null], refused: [], flyway: {} };
    await upload(chain, "Users", ".flyway/runs/zz.json", JSON.stringify(damaged));
    expect(await migrate(chain, "Users", ".flyway/runs/V53__x.sql", "SELECT 1;")).toMatchObject({
      verdict: "refused",
    });
  });

  it("leaves a record that names objects, versions and times, and no secret", async () => {
    const { key, versionId } = await migrate(chain, "Users", "V60__r.sql", "CREATE TABLE R (id int);");
    const bucket = chain.buckets.Users as string;
    const get = async (path: string) => (await s3Request(chain, "GET", bucket + path)).text();
    const keys = (await get("?list-type=2&prefix=.flyway/")).matchAll(/<Key>([^<]+\.json)<\/Key>/g);
    const listed = [...keys].filter(([, name]) => name !== ".flyway/runs/zz.json"); // a test above put it there
    expect(listed.length).toBeGreaterThan(0);
    expect(
      listed.every(([, name]) =>
        /^\.flyway\/runs\/\d{8}-\d{8}T\d{6}-[0-9a-f-]{36}\.json$/.test(name as string),
      ),
    ).toBe(true);
    const text = await get(`/${listed.at(-1)?.[1]}`);
    const record = JSON.parse(text);
    expect(schemaErrors(record)).toEqual([]);
    expect(record).toMatchObject({ recordVersion: 2, bucket, schema: "Users", exitCode: 0, reason: null });
    expect(record.objects).toContainEqual(expect.objectContaining({ key, versionId, size: 24 }));
    expect(Date.parse(record.finishedAt)).toBeGreaterThanOrEqual(Date.parse(record.startedAt));
    expect(text).not.toContain(chain.database.password);
  });
});
