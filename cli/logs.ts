import { setTimeout as sleep } from "node:timers/promises";
import { printable } from "../records/text";
import type { Aws } from "./aws";
import type { Deployment } from "./deployment";
import { CliError, EXIT, type ExitCode } from "./exit";
import type { Terminal } from "./terminal";

/** How often is asked for more, in milliseconds. */
const PAUSE = 2_000;

/** The statuses of a command whose output is not whole yet. */
const UNDER_WAY = ["Pending", "InProgress", "Delayed", "Cancelling"];

/**
 * `flyway-aws logs [COMMAND]`: what the host said of a command, and says, until it has ended.
 *
 * @param commandId of the newest command, if not given
 */
export async function logs(
  {
    aws,
    deployment,
    terminal,
  }: { readonly aws: Aws; readonly deployment: Deployment; readonly terminal: Terminal },
  commandId: string | undefined,
): Promise<ExitCode> {
  const { instanceId, logGroupName } = await deployment.target();
  const [command] = await aws.commands(instanceId, commandId);
  if (!command && commandId === undefined) {
    throw new CliError(
      `The host ${instanceId} has been sent no command for 30 days`,
      "upload a migration first",
    );
  }
  const id = commandId ?? (command?.CommandId as string);
  terminal.note(`command ${id}${command ? ` (${command.Comment}), ${command.Status}` : ""}`);
  const shown = new Set<string>();
  let since = 0;
  for (;;) {
    const [state] = await aws.commands(instanceId, id);
    const events = await aws.logEvents(logGroupName, id, since);
    for (const { id, time, stream, text } of events) {
      if (shown.has(id)) continue;
      shown.add(id);
      since = Math.max(since, time);
      terminal.say(printable(text.trimEnd()));
      terminal.jsonLine({ time: new Date(time).toISOString(), stream, text });
    }
    if (!state || !UNDER_WAY.includes(state.Status ?? "")) {
      if (shown.size === 0) {
        throw new CliError(
          `There is no output of command ${id} in ${logGroupName}`,
          "see its id: flyway-aws history",
        );
      }
      return EXIT.success;
    }
    await sleep(PAUSE);
  }
}
