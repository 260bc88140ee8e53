import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copySources, PROJECT, type RunOptions, runMain } from "./support/project";
import { parse } from "./support/synthesis";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "synth-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A build of main.ts: the output folder's files, path to content, and modes. */
interface Build {
  readonly files: Readonly<Record<string, string>>;
  readonly modes: Readonly<Record<string, number>>;
}

/** Synthesizes as `cdktf synth` would, in a process of its own whose home and temporary folders are its own too. */
async function build(name: string, { env, ...options }: RunOptions = {}): Promise<Build> {
  const [home, tmp, out] = ["home", "tmp", "cdktf.out"].map((part) => join(folder, name, part)) as [
    string,
    string,
    string,
  ];
  mkdirSync(home, { recursive: true });
  mkdirSync(tmp);
  const { code, stderr } = await runMain([], {
    ...options,
    env: { HOME: home, TMPDIR: tmp, CDKTF_OUTDIR: out, ...env },
  });
  if (code !== 0) throw new Error(`main.ts ended with ${code}: ${stderr}`);
  const paths = readdirSync(out, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(out, path)).isFile())
    .sort();
  return {
    files: Object.fromEntries(paths.map((path) => [path, readFileSync(join(out, path), "latin1")])),
    modes: Object.fromEntries(paths.map((path) => [path, statSync(join(out, path)).mode & 0o777])),
  };
}

const JSON_PATH = join("stacks", "flyway", "cdk.tf.json");

let first: Build;
let second: Build;
let elsewhere: Build;
let copied: Build;
let strict: Build;
let mirrored: Build;
beforeAll(async () => {
  const copy = join(folder, "a copy of the project's sources, at a path that is a good deal longer");
  copySources(copy);
  [first, second, elsewhere, copied, strict, mirrored] = (await Promise.all([
    build("first"),
    build("second, with a space"),
    build("elsewhere", { cwd: folder }),
    build("copied", { sources: copy }),
    build("strict", { umask: "077" }),
    build("mirrored", { env: { MAVEN_REPOSITORY: "https://mirror.example/maven/" } }),
  ])) as [Build, Build, Build, Build, Build, Build];
}, 60_000);

describe("the output folder", () => {
  it("has the stack, its assets and the manifest", () => {
    expect(Object.keys(first.files).map((path) => path.replace(/[0-9A-F]{32}/, "HASH"))).toEqual([
      "manifest.json",
      "stacks/flyway/assets/flyway_migrate/HASH/flyway-migrate.json",
      "stacks/flyway/assets/flyway_trigger/HASH/index.js",
      "stacks/flyway/assets/flyway_trigger_zip/HASH/flyway_trigger.zip",
      "stacks/flyway/assets/rds_ca_bundle/HASH/rds-ca-bundle.pem",
      "stacks/flyway/assets/runner/HASH/runner.cjs",
      "stacks/flyway/assets/user_data/HASH/user-data.sh",
      JSON_PATH,
    ]);
  });

  it("is the same after two builds", () => {
    expect(second.files).toEqual(first.files);
  });

  it("is the same from another working directory", () => {
    expect(elsewhere.files).toEqual(first.files);
  });

  it("is the same from a copy of the sources at a longer path with spaces", () => {
    expect(copied.files).toEqual(first.files);
  });

  it("is the same under a strict umask", () => {
    expect(strict.files).toEqual(first.files);
  });

  it("has no path of this machine in it", () => {
    const paths = [`${PROJECT}/`, folder, "node_modules"];
    for (const [file, content] of [first, copied].flatMap(({ files }) => Object.entries(files))) {
      expect([file, paths.filter((path) => content.includes(path))]).toEqual([file, []]);
    }
  });

  it.each([
    ["the usual umask", () => first],
    ["umask 077", () => strict],
  ])("has assets of mode 0644 under %s", (_, output) => {
    const assets = Object.entries(output().modes).filter(([path]) => path.includes("/assets/"));
    expect(assets).toHaveLength(6);
    expect(assets.filter(([, mode]) => mode !== 0o644)).toEqual([]);
  });

  it("has the assets that its JSON names", () => {
    const named = [...(first.files[JSON_PATH] as string).matchAll(/\$\{path\.module\}\/(assets\/[^"\\]+)/g)]
      .map(([, path]) => join("stacks", "flyway", path as string))
      .sort();
    expect(named).toHaveLength(6);
    expect(named).toEqual(Object.keys(first.files).filter((path) => path.includes("/assets/")));
  });
});

describe("what the host downloads", () => {
  const sha256Of = (file: string) => {
    const path = Object.keys(first.files).find((each) => each.endsWith(`/${file}`)) as string;
    return createHash("sha256")
      .update(Buffer.from(first.files[path] as string, "latin1"))
      .digest("hex");
  };

  it("has the SHA-256 of its file in its key", () => {
    const { at } = parse(first.files[JSON_PATH] as string);
    expect(at("aws_s3_object.runner").key).toBe(`runner/${sha256Of("runner.cjs")}.cjs`);
    expect(at("aws_s3_object.rds_ca_bundle").key).toBe(
      `rds-ca-bundle/\${var.rds_ca_certificates == null ? "${sha256Of("rds-ca-bundle.pem")}" : sha256(var.rds_ca_certificates)}.pem`,
    );
  });

  it("is checked by the document's script where it is the host's program", () => {
    const document = Object.entries(first.files).find(([path]) => path.endsWith("/flyway-migrate.json"));
    expect(document?.[1]).toContain(`RUNNER_SHA256='${sha256Of("runner.cjs")}'`);
  });
});

describe("the Terraform settings", () => {
  it("keep the state beside the project, by a relative path", () => {
    const { root } = parse(first.files[JSON_PATH] as string);
    expect((root.terraform as Record<string, unknown>).backend).toEqual({
      local: { path: "../../../terraform.flyway.tfstate" },
    });
  });
});

describe("MAVEN_REPOSITORY", () => {
  it("changes the archives' URLs", () => {
    const { at } = parse(mirrored.files[JSON_PATH] as string);
    const urls = [...String(at("local.flyway_archives").value).matchAll(/"url":"([^"]*)"/g)].map(
      ([, url]) => url,
    );
    expect(urls).toHaveLength(4);
    for (const url of urls) expect(url).toMatch(/^https:\/\/mirror\.example\/maven\/org\/flywaydb\//);
  });

  it("changes nothing else", () => {
    const withoutUrls = ({ files }: Build) => {
      const json = files[JSON_PATH] as string;
      return { ...files, [JSON_PATH]: json.replaceAll(/https:\/\/[^"\\]+(?=\/org\/flywaydb\/)/g, "URL") };
    };
    expect(mirrored.files[JSON_PATH]).not.toBe(first.files[JSON_PATH]);
    expect(withoutUrls(mirrored)).toEqual(withoutUrls(first));
  });
});
