import Ajv2020, { type AnySchemaObject } from "ajv/dist/2020.js";
import type { RunRecord } from "./record";
import schema from "./record.schema.json";

/** The schema of the run record, as JSON. */
export const recordSchema: AnySchemaObject = schema;

/** How ajv is to read the schema: what it says of `required` in one branch is declared in another. */
export const READING = { strictRequired: false, allowUnionTypes: true };

const isRecord = new Ajv2020({ ...READING, removeAdditional: true, useDefaults: true }).compile<RunRecord>(
  recordSchema,
);

/**
 * Reads a record; undefined for what is none, since whoever may upload may also write below the prefix. A member that
 * a newer host has added is left out, one that a former host did not have yet gets its default.
 */
export function parseRecord(text: string): RunRecord | undefined {
  try {
    const record: unknown = JSON.parse(text);
    return isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}
