/** Content of an XML element: absent, text, a list of the same element, or child elements in their order. */
export type XmlContent =
  | undefined
  | string
  | number
  | boolean
  | Date
  | XmlContent[]
  | { [name: string]: XmlContent };

/** An XML document as S3 sends it; elements whose content is undefined are left out. */
export function xmlDocument(root: string, content: XmlContent): string {
  const element = xmlElement(root, content);
  const named = element.replace(`<${root}>`, `<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${named}`;
}

function xmlElement(name: string, content: XmlContent): string {
  if (content === undefined) return "";
  if (Array.isArray(content)) return content.map((each) => xmlElement(name, each)).join("");
  if (content instanceof Date) return `<${name}>${content.toISOString()}</${name}>`;
  if (typeof content !== "object") return `<${name}>${escapeXml(String(content))}</${name}>`;
  const children = Object.entries(content).map(([child, value]) => xmlElement(child, value));
  return `<${name}>${children.join("")}</${name}>`;
}

/** Control characters become references, as S3 sends them, although XML 1.0 has no room for most of them. */
function escapeXml(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
  return text.replace(/[&<>"\u0000-\u001f\u007f]/g, (char) => ENTITIES[char] ?? `&#${char.charCodeAt(0)};`);
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const CHARACTERS: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Raw content of each element of that name. Enough for S3's requests, where no element contains its like. */
export function xmlElements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?(?<!/)>([\\s\\S]*?)</${name}\\s*>`, "g"))].map(
    (match) => match[1] ?? "",
  );
}

/** Text of the first element of that name, unescaped; undefined where there is none or it is empty. */
export function xmlText(xml: string, name: string): string | undefined {
  const text = xmlElements(xml, name)[0]?.replace(
    /&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi,
    (all, hex, decimal, word) =>
      word ? (CHARACTERS[word] ?? all) : charAt(hex ? Number.parseInt(hex, 16) : Number(decimal)),
  );
  return text || undefined;
}

/** U+FFFD where the number is no character's. */
function charAt(code: number): string {
  const isCharacter = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return String.fromCodePoint(isCharacter ? code : 0xfffd);
}
