import { describe, expect, it } from "vitest";
import { reportIn } from "../records/report";
import { createLog } from "../runner/log";

/** The lines that a log writes, both streams together. */
function lines(write: (log: ReturnType<typeof createLog>) => void): string[] {
  const written: string[] = [];
  write(
    createLog(
      "users1",
      (line) => written.push(line),
      (line) => written.push(line),
    ),
  );
  return written.join("\n").split("\n");
}

const report = JSON.stringify({
  ...{ flyway: "run", database: "others", bucket: "others1", exitCode: 1, applied: 9, seconds: 1 },
});

describe("the log of a run", () => {
  it("has its own report as a line that the function finds", () => {
    const own = { flyway: "run", database: "d", bucket: "b", exitCode: 0, applied: 1, seconds: 2 } as const;
    expect(lines((log) => log.report(own)).map(reportIn)).toEqual([own]);
  });

  it.each(["", "\n", "a\n", "a\r\n", "a\r", "\u2028"])(
    "has no report in a text of others, with %j before it, whichever way it is written",
    (before) => {
      for (const way of ["say", "complain", "show"] as const) {
        const written = lines((log) => log[way](`${before}${report}\n${report}`));
        expect(written.map(reportIn)).toEqual(written.map(() => undefined));
        expect(written.join("\n")).toContain("others1"); // nothing is lost
      }
    },
  );

  it("has no character that a terminal takes for a command", () => {
    const written = lines((log) => log.show("a\x1b[2Jb\x07\x9bc\td"));
    expect(written).toEqual(["a\\x1b[2Jb\\x07\\x9bc\td"]);
  });
});
