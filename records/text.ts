import type { JudgedObject } from "./record";

/** What the message of a file begins with that waits for another. */
export const HELD_BACK = "held back";

/** Whether a message is of a file that only waits for another. */
export function isHeldBack(message: string): boolean {
  return message.startsWith(HELD_BACK);
}

/** A reason for a person to read; where something is to be done, the last line says so. */
export function textOf({ message, remedy }: Pick<JudgedObject, "message" | "remedy">): string {
  return remedy === null ? message : `${message}\nTo do: ${remedy}`;
}

/** The same of one object among others, without a line of its own for what is to be done. */
export function lineOf({ key, message, remedy }: Pick<JudgedObject, "key" | "message" | "remedy">): string {
  return `${key}: ${message}${remedy === null ? "" : `; ${remedy}`}`;
}

/** Control characters but tab and line feed as `\x1b`. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is for
  return text.replace(/\r\n/g, "\n").replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}
