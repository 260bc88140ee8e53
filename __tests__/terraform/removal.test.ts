import { beforeAll, describe, expect, it } from "vitest";
import { changes, type Plan, useWorkspace } from "../support/terraform";

const deployment = useWorkspace();

type Shown = Plan & { readonly text: string };

/** What Terraform warns of, in one line each. */
function warnings({ text }: Shown): string[] {
  const blocks = text.split(/^Warning: /m).slice(1);
  return blocks.map((block) => block.replaceAll(/\s+/g, " "));
}

describe("flyway_managed_databases", () => {
  let first: Shown;
  let applied: string;
  let second: Shown;
  let added: Shown;
  let removed: Shown;
  let kept: Shown;
  let buckets: Readonly<Record<string, string>>;
  beforeAll(async () => {
    const { workspace } = deployment;
    if (!workspace) return;
    const databases = (...flyway_managed_databases: string[]) => ({ flyway_managed_databases });
    first = await workspace.plan(databases("Users", "my_shop", "Users2"));
    workspace.ignoreWhatMotoLoses();
    applied = await workspace.apply(databases("Users", "my_shop", "Users2"));
    second = await workspace.plan(databases("Users", "my_shop", "Users2"));
    added = await workspace.plan(databases("Users", "my_shop", "Users2", "Orders"));
    removed = await workspace.plan(databases("Users2"));
    kept = await workspace.plan({ ...databases("Users2"), force_destroy: false });
    buckets = (await workspace.state()).outputs.buckets?.value as typeof buckets;
  });

  it("is warned of nothing before there is a deployment, nor by the first apply", () => {
    expect(warnings(first)).toEqual([]);
    expect(applied).not.toContain("Warning: ");
  });

  it("leaves a second plan empty", () => {
    expect(changes(second)).toEqual({});
    expect(second.text).toContain("No changes.");
    expect(warnings(second)).toEqual([]);
  });

  it("is warned of nothing where a database is added", () => {
    expect(warnings(added)).toEqual([]);
  });

  it("names at plan the buckets that go with a database that is removed, and what is in them", () => {
    expect(warnings(removed)).toEqual([
      expect.stringContaining(
        `which will be deleted: ${buckets.my_shop}, ${buckets.Users}. All migrations and run records in them go too`,
      ),
    ]);
  });

  it("says that the deletion will fail where force_destroy is off", () => {
    expect(warnings(kept)).toEqual([expect.stringContaining("so their deletion will fail")]);
  });
});
