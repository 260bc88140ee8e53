/** A time in milliseconds as ISO 8601, to the second, UTC. */
export function isoTime(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}
