import { execFile } from "node:child_process";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { cachedFolder } from "./cache";
import { skipLoudly } from "./moto";

const run = promisify(execFile);

const PROJECT = resolve(__dirname, "..", "..");

/** What is asked for, with the checksums of it; not among the project's own packages, for it has half a gigabyte. */
const PACKAGES = join(__dirname, "bindings");

/** The newest bindings, CDK Terrain's, which goes on with CDKTF: https://cdktn.io */
export interface NewestBindings {
  /** Compiles the project with them; what the compiler complains of. */
  compile(): Promise<string>;
  /** What the project prints with them: the stack, as JSON. */
  print(): Promise<string>;
  /** The arguments, at any depth, that the provider's documents have for a resource or data source of a type. */
  argumentsOf(kind: "resource" | "data", type: string): Set<string>;
}

/** Brings the newest bindings into the cache; undefined where they cannot be had, which is said on stderr. */
export async function findNewestBindings(): Promise<NewestBindings | undefined> {
  const modules = (folder: string, ...path: string[]) => join(folder, "node_modules", ...path);
  const config = (folder: string) => join(folder, "tsconfig.json");
  const isWhole = (folder: string) => existsSync(config(folder));
  let folder: string;
  try {
    folder = await cachedFolder("newest-bindings", isWhole, async (target) => {
      process.stderr.write("Getting the newest bindings for the tests, once: 480 MB.\n");
      cpSync(PACKAGES, target, { recursive: true });
      await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: target });
      writeFileSync(config(target), "{}");
    });
  } catch (error) {
    return void skipLoudly("tests with the newest bindings", `they could not be had: ${error}`);
  }
  const paths = {
    cdktf: [modules(folder, "cdktn")],
    constructs: [modules(folder, "constructs")],
    "@cdktf/provider-aws/*": [modules(folder, "@cdktn", "provider-aws", "*")],
    "@cdktf/provider-archive/*": [modules(folder, "@cdktn", "provider-archive", "*")],
  };
  writeFileSync(
    config(folder),
    JSON.stringify({
      extends: join(PROJECT, "tsconfig.json"),
      compilerOptions: { paths, typeRoots: [join(PROJECT, "node_modules", "@types")] },
      include: [],
      files: [join(PROJECT, "main.ts")],
    }),
  );
  return {
    async compile() {
      const tsc = join(PROJECT, "node_modules", ".bin", "tsc");
      return run(tsc, ["-p", config(folder)]).then(
        () => "",
        ({ stdout }) => stdout,
      );
    },
    print: () => print({ TSX_TSCONFIG_PATH: config(folder) }),
    argumentsOf(kind, type) {
      const [, provider, name] = /^([a-z]+)_(.*)$/.exec(type) as unknown as [string, string, string];
      const library = `${kind === "data" ? `data-${provider}-` : ""}${name.replaceAll("_", "-")}`;
      const file = modules(folder, "@cdktn", `provider-${provider}`, "lib", library, "index.d.ts");
      // Each argument's comment links to the provider's document of it
      const links = readFileSync(file, "utf8").matchAll(/\/docs\/[a-z-]+\/\w+#(\w+) /g);
      return new Set([...links].map(([, argument]) => argument as string));
    },
  };
}

/** What the project prints: the stack, as JSON. */
export async function print(environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const env = { ...process.env, ...environment };
  const args = ["--import", "tsx", "main.ts", "print"];
  return (await run(process.execPath, args, { cwd: PROJECT, env, maxBuffer: 2 ** 26 })).stdout;
}
