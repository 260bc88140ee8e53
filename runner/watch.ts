import { setTimeout as sleep } from "node:timers/promises";
import type { Connection as Session } from "mysql2/promise";
import { describeWork, type LockHolder } from "../records/work";
import type { Credentials } from "./credentials";
import type { Host } from "./host";
import type { Now } from "./now";
import type { Database } from "./session";
import { isoTime } from "./time";
import { endStatement, lookAtWork, type Marks, type Sight } from "./work";

/** From when on Flyway is looked at, how often, and how often it is told of, in milliseconds. */
const FIRST = 3_000;
const PAUSE = 2_000;
const TELL = 15_000;

/** How long a database is left alone at most that cannot be asked, in milliseconds. */
const LONGEST = 60_000;

export interface WatchInput {
  readonly host: Host;
  readonly database: Database;
  readonly marks: Marks;
  readonly now: Now;
  readonly schema: string;
  /** How long the migration may take, in seconds; undefined where it may take as long as it does. */
  readonly limit: number | undefined;
}

/**
 * Looks at what Flyway does in the database while it works for longer than a few seconds, says so, and ends what takes longer
 * than it may. Best effort: a run never fails by it.
 */
export class Watch {
  /** Who held the lock that Flyway waited for when a statement of it was last seen. */
  holders: readonly LockHolder[] = [];
  /** Whether a statement was ended, for the migration took longer than it may. */
  isOverLimit = false;
  private began: number | undefined;

  constructor(private readonly input: WatchInput) {}

  /** Watches until Flyway has ended. */
  async during<T>(flyway: Promise<T>, credentials: Credentials): Promise<T> {
    const end = new AbortController();
    this.holders = [];
    this.began ??= Date.now();
    const watching = this.look(credentials, this.began, end.signal);
    try {
      return await flyway;
    } finally {
      end.abort();
      await watching;
    }
  }

  private async look(credentials: Credentials, began: number, signal: AbortSignal): Promise<void> {
    const pause = (time: number) => sleep(time, undefined, { signal }).catch(() => {});
    await pause(FIRST);
    const teller = new Teller(this.input, began);
    // Each time that the database cannot be asked, it is waited for longer: it may never be
    for (let rest = TELL; !signal.aborted; rest = Math.min(rest * 2, LONGEST)) {
      const words = "what Flyway does in the database cannot be seen";
      await this.input.database.ask(words, credentials, async (session) => {
        while (!signal.aborted) {
          const sight = await lookAtWork(session, this.input.marks);
          if (signal.aborted) return; // what was waited for may be gone by now
          if (sight.statement) this.holders = sight.holders;
          await this.holdToLimit(session, sight, began);
          teller.tell(sight);
          await pause(PAUSE);
        }
      });
      await pause(rest);
    }
  }

  private async holdToLimit(
    session: Session,
    { connection, statement }: Sight,
    began: number,
  ): Promise<void> {
    const { limit, host } = this.input;
    if (statement?.text.includes("flyway_schema_history")) return; // else what is done would not be in it
    if (limit === undefined || connection === undefined || Date.now() - began < limit * 1_000) return;
    if (!this.isOverLimit) host.log.complain(`the migration takes longer than ${limit} s, and is ended`);
    this.isOverLimit = true;
    await endStatement(session, connection);
  }
}

/** Says what Flyway does, into the log and into the bucket: at first, when a statement or a wait begins, and every so often. */
class Teller {
  private last = 0;
  private wasWaiting = false;
  private wasWorking = false;

  constructor(
    private readonly input: WatchInput,
    private readonly began: number,
  ) {}

  tell({ statement, isWaiting, holders }: Sight): void {
    const { host, now, schema } = this.input;
    const isNew = isWaiting !== this.wasWaiting || (statement !== null && !this.wasWorking);
    if (!isNew && Date.now() - this.last < TELL) return;
    this.last = Date.now();
    this.wasWaiting = isWaiting;
    this.wasWorking = statement !== null;
    const { commandId, bucket } = host.environment;
    if (statement) host.log.say(describeWork({ statement, isWaiting, holders }));
    now.write({
      ...{ workVersion: 1, commandId, bucket, schema },
      startedAt: isoTime(this.began),
      seenAt: isoTime(Date.now()),
      ...{ statement, isWaiting, holders },
    });
  }
}
