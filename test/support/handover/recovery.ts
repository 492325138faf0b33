import type { Walker } from "./walker.ts";
import type { AuditWorld } from "./world.ts";

/** Resolves when each has been seen in the game again, in one place, knowing what was saved, and answered. Not all at one moment: somebody is always on the way. */
export async function recovered(world: AuditWorld, walkers: readonly Walker[], when = ""): Promise<void> {
  const before = new Map(walkers.map((walker) => [walker, walker.echoed + walker.fallbacks]));
  await world.until(`everybody is back in the game ${when}`, () => {
    for (const [walker, news] of before) {
      const { echoed, fallbacks, isKnown, session, playerId } = walker;
      const isBack = echoed + fallbacks !== news && isKnown && session?.state === "joined";
      if (isBack && world.authority.holdersOf(playerId).length === 1) before.delete(walker);
    }
    return before.size === 0;
  });
}

/** What was lost or doubled, and who was in two places. [HAND-1] [HAND-9] */
export function faultsOf(world: AuditWorld, walkers: readonly Walker[]): readonly string[] {
  const ofWalkers = walkers.flatMap(({ faults }) => faults);
  return [
    ...ofWalkers,
    ...world.faults,
    ...world.authority.overlaps(),
    ...world.endings.faults,
    ...world.replacements.faults,
  ];
}
