import { Command, InvalidArgumentError, Option } from "commander";
import { version } from "../package.json";
import { printable, textOf } from "../records/text";
import { Aws, type AwsSettings } from "./aws";
import type { Context } from "./context";
import { Deployment } from "./deployment";
import { CliError, EXIT, type ExitCode, explain } from "./exit";
import { createTerminal, type Format, type Terminal } from "./terminal";

/** The command's options, of all its commands. */
interface Options {
  readonly stage?: string;
  readonly region?: string;
  readonly profile?: string;
  readonly endpointUrl?: string;
  readonly format: Format | "github";
  readonly yes?: boolean;
}

const EXIT_CODES = `
Exit codes:
  0  all is applied, or there was nothing to do      4  no verdict in time: the migration goes on
  1  errors found, wrong arguments, no network       5  AWS does not allow it, or knows no credentials
  2  a file was refused: it was not tried          130  Ctrl-C: the migration goes on
  3  a file, or the run for it, failed`;

const EXAMPLES: Readonly<Record<string, string>> = {
  check: `
Examples:
  flyway-aws check                                    migrations, a folder per database
  flyway-aws check migrations/Users --database Users  one database's folder
  flyway-aws check --base origin/main --format github on a pull request`,
  push: `
Examples:
  flyway-aws push Users migrations/Users              all of a folder
  flyway-aws push Users V7__add_index.sql             one file
  flyway-aws push Users migrations/Users --dry-run    what would be uploaded, with its SQL
  flyway-aws push --all migrations                    a folder per database`,
  promote: `
Examples:
  flyway-aws promote Users --from dev --to prod
  flyway-aws promote Users --from dev --to prod --from-profile dev-account --dry-run`,
  status: `
Examples:
  flyway-aws status                  a line for each database
  flyway-aws status Users            its files, runs and host
  flyway-aws status --format json | jq '.databases[] | select(.failed > 0)'`,
  wait: `
Example:
  flyway-aws wait Users/V7__add_index.sql --timeout 600`,
  logs: `
Examples:
  flyway-aws logs                    the newest command of the host
  flyway-aws logs 0a1b2c3d-…         one that flyway-aws history names`,
  history: `
Example:
  flyway-aws history Users --limit 50`,
  repair: `
Example:
  flyway-aws repair Users            after a half-applied file was corrected: docs/verdicts.md`,
  resume: `
Examples:
  flyway-aws resume Users                                  as the bucket has it now
  flyway-aws resume Users V7__orders.sql --output V7__orders.sql`,
  baseline: `
Example:
  flyway-aws baseline Users          a schema that has tables already: docs/verdicts.md`,
  validate: `
Example:
  flyway-aws --yes validate Users    ends with 2 where a file was edited or is gone`,
  reconcile: `
Example:
  flyway-aws reconcile --yes`,
};

async function main(): Promise<void> {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(); // whoever read it has gone: flyway-aws history Users | head
  });
  // Its word on the version of Node.js is for whoever updates this command
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  const program = new Command("flyway-aws")
    .description("Uploads migrations to Flyway on AWS, and tells what became of them")
    .version(version)
    .addOption(
      new Option("--stage <name>", "which of several deployments of an account").env("FLYWAY_AWS_STAGE"),
    )
    .addOption(new Option("--region <name>", "the AWS region (AWS_REGION, the profile's)"))
    .addOption(new Option("--profile <name>", "a profile of ~/.aws/config (AWS_PROFILE)"))
    .addOption(
      new Option("--endpoint-url <url>", "instead of AWS: npm start -- --serve").env("AWS_ENDPOINT_URL"),
    )
    .addOption(
      new Option("--format <format>", "of the result; github is of check")
        .choices(["text", "json", "github"])
        .default("text"),
    )
    .option("--yes", "answer every question with yes")
    .addHelpText("after", EXIT_CODES)
    .showHelpAfterError("(flyway-aws --help says what there is)")
    .exitOverride();

  const awsOf = (settings: AwsSettings = {}) => {
    const { region, profile, endpointUrl } = program.opts<Options>();
    return new Aws({ region, profile, endpointUrl, ...settings });
  };
  /** Runs a command; what is said where it is broken off stands for Ctrl-C. */
  async function runHere(
    action: (terminal: Terminal) => Promise<ExitCode>,
    interrupted = "Broken off.",
  ): Promise<void> {
    const { format, yes } = program.opts<Options>();
    const terminal = createTerminal({
      ...{ format: format === "json" ? "json" : "text", isYes: yes ?? false },
      ...{ stdout: process.stdout, stderr: process.stderr, stdin: process.stdin },
    });
    process.once("SIGINT", () => {
      void terminal.endProgress().then(() => {
        terminal.note(interrupted);
        process.exit(EXIT.interrupted);
      });
    });
    try {
      process.exitCode = await action(terminal);
    } finally {
      await terminal.endProgress();
    }
  }
  /** Finds the deployment, and runs a command. */
  function run(
    action: (context: Context) => Promise<ExitCode>,
    interrupted?: string,
    stage = program.opts<Options>().stage,
  ): Promise<void> {
    if (program.opts<Options>().format === "github") {
      throw new CliError("Only check has the format github", "say --format json");
    }
    return runHere(async (terminal) => {
      const aws = awsOf();
      const deployment = await Deployment.find(aws, stage);
      return action({ aws, deployment, terminal });
    }, interrupted);
  }
  const goesOn = "Stopped waiting: the migration goes on. To see how it ends: flyway-aws status";
  const timeout = new Option("--timeout <seconds>", "how long the end is waited for")
    .argParser(whole)
    .default(3_600);

  /** A command that has the host do something with one database. */
  const operation = (name: "repair" | "baseline" | "validate", description: string) =>
    program
      .command(name)
      .description(description)
      .argument("<database>")
      .addOption(timeout)
      .action(async (database: string, { timeout }: TimeoutArgument) => {
        const operations = await import("./operations.js");
        await run((context) => operations[name]({ ...context, timeout }, database), goesOn);
      });

  // Each command's own code is loaded when it is asked for
  program
    .command("check")
    .description("find what speaks against migrations, before they are uploaded: docs/rules.md")
    .argument("[directory]", "a folder per database, or that of one", "migrations")
    .option("--database <name>", "the database whose folder it is")
    .option("--base <revision>", "take what a revision of git has for applied")
    .option("--offline", "do not ask the buckets what is applied")
    .option("--config <file>", "the rules' severities (flyway-aws.json)")
    .option("--no-rehearsal", "do not run them on a throwaway database")
    .option("--from-schema <file>", "what that begins with, as mysqldump writes it; else it is empty")
    .action(async (directory: string, { offline, ...given }: CheckArguments) => {
      const { format, stage } = program.opts<Options>();
      const { check } = await import("./check/command.js");
      await runHere((terminal) => {
        const aws = awsOf();
        const findDeployment = offline ? undefined : () => Deployment.find(aws, stage);
        return check(directory, { ...given, terminal, format, aws, findDeployment });
      });
    });
  program
    .command("push")
    .description("upload what the bucket lacks or has otherwise, and wait for the verdicts")
    .argument("[database]")
    .argument("[paths...]", "files, or a folder")
    .option("--all <dir>", "a folder per database")
    .option("--dry-run", "show what would be uploaded")
    .option("--no-check", "upload what flyway-aws check has errors of, too")
    .option("--delete", "delete in the bucket what is not here")
    .option("--require-applied-in <stage>", "refuse what is not applied, as it is here, in another stage")
    .addOption(timeout)
    .action(async (database: string | undefined, paths: string[], given: PushArguments) => {
      const {
        all,
        check,
        dryRun: isDryRun = false,
        delete: isDelete = false,
        timeout,
        requireAppliedIn,
      } = given;
      if (all === undefined ? database === undefined || paths.length === 0 : database !== undefined) {
        throw new CliError(
          "push takes a database and what to upload, or --all and a folder",
          "flyway-aws push Users migrations/Users, or flyway-aws push --all migrations",
        );
      }
      const { push, pushAll } = await import("./push.js");
      await run(async (context) => {
        const tested =
          requireAppliedIn === undefined ? undefined : await Deployment.find(context.aws, requireAppliedIn);
        const input = { ...context, timeout, isDryRun, isDelete, isUnchecked: !check, tested };
        return all === undefined ? push(input, database as string, paths) : pushAll(input, all);
      }, goesOn);
    });
  program
    .command("promote")
    .description("upload to one stage what is applied in another, byte for byte, and refuse the rest")
    .argument("<database>")
    .option("--from <stage>", "where it was tested; the deployment without a stage, if not given")
    .option("--to <stage>", "where it goes; the deployment without a stage, if not given")
    .option("--from-profile <name>", "a profile for the former, where it is in another account")
    .option("--dry-run", "show what would be uploaded")
    .addOption(timeout)
    .action(async (database: string, given: PromoteArguments) => {
      const { from, to, fromProfile, dryRun: isDryRun = false, timeout } = given;
      const { promote } = await import("./promote.js");
      await run(
        async (context) => {
          const aws = fromProfile === undefined ? context.aws : awsOf({ profile: fromProfile });
          const source = { aws, deployment: await Deployment.find(aws, from) };
          const input = { ...context, from: source, timeout, isDryRun, isDelete: false };
          return promote(input, database);
        },
        goesOn,
        to,
      );
    });
  program
    .command("status")
    .description("tell how the databases stand, or one of them")
    .argument("[database]")
    .action(async (database: string | undefined) => {
      const { statusOfAll, statusOfOne } = await import("./status.js");
      await run((context) => {
        const input = { ...context, now: Date.now() };
        return database === undefined ? statusOfAll(input) : statusOfOne(input, database);
      });
    });
  program
    .command("wait")
    .description("wait for the verdict of what a bucket has now")
    .argument("<object>", "database and file: Users/V7__add_index.sql")
    .addOption(timeout)
    .action(async (object: string, { timeout }: TimeoutArgument) => {
      const { waitForObject } = await import("./wait.js");
      await run((context) => waitForObject({ ...context, timeout }, object), goesOn);
    });
  program
    .command("logs")
    .description("show, and follow, what the host says of a command")
    .argument("[command]", "its id; the newest, if not given")
    .action(async (command: string | undefined) => {
      const { logs } = await import("./logs.js");
      await run((context) => logs(context, command), goesOn);
    });
  program
    .command("history")
    .description("list the runs of a database, and what each applied")
    .argument("<database>")
    .addOption(new Option("--limit <runs>", "how many of the newest").argParser(whole).default(20))
    .action(async (database: string, { limit }: { limit: number }) => {
      const { history } = await import("./history.js");
      await run((context) => history(context, database, limit));
    });
  operation("repair", "take failed migrations out of Flyway's history, and migrate");
  program
    .command("resume")
    .description("upload of a file that failed half way what is missing, and have the host repair")
    .argument("<database>")
    .argument("[file]", "the whole file, corrected from the statement on that failed")
    .option("--output <file>", "write what is uploaded, too")
    .addOption(timeout)
    .action(async (database: string, file: string | undefined, given: ResumeArguments) => {
      const { resume } = await import("./resume/command.js");
      const { timeout, output } = given;
      await run((context) => resume({ ...context, timeout }, database, { file, output }), goesOn);
    });
  operation("baseline", "take a schema for what it is at baseline_version, and migrate");
  operation("validate", "have the host compare Flyway's history with the bucket, and migrate nothing");
  program
    .command("reconcile")
    .description("have the host look at every bucket, and migrate what is due")
    .addOption(timeout)
    .action(async ({ timeout }: TimeoutArgument) => {
      const { reconcile } = await import("./operations.js");
      await run((context) => reconcile({ ...context, timeout }), goesOn);
    });
  for (const command of program.commands) command.addHelpText("after", EXAMPLES[command.name()] ?? "");
  if (process.argv[2] === "complete") {
    const { default: complete } = await import("@bomb.sh/tab/commander");
    complete(program);
  } else {
    program.command("complete").description("print what a shell completes by: bash, zsh").argument("<shell>");
  }
  await program.parseAsync();
}

interface TimeoutArgument {
  readonly timeout: number;
}

interface ResumeArguments extends TimeoutArgument {
  readonly output?: string;
}

interface PromoteArguments extends TimeoutArgument {
  readonly from?: string;
  readonly to?: string;
  readonly fromProfile?: string;
  readonly dryRun?: boolean;
}

interface CheckArguments {
  readonly rehearsal: boolean;
  readonly fromSchema?: string;
  readonly database?: string;
  readonly base?: string;
  readonly offline?: boolean;
  readonly config?: string;
}

interface PushArguments extends TimeoutArgument {
  readonly check: boolean;
  readonly all?: string;
  readonly requireAppliedIn?: string;
  readonly dryRun?: boolean;
  readonly delete?: boolean;
}

/** A whole number of at least 1. */
function whole(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("It is no whole number of at least 1.");
  return Number(text);
}

main().catch((error: unknown) => {
  // Commander has said what is wrong with the arguments, and what --help says is no error
  if ((error as { code?: string }).code?.startsWith("commander.")) {
    process.exitCode = (error as { exitCode?: number }).exitCode ?? EXIT.error;
    return;
  }
  const explained = explain(error);
  process.stderr.write(printable(`${textOf(explained)}\n`));
  process.exitCode = explained.exitCode;
});
