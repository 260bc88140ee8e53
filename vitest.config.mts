import { defineConfig } from "vitest/config";

/**
 * `unit` needs nothing but Node.js and runs in seconds; `terraform` needs Terraform (and Python 3 for moto);
 * `end-to-end` starts the local chain.
 */
export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 3, // on two cores too: most of it waits, for moto, a bucket to be still, a lock
    // .ci/run counts the tests from it
    reporters: process.env.VITEST_REPORT
      ? ["default", ["json", { outputFile: process.env.VITEST_REPORT }]]
      : ["default"],
    projects: [
      { extends: true, test: { name: "unit", include: ["__tests__/*.test.ts"], testTimeout: 30_000 } },
      {
        extends: true,
        test: {
          name: "terraform",
          include: ["__tests__/terraform/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
      {
        extends: true,
        test: {
          name: "end-to-end",
          include: ["__tests__/end-to-end/*.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
