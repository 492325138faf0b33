import type { AllocateRequest, AllocationSelector } from "../../../protocol/index.ts";

/** What a cluster says about itself, for selectors. */
export interface ClusterFacts {
  readonly labels: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
  /** Empty when the cluster did not say. */
  readonly gameBuild: string;
  /** The parts of the world that it carries. */
  readonly fragments: readonly string[];
}

/** What a cluster must have: the selector of a request, and its fragment. */
export interface Wants extends AllocationSelector {
  readonly fragment?: string | undefined;
}

/** What a request wants a cluster to have. */
export function wantsOf({ selector, fragment }: Pick<AllocateRequest, "selector" | "fragment">): Wants {
  return { ...selector, fragment };
}

/** The greatest number of labels, of counters, and of each in a selector. Stops costly searches. */
export const maxFacts = 16;

/**
 * Labels, tags and game build as texts that can be looked up in an index. No part of one contains a line break, so two
 * different things never make the same text.
 */
export function facetsOf(facts: Omit<ClusterFacts, "counters">): readonly string[] {
  return [
    ...Object.entries(facts.labels).map(([name, value]) => `label\n${name}\n${value}`),
    ...facts.tags.map((tag) => `tag\n${tag}`),
    ...(facts.gameBuild === "" ? [] : [`game-build\n${facts.gameBuild}`]),
    ...facts.fragments.map(fragmentFacet),
  ];
}

/** The facet of a cluster that carries a fragment. */
export function fragmentFacet(name: string): string {
  return `${fragmentPrefix}${name}`;
}

export const fragmentPrefix = "fragment\n";

/** The facets that a cluster must have, each once. */
export function facetsWanted(wants: Wants): readonly string[] {
  const { labels = {}, tags = [], gameBuild = "", fragment } = wants;
  const fragments = fragment === undefined ? [] : [fragment];
  return [...new Set(facetsOf({ labels, tags, gameBuild, fragments }))];
}

/** The counters that a cluster must have, and their inclusive bounds. */
export function countersWanted(
  selector: AllocationSelector,
): readonly { readonly name: string; readonly min: number; readonly max: number }[] {
  return Object.entries(selector.counters ?? {}).map(([name, { min = -Number.MAX_VALUE, max = Number.MAX_VALUE }]) => ({
    name,
    min,
    max,
  }));
}

/** Whether any cluster will do: then nothing has to be known of one. */
export function wantsNothing(wants: Wants): boolean {
  return facetsWanted(wants).length === 0 && countersWanted(wants).length === 0;
}

/** The first thing that a cluster lacks, or `undefined` when it has all that the selector wants. */
export function unmetBy(
  selector: Wants,
  facts: ClusterFacts,
): "label" | "tag" | "counter" | "game-build" | "fragment" | undefined {
  const has = new Set(facetsOf(facts));
  const missing = facetsWanted(selector).find((facet) => !has.has(facet));
  const kind = (["label", "tag", "game-build", "fragment"] as const).find((each) => missing?.startsWith(`${each}\n`));
  if (kind !== undefined) return kind;
  const counters = new Map(Object.entries(facts.counters));
  const fits = countersWanted(selector).every(({ name, min, max }) => {
    const value = counters.get(name);
    return value !== undefined && value >= min && value <= max;
  });
  return fits ? undefined : "counter";
}
