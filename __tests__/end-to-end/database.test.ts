import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  connectTo,
  type Database,
  installCommand,
  missingLibrary,
  productOf,
  type Server,
  startDatabase,
} from "../../local/machine/database";
import { runs } from "../support/processes";

/** Ports to propose before free ones. */
const ports: number[] = vi.hoisted(() => []);
vi.mock("../../local/machine/processes", async (original) => {
  const real = await original<typeof import("../../local/machine/processes")>();
  return { ...real, freePort: async () => ports.shift() ?? real.freePort() };
});

const POLLING = { timeout: 120_000, interval: 50 };
const OPTIONS = { say: () => {}, progress: () => {} };
const folders: string[] = [];

function folder(name = "database-"): string {
  const path = mkdtempSync(join(tmpdir(), name));
  folders.push(path);
  return path;
}
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

function login(server: Partial<Server> & Pick<Server, "port">, user: string, password: string) {
  return connectTo({ host: "127.0.0.1", ca: "", ...server }, { user, password });
}

async function ask(database: Database, ...statements: string[]): Promise<RowDataPacket[]> {
  const connection = await login(database, database.user, database.password);
  try {
    let rows: unknown;
    for (const statement of statements) [rows] = await connection.query(statement);
    return rows as RowDataPacket[];
  } finally {
    await connection.end();
  }
}

/** The server's process id, from the file that it keeps in its data folder. */
function pidIn(directory: string): number {
  return Number(readFileSync(join(directory, "data", "server.pid"), "utf8"));
}

describe("a private database", () => {
  // Longer than a socket's path may be.
  const directory = folder(`${"long".repeat(30)}-`);
  let database: Database;
  beforeAll(async () => {
    database = await startDatabase(directory, OPTIONS);
  });
  afterAll(() => database?.stop());

  it("says what it is", async () => {
    expect(database.product).toMatch(/^(MariaDB|MySQL) \d+\.\d+\.\d+$/);
    const [row] = await ask(database, "SELECT VERSION() AS version");
    expect(row?.version).toContain(database.product.split(" ")[1]);
  });

  it("lets admin do what a master user does", async () => {
    const rows = await ask(
      database,
      "CREATE DATABASE products",
      "CREATE TABLE products.t (a INT PRIMARY KEY, b VARCHAR(9))",
      "INSERT INTO products.t VALUES (1, 'ü€😀')",
      "CREATE USER reader@'%' IDENTIFIED BY 'secret'",
      "GRANT SELECT ON products.* TO reader@'%'",
      "SELECT b FROM products.t",
    );
    expect(rows).toEqual([{ b: "ü€😀" }]);
    const reader = await login(database, "reader", "secret");
    await expect(reader.query("DELETE FROM products.t")).rejects.toThrow(/denied/);
    await reader.end();
  });

  it.skipIf(process.platform === "darwin")("tells table names by their case", async () => {
    const rows = await ask(
      database,
      "CREATE DATABASE cases",
      "CREATE TABLE cases.Orders (a INT)",
      "CREATE TABLE cases.orders (a INT)",
      "SHOW TABLES FROM cases",
    );
    expect(rows).toHaveLength(2);
  });

  it("has a password of 24 letters and digits", () => {
    expect(database.user).toBe("admin");
    expect(database.password).toMatch(/^[A-Za-z0-9]{24}$/);
  });

  it.each([
    ["admin", "wrong"],
    ["admin", ""],
    ["root", ""],
    ["", ""],
    ["mysql", ""],
  ])("refuses %j with the password %j", async (user, password) => {
    await expect(login(database, user, password)).rejects.toMatchObject({
      code: expect.stringMatching(
        /ER_ACCESS_DENIED_ERROR|ER_HOST_NOT_PRIVILEGED|ER_ACCESS_DENIED_NO_PASSWORD_ERROR/,
      ),
    });
  });

  it("takes no connection in clear", async () => {
    const { host, port, user, password } = database;
    await expect(createConnection({ host, port, user, password })).rejects.toMatchObject({
      code: "ER_SECURE_TRANSPORT_REQUIRED",
    });
  });

  it("leaves no account without a password that somebody could use", async () => {
    const rows = await ask(database, "SELECT User, Host FROM mysql.user WHERE User IN ('', 'root')");
    expect(rows).toEqual([{ User: "root", Host: "localhost" }]);
    const [row] = await ask(
      database,
      "SELECT authentication_string AS hash FROM mysql.user WHERE User = 'root' AND Host = 'localhost'",
    );
    expect(String(row?.hash)).not.toBe("");
  });

  it("listens on the loopback address only", async () => {
    const others = Object.values(networkInterfaces())
      .flat()
      .filter((address) => address?.family === "IPv4" && !address.internal);
    for (const address of others) {
      const elsewhere = { host: address?.address as string, port: database.port };
      await expect(login(elsewhere, database.user, database.password)).rejects.toThrow(/ECONNREFUSED/);
    }
  });

  it("keeps its password out of the folder and of the command line", () => {
    expect(readdirSync(directory).sort()).toEqual(["data", "database.log"]);
    expect(readFileSync(join(directory, "database.log"), "utf8")).not.toContain(database.password);
    if (!existsSync("/proc/self/cmdline")) return;
    const line = readFileSync(`/proc/${pidIn(directory)}/cmdline`, "utf8");
    expect(line).toContain("--bind-address=127.0.0.1");
    expect(line).not.toContain(database.password);
  });

  it("takes another port when its port was taken in the meantime", async () => {
    ports.push(database.port);
    const other = await startDatabase(folder(), OPTIONS);
    expect(ports).toEqual([]);
    expect(other.port).not.toBe(database.port);
    expect(await ask(other, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await other.stop();
  });

  it("runs beside another, and after stop nothing of it is left", async () => {
    const elsewhere = folder();
    const other = await startDatabase(elsewhere, OPTIONS);
    expect(other.port).not.toBe(database.port);
    expect(other.password).not.toBe(database.password);
    await ask(other, "CREATE DATABASE only_here");
    expect(await ask(database, "SHOW DATABASES LIKE 'only_here'")).toEqual([]);

    const pid = pidIn(elsewhere);
    expect(runs(pid)).toBe(true);
    await other.stop();
    expect(runs(pid)).toBe(false);
    await expect(login(other, other.user, other.password)).rejects.toThrow(/ECONNREFUSED/);
    expect(readdirSync(elsewhere)).toEqual(["database.log"]);
    expect(readFileSync(join(elsewhere, "database.log"), "utf8")).toMatch(/Shutdown complete/i);
    expect(await ask(database, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });
});

it("dies with its owner, even when that is killed by SIGKILL", async () => {
  const directory = folder();
  const script = join(folder(), "owner.ts");
  writeFileSync(
    script,
    `import { startDatabase } from ${JSON.stringify(resolve("local/machine/database.ts"))};
     startDatabase(${JSON.stringify(directory)}, { say() {}, progress() {} }).then(({ host, port }) => {
       process.send?.({ host, port });
     });`,
  );
  const owner = fork(script, { execArgv: ["--import", "tsx"] });
  const [where] = (await once(owner, "message")) as [Pick<Server, "host" | "port">];
  const pid = pidIn(directory);
  expect(runs(pid)).toBe(true);
  owner.kill("SIGKILL");
  await vi.waitFor(() => expect(runs(pid)).toBe(false), POLLING);
  await vi.waitFor(() => expect(login(where, "admin", "")).rejects.toThrow(/ECONNREFUSED/), POLLING);
  await vi.waitFor(() => expect(existsSync(join(directory, "data"))).toBe(false), POLLING);
});

it("tells the end of the log when a server does not start, and leaves no data", async () => {
  const directory = folder();
  const bin = folder();
  const broken = `#!/bin/sh
case "$*" in *--version*) echo "mysqld Ver 8.4.3"; exit ;; *--initialize*) mkdir data; exit 0 ;; esac
echo "InnoDB: the cat sat on the keyboard" >&2
exit 1
`;
  writeFileSync(join(bin, "mysqld"), broken, { mode: 0o755 });
  // No other platform, so no other server either.
  const arch = Object.getOwnPropertyDescriptor(process, "arch") as PropertyDescriptor;
  vi.stubEnv("PATH", `${bin}:${process.env.PATH}`);
  Object.defineProperty(process, "arch", { ...arch, value: "mips" });
  const lines: string[] = [];
  try {
    const failure = startDatabase(directory, { ...OPTIONS, say: (line) => lines.push(line) });
    await expect(failure).rejects.toThrow(
      /database\.log:\n.*the cat sat on the keyboard\nInstall a server: /s,
    );
  } finally {
    Object.defineProperty(process, "arch", arch);
    vi.unstubAllEnvs();
  }
  expect(lines.join()).toContain(`${join(bin, "mysqld")} doesn't start`);
  expect(existsSync(join(directory, "accounts.sql"))).toBe(false);
  expect(existsSync(join(directory, "data"))).toBe(false);
});

describe("what a person is told", () => {
  it("names the product", () => {
    expect(productOf("11.4.5-MariaDB")).toBe("MariaDB 11.4.5");
    expect(productOf("10.11.19-MariaDB-0+deb12u1-log")).toBe("MariaDB 10.11.19");
    expect(productOf("8.4.3")).toBe("MySQL 8.4.3");
    expect(productOf("8.0.36-28")).toBe("MySQL 8.0.36");
  });

  it("names the package of a missing library", () => {
    const loader = (name: string) =>
      `mariadbd: error while loading shared libraries: ${name}: cannot open shared object file: No such file`;
    expect(missingLibrary(loader("libcrypt.so.1"))).toMatch(
      /libcrypt\.so\.1 .*libcrypt1 .*libxcrypt-compat /,
    );
    expect(missingLibrary(loader("libsystemd.so.0"))).toMatch(
      /libsystemd\.so\.0 .*libsystemd0 .*systemd-libs /,
    );
    expect(missingLibrary(loader("libfoo.so.9"))).toMatch(/libfoo\.so\.9 is missing, or install/);
    expect(missingLibrary("Illegal instruction")).toBeUndefined();
  });

  it("names the command that installs a server", () => {
    expect(installCommand("darwin", "")).toBe("brew install mysql");
    expect(installCommand("linux", 'ID="amzn"\nID_LIKE="fedora"\n')).toBe(
      "sudo dnf install mariadb105-server",
    );
    expect(installCommand("linux", 'ID="rocky"\nID_LIKE="rhel centos"\n')).toBe(
      "sudo dnf install mariadb-server",
    );
    expect(installCommand("linux", "ID=ubuntu\nID_LIKE=debian\n")).toBe(
      "sudo apt-get install mariadb-server",
    );
    expect(installCommand("linux", "ID=alpine\n")).toBe("apk add mariadb");
  });
});
