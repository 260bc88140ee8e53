import { readFileSync } from "node:fs";
import { join } from "node:path";
import Ajv2020 from "ajv/dist/2020";
import type { RunRecord } from "./record";

/** The schema of the run record, as JSON. */
export const recordSchema = JSON.parse(readFileSync(join(__dirname, "record.schema.json"), "utf8"));

/** How ajv is to read the schema: what it says of `required` in one branch is declared in another. */
export const READING = { strictRequired: false, allowUnionTypes: true };

const isRecord = new Ajv2020({ ...READING, removeAdditional: true }).compile<RunRecord>(recordSchema);

/**
 * Reads a record; undefined for what is none, since whoever may upload may also write below the prefix. A member that
 * a newer host has added is left out.
 */
export function parseRecord(text: string): RunRecord | undefined {
  try {
    const record: unknown = JSON.parse(text);
    return isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}
