import { describe, expect, it } from "vitest";
import { officialArchives } from "../deployment/archives";
import { DEFAULT_FLYWAY_VERSION } from "../deployment/databases";
import { synthesize } from "./support/synthesis";

describe("the archives", () => {
  it("are of four releases, which the variable adds to and overrides", async () => {
    const { at } = await synthesize();
    const [, known] = /^\$\{merge\((\{.*\}), var\.flyway_archives\)\}$/.exec(
      String(at("local.flyway_archives").value),
    ) as RegExpExecArray;
    const archives = await officialArchives();
    expect(JSON.parse(known as string)).toEqual(archives);
    expect(Object.keys(archives)).toEqual(["11.8.2", "10.22.0", "9.22.3", "7.7.3"]);
    expect(archives).toHaveProperty([DEFAULT_FLYWAY_VERSION]);
  });

  it("are in a parameter each, for the releases that are asked for", async () => {
    const { at } = await synthesize();
    expect(at("aws_ssm_parameter.flyway_archive")).toMatchObject({
      for_each: "${toset(values(local.mappings)[*].flywayVersion)}",
      name: "/flyway/archive/${each.key}",
      type: "String",
      value: "${jsonencode(lookup(local.flyway_archives, each.key, null))}",
    });
  });

  it("refuse a release without an archive, saying which are known and what to do", async () => {
    const { at } = await synthesize();
    expect(at("aws_ssm_parameter.flyway_archive").lifecycle).toEqual({
      create_before_destroy: true,
      precondition: [
        {
          condition: "${contains(keys(local.flyway_archives), each.key)}",
          error_message:
            'The archive of Flyway ${each.key} is not known; known are ${join(", ", keys(local.flyway_archives))}. ' +
            "Add it to flyway_archives, with its url and sha256.",
        },
      ],
    });
  });
});

describe("the official archives", () => {
  it.each(["11.8.2", "10.22.0", "9.22.3", "7.7.3"])("have the linux-x64 bundle of %s", async (version) => {
    const { url, sha256 } = (await officialArchives())[version] as { url: string; sha256: string };
    expect(url).toMatch(/^https:\/\//);
    expect(url.endsWith(`/flyway-commandline-${version}-linux-x64.tar.gz`)).toBe(true);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    ["with a slash at its end", "https://mirror.example/maven/"],
    ["without one", "https://mirror.example/maven"],
  ])("are taken from another repository, %s", async (_, repository) => {
    const archives = await officialArchives(repository);
    expect(archives["11.8.2"]?.url).toBe(
      "https://mirror.example/maven/org/flywaydb/flyway-commandline/11.8.2/flyway-commandline-11.8.2-linux-x64.tar.gz",
    );
  });
});
