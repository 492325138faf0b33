import { describe, expect, it } from "vitest";
import {
  canStep,
  generationAfterAbort,
  generationAfterCommit,
  nextSessionGeneration,
  sessionOf,
  stepsPerSession,
} from "./generation.ts";

describe("generations", () => {
  it("[HAND-2] a ticket is newer than every handover of the sessions before it", () => {
    const first = nextSessionGeneration(0);
    const second = nextSessionGeneration(first);
    let generation = first;
    for (let handovers = 0; handovers < 1_000; handovers += 1) {
      generation = handovers % 2 === 0 ? generationAfterCommit(generation) : generationAfterAbort(generation);
      expect(generation).toBeLessThan(second);
      expect(sessionOf(generation)).toBe(sessionOf(first));
    }
  });

  it("[HAND-2] an abort is newer than the commit that it takes back", () => {
    expect(generationAfterAbort(stepsPerSession)).toBeGreaterThan(generationAfterCommit(stepsPerSession));
  });

  it("[HAND-2] a handover does not begin when one of its outcomes would belong to the next session", () => {
    const next = 2 * stepsPerSession;
    expect(canStep(stepsPerSession)).toBe(true);
    expect(canStep(next - 3)).toBe(true);
    expect(canStep(next - 2)).toBe(false);
    expect(canStep(next - 1)).toBe(false);
    expect(canStep(0)).toBe(false);
  });

  it("[HAND-2] tickets of before there were steps are older than all others, and nobody steps from them", () => {
    expect(canStep(7)).toBe(false);
    expect(canStep(stepsPerSession - 1)).toBe(false);
    expect(nextSessionGeneration(7)).toBe(stepsPerSession);
  });

  it("stay exact for more tickets than a player will ever use", () => {
    const issued = 2 ** 32 * stepsPerSession;
    expect(nextSessionGeneration(issued) - issued).toBe(stepsPerSession);
    expect(Number.isSafeInteger(nextSessionGeneration(issued))).toBe(true);
  });
});
