import { isApplied } from "../records/judge";
import type { Verdict } from "../records/record";
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
  return verdicts.every((verdict) => isApplied(verdict as Verdict)) ? EXIT.success : EXIT.timedOut;
}

/** A row for each, and below them what each that is not applied says. */
export async function showOutcomes(outcomes: readonly Outcome[], { say, paint }: Terminal): Promise<void> {
  const rows = outcomes.map(({ database, key, verdict }) => [
    printable(`${database}/${key}`),
    paint.verdict(verdict),
  ]);
  if (rows.length > 0) say(await table(["upload", "verdict"], rows));
  for (const { database, key, message } of outcomes) {
    if (message.trim() !== "")
      say(`\n${paint.bold(printable(`${database}/${key}`))}\n${printable(message.trim())}`);
  }
}

/** An outcome as the command's JSON has it. */
export function outcomeJson({ database, key, versionId, verdict, message, commandId }: Outcome) {
  return { database, key, versionId, verdict, message, commandId: commandId ?? null };
}
