import { existsSync, readFileSync } from "node:fs";

/** Whether a process runs. A zombie that nobody has reaped yet runs no more. */
export function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync("/proc/self/stat") || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
