import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cacheFolder } from "../../local/machine/downloads";
import { startTestHost } from "../support/host";
import { functionLines } from "./function";
import {
  clear,
  databasesLine,
  filesLine,
  type Line,
  listingLine,
  machine,
  nothingNewLines,
  reconcileLine,
  synthLines,
  uploadLines,
} from "./lines";
import { type Sample, type Spread, spreadOf } from "./measure";

const USAGE = `npm run bench                measures each piece of work beside its peer, in turn

  --only WORDS    only the lines whose work has these words
  --quick         fewer turns, buckets, files and databases
  --json FILE     writes all samples

It needs Linux and Python 3. TF_CLI_CONFIG_FILE names a mirror of Terraform's providers, where their registry cannot be had.`;

/** What a line came to. */
interface Result {
  readonly work: string;
  readonly peer: string;
  readonly aim: Line["aim"];
  readonly samples: { readonly work: readonly Sample[]; readonly peer: readonly Sample[] };
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      only: { type: "string" },
      quick: { type: "boolean" },
      json: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (options.help) return console.log(USAGE);
  const size = options.quick
    ? { times: 2, buckets: 10, files: [20], databases: 4, listed: 500 }
    : { times: 5, buckets: 100, files: [200, 2_000], databases: 100, listed: 10_000 };
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  const host = await startTestHost();
  try {
    const python = join(cacheFolder(), "moto-5.2.5", "bin", "python");
    const listing = listingLine(host, size.listed, size.times);
    if (!listing) console.error("There is no aws on PATH: the copy of a bucket is not measured.");
    const lines = [
      ...uploadLines(host, size.times),
      ...(await nothingNewLines(host, size.times)),
      reconcileLine(host, size.buckets, size.times),
      ...size.files.map((count) => filesLine(host, count, Math.min(size.times, 3))),
      databasesLine(host, size.databases, Math.min(cpus().length, 2)),
      ...(listing ? [listing] : []),
      ...synthLines(join(folder, "exported"), Math.min(size.times, 3)),
      ...(await functionLines(host, existsSync(python) ? python : undefined, size.times)),
    ].filter(({ work }) => work.includes(options.only ?? ""));
    console.log(
      `${machine()}, ${host.database.product}, Flyway ${host.flywayVersion}, Node.js ${process.version}\n`,
    );
    console.log(
      "| work | peer | CPU s | peer's | ratio | aim | wall s | peer's | ratio | aim | MiB | peer's |",
    );
    console.log("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    const results: Result[] = [];
    for (const line of lines) {
      try {
        const result = await run(line);
        results.push(result);
        console.log(rowOf(result));
      } catch (error) {
        console.error(`Not measured: ${line.work}, beside ${line.peer}: ${(error as Error).message}`);
        process.exitCode = 1;
      }
      if (/database|files/.test(line.work)) await clear(host);
    }
    if (options.json)
      writeFileSync(options.json, `${JSON.stringify({ machine: machine(), results }, null, 2)}\n`);
  } finally {
    await host.stop();
    rmSync(folder, { recursive: true });
  }
}

/** Measures both in turn, so that whatever the machine does meanwhile is shared. */
async function run({ work, peer, aim, times, turn }: Line): Promise<Result> {
  const samples = { work: [] as Sample[], peer: [] as Sample[] };
  for (let index = 0; index < times; index++) {
    const one = await turn(index);
    const order = index % 2 === 0 ? (["work", "peer"] as const) : (["peer", "work"] as const);
    for (const side of order) samples[side].push(await one[side]());
  }
  return { work, peer, aim, samples };
}

/** Median, and from least to most, of processors' time and of time; the most memory. */
function rowOf({ work, peer, aim, samples }: Result): string {
  const spread = (side: "work" | "peer", what: keyof Sample) =>
    spreadOf(samples[side].map((sample) => sample[what]));
  const text = ({ min, median, max }: Spread) => {
    const digits = median < 0.1 ? 3 : 2;
    return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
  };
  const cells = (["cpu", "wall"] as const).flatMap((what) => {
    const [own, other] = [spread("work", what), spread("peer", what)];
    return [
      text(own),
      text(other),
      `**${(own.median / other.median).toFixed(2)}**`,
      aim[what]?.toFixed(2) ?? "",
    ];
  });
  const memory = (["work", "peer"] as const).map((side) => Math.round(spread(side, "memory").max) || "");
  return `| ${[work, peer, ...cells, ...memory].join(" | ")} |`;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
