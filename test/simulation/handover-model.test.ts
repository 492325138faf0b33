/**
 * The handover, every interleaving of it: see explore.ts for what is visited and scenes.ts for what may happen. The functions that
 * decide are those of production, but for the client's sending. `SUSTENET_MODEL=long` explores the long scenes as well (hours rather than minutes).
 */
import { describe, expect, it } from "vitest";
import type { Exploration } from "./explore.ts";
import { mutants } from "./mutants.ts";
import { faithful } from "./parts.ts";
import { exploreScene, scenes } from "./scenes.ts";
import { walk } from "./walk.ts";

const isLong = process.env["SUSTENET_MODEL"] === "long";
const timeoutMs = isLong ? 10_800_000 : 120_000;
const maxWorlds = 12_000_000;

describe("[HAND-1] [HAND-3] [HAND-9] [HAND-13] every world that can come about obeys the laws, and settles when left alone", () => {
  const chosen = scenes.filter((scene) => isLong || scene.long !== true);

  it.each(chosen)(
    "with $name",
    (scene) => {
      const exploration = exploreScene(scene, faithful, maxWorlds);
      expect(storyOf(exploration)).toBe("");
      expect(exploration.complete).toBe(true);
      // A scene in which nothing can happen would be fine as well.
      expect(exploration.settled).toBeGreaterThan(1);
    },
    timeoutMs,
  );
});

describe("the explorer finds a broken rule", () => {
  it.each(mutants)(
    "[$law] when $name",
    ({ scene: name, law, parts }) => {
      const scene = scenes.find((one) => one.name === name);
      if (scene === undefined) throw new Error(`no scene "${name}"`);
      const { counterexample } = exploreScene(scene, parts, maxWorlds);
      expect(counterexample?.faults.join("\n")).toContain(`[${law}]`);
      expect(counterexample?.trace.length).toBeGreaterThan(0);
    },
    timeoutMs,
  );

  it("[HAND-4] and shows the shortest way there: a destination that takes over without a commit", () => {
    expect(storyOfMutant("a destination takes over without a commit")).toMatchInlineSnapshot(`
      "A → B: prepare
      B → A: prepared
      A → B: transfer
      [HAND-1] p: B plays under 1048577, which PlayerSession never gave"
    `);
  });

  it("[HAND-5] and shows the shortest way there: a source that takes a timeout for an abort", () => {
    expect(storyOfMutant("a source takes a timeout for an abort")).toMatchInlineSnapshot(`
      "A → B: prepare
      B → A: prepared
      A → B: transfer
      B → A: ready
      A → session p: commit
      A waits no longer (committing)
      [HAND-13] left alone, the world goes round and round"
    `);
  });
});

describe("long random lives with several faults at once", () => {
  it(
    "[HAND-12] [HAND-13] obey the laws, and settle when left alone",
    () => {
      for (let seed = 1; seed <= 150; seed += 1) {
        const { faults, trace } = walk(seed, faithful);
        expect(faults, `seed ${seed}, after ${trace.length} moves`).toEqual([]);
      }
    },
    timeoutMs,
  );

  it.each(["an input is applied whenever it comes", "PlayerSession commits without comparing"])(
    "find a broken rule too: %s",
    (name) => {
      const parts = mutants.find((mutant) => mutant.name === name)?.parts ?? faithful;
      const seeds = Array.from({ length: 150 }, (_, index) => index + 1);
      expect(seeds.some((seed) => walk(seed, parts).faults.length > 0)).toBe(true);
    },
    timeoutMs,
  );

  it("are the same for the same seed", () => {
    expect(walk(7, faithful)).toEqual(walk(7, faithful));
  });
});

function storyOfMutant(name: string): string {
  const mutant = mutants.find((one) => one.name === name);
  const scene = scenes.find((one) => one.name === mutant?.scene);
  if (mutant === undefined || scene === undefined) throw new Error(`no mutant "${name}", or no scene for it`);
  return storyOf(exploreScene(scene, mutant.parts, maxWorlds));
}

/** What was found, and the moves that lead there; empty when nothing was. */
function storyOf({ counterexample }: Exploration): string {
  if (counterexample === undefined) return "";
  return [...counterexample.trace, ...counterexample.faults].join("\n");
}
