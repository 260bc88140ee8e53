/** Does something with each item, with so many at once. Fails as soon as one does; the others go on. */
export async function forEach<T>(
  items: readonly T[],
  atOnce: number,
  action: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of queue) await action(item);
    }),
  );
}
