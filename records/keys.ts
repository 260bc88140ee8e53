import { eventOf, isUnusedEvent } from "./flyway";
import { fileName, type Refusal, type SeenObject } from "./record";
import { isOtherMigration, isSettings } from "./upload";

/** The longest name of a file, and the longest path, on Linux, in bytes: https://man7.org/linux/man-pages/man7/path_resolution.7.html */
const NAME_LENGTH = 255;
const PATH_LENGTH = 4_000; // of 4,096, with the folder of the copy

/** Refuses what Flyway is not given: it is left aside, and the rest goes on. */
export function refusedKeys(objects: readonly Pick<SeenObject, "key">[]): Refusal[] {
  const keys = new Set(objects.map(({ key }) => key));
  return objects.flatMap(({ key }) => {
    const refusal = refusalOf(key, keys);
    return refusal ? [{ key, ...refusal }] : [];
  });
}

function refusalOf(key: string, keys: ReadonlySet<string>): Omit<Refusal, "key"> | undefined {
  const parts = key.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    return { message: "its key is no file name, because of an empty part, '.' or '..'", remedy: "delete it" };
  }
  const isLong =
    parts.some((part) => Buffer.byteLength(part) > NAME_LENGTH) || Buffer.byteLength(key) > PATH_LENGTH;
  if (key.includes("\0") || isLong) {
    return {
      message: `its key is no file name: a part has a NUL, or more than ${NAME_LENGTH} bytes`,
      remedy: "upload it again under another name, and delete it",
    };
  }
  const file = foldersOf(key).find((folder) => keys.has(folder));
  if (file !== undefined) {
    return { message: `${file} is an object too, so it can be no folder`, remedy: "delete one of them" };
  }
  if (isSettings(key)) {
    return {
      message: "Flyway's settings are not read from the bucket",
      remedy: "set flyway_database_settings of this database instead, and delete this file",
    };
  }
  if (isOtherMigration(key)) {
    return { message: "only .sql files are run here", remedy: "write it as SQL, and delete this file" };
  }
  if (/^U\d+([._]\d+)*(_.*)?[.]sql$/i.test(fileName(key))) {
    return {
      message: "undo migrations are not run here",
      remedy: "delete it; to take a change back, upload a new version that does so",
    };
  }
  const event = eventOf(fileName(key));
  if (event === undefined || !isUnusedEvent(event)) return undefined;
  return {
    message: `no run here comes to ${event}`,
    remedy: "put it into another callback, such as afterMigrate.sql, and delete this file",
  };
}

/** The folders that a key is in, the outermost first. */
function foldersOf(key: string): string[] {
  const folders: string[] = [];
  for (let end = key.indexOf("/"); end >= 0; end = key.indexOf("/", end + 1)) folders.push(key.slice(0, end));
  return folders;
}
