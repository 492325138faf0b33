import type { WorldCluster, WorldMapView } from "../../protocol/index.ts";
import type { Layout } from "../fragments/layout.ts";

/** Who carries which fragment, by the fragment's name. */
export function carriersOf({ fragments, clusters }: WorldMapView): ReadonlyMap<string, WorldCluster> {
  const byId = new Map(clusters.map((cluster) => [cluster.clusterId, cluster]));
  return new Map(
    fragments.flatMap(({ name, clusterId }) => {
      const carrier = byId.get(clusterId);
      return carrier === undefined ? [] : [[name, carrier] as const];
    }),
  );
}

/**
 * The layout as this cluster carries it: of what it announces, all that the map does not give to another one. So what it has
 * just announced, or while the master is away, it carries; what another has been given it does not. [WORLD-1]
 *
 * @param announced the layout that the settings give: `carried` is what this cluster announces
 */
export function carriedLayout(
  announced: Layout,
  carriers: ReadonlyMap<string, WorldCluster>,
  clusterId: string | undefined,
): Layout {
  const fragments = announced.fragments.map((fragment) => {
    const carrier = carriers.get(fragment.name)?.clusterId ?? clusterId;
    const carried = fragment.carried && carrier === clusterId;
    return carried === fragment.carried ? fragment : Object.assign({}, fragment, { carried });
  });
  return { ...announced, fragments };
}
