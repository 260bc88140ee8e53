import { spawn } from "node:child_process";
import { cpSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** The project's folder. */
export const PROJECT = resolve(__dirname, "..", "..");

/** Copies what synthesizing needs, with a link for what npm has installed. */
export function copySources(target: string): void {
  for (const name of [
    "main.ts",
    "constructs",
    "deployment",
    "lambda",
    "records",
    "runner",
    "assets",
    "package.json",
    "tsconfig.json",
    "cdktf.json",
  ]) {
    cpSync(join(PROJECT, name), join(target, name), { recursive: true });
  }
  symlinkSync(join(PROJECT, "node_modules"), join(target, "node_modules"));
}

export interface RunOptions {
  /** Folder of main.ts; default: the project's. */
  readonly sources?: string;
  /** Default: the folder of main.ts. */
  readonly cwd?: string;
  /** Default `022`. */
  readonly umask?: string;
  /** Beside PATH; nothing else is inherited. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What a process came to. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs main.ts in a process of its own. */
export function runMain(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { sources = PROJECT, cwd = sources, umask = "022", env = {} } = options;
  const loader = pathToFileURL(require.resolve("tsx")).href;
  const command = [process.execPath, "--import", loader, join(sources, "main.ts"), ...args];
  return run("sh", ["-c", 'umask "$0" && exec "$@"', umask, ...command], cwd, {
    PATH: process.env.PATH,
    ...env,
  });
}

/** Runs a program to its end. */
export async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<Ended> {
  const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
    });
  }
  const code = await new Promise<number | null>((done) => child.once("close", done));
  return { code, ...output };
}
