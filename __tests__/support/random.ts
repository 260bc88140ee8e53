import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { S3Event } from "aws-lambda";
import type { RowDataPacket } from "mysql2/promise";
import { mappingName } from "../../deployment/mapping";
import type { Chain, ChainOptions } from "../../local/chain";
import { cacheFolder } from "../../local/machine/downloads";
import { findExecutable, type LeashedProcess, leashed } from "../../local/machine/processes";
import type { UploadVerdict } from "../../local/verdicts";
import { isHeldBack } from "../../records/text";
import { query, remove, startTestChain } from "./chain";
import { gate, until, waitAt } from "./gate";
import { objectPath, recordsIn, s3Request } from "./s3";

// ---- Steps: what a seed stands for

/** What becomes of an upload's event. A late one comes two steps later. */
export type Delivery = "once" | "twice" | "late" | "lost";

/** A step reads the same whatever stands before it, so that any may be left out. */
export interface Step {
  readonly does:
    | "upload" // the next version
    | "overwrite" // a file with other content: an edit, if it is applied already
    | "duplicate" // a file with the same content
    | "replace" // a file is deleted and uploaded again
    | "kill" // SIGKILL of whatever runs for the bucket, after some milliseconds
    | "kill inside" // the next version, killed between two of its statements, or a moment later
    | "reconcile";
  readonly bucket: number;
  readonly delivery: Delivery;
  /** Whether it waits until nothing runs any more. */
  readonly waits: boolean;
  /** Which file, counted from the newest; the new one is killed at its end for 0, else between its tables. */
  readonly file: number;
  /** Whether the second table of the migration is the former migration's, altered. */
  readonly alters: boolean;
  /** Milliseconds before the kill; between delete and upload. */
  readonly after: number;
}

const BUCKETS = 2;

/** Mulberry32: numbers from 0 to 1, the same for the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The steps of a seed: four to eight, uploads first. */
export function stepsOf(seed: number): Step[] {
  const random = randomNumbers(seed);
  const below = (count: number) => Math.floor(random() * count);
  const pick = <T>(list: readonly T[]) => list[below(list.length)] as T;
  const steps: Step[] = [];
  const count = 4 + below(5);
  let inside = 1; // the dearest: its way out takes three more runs
  while (steps.length < count) {
    const does: Step["does"] =
      steps.length < 2
        ? "upload"
        : pick([
            "upload",
            "upload",
            "overwrite",
            "overwrite",
            "duplicate",
            "replace",
            "kill",
            "kill",
            "kill",
            "kill inside",
            "kill inside",
            "reconcile",
          ] as const);
    if (does === "kill inside" && inside-- <= 0) continue;
    steps.push({
      does,
      bucket: below(BUCKETS),
      delivery: pick(["once", "once", "once", "twice", "late", "lost"]),
      waits: below(5) < 2,
      file: below(3),
      alters: below(2) === 0,
      after: below(3) === 0 ? below(100) : below(3_000),
    });
  }
  return steps;
}

/** A step on one line, for a person. */
export function inWords({ does, bucket, delivery, waits, file, alters, after }: Step): string {
  const words: Record<Step["does"], unknown[]> = {
    upload: [{ delivery, alters }],
    overwrite: [{ file, delivery }],
    duplicate: [{ file, delivery }],
    replace: [{ file, delivery, after }],
    kill: [{ after }],
    "kill inside": [{ delivery, alters, file, after }],
    reconcile: [],
  };
  const details = words[does].flatMap((each) => Object.entries(each as object)).map((pair) => pair.join(" "));
  return [`${does}, bucket ${bucket}`, ...details, ...(waits ? ["once all is quiet"] : [])].join(", ");
}

// ---- Shrinking

/**
 * Leaves out what a failure does not need: halves, quarters, …, single ones, as long as it still fails.
 *
 * @param tries how often `fails` may be asked
 */
export async function shrink<T>(
  list: readonly T[],
  fails: (list: readonly T[]) => Promise<boolean>,
  tries: number,
): Promise<readonly T[]> {
  let shortest = list;
  let remaining = tries;
  for (let size = Math.ceil(list.length / 2); size >= 1; ) {
    let shorter = false;
    for (let from = 0; from < shortest.length && remaining > 0; ) {
      const without = [...shortest.slice(0, from), ...shortest.slice(from + size)];
      remaining--;
      if (await fails(without)) {
        shortest = without;
        shorter = true;
      } else from += size;
    }
    if (remaining === 0 || (size === 1 && !shorter)) break;
    if (size > 1) size = Math.ceil(size / 2);
  }
  return shortest;
}

/**
 * Plays a seed's steps; where they fail, shrinks them and says so, with the seed.
 *
 * @param play gives the error, undefined where there is none
 */
export async function failureOf(
  seed: number,
  play: (steps: readonly Step[]) => Promise<Error | undefined>,
  tries = 20,
): Promise<Error | undefined> {
  const steps = stepsOf(seed);
  let error = await play(steps);
  if (error === undefined) return;
  const shortest = await shrink(
    steps,
    async (fewer) => {
      const again = await play(fewer);
      error = again ?? error;
      return again !== undefined;
    },
    tries,
  );
  const lines = [
    `Seed ${seed} fails (again: SEEDS=${seed}). Of its ${steps.length} steps, these ${shortest.length} do:`,
    ...shortest.map((step) => `- ${inWords(step)}`),
    error.message,
  ];
  return new Error(lines.join("\n"), { cause: error });
}

// ---- Files

/** A migration, as whoever wrote it means it. */
interface File {
  key: string;
  /** Its tables are T<number> and U<number>, whatever its version. */
  readonly number: number;
  /** The table that it gives a column, instead of a table U of its own. */
  readonly alters?: string;
  /** Where it waits while someone holds the lock of its name: between its tables, or after its last statement. */
  readonly stops?: "between" | "at the end";
  /** Overwriting it makes the next. */
  revision: number;
  /** What a half-applied file was corrected to: it may find its tables there. */
  corrected: boolean;
}

/** An SQL expression: the name of the lock that a file waits for. */
function lockOf({ number }: File): string {
  return `CONCAT(DATABASE(), ' ${number}')`;
}

function sqlOf(file: File): string {
  const { number, alters, stops, revision, corrected } = file;
  const table = corrected ? "CREATE TABLE IF NOT EXISTS" : "CREATE TABLE";
  const row = corrected ? "REPLACE INTO" : "INSERT INTO";
  const stop = `${waitAt(lockOf(file))};`;
  return [
    `${table} T${number} (id int PRIMARY KEY, note varchar(20), KEY notes (note));`,
    `${row} T${number} VALUES (1, 'revision ${revision}');`,
    ...(stops === "between" ? [stop] : []),
    alters
      ? `ALTER TABLE ${alters} ADD c${number} int DEFAULT ${revision};`
      : `${table} U${number} (id int PRIMARY KEY, revision int);`,
    alters
      ? `${row} T${number} VALUES (2, 'second');`
      : `${row} U${number} VALUES (1, ${revision}), (2, ${number});`,
    ...(stops === "at the end" ? [stop] : []),
    "",
  ].join("\n");
}

/** A bucket, and what we know of it by what we did ourselves. */
interface Bucket {
  readonly database: string;
  readonly name: string;
  files: File[];
  /** Every upload there was. */
  readonly uploads: { readonly key: string; readonly versionId: string; readonly content: string }[];
  /** How many versions were given away, and tables named. */
  versions: number;
  /** Whether a run was killed. */
  killed: boolean;
  /** Keys that were not there for a while. */
  readonly gone: Set<string>;
  /** How often an edited file's former content was looked for. */
  readonly attempts: Map<string, number>;
}

// ---- The world

/** As many databases as a chain has: two are used up by each run of steps. */
const STOCK = 2 * BUCKETS * 12;

const INSTANCE = "i-00000000000000000"; // the local chain's host

/** A chain of its own for one sequence of steps after the other, each with fresh buckets. */
export class World {
  readonly chain: Chain;
  /** Database names that no sequence has used. */
  readonly unused: string[];
  private readonly scratch: Scratch;
  private readonly undertaken = new Set<Promise<void>>();
  private readonly arrivals: Map<string, (event: S3Event) => void>;
  private late: { event: S3Event; steps: number }[] = [];

  private constructor(chain: Chain, scratch: Scratch, arrivals: World["arrivals"]) {
    this.chain = chain;
    this.scratch = scratch;
    this.arrivals = arrivals;
    this.unused = Object.keys(chain.buckets);
    this.unmap();
  }

  /** One after the other, because a chain takes over our environment while it starts. */
  static start(options: Partial<ChainOptions> = {}): Promise<World> {
    const started = World.starting.then(() => World.startNow(options));
    World.starting = started.catch(() => {});
    return started;
  }

  private static starting: Promise<unknown> = Promise.resolve();

  private static async startNow(options: Partial<ChainOptions>): Promise<World> {
    const scratch = makeScratch();
    process.env.JAVA_ARGS = scratch.javaArgs;
    const arrivals: World["arrivals"] = new Map();
    let chain: Chain | undefined;
    try {
      chain = await startTestChain({
        databases: Array.from({ length: STOCK }, (_, index) => `D${index}`),
        deliver: (event) => arrivals.get(placeOf(event))?.(event),
        ...options,
      });
      const world = new World(chain, scratch, arrivals);
      if (!world.installed()) {
        world.map();
        await chain.reconcile(); // installs it
        world.unmap();
      }
      await world.plainMigrate("Warm_up", [], `-XX:ArchiveClassesAtExit=${scratch.folder}/classes`);
      return world;
    } catch (error) {
      await chain?.stop();
      await scratch.keeper.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.chain.stop();
    await this.scratch.keeper.stop();
  }

  /** Plays steps on fresh buckets, mends what they have left, as documented, and compares. */
  async play(steps: readonly Step[]): Promise<void> {
    const buckets = this.map();
    for (const step of steps) {
      this.deliverLate();
      if (step.waits) await this.quiet();
      await this.take(step, buckets);
    }
    this.deliverLate(Number.POSITIVE_INFINITY);
    await this.mend(buckets);
    for (const bucket of buckets) await this.check(bucket);
    this.unmap();
  }

  /** Takes unused buckets into use. */
  private map(): Bucket[] {
    return this.unused.splice(0, BUCKETS).map((database) => {
      const name = this.chain.buckets[database] as string;
      const mapping = { schema: database, flywayVersion: this.chain.flywayVersion, flywayConf: "local.conf" };
      this.chain.parameters.set(mappingName("/flyway", name), JSON.stringify(mapping));
      return {
        database,
        name,
        files: [],
        uploads: [],
        versions: 0,
        killed: false,
        gone: new Set(),
        attempts: new Map(),
      };
    });
  }

  /** Keeps reconciles from every bucket. */
  private unmap(): void {
    for (const bucket of Object.values(this.chain.buckets)) {
      this.chain.parameters.delete(mappingName("/flyway", bucket));
    }
  }

  private async take(step: Step, buckets: readonly Bucket[]): Promise<void> {
    const { does, delivery } = step;
    const bucket = buckets[step.bucket] as Bucket;
    const file = bucket.files.at(-1 - (step.file % Math.max(1, bucket.files.length)));
    switch (does) {
      case "upload":
        return this.put(bucket, this.nextFile(bucket, step), delivery);
      case "kill inside":
        return this.killInside(bucket, step);
      case "kill":
        return this.kill(bucket, step.after);
      case "reconcile":
        return this.undertake(this.chain.reconcile());
      case "overwrite":
        if (!file) return;
        file.revision++;
        return this.put(bucket, file, delivery);
      case "duplicate":
        return file && this.put(bucket, file, delivery);
      case "replace":
        if (!file) return;
        bucket.gone.add(file.key);
        await remove(this.chain, bucket.database, file.key);
        await sleep(step.after);
        return this.put(bucket, file, delivery);
    }
  }

  private nextFile(bucket: Bucket, { does, alters, file: which }: Step): File {
    const former = bucket.files.at(-1);
    const number = ++bucket.versions;
    const file: File = {
      key: `V${number}__file.sql`,
      number,
      alters: alters && former ? `T${former.number}` : undefined,
      stops: does !== "kill inside" ? undefined : which === 0 ? "at the end" : "between",
      revision: 1,
      corrected: false,
    };
    bucket.files.push(file);
    return file;
  }

  /** Uploads a file, and has its event delivered as told. */
  async put(bucket: Pick<Bucket, "name" | "uploads">, file: File, delivery: Delivery): Promise<void> {
    await this.putContent(bucket, file.key, sqlOf(file), delivery);
  }

  async putContent(
    { name, uploads }: Pick<Bucket, "name" | "uploads">,
    key: string,
    content: string,
    delivery: Delivery,
  ): Promise<void> {
    const place = `${name}/${key}`;
    const arrived = new Promise<S3Event>((resolve) => this.arrivals.set(place, resolve));
    const response = await s3Request(this.chain, "PUT", objectPath(name, key), content);
    uploads.push({ key, versionId: String(response.headers.get("x-amz-version-id")), content });
    const event = await arrived;
    if (delivery === "late") this.late.push({ event, steps: 2 });
    if (delivery === "once" || delivery === "twice") this.undertake(this.chain.invoke(event));
    if (delivery === "twice") this.undertake(this.chain.invoke(structuredClone(event)));
  }

  private deliverLate(steps = 1): void {
    for (const each of this.late) each.steps -= steps;
    for (const { event } of this.late.filter(({ steps }) => steps < 0)) {
      this.undertake(this.chain.invoke(event));
    }
    this.late = this.late.filter(({ steps }) => steps >= 0);
  }

  private undertake(work: Promise<void>): void {
    this.undertaken.add(work);
    work.finally(() => this.undertaken.delete(work));
  }

  /** Resolves once nothing runs and nothing is about to. */
  async quiet(): Promise<void> {
    await until("the end of all commands", async () => {
      return this.undertaken.size === 0 && this.chain.running.length === 0;
    });
  }

  private async kill(bucket: Bucket, after: number): Promise<void> {
    const runs = () => this.chain.running.filter(({ bucket: name }) => name === bucket.name || name === "*");
    await until("a run to kill, or none", async () => runs().length > 0 || this.undertaken.size === 0);
    await sleep(after);
    for (const { pid } of runs()) {
      bucket.killed = true;
      try {
        process.kill(-pid, "SIGKILL");
      } catch {
        // it has just ended
      }
    }
  }

  /** Kills a run while its migration waits between two statements, or a moment after it has gone on. */
  private async killInside(bucket: Bucket, step: Step): Promise<void> {
    const file = this.nextFile(bucket, step);
    const shut = await gate(this.chain, `${bucket.database} ${file.number}`, lockOf(file));
    try {
      await this.put(bucket, file, step.delivery);
      const isQuiet = () => this.undertaken.size === 0 && this.chain.running.length === 0;
      await until("a migration to kill, or none", async () => (await shut.isReached()) || isQuiet());
      if (step.after % 2 === 0) await this.kill(bucket, 0);
    } finally {
      await shut.open();
    }
    if (step.after % 2 === 1) await this.kill(bucket, step.after % 100);
  }

  /** Leaves a migration under way, for as long as we live. */
  async holdInside(): Promise<void> {
    const [bucket] = this.map() as [Bucket];
    const shut = await gate(this.chain, bucket.database);
    await this.putContent(bucket, "V1__waits.sql", shut.sql, "once");
    await shut.reached();
  }

  // ---- The documented way out

  /** Does what the verdicts say is to be done, until there is nothing. */
  private async mend(buckets: readonly Bucket[]): Promise<void> {
    const messages: string[] = [];
    for (let round = 1; round <= 10; round++) {
      await this.quiet();
      await this.chain.reconcile();
      await this.quiet();
      let isDone = true;
      for (const bucket of buckets) {
        const verdicts = await this.chain.verdicts.of(bucket.database);
        const bad = bucket.files.flatMap((file) => {
          const { versionId } = bucket.uploads.findLast(({ key }) => key === file.key) as {
            versionId: string;
          };
          const verdict = verdicts.find((each) => each.versionId === versionId);
          assert(verdict, `there is no verdict of ${file.key} ${versionId}`);
          return verdict.verdict.endsWith("applied") ? [] : [{ file, verdict }];
        });
        if (bad.length === 0) continue;
        isDone = false;
        messages.push(
          ...bad.map(({ verdict }) => `${round}. ${verdict.key} ${verdict.verdict}: ${verdict.message}`),
        );
        await this.mendBucket(bucket, bad, verdicts);
      }
      if (isDone) return;
    }
    throw new Error(`there is no end of mending:\n${messages.join("\n")}`);
  }

  private async mendBucket(
    bucket: Bucket,
    bad: readonly { file: File; verdict: UploadVerdict }[],
    verdicts: readonly UploadVerdict[],
  ): Promise<void> {
    const causes = bad.filter(({ verdict }) => !isHeldBack(verdict.message));
    const toDo = (what: string) => causes.filter(({ verdict }) => lastLine(verdict).includes(what));
    const half = toDo("have the host repair");
    const edited = toDo("upload its former content again");
    const passed = toDo("give it a version above the newest");
    const known = half.length + edited.length + passed.length;
    if (known === 0 || known < causes.length) {
      throw new Error(`no way out is told:\n${bad.map(({ verdict }) => verdictInWords(verdict)).join("\n")}`);
    }
    for (const { file, verdict } of edited) {
      assert(file.revision > 1, `nobody has edited it: ${verdictInWords(verdict)}`);
      await this.putFormer(bucket, file, verdicts, half.length > 0 ? "lost" : "once");
    }
    for (const { file, verdict } of half) {
      assert(bucket.killed || bucket.gone.size > 0, `nothing was killed: ${verdictInWords(verdict)}`);
      await this.correct(bucket, file, verdicts);
    }
    if (half.length > 0) return this.repair(bucket);
    for (const { file, verdict } of passed) {
      assert(bucket.gone.has(file.key), `it was never missing: ${verdictInWords(verdict)}`);
      await remove(this.chain, bucket.database, file.key);
      bucket.files = bucket.files.filter((each) => each !== file);
      file.key = `V${++bucket.versions}__file.sql`;
      bucket.files.push(file);
      await this.put(bucket, file, "once");
    }
  }

  /** The content that was applied, by its verdict; where a killed run applied it, one former content after the other. */
  private async putFormer(
    bucket: Bucket,
    file: File,
    verdicts: readonly UploadVerdict[],
    delivery: Delivery,
  ): Promise<void> {
    const applied = verdicts.find(({ key, verdict }) => key === file.key && verdict.endsWith("applied"));
    const attempt = (bucket.attempts.get(file.key) ?? 0) + 1;
    bucket.attempts.set(file.key, attempt);
    assert(!applied || attempt === 1, `${file.key} is refused with the content that was applied`);
    const contents = bucket.uploads.filter(({ key }) => key === file.key);
    const content = applied
      ? contents.find(({ versionId }) => versionId === applied.versionId)?.content
      : [...new Set(contents.map((each) => each.content))].at(-1 - attempt);
    assert(content, `no content of ${file.key} is the one that was applied`);
    file.revision = Number(/'revision (\d+)'/.exec(content)?.[1]);
    assert.equal(sqlOf(file), content);
    await this.put(bucket, file, delivery);
  }

  /** Takes back by hand what the verdict says has landed, or corrects the file so that it does not repeat it. */
  private async correct(bucket: Bucket, file: File, verdicts: readonly UploadVerdict[]): Promise<void> {
    const { database } = bucket;
    if (!file.alters && file.number % 2 === 0) {
      file.corrected = true;
    } else {
      const messages = verdicts.filter(({ key, verdict }) => key === file.key && verdict === "failed");
      const listed = messages.flatMap(({ message }) =>
        [...message.matchAll(/^- (?:table|column) (\S+) added\b/gm)].map((match) => match[1] as string),
      );
      const landed = await this.landed(database, file);
      if (listed.length > 0) {
        const missing = landed.filter((name) => !listed.includes(name));
        assert.deepEqual(
          missing,
          [],
          `what landed is not all told: ${messages.map(verdictInWords).join("\n")}`,
        );
      }
      for (const name of landed) {
        const [table, column] = name.split(".");
        const statement = column
          ? `ALTER TABLE ${database}.${table} DROP COLUMN ${column}`
          : `DROP TABLE ${database}.${table}`;
        await query(this.chain, statement);
      }
    }
    await this.put(bucket, file, "lost"); // the repair migrates too
  }

  /** What of a file is in the schema. */
  private async landed(database: string, { number, alters }: File): Promise<string[]> {
    const tables = await query(
      this.chain,
      `SELECT TABLE_NAME AS name FROM information_schema.TABLES
       WHERE TABLE_SCHEMA = '${database}' AND TABLE_NAME IN ('T${number}', 'U${number}') ORDER BY name`,
    );
    const columns = await query(
      this.chain,
      `SELECT CONCAT(TABLE_NAME, '.', COLUMN_NAME) AS name FROM information_schema.COLUMNS
       WHERE TABLE_SCHEMA = '${database}' AND TABLE_NAME = '${alters}' AND COLUMN_NAME = 'c${number}'`,
    );
    return [...tables, ...columns].map(({ name }) => name as string);
  }

  private async repair({ name }: Bucket): Promise<void> {
    const response = await fetch(this.chain.endpoint, {
      method: "POST",
      headers: {
        authorization: `AWS4-HMAC-SHA256 Credential=${this.chain.accessKeyId}/`,
        "x-amz-target": "AmazonSSM.SendCommand",
      },
      body: JSON.stringify({
        DocumentName: "flyway-migrate",
        InstanceIds: [INSTANCE],
        Parameters: { Bucket: [name], Operation: ["repair"], SettleSeconds: ["0"] },
      }),
    });
    assert(response.ok, await response.text());
    await this.quiet();
  }

  // ---- What must hold in the end

  private async check(bucket: Bucket): Promise<void> {
    const { database, uploads } = bucket;
    const versions = await this.listing(bucket);
    const sql = versions.filter(({ key }) => key.endsWith(".sql"));
    const id = ({ key, versionId }: { key: string; versionId: string }) => `${key} ${versionId}`;
    assert.deepEqual(
      sql.map(id).sort(),
      uploads.map(id).sort(),
      "the bucket has other versions than uploaded",
    );

    const verdicts = await this.chain.verdicts.of(database);
    assert.deepEqual(verdicts.map(id).sort(), sql.map(id).sort(), "not one verdict for each version");
    const judged = verdicts.map(({ key, versionId, verdict }) => ({ key, versionId, verdict }));
    for (const { verdict } of judged) {
      assert.match(verdict, /^(applied|already-applied|refused|failed|superseded)$/);
    }

    const records = await recordsIn(this.chain, bucket.name);
    assert.equal(records.at(-1)?.exitCode, 0, "the last run ended badly");
    const keys = new Set(uploads.map(({ key }) => key));
    for (const key of keys) {
      const runs = records.filter(({ location, flyway }) =>
        flyway.migrate?.migrations?.some(({ filepath }) => filepath === `${location}/${key}`),
      );
      const applied = judged.filter((each) => each.key === key && each.verdict === "applied");
      assert(runs.length <= 1 && applied.length <= 1, `${key} was applied more than once`);
      if (bucket.killed || !bucket.files.some((file) => file.key === key)) continue;
      assert.deepEqual([runs.length, applied.length], [1, 1], `${key} was not applied by one run`);
    }

    const plain = `${database}_plain`;
    await this.plainMigrate(plain, bucket.files);
    assert.deepEqual(await this.content(database), await this.content(plain));
  }

  /** The object versions that the bucket has, by the S3 API. */
  private async listing({ name }: Bucket): Promise<{ key: string; versionId: string }[]> {
    const xml = await (await s3Request(this.chain, "GET", `${name}?versions`)).text();
    assert(!xml.includes("<IsTruncated>true"));
    return [...xml.matchAll(/<Version>.*?<\/Version>/gs)].map(([version]) => ({
      key: /<Key>(.*?)<\/Key>/.exec(version)?.[1] as string,
      versionId: /<VersionId>(.*?)<\/VersionId>/.exec(version)?.[1] as string,
    }));
  }

  /** Runs Flyway itself on a schema of its own. */
  private async plainMigrate(schema: string, files: readonly File[], javaArgs = ""): Promise<void> {
    const folder = join(this.scratch.folder, schema);
    mkdirSync(folder);
    for (const file of files) writeFileSync(join(folder, file.key), sqlOf(file));
    const { host, port, user, password } = this.chain.database;
    const program = this.installed() ?? findExecutable(["flyway"]);
    assert(program, "there is no Flyway");
    const flyway = leashed(
      program,
      ["-skipCheckForUpdate", `-schemas=${schema}`, `-locations=filesystem:${folder}`, "migrate"],
      {
        cwd: folder,
        env: {
          ...process.env,
          JAVA_ARGS: javaArgs || this.scratch.javaArgs,
          FLYWAY_URL: `jdbc:mysql://${host}:${port}?useSsl=true&trustServerCertificate=true`,
          FLYWAY_USER: user,
          FLYWAY_PASSWORD: password,
        },
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const streams = [flyway.child.stdout, flyway.child.stderr] as NodeJS.ReadableStream[];
    const output = await Promise.all(streams.map((stream) => text(stream)));
    assert.equal(await flyway.exited, 0, `a plain migrate fails: ${output.join("\n")}`);
  }

  /** The release that the host has installed; undefined where it has not yet, or has its own of Flyway on PATH. */
  private installed(): string | undefined {
    const program = join(cacheFolder(), "releases", this.chain.flywayVersion, "flyway");
    return existsSync(program) ? program : undefined;
  }

  /** All that a schema holds, and what Flyway says of it. */
  private async content(schema: string): Promise<object> {
    const where = `WHERE TABLE_SCHEMA = '${schema}'`;
    const columns = await query(
      this.chain,
      `SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, COLUMN_KEY
       FROM information_schema.COLUMNS ${where} ORDER BY TABLE_NAME, ORDINAL_POSITION`,
    );
    const indexes = await query(
      this.chain,
      `SELECT TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE
       FROM information_schema.STATISTICS ${where} ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`,
    );
    const names = await query(
      this.chain,
      `SELECT TABLE_NAME AS name FROM information_schema.TABLES ${where}
       AND TABLE_NAME <> 'flyway_schema_history' ORDER BY TABLE_NAME`,
    );
    const rows: Record<string, RowDataPacket[]> = {};
    for (const { name } of names) {
      rows[name] = await query(this.chain, `SELECT * FROM ${schema}.${name} ORDER BY 1`);
    }
    const history = await query(
      this.chain,
      `SELECT version, description, type, script, checksum, success FROM ${schema}.flyway_schema_history
       WHERE version IS NOT NULL ORDER BY installed_rank`,
    );
    return { columns, indexes, rows, history };
  }
}

interface Scratch {
  readonly folder: string;
  readonly keeper: LeashedProcess;
  readonly javaArgs: string;
}

/**
 * A folder that goes with us, even when we are killed. In it the Java classes of Flyway will be, as they are once
 * loaded: with them, each Flyway starts in less than half the time.
 */
function makeScratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), "random-"));
  const keeper = leashed("sleep", ["2147483647"], { cleanup: folder });
  const javaArgs = `-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:SharedArchiveFile=${folder}/classes`;
  return { folder, keeper, javaArgs };
}

function placeOf(event: S3Event): string {
  const { bucket, object } = (event.Records[0] as S3Event["Records"][0]).s3;
  return `${bucket.name}/${decodeURIComponent(object.key)}`;
}

function lastLine({ message }: UploadVerdict): string {
  return message.trimEnd().split("\n").at(-1) as string;
}

function verdictInWords({ key, versionId, verdict, message }: UploadVerdict): string {
  return `${key} ${versionId} ${verdict}: ${message}`;
}
