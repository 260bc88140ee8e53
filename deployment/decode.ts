import type { Encoding } from "./mapping";

/** What stands before a text in UTF-16, by the order of its bytes. */
const LITTLE_ENDIAN = "\xff\xfe";

/**
 * The text of a file as Flyway's Java reads it, without a byte order mark. Node.js would take ISO-8859-1 for windows-1252, and
 * UTF-16 for little-endian, as browsers do.
 *
 * @throws if it is not encoded so, but for ISO-8859-1, which anything is
 */
export function decode(bytes: Uint8Array, encoding: Encoding): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (encoding === "ISO-8859-1") return buffer.toString("latin1");
  const decoder = new TextDecoder(javaMeaning(buffer, encoding), { fatal: true });
  return decoder.decode(bytes, { stream: true }) + decoder.decode(); // at once, Node.js 20 takes windows-1252 for ISO-8859-1
}

function javaMeaning(buffer: Buffer, encoding: Encoding): Encoding {
  if (encoding !== "UTF-16") return encoding;
  return buffer.subarray(0, 2).toString("latin1") === LITTLE_ENDIAN ? "UTF-16LE" : "UTF-16BE";
}
