import Ajv2020 from "ajv/dist/2020";
import { READING, recordSchema } from "../../records/parse";

const validate = new Ajv2020({ ...READING, strict: true }).compile(recordSchema);

/** What the schema has against a value, a line each; empty where it is a run record. */
export function schemaErrors(value: unknown): string[] {
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}
