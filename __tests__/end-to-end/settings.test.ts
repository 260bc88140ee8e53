import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { officialArchives } from "../../deployment/archives";
import { mappingName, type Target } from "../../deployment/mapping";
import type { Chain } from "../../local/chain";
import { startDatabase } from "../../local/machine/database";
import { findFlyway } from "../../local/machine/flyway";
import { columns, migrate, query, startTestChain, upload } from "../support/chain";
import { mysqld } from "../support/mysql";

const CREATE = "CREATE TABLE t (a VARCHAR(99));";

describe("flyway_database_settings", () => {
  let chain: Chain;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "settings-"));
    const databases = ["Filled", "Renamed", "Strict", "Loose", "Late", "Old", "Far", "Broken"];
    chain = await startTestChain({ databases });
  });
  afterAll(async () => {
    await chain?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("fill in placeholders as they stand, whatever a shell would make of them", async () => {
    const value = '$(id) `id` "a" = b; -c *';
    chain.configure("Filled", { placeholders: { app_owner: value } });
    const sql = `${CREATE} INSERT INTO t VALUES ('\${app_owner}');`;
    expect(await migrate(chain, "Filled", "V1__a.sql", sql)).toMatchObject({ verdict: "applied" });
    expect(await query(chain, "SELECT a FROM Filled.t")).toEqual([{ a: value }]);
  });

  it("say of a placeholder without a value that it has none", async () => {
    const judged = await migrate(chain, "Filled", "V2__b.sql", "INSERT INTO t VALUES ('${other}');");
    expect(judged).toMatchObject({ verdict: "refused", message: expect.stringContaining("${other}") });
  });

  it("lead to another schema", async () => {
    chain.configure("Renamed", { schema: "another-one" });
    expect(await migrate(chain, "Renamed", "V1__a.sql", CREATE)).toMatchObject({ verdict: "applied" });
    expect(await columns(chain, "another-one", "t")).toEqual(["a varchar"]);
    expect(await columns(chain, "Renamed", "t")).toEqual([]);
  });

  it.each([
    ["Strict", undefined, "refused"],
    ["Loose", true, "applied"],
  ] as const)(
    "have a version below the newest applied one, in %s with outOfOrder %s, %s",
    async (database, outOfOrder, verdict) => {
      chain.configure(database, { outOfOrder });
      expect(await migrate(chain, database, "V2__b.sql", CREATE)).toMatchObject({ verdict: "applied" });
      expect(await migrate(chain, database, "V1__a.sql", "CREATE TABLE s (a INT);")).toMatchObject({
        verdict,
      });
      expect(await columns(chain, database, "s")).toHaveLength(verdict === "applied" ? 1 : 0);
    },
  );

  it("skip what a schema that is not empty had before its baseline", async () => {
    await query(chain, "CREATE SCHEMA Late");
    await query(chain, "CREATE TABLE Late.t (a INT)");
    chain.configure("Late", { baselineVersion: "1" });
    await upload(chain, "Late", "V1__a.sql", CREATE);
    const sql = "ALTER TABLE t ADD b INT;";
    expect(await migrate(chain, "Late", "V2__b.sql", sql)).toMatchObject({ verdict: "applied" });
    expect(await columns(chain, "Late", "t")).toEqual(["a int", "b int"]);
  });

  it("migrate one database with another Flyway", async () => {
    const archives = await officialArchives(process.env.MAVEN_REPOSITORY);
    const { version, archive } = await findFlyway("7.7.3", archives, folder, () => {});
    chain.parameters.set(`/flyway/archive/${version}`, JSON.stringify(archive));
    chain.configure("Old", { flywayVersion: version });
    expect(await migrate(chain, "Old", "V1__a.sql", CREATE)).toMatchObject({ verdict: "applied" });
    const records = await chain.verdicts.of("Old");
    expect(records.map(({ verdict }) => verdict)).toEqual(["applied"]);
    expect(await columns(chain, "Old", "t")).toEqual(["a varchar"]);
  });

  it("lead to another server, of flyway_targets, with its own secret", async () => {
    const server = await startDatabase(folder, { say: () => {}, progress: () => {}, program: mysqld() });
    try {
      const secret = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:far";
      const url = `jdbc:mysql://localhost:${server.port}`;
      chain.secrets.set(secret, JSON.stringify({ username: server.user, password: server.password }));
      const caFile = join(folder, "ca.pem");
      writeFileSync(caFile, server.ca);
      const ca = { url: `file://${caFile}`, sha256: createHash("sha256").update(server.ca).digest("hex") };
      const target: Target = { url, secret, ca };
      chain.parameters.set("/flyway/target/far.conf", JSON.stringify(target));
      chain.configure("Far", { flywayConf: "far.conf" });
      expect(await migrate(chain, "Far", "V1__a.sql", CREATE)).toMatchObject({ verdict: "applied" });
      expect(await columns({ database: server }, "Far", "t")).toEqual(["a varchar"]);
      expect(await columns(chain, "Far", "t")).toEqual([]);
    } finally {
      await server.stop();
    }
  });

  it("that are wrong fail the upload, name the parameter, and bring the bucket on once they are right", async () => {
    chain.configure("Broken", { baselineVersion: "-x" });
    const name = mappingName("/flyway", chain.buckets.Broken as string);
    expect(await migrate(chain, "Broken", "V1__a.sql", CREATE)).toMatchObject({
      verdict: "failed",
      message: expect.stringMatching(
        `^Parameter ${name} has no valid "baselineVersion": "-x" .*: apply the Terraform configuration again`,
      ),
    });
    expect(await columns(chain, "Broken", "t")).toEqual([]);

    chain.configure("Broken", { baselineVersion: "0" });
    expect(await migrate(chain, "Broken", "V2__b.sql", "SELECT 1;")).toMatchObject({ verdict: "applied" });
    const verdicts = (await chain.verdicts.of("Broken")).map(({ key, verdict }) => [key, verdict]);
    expect(verdicts.sort()).toEqual([
      ["V1__a.sql", "applied"],
      ["V2__b.sql", "applied"],
    ]);
  });
});
