import { mkdirSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { Connection as Session } from "mysql2/promise";
import type { Target } from "../deployment/mapping";
import { type Credentials, parseCredentials } from "./credentials";
import { closeSession, openSession } from "./database";
import { downloadSource, isSource } from "./download";
import { Failure, messageOf, orFail } from "./failure";
import type { Host } from "./host";
import { type Connection, caFile, connectionTo } from "./target";

/** The database of a run: how it is reached, who logs in, and the runner's own look at it. */
export class Database {
  private constructor(
    private readonly host: Host,
    private readonly secret: string,
    readonly connection: Connection,
    /** Where Flyway is started: what the connection is verified with is there. */
    readonly directory: string,
  ) {}

  /** @throws Failure where there is nothing to verify the connection with */
  static async at(host: Host, target: Target, flywayConf: string): Promise<Database> {
    const directory = join(host.environment.root, "ca");
    mkdirSync(directory, { recursive: true });
    let connection: Connection;
    try {
      connection = connectionTo(target);
    } catch (error) {
      const words = `the target ${flywayConf} ${(error as Error).message}`;
      throw new Failure(`${words}: apply the Terraform configuration again`);
    }
    await bringAuthorities(host, connection, directory);
    return new Database(host, target.secret, connection, directory);
  }

  /** Who logs in. @throws Failure, or an error that names the secret */
  async credentials(): Promise<Credentials> {
    const { aws, log } = this.host;
    const secret = await orFail(aws.secret(this.secret), "cannot read the database's secret", log.complain);
    return parseCredentials(this.secret, secret);
  }

  /** Does something in a session of the runner's own; undefined where that cannot be done: it is never what a run fails by. */
  async ask<T>(
    what: string,
    credentials: Credentials,
    ask: (session: Session) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      const session = await openSession(this.connection, credentials, this.directory);
      try {
        return await ask(session);
      } finally {
        await closeSession(session);
      }
    } catch (error) {
      this.host.log.complain(`${what}: ${messageOf(error)}`); // of the database, Flyway says more
      return undefined;
    }
  }
}

async function bringAuthorities(host: Host, { ca }: Connection, directory: string): Promise<void> {
  if (!ca) return;
  const file = join(directory, caFile(ca.sha256));
  if (await isSource(ca, file)) return;
  const partial = `${file}.${host.environment.bucket}`;
  await downloadSource(host, ca, partial, {
    what: "the CA certificates",
    subject: "the CA certificates",
    lacks: "do not have",
  });
  await rename(partial, file);
}
