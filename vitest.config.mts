import { defineConfig } from "vitest/config";

/**
 * `unit` needs nothing but Node.js and runs in seconds; `terraform` needs Terraform (and Python 3 for moto);
 * `end-to-end` starts the local chain; `mysql` has what a database can make fail once more, on a MySQL.
 */
export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 3, // on two cores too: most of it waits, for moto, a bucket to be still, a lock
    // .ci/run counts the tests from it
    reporters: process.env.VITEST_REPORT
      ? ["default", ["json", { outputFile: process.env.VITEST_REPORT }]]
      : ["default"],
    server: { deps: { inline: ["dt-sql-parser"] } }, // its modules are named without extensions
    projects: [
      { extends: true, test: { name: "unit", include: ["__tests__/*.test.ts"], testTimeout: 30_000 } },
      {
        extends: true,
        test: {
          name: "terraform",
          include: ["__tests__/terraform/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 1_800_000, // scale.test.ts applies three times, beside whatever else runs,
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
      {
        extends: true,
        test: {
          name: "mysql",
          include: [
            "aws-failures",
            "bursts",
            "chain",
            "cli",
            "content",
            "database-failures",
            "download-failures",
            "events",
            "files",
            "half-applied",
            "host",
            "host-failures",
            "kills",
            "locks",
            "notifications",
            "random",
            "reconcile",
            "rehearsal",
            "settings",
            "systems-manager",
            "tls",
            "unchanged",
          ].map((name) => `__tests__/end-to-end/${name}.test.ts`),
          globalSetup: "__tests__/support/mysql.ts",
          setupFiles: "__tests__/support/mysql-only.ts",
          testTimeout: 600_000, // a burst makes 20 schemas, which MySQL is slow at
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
