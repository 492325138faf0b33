import { describe, expect, it } from "vitest";
import { openRoute } from "./client-route.ts";
import { beginReservation, type DestinationState } from "./destination.ts";
import { stepsPerSession } from "./generation.ts";
import { beginHandover } from "./source.ts";
import type { SourcePhase, SourceState } from "./source-state.ts";
import { clientTimeout, destinationTimeout, sourceTimeout } from "./timing.ts";

const generation = stepsPerSession + 1;

function source(phase: SourcePhase, activated = false): SourceState<string> {
  const candidate = { playerId: "p", generation, key: "k", clientHere: true };
  return { ...beginHandover<string>("h", { clusterId: "B", boot: 1 }, [candidate]).state, phase, activated };
}

function arrival(from: number): DestinationState<string> {
  const message = { type: "prepare" as const, id: "earlier", members: [{ playerId: "p", generation: from }] };
  return { ...beginReservation<string>(message, "C", { clusterId: "A", boot: 1 }).state, phase: "active" };
}

function firstMs(phase: SourcePhase): number {
  return sourceTimeout(source(phase), [])?.firstMs ?? Number.NaN;
}

describe("how long a party waits", () => {
  it("[HAND-6] a player stands still for 3 s at most before it is played again", () => {
    expect(firstMs("transferring") + firstMs("committing")).toBeLessThanOrEqual(3_000);
  });

  it("a reservation outlives the handover that it is for", () => {
    const sourceMs = (["preparing", "freezing", "transferring", "committing"] as const).reduce(
      (sum, phase) => sum + firstMs(phase),
      0,
    );
    const { state } = beginReservation<string>(
      { type: "prepare", id: "h", members: [{ playerId: "p", generation }] },
      "A",
      {
        clusterId: "B",
        boot: 1,
      },
    );
    expect(destinationTimeout(state)?.firstMs).toBeGreaterThan(sourceMs);
  });

  it("[HAND-7] the old side remembers where a player went while an earlier handover may still bring something for it", () => {
    expect(sourceTimeout(source("released"), [])).toBeUndefined();
    const patience = { firstMs: 10_000, mostMs: 10_000 };
    expect(sourceTimeout(source("released", true), [])).toEqual(patience);
    expect(sourceTimeout(source("released", true), [arrival(generation - 1)])).toEqual({ ...patience, heldBack: true });
    expect(sourceTimeout(source("released", true), [arrival(generation + 1)])).toEqual(patience);
  });

  it("[HAND-5] whoever may only ask again does so until there is an answer", () => {
    expect(sourceTimeout(source("doubt"), [])).toMatchObject({ firstMs: 1_000, mostMs: 30_000 });
    expect(sourceTimeout(source("reclaiming"), [])).toBeDefined();
    expect(sourceTimeout(source("ended"), [])).toBeUndefined();
    expect(destinationTimeout(arrival(generation))).toBeDefined();
  });

  it("a client waits for the game as long as it likes, and for a connection not", () => {
    const route = openRoute(4);
    expect(clientTimeout(route)).toBeDefined();
    expect(clientTimeout({ ...route, phase: "playing" })).toBeUndefined();
    expect(clientTimeout({ ...route, phase: "moving", connecting: true })).toBeUndefined();
    expect(clientTimeout({ ...route, phase: "moving", connecting: false })).toBeDefined();
  });
});
