import { setTimeout as sleep } from "node:timers/promises";
import { printable } from "../records/text";
import { isUnderWay } from "./aws";
import type { Context } from "./context";
import { CliError, EXIT, type ExitCode } from "./exit";

/** How often is asked for more, in milliseconds. */
const PAUSE = 2_000;

/**
 * `flyway-aws logs [COMMAND]`: what the host said of a command, and says, until it has ended.
 *
 * @param commandId of the newest command, if not given
 */
export async function logs(
  { aws, deployment, terminal }: Context,
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
    if (!state || !isUnderWay(state.Status ?? "")) {
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
