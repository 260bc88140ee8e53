import { describe, expect, it } from "vitest";
import { Names } from "../constructs/names";

describe("the names of a deployment", () => {
  it("are the contract's without a stage", () => {
    const names = new Names();
    expect([names.suffix, names.of("flyway-host"), names.parameters]).toEqual(["", "flyway-host", "/flyway"]);
  });

  it("have the stage behind them", () => {
    const names = new Names("dev");
    expect([names.suffix, names.of("flyway-host"), names.parameters]).toEqual([
      "-dev",
      "flyway-host-dev",
      "/flyway-dev",
    ]);
  });

  it.each(["a", "dev", "dev2", "pre-prod", "a-1-b", "a".repeat(16)])("take the stage %j", (stage) => {
    expect(new Names(stage).suffix).toBe(`-${stage}`);
  });

  it.each([
    [undefined, false],
    ["dev", false],
    ["pre-prod", false],
    ["product", false],
    ["prod", true],
    ["prod-eu", true],
    ["production", true],
    ["live", true],
  ])("tell of the stage %j whether it is a production one: %j", (stage, is) => {
    expect(new Names(stage).isProduction).toBe(is);
  });

  it.each(["", "Dev", "1dev", "-dev", "dev-", "a--b", "a_b", "a.b", "a b", "dev\n", "ä", "a".repeat(17)])(
    "refuse the stage %j, and say what is valid",
    (stage) => {
      expect(() => new Names(stage)).toThrow(
        `stage ${JSON.stringify(stage)} is no valid name: use 1 to 16 lower-case letters, digits and single hyphens, beginning with a letter, such as "dev".`,
      );
    },
  );
});
