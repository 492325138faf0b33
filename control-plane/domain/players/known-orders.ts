/** An order that was carried out, and what was answered to it: told once more, it is not a new one. [SEC-98] */
export interface KnownOrder<Answer> {
  /** What names it, and who has given it. */
  readonly key: string;
  /** What was ordered, as text. */
  readonly content: string;
  readonly answer: Answer;
}

/** How many of a player's orders are known: a caller that repeats one does so before as many others have come. */
export const maxKnownOrders = 8;

/** What to do about an order under a key. */
export type OrderStep<Answer> =
  | { readonly kind: "new" }
  | { readonly kind: "repeat"; readonly answer: Answer }
  /** The key stands for another order. */
  | { readonly kind: "clash" };

export function stepOfOrder<Answer>(
  known: readonly KnownOrder<Answer>[],
  order: { readonly key: string; readonly content: string },
): OrderStep<Answer> {
  const before = known.find(({ key }) => key === order.key);
  if (before === undefined) return { kind: "new" };
  return before.content === order.content ? { kind: "repeat", answer: before.answer } : { kind: "clash" };
}

/** The known orders with one more; the oldest makes room. */
export function withOrder<Answer>(
  known: readonly KnownOrder<Answer>[],
  order: KnownOrder<Answer>,
): readonly KnownOrder<Answer>[] {
  return [...known, order].slice(-maxKnownOrders);
}
