import { describe, expect, it } from "vitest";
import { Names } from "../deployment/names";

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

  it.each(["prod", "production", "prd", "live", "prod-eu", "eu-live-2", "pre-prod"])(
    "take %j for a stage of production",
    (stage) => {
      expect(new Names(stage).production).toBe(true);
    },
  );

  it.each([undefined, "dev", "test", "preprod", "product", "alive", "prod2"])(
    "take %j for none of production",
    (stage) => {
      expect(new Names(stage).production).toBe(false);
    },
  );

  it.each(["", "Dev", "1dev", "-dev", "dev-", "a--b", "a_b", "a.b", "a b", "dev\n", "ä", "a".repeat(17)])(
    "refuse the stage %j, and say what is valid",
    (stage) => {
      expect(() => new Names(stage)).toThrow(
        `stage ${JSON.stringify(stage)} is no valid name: use 1 to 16 lower-case letters, digits and single hyphens, beginning with a letter, such as "dev".`,
      );
    },
  );
});
