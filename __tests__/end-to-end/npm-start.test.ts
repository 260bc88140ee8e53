import { type ChildProcess, execFile, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findExecutable } from "../../local/machine/processes";
import { columns, listens, processesNaming } from "../support/chain";
import { skipLoudly } from "../support/moto";
import { PROJECT } from "../support/project";

let folder: string;
let started: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "npm-start-"));
  started = [];
});
afterEach(async () => {
  for (const child of started) if (child.exitCode === null) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** Runs `npm start -- …`, with its temporary files in `folder`. */
function start(...args: string[]) {
  const child = spawn("npm", ["start", "--silent", "--", ...args], {
    cwd: PROJECT,
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  started.push(child);
  const run = {
    child,
    output: "",
    code: new Promise<number | null>((resolve) => child.once("close", resolve)),
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      run.output += chunk;
    });
  }
  return run;
}

/** Ctrl-C reaches the whole foreground process group. */
function interrupt(child: ChildProcess): void {
  process.kill(-(child.pid as number), "SIGINT");
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1_200; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited in vain for ${what}`);
}

function writeMigration(database: string, name: string, sql: string): void {
  const file = join(folder, "migrations", database, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, sql);
}

describe("npm start", () => {
  it("applies the examples in order, shows tables and history, exits 0 and leaves nothing; two at once", async () => {
    const runs = [start(), start()];
    for (const run of runs) {
      expect(await run.code, run.output).toBe(0);
      const verdicts = run.output.split("\n").filter((line) => / applied +\d+\.\d s$/.test(line));
      expect(verdicts.map((line) => line.split(" ")[0])).toEqual([
        "Users/V1__create_table_persons.sql",
        "Users/V2__alter_table_persons.sql",
        "Products/V1__create_table_products.sql",
      ]);
      expect(run.output).toMatch(/, MySQL \d|\nMariaDB stands in .* put its mysqld on PATH\.\n/);
      expect(run.output).toContain("Persons (PersonID int");
      expect(run.output).toContain("Email varchar(255)");
      expect(run.output).toContain("2  alter table persons  (V2__alter_table_persons.sql)  success");
    }
    expect(processesNaming(folder)).toEqual([]);
  });

  it("exits 1 on a migration that fails, and shows Flyway's message", async () => {
    writeMigration("Users", "V1__bad.sql", "CREATE TABEL Persons (id int);");
    const run = start("--migrations", join(folder, "migrations"));
    expect(await run.code).toBe(1);
    expect(run.output).toMatch(/Users\/V1__bad\.sql +failed/);
    expect(run.output).toContain("CREATE TABEL Persons");
  });

  it("uploads in Flyway's order: versions by number wherever they lie, repeatables last", async () => {
    writeMigration("my_shop", "V10__second.sql", "ALTER TABLE t ADD b int;");
    writeMigration("my_shop", "deep/er/V9__first.sql", "CREATE TABLE t (a int);");
    writeMigration("my_shop", "R__view.sql", "CREATE OR REPLACE VIEW v AS SELECT b FROM t;");
    const run = start("--migrations", join(folder, "migrations"));
    expect(await run.code, run.output).toBe(0);
    expect(run.output.match(/ applied /g)).toHaveLength(3);
  });

  it("runs another Flyway when asked for", async () => {
    const run = start("--flyway-version", "7.7.3");
    expect(await run.code, run.output).toBe(0);
    expect(run.output).toContain("Flyway 7.7.3");
    expect(run.output.match(/ applied /g)).toHaveLength(3);
  });

  it.each([
    { args: ["--migrations", "no-such-folder"], says: "no-such-folder" },
    { args: ["--flyway-version", "99.1"], says: "The archive of Flyway 99.1 is not known" },
    { args: ["--ready-file", "x"], says: "--ready-file goes with --serve" },
    { args: ["--reconcile-minutes", "5"], says: "--reconcile-minutes goes with --serve" },
    { args: ["--serve", "--reconcile-minutes", "soon"], says: "use a whole number from 0 to 720" },
    { args: ["--nonsense"], says: "--nonsense" },
  ])("refuses $args with the reason", async ({ args, says }) => {
    const run = start(...args);
    expect(await run.code).toBe(1);
    expect(run.output).toContain(says);
    expect(processesNaming(folder)).toEqual([]);
  });
});

describe("npm start -- --serve", () => {
  it("takes uploads by the AWS CLI, prints each verdict and what people would be told, and leaves nothing after Ctrl-C", async ({
    skip,
  }) => {
    if (!findExecutable(["aws"], [])) {
      skipLoudly("uploads by the AWS CLI", "the aws command is not on PATH");
      skip("there is no aws");
    }
    const readyFile = join(folder, "ready.json");
    const run = start("--serve", "--ready-file", readyFile);
    await until("the ready file", () => existsSync(readyFile) || run.child.exitCode !== null);
    const ready = JSON.parse(readFileSync(readyFile, "utf8"));
    expect(Object.keys(ready).sort()).toEqual(
      ["accessKeyId", "buckets", "database", "endpoint", "region", "secretAccessKey"].sort(),
    );
    expect(Object.keys(ready.buckets)).toEqual(["Users", "Products"]);
    expect(run.output).toContain(
      `aws --endpoint-url ${ready.endpoint} s3 cp V3__….sql s3://${ready.buckets.Users}/`,
    );

    const env = {
      ...process.env,
      AWS_ACCESS_KEY_ID: ready.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ready.secretAccessKey,
      AWS_DEFAULT_REGION: ready.region,
    };
    const upload = (name: string, sql: string) => {
      const file = join(folder, name);
      writeFileSync(file, sql);
      const words = ["--endpoint-url", ready.endpoint, "s3", "cp", file, `s3://${ready.buckets.Users}/`];
      return promisify(execFile)("aws", words, { env });
    };
    await upload("V3__add_phone.sql", "ALTER TABLE Persons ADD Phone varchar(32);");
    await until("the verdict", () => /Users\/V3__add_phone\.sql +applied/.test(run.output));
    const database = { ...ready.database, observer: ready.database };
    expect(await columns({ database }, "Users", "Persons")).toContain("Phone varchar");
    expect(run.output).not.toContain("Message:");
    await upload("V4__bad.sql", "ALTER TABEL Persons ADD Fax varchar(32);");
    await until("the message", () => run.output.includes("Message: Flyway: Users: Failed"));

    interrupt(run.child);
    await run.code; // npm's own, which a signal ends
    await until("the end of all processes", () => processesNaming(folder).length === 0);
    expect(existsSync(readyFile)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.startsWith("flyway-chain-"))).toEqual([]);
    expect(await listens(ready.database.port)).toBe(false);
    expect(await listens(Number(new URL(ready.endpoint).port))).toBe(false);
  });

  it("leaves nothing after a Ctrl-C while it starts", async () => {
    const run = start("--serve");
    await until("the first process", () => processesNaming(folder).length > 0);
    interrupt(run.child);
    expect(await run.code).not.toBe(0);
    await until("the end of all processes", () => processesNaming(folder).length === 0);
  });

  it("leaves nothing when it is killed", async () => {
    const readyFile = join(folder, "ready.json");
    const run = start("--serve", "--ready-file", readyFile);
    await until("the ready file", () => existsSync(readyFile) || run.child.exitCode !== null);
    process.kill(-(run.child.pid as number), "SIGKILL");
    await run.code;
    await until("the end of all processes", () => processesNaming(folder).length === 0);
  });
});
