import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Testing } from "cdktf";
import { afterAll } from "vitest";
import { FlywayStack } from "../../constructs/flyway-stack";
import type { VariablesProps } from "../../constructs/variables";
import { officialArchives } from "../../deployment/archives";

// A worker of vitest's ends without the "exit" at which what is made at synth would go.
const temporary = mkdtempSync(join(tmpdir(), "flyway-on-aws-test-"));
process.env.TMPDIR = temporary;
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

/** A block of Terraform's JSON. */
export type Block = Readonly<Record<string, unknown>>;

/** What is in Terraform's JSON, by address: `aws_s3_bucket.this`, `data.aws_vpc.default`, `var.flyway_conf`. */
export interface Synthesis {
  /** The JSON as it would be written. */
  readonly json: string;
  /** All of it, parsed. */
  readonly root: Block;
  /** Every address, sorted. */
  readonly addresses: readonly string[];
  /** @throws if there is nothing at this address */
  at(address: string): Block;
}

const memo = new Map<string, Promise<Synthesis>>();

/** The stack's JSON; made once for each set of defaults and stage. */
export function synthesize(defaults: VariablesProps = {}, stage?: string): Promise<Synthesis> {
  const key = JSON.stringify([defaults, stage]);
  const known = memo.get(key) ?? build(defaults, stage);
  memo.set(key, known);
  return known;
}

async function build(defaults: VariablesProps, stage?: string): Promise<Synthesis> {
  const archives = await officialArchives();
  return inTemporaryFolder((outdir) => {
    const stack = new FlywayStack(Testing.app({ outdir }), "flyway", { archives, defaults, stage });
    return parse(Testing.synth(stack, true));
  });
}

/** Calls back with a new folder, and removes it. */
export function inTemporaryFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(temporary, "folder-"));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads Terraform's JSON. */
export function parse(json: string): Synthesis {
  const root = JSON.parse(json) as Record<string, Record<string, Record<string, Block>>>;
  const elements = new Map<string, Block>();
  for (const [kind, prefix] of [
    ["resource", ""],
    ["data", "data."],
  ] as const) {
    for (const [type, named] of Object.entries(root[kind] ?? {})) {
      for (const [name, block] of Object.entries(named)) elements.set(`${prefix}${type}.${name}`, block);
    }
  }
  for (const [kind, prefix] of [
    ["variable", "var"],
    ["output", "output"],
  ] as const) {
    for (const [name, block] of Object.entries(root[kind] ?? {})) elements.set(`${prefix}.${name}`, block);
  }
  for (const [name, value] of Object.entries(root.locals ?? {})) elements.set(`local.${name}`, { value });
  return {
    json,
    root,
    addresses: [...elements.keys()].sort(),
    at: (address) => {
      const block = elements.get(address);
      if (block === undefined) throw new Error(`There is no ${address}`);
      return block;
    },
  };
}
