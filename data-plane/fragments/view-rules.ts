import type { FragmentSettings, WorldRules } from "./layout.ts";

/** How a viewer in a certain fragment, at a certain population, is shown the world: settings made ready for use. */
export interface ViewRules {
  /** Frames a second. */
  readonly updateHz: number;
  /** Entities enter within this distance. */
  readonly range: number;
  /** Squared distance beyond which they leave. */
  readonly leaveRange2: number;
  /** Factor on the squared distance of what is seen already. */
  readonly nearing: number;
  readonly maxVisible: number;
  /** Most entities that one search looks at. */
  readonly maxExamined: number;
  /** Squared distance up to which each tier reaches; the last is infinite. */
  readonly tierRanges2: Float64Array;
  /** Least ticks between two updates of an entity in each tier. */
  readonly tierTicks: Int32Array;
  /** An entity with changes that were not written for this many ticks goes before all others. */
  readonly starveTicks: number;
  /** Most bytes of a frame's body. */
  readonly frameBytes: number;
}

/**
 * Prepares the rules of one level of a fragment.
 *
 * @param tickHz ticks a second
 * @param minFrameBytes a frame may always have this many, whatever the budget
 */
export function createViewRules(
  settings: FragmentSettings,
  world: WorldRules,
  tickHz: number,
  minFrameBytes: number,
): ViewRules {
  const { viewRange, maxVisible } = settings;
  const updateHz = Math.min(settings.updateHz, tickHz);
  const reach = 1 + world.viewHysteresis;
  const { tiers } = world;
  return {
    updateHz,
    range: viewRange,
    leaveRange2: (viewRange * reach) ** 2,
    nearing: 1 / reach ** 2,
    maxVisible,
    maxExamined: world.maxExamined,
    tierRanges2: Float64Array.from(tiers, ({ within }, index) =>
      index === tiers.length - 1 ? Infinity : (viewRange * within) ** 2,
    ),
    tierTicks: Int32Array.from(tiers, ({ every }) => Math.max(1, Math.floor((every * tickHz) / updateHz))),
    starveTicks: world.starveTicks,
    frameBytes: Math.min(maxFrameBytes, Math.max(minFrameBytes, Math.floor(settings.byteBudget / updateHz))),
  };
}

/** Most bytes of an ENTITIES body: a frame has 65,535 with its type. */
export const maxFrameBytes = 65_534;

/** Whether a viewer gets a frame at a tick: `updateHz` of `tickHz` ticks, evenly; `phase` spreads viewers over the ticks. */
export function isFrameDue(tick: number, phase: number, updateHz: number, tickHz: number): boolean {
  const at = tick + phase;
  return Math.floor(((at + 1) * updateHz) / tickHz) > Math.floor((at * updateHz) / tickHz);
}
