import { rmSync, statfsSync, statSync, writeFileSync } from "node:fs";

/** Below this much room, in bytes, a disk counts as full. */
const LEAST_ROOM = 8_388_608;

/** What is given up for a run record when the disk is full, in bytes. */
const BALLAST = 4_194_304;

/** What is free on a folder's file system, in bytes. */
export function roomOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** The file system of the host's folder. */
export class Disk {
  private readonly ballast: string;

  constructor(private readonly root: string) {
    this.ballast = `${root}/ballast`;
  }

  get isFull(): boolean {
    return roomOf(this.root) < LEAST_ROOM;
  }

  /** Keeps room for a run record, against the day when the disk is full. */
  keepRoom(): void {
    if (this.isFull) {
      this.giveRoom();
      return;
    }
    if ((statSync(this.ballast, { throwIfNoEntry: false })?.size ?? 0) === 0) {
      writeFileSync(this.ballast, Buffer.alloc(BALLAST));
    }
  }

  giveRoom(): void {
    rmSync(this.ballast, { force: true });
  }
}
