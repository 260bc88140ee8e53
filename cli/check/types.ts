/*
 * MySQL's data types: which values fit, and how long they are.
 */

/** A column's type. */
export interface Type {
  /** In small letters, one of MySQL's names for it: `int` for `integer`. */
  readonly name: string;
  /** Length, precision and scale, as far as they are written. */
  readonly numbers: readonly number[];
  readonly isUnsigned: boolean;
  /** Of an ENUM or SET, with their quotes. */
  readonly members: readonly string[];
  /** `utf8mb3` for `utf8`; undefined where it is the table's. */
  readonly charset?: string;
  readonly collation?: string;
  /** As it is written. */
  readonly text: string;
}

const SYNONYMS: Readonly<Record<string, string>> = {
  ...{
    integer: "int",
    int4: "int",
    int1: "tinyint",
    int2: "smallint",
    int3: "mediumint",
    middleint: "mediumint",
  },
  ...{
    int8: "bigint",
    serial: "bigint",
    bool: "tinyint",
    boolean: "tinyint",
    dec: "decimal",
    fixed: "decimal",
  },
  ...{
    numeric: "decimal",
    real: "double",
    float8: "double",
    float4: "float",
    character: "char",
    nchar: "char",
  },
  ...{ nvarchar: "varchar", long: "mediumtext", geomcollection: "geometrycollection" },
};

/**
 * Reads a type.
 *
 * @param tokens of the type alone: `VARCHAR`, `(`, `10`, `)`
 */
export function typeOf(tokens: readonly string[], collation?: string): Type {
  const words = tokens.map((token) => token.toLowerCase());
  const bracket = words.indexOf("(");
  const end = words.indexOf(")");
  const within = bracket < 0 ? [] : tokens.slice(bracket + 1, end).filter((token) => token !== ",");
  const [first = "", ...rest] = words[0] === "national" ? words.slice(1) : words;
  const isVarying = rest[0] === "varying" || (words[0] === "long" && rest[0] === "varchar");
  const name = SYNONYMS[first] ?? first;
  const isList = name === "enum" || name === "set";
  const charsetAt = words.findIndex((word, at) => word === "charset" || (word === "set" && at > 0));
  const collateAt = words.indexOf("collate");
  const given = collation ?? (collateAt < 0 ? undefined : words[collateAt + 1]);
  return {
    name: name === "char" && isVarying ? "varchar" : name,
    numbers: isList ? [] : within.map(Number),
    isUnsigned: words.includes("unsigned") || words.includes("zerofill") || first === "serial",
    members: isList ? within : [],
    ...(charsetAt > 0 ? { charset: charsetOf(words[charsetAt + 1] as string) } : {}),
    ...(given === undefined ? {} : { collation: plainName(given) }),
    text: tokens
      .slice(0, words.findIndex((word, at) => at > 0 && /^(character|charset|collate)$/.test(word)) >>> 0)
      .join(" ")
      .replace(/ ?([(,)]) ?/g, "$1")
      .replace(/\)(?=\w)/g, ") ")
      .toUpperCase(),
  };
}

/** The name of a character set, as MySQL 8.4 has it. */
export function charsetOf(name: string): string {
  const plain = plainName(name);
  return plain === "utf8" ? "utf8mb3" : plain;
}

export function plainName(name: string): string {
  return name.replace(/["'`]/g, "").toLowerCase();
}

/** In bits, and what else holds integers. */
const INTEGERS: Readonly<Record<string, number>> = {
  tinyint: 8,
  smallint: 16,
  mediumint: 24,
  int: 32,
  bigint: 64,
};

/** How many bytes a text of these has at most; of the others, its length in characters. */
const TEXTS: Readonly<Record<string, number>> = {
  ...{ tinytext: 255, text: 65_535, mediumtext: 16_777_215, longtext: 4_294_967_295 },
};
const BLOBS: Readonly<Record<string, number>> = {
  ...{ tinyblob: 255, blob: 65_535, mediumblob: 16_777_215, longblob: 4_294_967_295 },
};

/** The longest character, in bytes. */
const BYTES: Readonly<Record<string, number>> = {
  ...{ utf8mb3: 3, ucs2: 2, utf16: 4, utf16le: 4, utf32: 4, utf8mb4: 4, gb18030: 4 },
  ...{ big5: 2, gbk: 2, sjis: 2, cp932: 2, euckr: 2, gb2312: 2, ujis: 3, eucjpms: 3 },
};

/** How many bytes a character has at most, of MySQL's own default where it is not known. */
export function bytesPerCharacter(charset = "utf8mb4"): number {
  return BYTES[charset] ?? 1;
}

/** The same of a text with its charset given by what is known of the table. */
export function isText({ name }: Type): boolean {
  return name === "char" || name === "varchar" || name in TEXTS || name === "enum" || name === "set";
}

/** Whether a type does not hold all that another does. Display widths are no limits. */
export function isNarrower(from: Type, to: Type): boolean {
  const [fromBits, toBits] = [INTEGERS[from.name], INTEGERS[to.name]];
  if (fromBits && toBits) {
    if (to.isUnsigned && !from.isUnsigned) return true;
    return toBits - (to.isUnsigned ? 0 : 1) < fromBits - (from.isUnsigned ? 0 : 1);
  }
  const fromLength = lengthOf(from, 1);
  const toLength = lengthOf(to, from.name in TEXTS ? 1 : 4);
  if (fromLength && toLength && (fromLength.isText === toLength.isText || fromLength.isText)) {
    return toLength.length < fromLength.length;
  }
  if (from.name === "decimal" && to.name === "decimal") {
    const [precision = 10, scale = 0] = from.numbers;
    const [otherPrecision = 10, otherScale = 0] = to.numbers;
    return otherPrecision - otherScale < precision - scale || otherScale < scale || losesSign(from, to);
  }
  if (fromBits && to.name === "decimal") {
    const [precision = 10, scale = 0] = to.numbers;
    return precision - scale < DIGITS[from.name as keyof typeof DIGITS] || losesSign(from, to);
  }
  if (fromBits && toLength?.isText) {
    return toLength.length <= DIGITS[from.name as keyof typeof DIGITS]; // and a sign
  }
  if (["datetime", "timestamp", "time"].includes(from.name) && from.name === to.name) {
    return (to.numbers[0] ?? 0) < (from.numbers[0] ?? 0);
  }
  if (from.name === "enum" || from.name === "set") {
    const longest = Math.max(...from.members.map((member) => member.length - 2)); // without quotes
    return from.name !== to.name && (from.name === "set" || !toLength || toLength.length < longest);
  }
  const isWider =
    (from.name === "float" && to.name === "double") ||
    (fromBits && fromBits < 32 && /^(float|double)$/.test(to.name)) ||
    (fromBits === 32 && to.name === "double") ||
    (from.name === "date" && to.name === "datetime") ||
    (from.name === "timestamp" && to.name === "datetime") ||
    (from.name === "json" && /^(medium|long)text$/.test(to.name)) ||
    (/^(float|double)$/.test(from.name) && from.name === to.name && !losesSign(from, to)) ||
    (from.name === "bit" && to.name === "bit" && (to.numbers[0] ?? 1) >= (from.numbers[0] ?? 1));
  return from.name !== to.name ? !isWider : ["bit", "float", "double"].includes(from.name) && !isWider;
}

const DIGITS = { tinyint: 3, smallint: 5, mediumint: 8, int: 10, bigint: 20 } as const;

function losesSign(from: Type, to: Type): boolean {
  return to.isUnsigned && !from.isUnsigned;
}

/**
 * How long a value may be, in characters or bytes; undefined for what is neither text nor bytes.
 *
 * @param bytes of a character, by which the longest TEXT is measured in characters
 */
function lengthOf(
  { name, numbers }: Type,
  bytes: number,
): { readonly isText: boolean; readonly length: number } | undefined {
  if (name === "char" || name === "varchar") return { isText: true, length: numbers[0] ?? 1 };
  if (name === "binary" || name === "varbinary") return { isText: false, length: numbers[0] ?? 1 };
  if (name in TEXTS) return { isText: true, length: Math.floor((TEXTS[name] as number) / bytes) };
  if (name in BLOBS) return { isText: false, length: BLOBS[name] as number };
  return undefined;
}

/** Whether two types store their values alike, so that MySQL need not copy the table to go from one to the other. */
export function isStoredAlike(from: Type, to: Type, charset: string | undefined): boolean {
  if (from.name !== to.name || from.isUnsigned !== to.isUnsigned) return false;
  if (from.name in INTEGERS) return true; // display widths
  if (from.name === "varchar" || from.name === "varbinary") {
    const bytes = from.name === "varbinary" ? 1 : bytesPerCharacter(charset);
    const [before, after] = [(from.numbers[0] ?? 0) * bytes, (to.numbers[0] ?? 0) * bytes];
    return after >= before && before < 256 === after < 256; // the length has a second byte from 256 on
  }
  if (from.name === "enum" || from.name === "set") {
    const isAppended = from.members.every((member, at) => member === to.members[at]);
    return isAppended && sizeOf(from) === sizeOf(to);
  }
  const numbers = (type: Type) => JSON.stringify(type.name === "decimal" ? precisionOf(type) : type.numbers);
  return numbers(from) === numbers(to);
}

function precisionOf({ numbers: [precision = 10, scale = 0] }: Type): number[] {
  return [precision, scale];
}

/** What a value of an ENUM or SET takes, in bytes. */
function sizeOf({ name, members }: Type): number {
  if (name === "enum") return members.length < 256 ? 1 : 2;
  const bytes = Math.ceil(members.length / 8);
  return bytes > 4 ? 8 : bytes;
}
