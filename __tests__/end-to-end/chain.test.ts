import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Chain, startChain } from "../../local/chain";
import {
  columns,
  listens,
  migrate,
  processesNaming,
  query,
  remove,
  startTestChain,
  upload,
} from "../support/chain";

const example = (path: string) => readFileSync(join(__dirname, "..", "..", "migrations", path), "utf8");

let folder: string;
let before: string | undefined;
beforeAll(() => {
  before = process.env.TMPDIR;
  folder = mkdtempSync(join(tmpdir(), "chain test "));
  process.env.TMPDIR = folder; // with a space in it, as a user's may have
});
afterAll(() => {
  process.env.TMPDIR = before;
  if (before === undefined) delete process.env.TMPDIR;
  rmSync(folder, { recursive: true, force: true });
});

describe("the chain", () => {
  let chain: Chain;
  beforeAll(async () => {
    const databases = [
      "Users",
      "Products",
      "Altered",
      "Keys",
      "Twice",
      "Edited",
      "Failed",
      "Judged",
      "Secret",
    ];
    chain = await startTestChain({ databases });
  });
  afterAll(() => chain.stop());

  /** Uploads the example's first file, or its second. */
  const uploadPersons = (database: string, name: "V1__create_table_persons" | "V2__alter_table_persons") =>
    migrate(chain, database, `${name}.sql`, example(`Users/${name}.sql`));

  it("creates the database and its table when V1 is uploaded", async () => {
    expect(await uploadPersons("Users", "V1__create_table_persons")).toMatchObject({ verdict: "applied" });
    expect(await columns(chain, "Users", "Persons")).toEqual([
      "PersonID int",
      "LastName varchar",
      "FirstName varchar",
      "Address varchar",
      "City varchar",
    ]);
  });

  it("adds the column when V2 is uploaded", async () => {
    await uploadPersons("Altered", "V1__create_table_persons");
    expect(await uploadPersons("Altered", "V2__alter_table_persons")).toMatchObject({ verdict: "applied" });
    expect(await columns(chain, "Altered", "Persons")).toContain("Email varchar");
  });

  it("keeps one database's migrations out of the other", async () => {
    const sql = example("Products/V1__create_table_products.sql");
    expect(await migrate(chain, "Products", "V1__create_table_products.sql", sql)).toMatchObject({
      verdict: "applied",
    });
    expect(await columns(chain, "Products", "Products")).toContain("ProductID int");
    expect(await columns(chain, "Users", "Products")).toEqual([]);
  });

  it("applies a file whose key has a folder, a space, a + and letters beyond ASCII", async () => {
    const key = "release 2/V3__add a+b für Ä.sql";
    expect(await migrate(chain, "Keys", key, "CREATE TABLE Third (id int);")).toMatchObject({
      verdict: "applied",
    });
    expect(await columns(chain, "Keys", "Third")).toEqual(["id int"]);
  });

  it("says of the same file, uploaded again, that it is applied already", async () => {
    await uploadPersons("Twice", "V1__create_table_persons");
    expect(await uploadPersons("Twice", "V1__create_table_persons")).toMatchObject({
      verdict: "already-applied",
    });
    const history = await query(chain, "SELECT version FROM Twice.flyway_schema_history WHERE version = '1'");
    expect(history).toHaveLength(1);
  });

  it("refuses an applied file that was edited, and says so", async () => {
    await uploadPersons("Edited", "V1__create_table_persons");
    const edited = await migrate(chain, "Edited", "V1__create_table_persons.sql", "SELECT 1;");
    expect(edited.verdict).toBe("refused");
    expect(edited.message).toContain("checksum mismatch");
    expect(await uploadPersons("Edited", "V1__create_table_persons")).toMatchObject({
      verdict: "already-applied",
    });
  });

  it("refuses a misnamed file, and brings the bucket on once it is gone", async () => {
    const misnamed = await migrate(chain, "Products", "V2_no_table.sql", "SELECT 1;");
    expect(misnamed.verdict).toBe("refused");
    expect(misnamed.message).toContain("V2_no_table.sql");
    await remove(chain, "Products", "V2_no_table.sql");
    const named = await migrate(chain, "Products", "V2__table.sql", "CREATE TABLE Second (id int);");
    expect(named.verdict).toBe("applied");
  });

  it("fails a migration with a syntax error, shows Flyway's message and holds back what follows", async () => {
    const bad = await migrate(
      chain,
      "Failed",
      "V4__bad.sql",
      "CREATE TABLE Half (id int);\nCREATE TABLE bad bad;",
    );
    expect(bad.verdict).toBe("failed");
    expect(bad.message).toContain("You have an error in your SQL syntax");
    expect(bad.message).toContain("CREATE TABLE bad bad");
    const next = await migrate(chain, "Failed", "V5__next.sql", "CREATE TABLE Next (id int);");
    expect(next.verdict).toBe("refused");
    expect(next.message).toMatch(/^held back by V4__bad\.sql\n/);
    expect(await columns(chain, "Failed", "Next")).toEqual([]);
  });

  it("has one verdict for each version of each object", async () => {
    const files = [
      ["V1__a.sql", "SELECT 1;"],
      ["V1__a.sql", "SELECT 1;"],
      ["V1__a.sql", "SELECT 2;"],
      ["V1__a.sql", "SELECT 1;"],
      ["release 2/V2__bad.sql", "CREATE TABLE bad bad;"],
      ["V3__next.sql", "SELECT 1;"],
    ] as const;
    for (const [key, sql] of files) await migrate(chain, "Judged", key, sql);
    const judged = await chain.verdicts.of("Judged");
    expect(new Set(judged.map(({ versionId }) => versionId)).size).toBe(judged.length);
    expect(judged.map(({ key, verdict }) => `${key} ${verdict}`).sort()).toEqual([
      "V1__a.sql already-applied",
      "V1__a.sql already-applied",
      "V1__a.sql applied",
      "V1__a.sql refused",
      "V3__next.sql refused",
      "release 2/V2__bad.sql failed",
    ]);
  });

  it("writes the password into no file", async () => {
    await migrate(chain, "Secret", "V1__a.sql", "SELECT 1;");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((path) => !path.includes("/database/") && statSync(path).isFile());
    expect(files.some((path) => path.endsWith("_script.sh"))).toBe(true);
    expect(files.filter((path) => readFileSync(path).includes(chain.database.password))).toEqual([]);
  });
});

describe("a chain that ends", () => {
  it("leaves no process, no port and no file", async () => {
    const chain = await startTestChain();
    await upload(chain, "Users", "V1__slow.sql", "SELECT SLEEP(600);"); // a run is under way when it ends
    const ports = [Number(new URL(chain.endpoint).port), chain.database.port];
    expect(await Promise.all(ports.map(listens))).toEqual([true, true]);
    await chain.stop();
    expect(await Promise.all(ports.map(listens))).toEqual([false, false]);
    expect(processesNaming(folder)).toEqual([]);
    expect(readdirSync(folder).filter((name) => name.startsWith("flyway-chain-"))).toEqual([]);
  });

  it("leaves nothing when a part cannot be had", async () => {
    const start = startChain({
      databases: ["Users"],
      flywayVersion: "99.0",
      archives: {},
      say: () => {},
      complain: () => {},
      progress: () => {},
    });
    await expect(start).rejects.toThrow("The archive of Flyway 99.0 is not known");
    expect(processesNaming(folder)).toEqual([]);
    expect(readdirSync(folder).filter((name) => name.startsWith("flyway-chain-"))).toEqual([]);
  });
});
