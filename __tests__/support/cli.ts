import { exec, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import Ajv2020 from "ajv/dist/2020";
import { expect } from "vitest";
import outputSchema from "../../cli/output.schema.json";
import type { Chain } from "../../local/chain";

/** How a start of the command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A start of the command that may still be under way. */
export interface StartedCli {
  readonly ended: Promise<Ended>;
  signal(name: NodeJS.Signals): void;
  /** Resolves once standard error has a text. */
  says(text: string): Promise<void>;
}

const PROJECT = join(__dirname, "..", "..");

/** Bundles the command as `npm run prepare` does, into a folder beside `dist`, where it finds its packages and the project; its file. */
export async function bundleCli(directory: string): Promise<string> {
  const { scripts } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8"));
  const script = (scripts.prepare as string).replace("--outdir=dist", `--outdir=${directory}`);
  await promisify(exec)(script, {
    cwd: PROJECT,
    env: { ...process.env, PATH: `${join(PROJECT, "node_modules", ".bin")}:${process.env.PATH}` },
  });
  return join(PROJECT, directory, "flyway-aws.mjs");
}

/** Writes migrations into a folder of a folder; where they are. */
export function writeMigrations(
  folder: string,
  name: string,
  files: Readonly<Record<string, string>>,
): string {
  const path = join(folder, name);
  for (const [key, sql] of Object.entries(files)) {
    mkdirSync(join(path, key, ".."), { recursive: true });
    writeFileSync(join(path, key), sql);
  }
  return path;
}

const output = new Ajv2020({ allowUnionTypes: true });
output.addSchema(outputSchema, "output");

/** Holds what the command printed to a shape in cli/output.schema.json. */
export function expectShape(shape: keyof typeof outputSchema.$defs, value: unknown): void {
  const validate = output.getSchema(`output#/$defs/${shape}`);
  expect([validate?.(value), validate?.errors]).toEqual([true, null]);
}

/** Starts the command for a chain. */
export function startCli(
  file: string,
  args: readonly string[],
  chain: Pick<Chain, "endpoint" | "region" | "accessKeyId" | "secretAccessKey"> | undefined,
  env: Readonly<Record<string, string>> = {},
): StartedCli {
  const child = spawn(process.execPath, [file, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...{ PATH: process.env.PATH, AWS_EC2_METADATA_DISABLED: "true" },
      ...{ AWS_CONFIG_FILE: "/dev/null", AWS_SHARED_CREDENTIALS_FILE: "/dev/null" },
      ...(chain && {
        ...{ AWS_ENDPOINT_URL: chain.endpoint, AWS_REGION: chain.region },
        ...{ AWS_ACCESS_KEY_ID: chain.accessKeyId, AWS_SECRET_ACCESS_KEY: chain.secretAccessKey },
      }),
      ...env,
    },
  });
  let stdout = "";
  let stderr = "";
  const listeners = new Set<() => void>();
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
    for (const listener of listeners) listener();
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
  return {
    ended,
    signal: (name) => void child.kill(name),
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = () => stderr.includes(text) && resolve();
        listeners.add(look);
        look();
        void ended.then(({ code }) => reject(new Error(`ended with ${code}: ${stdout}${stderr}`)));
      }),
  };
}
