import { join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { parseRecord, recordSchema } from "../records/parse";
import { judged, recordOf } from "./support/records";
import { schemaErrors } from "./support/schema";

const record = recordOf({
  objects: [judged("V1__a.sql", "applied")],
  interrupted: [{ commandId: "b", startedAt: "2026-01-01T11:00:00Z" }],
});

interface Shape {
  /** JSON's name of each type that a value may have, sorted; literals as they are. */
  readonly types: readonly string[];
  readonly required: readonly string[];
  readonly members: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
}

/** The shape that TypeScript gives a type. */
function shapeOfType(type: ts.Type, checker: ts.TypeChecker): Shape {
  const types = new Set<string>();
  const members: Record<string, Shape> = {};
  const required: string[] = [];
  let items: Shape | undefined;
  for (const part of type.isUnion() ? type.types : [type]) {
    if (part.flags & ts.TypeFlags.Undefined) continue;
    if (part.flags & ts.TypeFlags.Null) types.add("null");
    else if (part.isStringLiteral() || part.isNumberLiteral()) types.add(JSON.stringify(part.value));
    else if (part.flags & ts.TypeFlags.String) types.add("string");
    else if (part.flags & ts.TypeFlags.Number) types.add("number");
    else if (part.flags & ts.TypeFlags.BooleanLike) types.add("boolean");
    else if (checker.isArrayType(part)) {
      types.add("array");
      items = shapeOfType(checker.getTypeArguments(part as ts.TypeReference)[0] as ts.Type, checker);
    } else {
      types.add("object");
      for (const property of part.getProperties()) {
        members[property.name] = shapeOfType(checker.getTypeOfSymbol(property), checker);
        if (!(property.flags & ts.SymbolFlags.Optional)) required.push(property.name);
      }
    }
  }
  return { types: [...types].sort(), required: required.sort(), members, ...(items && { items }) };
}

/** JSON Schema, as far as the record's uses it. */
interface JsonSchema {
  readonly $ref?: string;
  readonly anyOf?: readonly [JsonSchema, JsonSchema];
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
}

/** The shape that the schema gives a value: a member that has a default is always there. */
function shapeOfSchema(schema: JsonSchema): Shape {
  const { $ref, anyOf, type = [], properties = {}, required = [], items } = schema;
  if ($ref) return shapeOfSchema(recordSchema.$defs[$ref.slice("#/$defs/".length)]);
  if (anyOf) {
    const [some, none] = [shapeOfSchema(anyOf[0]), shapeOfSchema(anyOf[1])];
    return { ...some, types: [...some.types, ...none.types].sort() };
  }
  const literals = "const" in schema ? [schema.const] : schema.enum;
  const names = literals?.map((value) => JSON.stringify(value)) ?? [type].flat();
  const defaults = Object.entries(properties).flatMap(([name, member]) =>
    "default" in member ? [name] : [],
  );
  return {
    types: names.map((name) => (name === "integer" ? "number" : name)).sort(),
    required: [...required, ...defaults].sort(),
    members: Object.fromEntries(
      Object.entries(properties).map(([name, member]) => [name, shapeOfSchema(member)]),
    ),
    ...(items && { items: shapeOfSchema(items) }),
  };
}

describe("the schema of the run record", () => {
  it("says of each member what TypeScript's type says", () => {
    const file = join(__dirname, "..", "records", "record.ts");
    const program = ts.createProgram([file], { strict: true, noLib: false, types: [] });
    const checker = program.getTypeChecker();
    const source = program.getSourceFile(file) as ts.SourceFile;
    const declared = source.statements.find(
      (statement): statement is ts.InterfaceDeclaration =>
        ts.isInterfaceDeclaration(statement) && statement.name.text === "RunRecord",
    ) as ts.InterfaceDeclaration;
    const shape = shapeOfType(checker.getTypeAtLocation(declared), checker);
    expect(Object.keys(shape.members)).toContain("halfApplied");
    expect(shapeOfSchema(recordSchema as JsonSchema)).toEqual(shape);
  });

  it("takes a record", () => {
    expect(schemaErrors(record)).toEqual([]);
  });

  it("bears its version in its id", () => {
    expect(recordSchema.$id).toBe(`urn:flyway-on-aws:run-record:${record.recordVersion}`);
  });

  it.each([
    ["another version", { recordVersion: 1 }],
    ["a number that is none", { number: "1" }],
    ["a member that it does not know", { verdict: "applied" }],
    ["an object without a version", { objects: [{ key: "V1__a.sql", eTag: "e", size: 1 }] }],
    ["a time that is none", { startedAt: "noon" }],
  ])("refuses %s", (_, change) => {
    expect(schemaErrors({ ...record, ...change })).not.toEqual([]);
  });
});

describe("parseRecord", () => {
  it.each([
    "",
    "{",
    "null",
    "[]",
    "{}",
    JSON.stringify({ ...record, recordVersion: 1 }),
    JSON.stringify({ ...record, number: undefined }),
    JSON.stringify({ ...record, objects: undefined }),
    JSON.stringify({ ...record, flyway: undefined }),
    JSON.stringify({ ...record, objects: [null] }),
    JSON.stringify({ ...record, flyway: { ...record.flyway, migrate: { migrations: "none" } } }),
  ])("takes %j for no record", (text) => {
    expect(parseRecord(text)).toBeUndefined();
  });

  it("reads a record", () => {
    expect(parseRecord(JSON.stringify(record))).toEqual(record);
  });

  it("reads one of a former host's, which does not say whether it is a repetition, as none", () => {
    const former = JSON.stringify({ ...record, isRepetition: undefined });
    expect(schemaErrors(JSON.parse(former))).toEqual([]);
    expect(parseRecord(former)).toEqual({ ...record, isRepetition: false });
  });

  it("reads one that has a member more, of a newer host's", () => {
    expect(parseRecord(JSON.stringify({ ...record, mood: "good" }))).toEqual(record);
  });
});
