import type { AllocationSelector } from "../../protocol/index.ts";

/** What a cluster says about itself, for selectors. */
export interface ClusterFacts {
  readonly labels: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
  /** Empty when the cluster did not say. */
  readonly gameBuild: string;
}

/** The greatest number of labels, of counters, and of each in a selector. Stops costly searches. */
export const maxFacts = 16;

/**
 * Labels, tags and game build as texts that can be looked up in an index. No part of one contains a line break, so two
 * different things never make the same text.
 */
export function facetsOf(facts: Pick<ClusterFacts, "labels" | "tags" | "gameBuild">): readonly string[] {
  return [
    ...Object.entries(facts.labels).map(([name, value]) => `label\n${name}\n${value}`),
    ...facts.tags.map((tag) => `tag\n${tag}`),
    ...(facts.gameBuild === "" ? [] : [`game-build\n${facts.gameBuild}`]),
  ];
}

/** The facets that a cluster must have, each once. */
export function facetsWanted(selector: AllocationSelector): readonly string[] {
  const { labels = {}, tags = [], gameBuild = "" } = selector;
  return [...new Set(facetsOf({ labels, tags, gameBuild }))];
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

/** The first thing that a cluster lacks, or `undefined` when it has all that the selector wants. */
export function unmetBy(
  selector: AllocationSelector,
  facts: ClusterFacts,
): "label" | "tag" | "counter" | "game-build" | undefined {
  const has = new Set(facetsOf(facts));
  const missing = facetsWanted(selector).find((facet) => !has.has(facet));
  if (missing !== undefined) {
    return missing.startsWith("label\n") ? "label" : missing.startsWith("tag\n") ? "tag" : "game-build";
  }
  const counters = new Map(Object.entries(facts.counters));
  const fits = countersWanted(selector).every(({ name, min, max }) => {
    const value = counters.get(name);
    return value !== undefined && value >= min && value <= max;
  });
  return fits ? undefined : "counter";
}
