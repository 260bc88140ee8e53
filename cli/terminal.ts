import type { Ora } from "ora";
import pc from "picocolors";
import { isApplied } from "../records/judge";
import type { OverallVerdict } from "../records/record";
import { printable } from "../records/text";
import { CliError } from "./exit";

export type Format = "text" | "json";

/** What a person, or a program, is shown. */
export interface Terminal {
  /** A line of the result. */
  say(line: string): void;
  /** The result as JSON; nothing where text is asked for. */
  json(value: unknown): void;
  /** A part of it, in a line of its own. */
  jsonLine(value: unknown): void;
  /** A line that is no part of the result. */
  note(line: string): void;
  /** What is being done at the moment: on a terminal a line that is replaced, else one when it changes. */
  progress(line: string): void;
  /** Ends what progress shows. */
  endProgress(): Promise<void>;
  /** Asks a person. @throws CliError where nobody can be asked */
  confirm(question: string): Promise<boolean>;
  readonly paint: Paint;
}

export interface Paint {
  verdict(verdict: OverallVerdict): string;
  bold(text: string): string;
}

export interface TerminalInput {
  readonly format: Format;
  /** Whether everything is answered with yes. */
  readonly isYes: boolean;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
}

export function createTerminal({ format, isYes, stdout, stderr, stdin }: TerminalInput): Terminal {
  const isInteractive = Boolean(stdin.isTTY && stderr.isTTY);
  let spinner: Promise<Ora> | undefined;
  let last = "";
  const write = (stream: NodeJS.WriteStream, line: string) => stream.write(`${printable(line)}\n`);
  return {
    // Colors are ours, and printable would show them as text
    say: (line) => void (format === "text" && stdout.write(`${line}\n`)),
    json: (value) => void (format === "json" && stdout.write(`${JSON.stringify(value, null, 2)}\n`)),
    jsonLine: (value) => void (format === "json" && stdout.write(`${JSON.stringify(value)}\n`)),
    note: (line) => void write(stderr, line),
    progress(line) {
      if (line === last) return;
      last = line;
      if (!stderr.isTTY) return void write(stderr, line);
      spinner ??= import("ora").then(({ default: ora }) => ora({ stream: stderr }).start());
      void spinner.then((ora) => {
        ora.text = printable(line).split("\n", 1)[0] as string;
      });
    },
    async endProgress() {
      (await spinner)?.stop();
      spinner = undefined;
      last = "";
    },
    async confirm(question) {
      if (isYes) return true;
      if (!isInteractive)
        throw new CliError(`${question} Nobody can be asked here`, "say --yes where it is to be done");
      const { default: confirm } = await import("@inquirer/confirm");
      return confirm({ message: question, default: false }, { output: stderr, input: stdin });
    },
    paint: {
      verdict(verdict) {
        if (isApplied(verdict)) return pc.green(verdict);
        return ["failed", "refused"].includes(verdict) ? pc.red(verdict) : pc.yellow(verdict);
      },
      bold: pc.bold,
    },
  };
}

/** Rows with what stands above them, aligned. What others wrote has no control characters in it. */
export async function table(head: readonly string[], rows: readonly (readonly string[])[]): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const none = { top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "" };
  const chars = {
    ...{ ...none, "bottom-left": "", "bottom-right": "", left: "", "left-mid": "", mid: "", "mid-mid": "" },
    ...{ right: "", "right-mid": "", middle: "  " },
  };
  const table = new Table({
    head: [...head],
    chars,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** How long ago a time is, for a person: `3 min ago`. @param now in milliseconds */
export function ago(time: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1_000));
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}
