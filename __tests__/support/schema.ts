import { readFileSync } from "node:fs";
import { join } from "node:path";
import Ajv2020 from "ajv/dist/2020";

/** The schema of the run record, as JSON. */
export const recordSchema = JSON.parse(
  readFileSync(join(__dirname, "..", "..", "records", "record.schema.json"), "utf8"),
);

const validate = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true }).compile(
  recordSchema,
);

/** What the schema has against a value, a line each; empty where it is a run record. */
export function schemaErrors(value: unknown): string[] {
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}
