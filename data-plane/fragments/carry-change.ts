import type { Layout } from "./layout.ts";

/** A cluster carries other fragments than before. Names, in the order of the layout. */
export interface CarryChange {
  readonly gained: readonly string[];
  readonly lost: readonly string[];
}

/** Names of the fragments that a layout says are carried here. */
export function carriedNames({ fragments }: Layout): readonly string[] {
  return fragments.filter(({ carried }) => carried).map(({ name }) => name);
}

/** What is carried here by one layout and not by the other; `undefined` where it is the same. */
export function carryChange(before: Layout, after: Layout): CarryChange | undefined {
  const [had, has] = [new Set(carriedNames(before)), new Set(carriedNames(after))];
  const gained = [...has].filter((name) => !had.has(name));
  const lost = [...had].filter((name) => !has.has(name));
  return gained.length === 0 && lost.length === 0 ? undefined : { gained, lost };
}
