import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findNewestBindings, type NewestBindings, print } from "../support/newest-bindings";

type Block = Readonly<Record<string, unknown>>;
type Objects = Readonly<Record<string, Readonly<Record<string, Block>>>>;
interface Stack {
  readonly "//": unknown;
  readonly resource: Objects;
  readonly data: Objects;
  readonly terraform: Block;
}

/** Terraform's own: https://developer.hashicorp.com/terraform/language/meta-arguments */
const META = ["//", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioner", "connection"];

// Provider 6.x cannot be run here; but its bindings know what it takes.
describe("with the newest bindings", () => {
  let bindings: NewestBindings | undefined;
  let stack: Stack;
  beforeAll(async () => {
    bindings = await findNewestBindings();
    if (bindings) stack = JSON.parse(await bindings.print());
  });
  beforeEach(({ skip }) => skip(!bindings, "they are not there, see stderr"));

  it("all compiles", async () => {
    expect(await bindings?.compile()).toBe("");
  });

  it("the same is emitted, but for the bindings' version and the long form of a provider's name", async () => {
    const { "//": _, ...pinned } = JSON.parse(await print()) as Stack;
    const { "//": metadata, ...newest } = stack;
    expect(JSON.stringify(metadata)).toContain('"version":"0.24.');
    const text = JSON.stringify(newest).replaceAll('"source":"hashicorp/aws"', '"source":"aws"');
    expect(JSON.parse(text)).toEqual(pinned);
  });

  it("no argument is emitted that the newest provider does not have, by whatever way it came in", () => {
    const unknown = (["resource", "data"] as const).flatMap((kind) =>
      Object.entries(stack[kind])
        .filter(([type]) => type !== "terraform_data") // Terraform's own
        .flatMap(([type, objects]) => {
          const known = bindings?.argumentsOf(kind, type) as Set<string>;
          return Object.values(objects)
            .flatMap((object) => namesIn(object))
            .filter((name) => !META.includes(name) && !known.has(name))
            .map((name) => `${kind}.${type}.${name}`);
        }),
    );
    expect(unknown).toEqual([]);
  });

  it("an argument that it does not have would be found", () => {
    const known = bindings?.argumentsOf("resource", "aws_instance") as Set<string>;
    expect(known.has("user_data_base64")).toBe(true);
    expect(known.has("cpu_core_count")).toBe(false); // 5.x still had it
  });
});

/** The names of a block's arguments, those of a `dynamic` block among them. */
function namesIn(block: Block): string[] {
  return Object.entries(block).flatMap(([name, value]) =>
    name === "dynamic"
      ? Object.entries(value as Record<string, { content: Block }>).flatMap(([inner, { content }]) => [
          inner,
          ...Object.keys(content),
        ])
      : [name],
  );
}
