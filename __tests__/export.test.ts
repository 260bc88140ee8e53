import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { unzipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundleFunction } from "../constructs/bundle";
import { PROJECT, type RunOptions, run, runMain } from "./support/project";
import { parse } from "./support/synthesis";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "export-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;

/** The files of a folder, path to content. */
function filesIn(path: string): Files {
  const files = readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((file) => statSync(join(path, file)).isFile())
    .sort();
  return Object.fromEntries(files.map((file) => [file, readFileSync(join(path, file), "latin1")]));
}

/** Exports into a folder of this name; what is in it. */
async function exported(name: string, options: RunOptions = {}): Promise<Files> {
  const target = join(folder, name);
  const { code, stderr } = await runMain(["export", target], options);
  if (code !== 0) throw new Error(`main.ts ended with ${code}: ${stderr}`);
  return filesIn(target);
}

/** Puts files into a folder of this name; its path. */
function folderOf(name: string, files: Files): string {
  const target = join(folder, name);
  mkdirSync(target, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(target, path)), { recursive: true });
    writeFileSync(join(target, path), content, "latin1");
  }
  return target;
}

/** For npm, which needs a home, and without what would change the JSON. */
function npmEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, HOME: join(folder, "home") };
}

const JSON_FILE = "cdk.tf.json";

let first: Files;
beforeAll(async () => {
  first = await exported("first");
}, 60_000);

/** The one exported file with this name. */
function pathOf(name: string): string {
  return Object.keys(first).find((path) => path.endsWith(`/${name}`)) as string;
}

describe("npm run export", () => {
  it("writes cdk.tf.json and the assets that it names, and nothing else", () => {
    const named = [...(first[JSON_FILE] as string).matchAll(/\$\{path\.module\}\/(assets\/[^"\\]+)/g)];
    expect(named).toHaveLength(6);
    expect(Object.keys(first)).toEqual([...named.map(([, path]) => path as string).sort(), JSON_FILE]);
  });

  it("names no path of this machine", () => {
    for (const [file, content] of Object.entries(first)) {
      expect([file, [PROJECT, folder, tmpdir()].filter((path) => content.includes(`${path}/`))]).toEqual([
        file,
        [],
      ]);
    }
  });

  it.each<[string, RunOptions]>([
    ["again", {}],
    ["in the farthest east", { env: { TZ: "Pacific/Kiritimati" } }],
    [
      "in the farthest west, where a locale is set",
      { env: { TZ: "Pacific/Pago_Pago", LANG: "de_DE.UTF-8" } },
    ],
    ["under a strict umask", { umask: "077" }],
  ])("writes the same bytes %s", async (how, options) => {
    expect(await exported(how, options)).toEqual(first);
  });

  it("keeps a local state beside the folder, and else writes what cdktf synth writes", async () => {
    const out = join(folder, "cdktf.out");
    expect(await runMain([], { env: { CDKTF_OUTDIR: out } })).toMatchObject({ code: 0 });
    const { [JSON_FILE]: synthesized, ...assets } = filesIn(join(out, "stacks", "flyway"));
    const { [JSON_FILE]: json, ...exportedAssets } = first;
    expect(exportedAssets).toEqual(assets);
    expect(json).toContain('"path": "../terraform.flyway.tfstate"');
    expect(json).toBe(
      synthesized?.replace("../../../terraform.flyway.tfstate", "../terraform.flyway.tfstate"),
    );
  });

  it("has the function archived already, for a plan that was saved elsewhere", () => {
    const zip = Buffer.from(first[pathOf("flyway_trigger.zip")] as string, "latin1");
    const files = unzipSync(zip);
    expect(Object.keys(files)).toEqual(["index.js"]);
    expect(Buffer.from(files["index.js"] as Uint8Array).toString()).toBe(bundleFunction());
    expect(first[pathOf("index.js")]).toBe(Buffer.from(bundleFunction()).toString("latin1"));
    // the central directory's record: made by Unix, a file that everyone may read
    const record = zip.indexOf(Buffer.from("PK\x01\x02"));
    expect(zip[record + 5]).toBe(3);
    expect(zip.readUInt16LE(record + 40).toString(8)).toBe("100644");
  });

  it("takes a relative folder from where npm was run", async () => {
    const from = folderOf("where the user is", {});
    const npm = ["--prefix", PROJECT, "--silent", "run", "export", "--", "made/there"];
    const { code, stdout } = await run("npm", npm, from, npmEnvironment());
    expect(code).toBe(0);
    expect(stdout).toContain(join(from, "made", "there"));
    expect(filesIn(join(from, "made", "there"))).toEqual(first);
  });

  it("takes a relative folder from the working folder when it is run without npm", async () => {
    const cwd = folderOf("working", {});
    const env = { INIT_CWD: folder, npm_lifecycle_event: "test" };
    expect(await runMain(["export", "out"], { cwd, env })).toMatchObject({ code: 0 });
    expect(filesIn(join(cwd, "out"))).toEqual(first);
  });
});

describe("npm run export, over a folder", () => {
  it("puts the stack into one that is there", async () => {
    const otherFiles = { "backend.tf": "terraform {}", "modules/assets/a": "a" };
    folderOf("prepared", otherFiles);
    expect(await exported("prepared")).toEqual({ ...otherFiles, ...first });
  });

  it("replaces an export, what Terraform wrote into it too, and leaves the rest", async () => {
    const otherFiles = {
      ".terraform.lock.hcl": "# lock",
      ".terraform/environment": "default",
      "terraform.tfvars": "x = 1",
      "cdk_override.tf.json": "{}",
      "terraform.tfstate": "{}",
    };
    folderOf("old", {
      ...first,
      [JSON_FILE]: JSON.stringify({ "//": { metadata: { stackName: "flyway" } } }),
      [pathOf("flyway_trigger.zip")]: "what archive_file wrote",
      "assets/flyway_trigger/00000000000000000000000000000000/index.js": "stale",
      "assets/gone/00000000000000000000000000000000/gone.sh": "stale",
      ...otherFiles,
    });
    expect(await exported("old")).toEqual({ ...otherFiles, ...first });
    expect(readdirSync(join(folder, "old", "assets")).sort()).toEqual(
      readdirSync(join(folder, "first", "assets")).sort(),
    );
  });

  it("takes up what an interrupted export left", async () => {
    folderOf("interrupted", { [pathOf("index.js")]: "half", [`${pathOf("index.js")}.new`]: "half" });
    expect(await exported("interrupted")).toEqual(first);
  });

  it("leaves the old export whole where something of another kind is among its assets", async () => {
    const old = {
      [JSON_FILE]: JSON.stringify({ "//": { metadata: { stackName: "flyway" } } }),
      "assets/flyway_trigger_zip": "a file in the place of a folder",
      "assets/flyway_trigger/00000000000000000000000000000000/index.js": "old",
    };
    const target = folderOf("in the way", old);
    const { code, stderr } = await runMain(["export", target]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("flyway_trigger_zip is of no export")]);
    expect(filesIn(target)).toMatchObject(old);
  });

  it("refuses assets that are a link, and leaves what is behind it", async () => {
    const behind = folderOf("behind", { "keep.txt": "ours" });
    const target = folderOf("linked", {});
    symlinkSync(behind, join(target, "assets"));
    const { code, stderr } = await runMain(["export", target]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("assets is a link")]);
    expect(filesIn(behind)).toEqual({ "keep.txt": "ours" });
  });

  it("says of a folder that cannot be made that it cannot be written", async () => {
    const { code, stderr } = await runMain(["export", "/dev/null/flyway"]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^\/dev\/null\/flyway cannot be written: /)]);
  });

  it.each([
    "not a url",
    "ftp://mirror.example/",
    "https://user:secret@mirror.example/",
    "https://a.example/?b",
    "https://a.example/${b}",
  ])("refuses MAVEN_REPOSITORY %j", async (repository) => {
    const { code, stderr } = await runMain(["print"], { env: { MAVEN_REPOSITORY: repository } });
    expect([code, stderr]).toEqual([2, expect.stringContaining("is no repository's URL: use one such as")]);
  });

  it.each<[string, Files, string, string]>([
    [
      "another stack",
      { [JSON_FILE]: JSON.stringify({ "//": { metadata: { stackName: "network" } } }) },
      JSON_FILE,
      'is the stack "network", and not "flyway": name another folder, or remove it.',
    ],
    [
      "a cdk.tf.json of unknown origin",
      { [JSON_FILE]: "{}" },
      JSON_FILE,
      'is no stack of CDKTF\'s, and not "flyway": name another folder, or remove it.',
    ],
    [
      "assets of its own",
      { "assets/logo.svg": "<svg/>" },
      "assets/logo.svg",
      "is of no export, which would remove it: name another folder.",
    ],
  ])("refuses one with %s, and changes nothing", async (what, files, file, message) => {
    const target = folderOf(`with ${what}`, files);
    const { code, stderr } = await runMain(["export", target]);
    expect([code, stderr]).toEqual([2, `${join(target, file)} ${message}\n`]);
    expect(filesIn(target)).toEqual(files);
  });

  it("refuses one of another stage, and says which", async () => {
    const target = folderOf("of no stage", first);
    const { code, stderr } = await runMain(["export", target], { env: { STAGE: "dev" } });
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('is the stack "flyway", and not "flyway-dev"'),
    ]);
    expect(filesIn(target)).toEqual(first);
  });

  it("refuses the project's own, whose assets folder is not an export's", async () => {
    const { code, stderr } = await runMain(["export", "."]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("is of no export, which would remove it")]);
    expect(existsSync(join(PROJECT, JSON_FILE))).toBe(false);
  });

  it("refuses a file", async () => {
    const file = join(folderOf("of a file", { file: "mine" }), "file");
    const { code, stderr } = await runMain(["export", file]);
    expect([code, stderr]).toEqual([2, `${file} is a file: name a folder.\n`]);
    expect(readFileSync(file, "utf8")).toBe("mine");
  });
});

describe("npm run -s print", () => {
  it("writes the exported JSON to standard output, and nothing else anywhere", async () => {
    expect(await runMain(["print"])).toEqual({ code: 0, stdout: first[JSON_FILE], stderr: "" });
  });

  it("does so by npm too", async () => {
    const npm = ["--prefix", PROJECT, "run", "-s", "print"];
    const { code, stdout } = await run("npm", npm, folder, npmEnvironment());
    expect([code, stdout]).toEqual([0, first[JSON_FILE]]);
  });

  it("ends quietly where nobody reads on", async () => {
    const script = '"$0" --import "$1" main.ts print | true; echo "${PIPESTATUS[0]}"';
    const args = ["-c", script, process.execPath, require.resolve("tsx")];
    expect(await run("bash", args, PROJECT, { PATH: process.env.PATH })).toEqual({
      code: 0,
      stdout: "0\n",
      stderr: "",
    });
  });
});

describe("main.ts", () => {
  it.each([
    ["an export without a folder", ["export"], "export takes one folder."],
    ["an export into two folders", ["export", "a", "b"], "export takes one folder."],
    ["an option that there is not", ["export", "--force"], "export takes one folder."],
    ["an empty folder name", ["export", ""], "export takes one folder."],
    ["an argument to print", ["print", "x"], "print takes no argument."],
    ["an unknown command", ["deploy"], '"deploy" is no command.'],
  ])("refuses %s, and says what there is", async (_, args, message) => {
    const { code, stdout, stderr } = await runMain(args, { cwd: folder });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
    expect(stderr).toContain("npm run export -- DIR");
  });

  it("says on request what there is", async () => {
    const { code, stdout } = await runMain(["--help"]);
    expect([code, stdout]).toEqual([0, expect.stringContaining("npm run export -- DIR")]);
  });

  it.each([[["print"]], [["export", "never"]], [[]]])(
    "refuses an unknown BACKEND for %j, before anything is written",
    async (args) => {
      const cwd = folderOf(`for ${args.join(" ")}`, {});
      const { code, stdout, stderr } = await runMain(args, { cwd, env: { BACKEND: "azurerm" } });
      expect([code, stdout, stderr]).toEqual([
        2,
        "",
        'BACKEND is "azurerm": use "local" (the default), "s3" or "none".\n',
      ]);
      expect(filesIn(cwd)).toEqual({});
    },
  );

  it("refuses a STAGE that is no name, and says what is", async () => {
    const { code, stdout, stderr } = await runMain(["print"], { env: { STAGE: "Dev" } });
    expect([code, stdout, stderr]).toEqual([
      2,
      "",
      expect.stringMatching(/^stage "Dev" is no valid name: use /),
    ]);
  });

  it("gives each STAGE a state of its own", async () => {
    const { stdout } = await runMain(["print"], { env: { STAGE: "dev" } });
    expect((parse(stdout).root.terraform as Record<string, unknown>).backend).toEqual({
      local: { path: "../terraform.flyway-dev.tfstate" },
    });
  });

  it.each([
    ["s3", { s3: {} }],
    ["none", undefined],
  ])("takes BACKEND=%s", async (backend, expected) => {
    const { stdout } = await runMain(["print"], { env: { BACKEND: backend } });
    expect((parse(stdout).root.terraform as Record<string, unknown>).backend).toEqual(expected);
  });
});
