import { Testing } from "cdktf";
import { describe, expect, it } from "vitest";
import { type Backend, parseBackend } from "../constructs/backend";
import { FlywayStack } from "../constructs/flyway-stack";
import { officialArchives } from "../deployment/archives";
import { type Block, inTemporaryFolder, parse } from "./support/synthesis";

/** The `terraform` block of a stack with this backend. */
async function terraformBlock(backend?: Backend, id = "flyway"): Promise<Block> {
  const archives = await officialArchives();
  return inTemporaryFolder((outdir) => {
    const stack = new FlywayStack(Testing.app({ outdir }), id, { archives, backend });
    return parse(Testing.synth(stack)).root.terraform as Block;
  });
}

describe("the backend", () => {
  it("is local, beside the project, where none is asked for", async () => {
    expect((await terraformBlock()).backend).toEqual({
      local: { path: "../../../terraform.flyway.tfstate" },
    });
  });

  it("has a file for each stack", async () => {
    expect((await terraformBlock({ type: "local" }, "another")).backend).toEqual({
      local: { path: "../../../terraform.another.tfstate" },
    });
  });

  it("is the local file that is asked for", async () => {
    expect((await terraformBlock({ type: "local", path: "../states/a" })).backend).toEqual({
      local: { path: "../states/a" },
    });
  });

  it("is s3 without a setting, for -backend-config", async () => {
    expect((await terraformBlock({ type: "s3" })).backend).toEqual({ s3: {} });
  });

  it("is not there at all, nor a cloud block, where the pipeline brings its own", async () => {
    expect(Object.keys(await terraformBlock({ type: "none" }))).toEqual([
      "required_providers",
      "required_version",
    ]);
  });
});

describe("BACKEND", () => {
  it.each<[string | undefined, Backend]>([
    [undefined, { type: "local", path: "../x" }],
    ["local", { type: "local", path: "../x" }],
    ["s3", { type: "s3" }],
    ["none", { type: "none" }],
  ])("may be %s", (value, backend) => {
    expect(parseBackend(value, "../x")).toEqual(backend);
  });

  it.each(["S3", "remote", "", "s3 "])("is refused when it is %j, with what is allowed", (value) => {
    expect(() => parseBackend(value)).toThrow(
      `BACKEND is ${JSON.stringify(value)}: use "local" (the default), "s3" or "none".`,
    );
  });
});
