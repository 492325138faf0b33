/** What neighbours hold of something of which there is only so much. */
export interface Holdings {
  /** What there is for all of them together. */
  readonly most: number;
  /** What this neighbour holds, and what the others do. */
  readonly own: number;
  readonly others: number;
}

/**
 * Whether a neighbour may hold so much more: at most half of what the others leave, so that no number of them leaves nothing to the next
 * one. A single thing, where it has nothing else, it may hold whenever it fits. [HAND-17]
 */
export function isWithinShare({ most, own, others }: Holdings, wanted: number, isFirst: boolean): boolean {
  if (own + others + wanted > most) return false;
  return isFirst || own + wanted <= Math.ceil((most - others) / 2);
}

/** What one neighbour holds, and what the others do. */
export function holdingsOf<T extends { readonly source: string }>(
  all: Iterable<T>,
  source: string,
  amountOf: (one: T) => number,
): Omit<Holdings, "most"> & { readonly isFirst: boolean } {
  let [own, others, isFirst] = [0, 0, true];
  for (const one of all) {
    if (one.source !== source) others += amountOf(one);
    else {
      own += amountOf(one);
      isFirst = false;
    }
  }
  return { own, others, isFirst };
}
