import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { TerraformElement, Testing } from "cdktf";
import { build } from "esbuild";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { FlywayStack } from "../constructs/flyway-stack";
import { officialArchives } from "../deployment/archives";
import { inTemporaryFolder } from "./support/synthesis";

const ROOT = join(__dirname, "..");

/** TypeScript files of a room, from the project's folder. */
function filesOf(room: string): string[] {
  return readdirSync(join(ROOT, room), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(room, file));
}

/** What a file imports of the project, types too: files, from the project's folder. */
function importsOf(file: string): string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(join(ROOT, file), "utf8"));
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith("."))
    .map(({ fileName }) => join(file, "..", fileName.replace(/\.js$/, "")))
    .map((path) => (path.endsWith(".json") ? path : `${path}.ts`));
}

/** A circle of files that import one another, first and last the same; undefined where there is none. */
function circleIn(imports: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (finished.has(file)) return undefined;
    for (const imported of imports.get(file) ?? []) {
      const circle = visit(imported, [...path, file]);
      if (circle !== undefined) return circle;
    }
    finished.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const circle = visit(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

/** The pieces of text in a file: its strings, and templates without what is put into them. */
function textsOf(file: string): string[] {
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      texts.push(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(join(ROOT, file), "utf8"), ts.ScriptTarget.ES2022));
  return texts;
}

/** Each element's address, and the file of the construct that declares it: `s3.tf` is declared by constructs/s3.ts. */
async function declarations(): Promise<Map<string, string>> {
  const archives = await officialArchives();
  const elements = inTemporaryFolder((outdir) =>
    new FlywayStack(Testing.app({ outdir }), "flyway", { archives }).node
      .findAll()
      .filter((element) => TerraformElement.isTerraformElement(element)),
  );
  return new Map(
    elements
      .filter(({ node }) => node.scope?.node.id.endsWith(".tf"))
      .map(({ node }) => [node.id, `constructs/${node.scope?.node.id.replace(/\.tf$/, ".ts")}`]),
  );
}

/** The packages that a program loads; what those load in turn is not asked for. */
async function packagesOf(entry: string): Promise<Set<string>> {
  const { metafile } = await build({
    entryPoints: [join(ROOT, entry)],
    bundle: true,
    packages: "external",
    platform: "node",
    format: "cjs",
    write: false,
    metafile: true,
    logLevel: "error",
  });
  const imported = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
  return new Set(imported.map((path) => path.split("/", path.startsWith("@") ? 2 : 1).join("/")));
}

describe("the rooms", () => {
  it.each(["constructs", "deployment", "records", "lambda", "runner", "local", "cli"])(
    "have no files in %s that import one another",
    (room) => {
      const files = filesOf(room);
      expect(files).not.toEqual([]);
      expect(circleIn(new Map(files.map((file) => [file, importsOf(file)])))).toBeUndefined();
    },
  );

  it.each([
    ["deployment", []],
    ["records", []],
    ["lambda", ["deployment", "records"]],
    ["runner", ["deployment", "records"]],
    ["cli", ["deployment", "records", "package.json", "local"]],
    ["constructs", ["deployment", "records", "lambda"]],
    ["local", ["deployment", "records", "lambda", "constructs"]],
  ])("let %s import of the others only %j", (room, others) => {
    const rooms = filesOf(room).flatMap((file) => importsOf(file).map((path) => path.split("/")[0]));
    expect(rooms.filter((name) => ![room, ...others].includes(name as string))).toEqual([]);
  });

  it("let cli import of the local chain for rehearsals only", () => {
    const users = filesOf("cli").filter((file) => importsOf(file).some((path) => path.startsWith("local/")));
    expect(users.filter((file) => !file.startsWith("cli/rehearsal/"))).toEqual([]);
  });

  it("load CDKTF for the constructs, and for npm start do not", async () => {
    const cdktf = ["cdktf", "constructs", "@cdktf/provider-aws", "@cdktf/provider-archive"];
    const loaded = async (entry: string) => {
      const packages = await packagesOf(entry);
      return cdktf.filter((name) => packages.has(name));
    };
    expect(await loaded("main.ts")).toEqual(cdktf);
    expect(await loaded("local/main.ts")).toEqual([]);
  });

  it("have nothing of CDKTF and of AWS in what all sides agree on", async () => {
    const packages = await Promise.all(filesOf("deployment").map((file) => packagesOf(file)));
    expect(
      packages.flatMap((names) => [...names]).filter((name) => /^(@?cdktf|constructs|@aws)/.test(name)),
    ).toEqual([]);
  });
});

describe("the constructs", () => {
  it("name no element in a string that another file declares: it comes by their props", async () => {
    const files = await declarations();
    expect(files.get("aws_s3_bucket.this")).toBe("constructs/s3.ts");
    const foreign = filesOf("constructs").flatMap((file) =>
      textsOf(file)
        .flatMap((text) => text.match(/\b(data\.)?[a-z]\w*\.[a-z]\w*/g) ?? [])
        .filter((address) => files.has(address) && files.get(address) !== file)
        .map((address) => `${file}: ${address}`),
    );
    expect(foreign).toEqual([]);
  });

  it("have a file each, in which all of their elements are", async () => {
    const files = filesOf("constructs");
    expect([...new Set((await declarations()).values())].filter((file) => !files.includes(file))).toEqual([]);
  });
});
