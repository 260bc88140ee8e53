import type { IncomingMessage } from "node:http";
import type { Version } from "./bucket";
import { S3Error } from "./error";

export function checkWrite({ headers }: IncomingMessage, current: Version | undefined): void {
  const only = headers["if-match"];
  const notIf = headers["if-none-match"];
  if (notIf !== undefined && notIf !== "*")
    throw new S3Error("NotImplemented", "If-None-Match: only * is here.");
  if (notIf && current?.body)
    throw new S3Error("PreconditionFailed", "If-None-Match: the key has an object.");
  if (only === undefined) return;
  if (!current?.body) throw new S3Error("NoSuchKey", "If-Match: the key has no object.");
  if (!matches(only, current.body.eTag)) throw new S3Error("PreconditionFailed", "If-Match: another ETag.");
}

export function checkRead(
  only: string | undefined,
  notIf: string | undefined,
  eTag: string,
  headers: Record<string, string>,
) {
  if (only && !matches(only, eTag)) throw new S3Error("PreconditionFailed", "If-Match: another ETag.");
  if (notIf && matches(notIf, eTag))
    throw new S3Error("NotModified", "If-None-Match: the same ETag.", headers);
}

export function matches(condition: string, eTag: string): boolean {
  return condition === "*" || condition.split(",").some((each) => unquoted(each) === eTag);
}

export function unquoted(eTag: string): string {
  return eTag.trim().replace(/^"(.*)"$/, "$1");
}

/**
 * First and last byte of a range, undefined where the header asks for no single range: all is sent then.
 *
 * @throws S3Error InvalidRange where no byte is in it.
 */
export function rangeOf(
  header: string | undefined,
  size: number,
): { start: number; end: number } | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (first === undefined || last === undefined || first + last === "") return undefined;
  const start = first === "" ? Math.max(size - Number(last), 0) : Number(first);
  const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (start >= size) {
    throw new S3Error("InvalidRange", `There are only ${size} bytes.`, {
      "content-range": `bytes */${size}`,
    });
  }
  return start <= end ? { start, end } : undefined;
}
