import type { Aws } from "./aws";
import type { Deployment } from "./deployment";
import type { Terminal } from "./terminal";

/** What each command is given. */
export interface Context {
  readonly aws: Aws;
  readonly deployment: Deployment;
  readonly terminal: Terminal;
}

/** What a command is given that waits for an end. */
export interface WaitingContext extends Context {
  /** How long it is waited for, in seconds. */
  readonly timeout: number;
}
