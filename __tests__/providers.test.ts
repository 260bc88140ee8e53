import { describe, expect, it } from "vitest";
import { type Block, synthesize } from "./support/synthesis";

describe("the providers", () => {
  it("are taken by range", async () => {
    const { root } = await synthesize();
    expect((root.terraform as Block).required_providers).toEqual({
      aws: { source: "aws", version: ">= 5.100, < 7" },
      archive: { source: "hashicorp/archive", version: ">= 1.3, < 3" },
    });
  });

  it("get region, tags and role from variables, the role only where there is one", async () => {
    const { root } = await synthesize();
    expect(root.provider).toEqual({
      archive: [{}],
      aws: [
        {
          region: "${var.aws_region}",
          default_tags: [{ tags: "${var.default_tags}" }],
          dynamic: {
            assume_role: {
              for_each: "${var.assume_role[*]}",
              content: {
                role_arn: "${assume_role.value.role_arn}",
                external_id: "${assume_role.value.external_id}",
                session_name: "${assume_role.value.session_name}",
              },
            },
          },
        },
      ],
    });
  });

  it.each([
    ["aws_region", "string", null],
    ["default_tags", "map(string)", {}],
    [
      "assume_role",
      "object({ role_arn = string, external_id = optional(string), session_name = optional(string) })",
      null,
    ],
  ])("have a variable %s, which may be left out", async (name, type, value) => {
    expect((await synthesize()).at(`var.${name}`)).toMatchObject({ type, default: value });
  });
});
