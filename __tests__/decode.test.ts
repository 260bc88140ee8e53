import { describe, expect, it } from "vitest";
import { decode } from "../deployment/decode";
import { ENCODINGS, type Encoding } from "../deployment/mapping";

describe("a file's text", () => {
  it.each<[Encoding, string, string]>([
    ["UTF-8", "c3bc", "ü"],
    ["UTF-8", "efbbbfc3bc", "ü"],
    ["UTF-16", "fffefc00", "ü"],
    ["UTF-16", "feff00fc", "ü"],
    ["UTF-16", "00fc", "ü"],
    ["UTF-16LE", "fc00", "ü"],
    ["UTF-16BE", "feff00fc", "ü"],
    ["ISO-8859-1", "fc80", "ü\x80"],
    ["ISO-8859-15", "fca4", "ü€"],
    ["windows-1252", "fc80", "ü€"],
    ["windows-31j", "8abf8740", "漢①"],
    ["Shift_JIS", "8abf", "漢"],
    ["EUC-KR", "c7d1", "한"],
    ["GBK", "baba", "汉"],
    ["Big5", "ba7e", "漢"],
  ])("in %s of the bytes %s is %j", (encoding, hex, text) => {
    expect(decode(Buffer.from(hex, "hex"), encoding)).toBe(text);
  });

  it.each<[Encoding, string]>([
    ["UTF-8", "fc"],
    ["UTF-16LE", "fc"],
    ["EUC-KR", "c7"],
  ])("that is none in %s, by the bytes %s, is refused", (encoding, hex) => {
    expect(() => decode(Buffer.from(hex, "hex"), encoding)).toThrow();
  });

  it.each(ENCODINGS)("may be in %s, whose letters of ASCII are those", (encoding) => {
    const bytes = { "UTF-16": "00610062", "UTF-16BE": "00610062", "UTF-16LE": "61006200" }[
      encoding as string
    ];
    expect(decode(Buffer.from(bytes ?? "6162", "hex"), encoding)).toBe("ab");
  });
});
