import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { findExecutable } from "../../local/machine/processes";
import { cachedFolder } from "../support/cache";

const run = promisify(execFile);

const MIGRATE = "4.20.1";
const DBMATE = "2.36.0";

/** golang-migrate, built by Go with nothing but its MySQL driver. Undefined where it cannot be had, which is said on stderr. */
export function findMigrate(): Promise<string | undefined> {
  return find(`golang-migrate-${MIGRATE}`, "migrate", async (folder) => {
    const go = findExecutable(["go"], []);
    if (!go) throw new Error("go is not on PATH");
    const program = `github.com/golang-migrate/migrate/v4/cmd/migrate@v${MIGRATE}`;
    await run(go, ["install", "-tags", "mysql", program], {
      env: { ...process.env, GOBIN: folder, CGO_ENABLED: "0" },
    });
  });
}

/** dbmate, as its makers publish it for npm. Undefined where it cannot be had, which is said on stderr. */
export function findDbmate(): Promise<string | undefined> {
  const name = `${process.platform}-${process.arch}`;
  return find(`dbmate-${DBMATE}`, join("node_modules", "@dbmate", name, "bin", "dbmate"), async (folder) => {
    const flags = ["--prefix", folder, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
    await run("npm", ["install", ...flags, `@dbmate/${name}@${DBMATE}`]);
  });
}

async function find(
  name: string,
  program: string,
  fill: (folder: string) => Promise<void>,
): Promise<string | undefined> {
  const isWhole = (folder: string) => existsSync(join(folder, program));
  try {
    return join(await cachedFolder(name, isWhole, fill), program);
  } catch (error) {
    console.error(`There is no ${name}, which is not measured: ${(error as Error).message}`);
    return undefined;
  }
}
