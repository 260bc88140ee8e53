import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PATTERNS, type Source } from "../deployment/mapping";
import { OPERATIONS } from "../records/record";

/** A Systems Manager Command document, as far as this project writes one. */
export interface CommandDocument {
  readonly schemaVersion: "2.2";
  readonly description: string;
  readonly parameters: Readonly<Record<string, DocumentParameter>>;
  readonly mainSteps: readonly [
    {
      readonly action: "aws:runShellScript";
      readonly name: string;
      readonly inputs: { readonly timeoutSeconds: string; readonly runCommand: readonly string[] };
    },
  ];
}

export interface DocumentParameter {
  readonly type: "String";
  readonly description: string;
  /** Systems Manager refuses a value that does not match; only so may it be written into a shell script. */
  readonly allowedPattern: string;
  readonly default?: string;
}

/**
 * How large a document may be, in bytes, "including the content specified for input parameters at runtime":
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html
 */
const DOCUMENT_SIZE = 64 * 1024;

/** Of each parameter, a value that is as long as any that its pattern takes. */
export const LONGEST_VALUES: Readonly<Record<string, string>> = {
  Bucket: "b".repeat(63),
  Operation: "migrate",
  SettleSeconds: "300",
  ExpiresAt: "9".repeat(12),
  executionTimeout: "172800",
};

/**
 * A document as Systems Manager is given it: JSON, for people to read too.
 *
 * @throws where it and the longest values of its parameters are more than Systems Manager takes
 */
export function contentOf(document: CommandDocument): string {
  const content = `${JSON.stringify(document, null, 2)}\n`;
  const values = Object.keys(document.parameters).map((name) => [name, [LONGEST_VALUES[name]]]);
  const size = Buffer.byteLength(content) + Buffer.byteLength(JSON.stringify(Object.fromEntries(values)));
  if (size > DOCUMENT_SIZE) {
    throw new Error(
      `The Command document is ${size} bytes with its parameters, and Systems Manager takes ${DOCUMENT_SIZE}: ` +
        "shorten assets/host.sh, or have its JSON without indentation",
    );
  }
  return content;
}

/**
 * The document that the host runs: parameters, each with its pattern, and assets/host.sh. Whoever may
 * send it can have buckets migrated as their mappings say, and nothing else; `AWS-RunShellScript` would let them
 * run anything as root.
 *
 * @param parameters what the names of the deployment's parameters begin with: `/flyway`
 * @param runner where the host finds its program
 */
export function commandDocument(parameters: string, runner: Source): CommandDocument {
  const script = readFileSync(join(__dirname, "..", "assets", "host.sh"), "utf8").trimEnd();
  return {
    schemaVersion: "2.2",
    description: "Brings one database, or each, to what its bucket holds now, with Flyway",
    parameters: {
      Bucket: {
        type: "String",
        description: "The bucket with the database's migrations; * looks at every bucket that has a mapping",
        allowedPattern: `^(${PATTERNS.bucket.slice(1, -1)}|\\*)$`,
      },
      Operation: {
        type: "String",
        description:
          "migrate; or repair, which first takes failed migrations out of Flyway's history, and is refused where there are none or where it would hide an edited or deleted file; or baseline, which first removes a history in which nothing is applied, so that it begins anew at baseline_version; or validate, which only compares the history with the bucket",
        allowedPattern: `^(${OPERATIONS.join("|")})$`,
        default: "migrate",
      },
      SettleSeconds: {
        type: "String",
        description: "How long, in seconds, the bucket must be still before it is migrated (at most 300)",
        allowedPattern: "^([0-9]{1,2}|[12][0-9]{2}|300)$",
        default: "2",
      },
      ExpiresAt: {
        type: "String",
        description:
          "The time, in seconds since 1970, from which on the run is not begun any more; 0 if it always is",
        allowedPattern: "^[0-9]{1,12}$",
        default: "0",
      },
      executionTimeout: {
        type: "String",
        description: "How long, in seconds, the run may take (at most 172800)",
        allowedPattern: "^([1-9][0-9]{1,4}|1[0-6][0-9]{4}|17[01][0-9]{3}|172[0-7][0-9]{2}|172800)$",
        default: "36000",
      },
    },
    mainSteps: [
      {
        action: "aws:runShellScript",
        name: "migrate",
        inputs: {
          timeoutSeconds: "{{ executionTimeout }}",
          runCommand: [
            "#!/usr/bin/env bash", // without it, the agent's sh reads the script
            `export BUCKET='{{ Bucket }}' OPERATION='{{ Operation }}' SETTLE_SECONDS='{{ SettleSeconds }}' EXPIRES_AT='{{ ExpiresAt }}' PARAMETERS='${parameters}'`,
            `export RUNNER_URL='${runner.url}' RUNNER_SHA256='${runner.sha256}'`,
            ...script.split("\n"),
          ],
        },
      },
    ],
  };
}
