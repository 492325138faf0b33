import type { Point } from "../fragments/layout.ts";
import type { ClusterWorld } from "../world/cluster-world.ts";
import type { Exposition } from "./exposition.ts";

/** The metrics of the world; where there is none they stand at 0. */
export function writeWorldMetrics(text: Exposition, world: ClusterWorld | undefined): void {
  const counts = world?.counts;
  const fragments = world?.fragments() ?? [];
  text.gauges(
    "sustenet_fragment_players",
    "Players by fragment.",
    fragments.map(({ name, players }) => [{ fragment: name }, players] as const),
  );
  text.gauges(
    "sustenet_fragment_level",
    "How many of a fragment's thresholds apply.",
    fragments.map(({ name, level }) => [{ fragment: name }, level] as const),
  );
  const total = (name: string, help: string, value = 0): void => void text.counter(name, help, value);
  total("sustenet_fragment_crossings_total", "Swaps of players between fragments.", counts?.crossings);
  text.gauge("sustenet_entities", "Entities in the world, players included.", counts?.entities ?? 0);
  text.gauge("sustenet_ghosts", "Copies of other clusters' entities near the border.", counts?.ghosts ?? 0);
  total(
    "sustenet_told_bytes_total",
    "Bytes that other clusters were told of entities near the border.",
    counts?.told.bytes,
  );
  total("sustenet_view_frames_total", "Frames of what players see.", counts?.frames);
  total("sustenet_view_bytes_total", "Bytes of the same.", counts?.bytes);
  total("sustenet_view_enters_total", "Entities that came into a view.", counts?.enters);
  total("sustenet_view_updates_total", "Changes of entities that were told to a player.", counts?.updates);
  total(
    "sustenet_view_deferred_total",
    "Changes and enters that did not fit a frame and had to wait.",
    counts?.deferred,
  );
  total("sustenet_view_held_total", "Frames not made because the one before had not gone out.", counts?.held);
}

/** Who is where and what holds there, for operators. Bounds are as `Config.toml` gives them. */
export function describeWorld(world: ClusterWorld | undefined): object {
  if (world === undefined) return { fragments: [], entities: 0 };
  const { rules, fragments: laidOut } = world.layout;
  const corner = ({ x, y, z }: Point): number[] => (rules.dimensions === 2 ? [x, z] : [x, y, z]);
  const fragments = world.fragments().map((view) => {
    const players = world.playersIn(view.name).map(({ number, id }) => ({ number, id }));
    const fragment = laidOut.find(({ name }) => name === view.name);
    if (fragment === undefined) return Object.assign({}, view, { players });
    const { capacity, box } = fragment;
    const bounds = { min: corner(box.min), max: corner(box.max) };
    return Object.assign({}, view, bounds, { capacity, speedLimit: world.speedLimitIn(fragment), players });
  });
  return { fragments, entities: world.counts.entities };
}
