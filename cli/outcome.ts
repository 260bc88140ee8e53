import { isApplied } from "../records/judge";
import { printable } from "../records/text";
import type { Judgement } from "../records/verdict";
import { EXIT, type ExitCode } from "./exit";
import { type Terminal, table } from "./terminal";

/** An upload that was asked for, and what became of it. */
export interface Outcome extends Judgement {
  readonly database: string;
  readonly key: string;
  readonly versionId: string;
}

/** 0 only if all is applied. What failed comes before what was refused, and that before what is pending. */
export function exitCodeOf(outcomes: readonly Pick<Outcome, "verdict">[]): ExitCode {
  const verdicts = outcomes.map(({ verdict }) => verdict);
  if (verdicts.includes("failed")) return EXIT.failed;
  if (verdicts.includes("refused") || verdicts.includes("superseded")) return EXIT.refused;
  return verdicts.every(isApplied) ? EXIT.success : EXIT.timedOut;
}

/**
 * Ends a command by what became of uploads: as a table with what each has to say, or as JSON.
 *
 * @param more what else the JSON has
 * @returns the exit code that follows
 */
export async function conclude(
  outcomes: readonly Outcome[],
  terminal: Terminal,
  more: object = {},
): Promise<ExitCode> {
  await showOutcomes(outcomes, terminal);
  terminal.json({ ...more, uploads: outcomes.map(outcomeJson) });
  return exitCodeOf(outcomes);
}

/** A row for each, and below them what each has to say. */
export async function showOutcomes(outcomes: readonly Outcome[], terminal: Terminal): Promise<void> {
  const said = outcomes.map((outcome) => ({ ...outcome, name: `${outcome.database}/${outcome.key}` }));
  const rows = said.map(({ name, verdict }) => [printable(name), terminal.paint.verdict(verdict)]);
  if (rows.length > 0) terminal.say(await table(["upload", "verdict"], rows));
  showMessages(said, terminal);
}

/** What each has to say that has something to say. */
export function showMessages(
  said: readonly { readonly name: string; readonly message: string }[],
  { say, paint }: Terminal,
): void {
  for (const { name, message } of said) {
    if (message.trim() !== "") say(`\n${paint.bold(printable(name))}\n${printable(message.trim())}`);
  }
}

/** An outcome as the command's JSON has it. */
export function outcomeJson({ database, key, versionId, verdict, message, commandId }: Outcome) {
  return { database, key, versionId, verdict, message, commandId: commandId ?? null };
}
