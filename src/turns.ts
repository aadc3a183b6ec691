/** In the order of what was given, at most so many at once. */
export async function inTurns<T, R>(atOnce: number, all: readonly T[], act: (it: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = all.entries();
  const worker = async () => {
    for (const [index, it] of waiting) results[index] = await act(it);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker));
  return results;
}
