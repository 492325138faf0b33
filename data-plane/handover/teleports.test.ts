import { beforeEach, describe, expect, it } from "vitest";
import { beginHandover, stepSource } from "../../protocol/handover/source.ts";
import { stepsPerSession } from "../../protocol/handover/generation.ts";
import type { SourceEvent } from "../../protocol/handover/source-state.ts";
import { type TeleportedPlayer, Teleports } from "./teleports.ts";

class Traveller implements TeleportedPlayer {
  readonly id: string;
  position = { x: -5, y: 0, z: 0, heading: 0 };
  connected = true;
  readiness: "ready" | "busy" | "unsupported" = "ready";

  constructor(id: string) {
    this.id = id;
  }
}

const there = { x: 30, y: 0, z: 0, heading: 1 };
const beyond = { x: 300, y: 0, z: 0, heading: 1 };
let linked: boolean;
let accepts: boolean;
let groups: readonly (readonly Traveller[])[];
let begun: string[];
let teleports: Teleports<Traveller>;
let ann: Traveller;
let bob: Traveller;

/** The east begins at 0, and the far east at 100. */
beforeEach(() => {
  linked = true;
  accepts = true;
  groups = [];
  begun = [];
  ann = new Traveller("ann");
  bob = new Traveller("bob");
  teleports = new Teleports<Traveller>({
    carrierOf: ({ x }) =>
      x >= 0 && linked ? { clusterId: x < 100 ? "east" : "far", boot: 3, fragment: "f", linked } : undefined,
    readiness: (player) => player.readiness,
    groupOf: (player) => groups.find((group) => group.includes(player)) ?? [player],
    begin: (players, destination) => {
      if (!accepts) return undefined;
      begun.push(`${players.map(({ id }) => id).join("+")} to ${destination.clusterId} ${destination.boot}`);
      return `handover ${begun.length}`;
    },
  });
});

/** A handover takes its first step. */
function step(id: string, event: SourceEvent<unknown>, ...playerIds: readonly string[]): void {
  const candidates = playerIds.map((playerId) => ({
    playerId,
    generation: stepsPerSession,
    key: "",
    clientHere: true,
  }));
  const { state: before } = beginHandover<unknown>(id, { clusterId: "east", boot: 3 }, candidates);
  teleports.stepTaken({ before, event, after: stepSource(before, event).state });
}

const full: SourceEvent<unknown> = { type: "destination", message: { type: "refused", id: "", reason: "full" } };

describe("a teleport to another cluster", () => {
  it("[HAND-19] begins at the end of the tick, and stands in the snapshot of its own handover only", async () => {
    const outcome = teleports.ask(ann, there);
    expect([begun, teleports.has(ann), teleports.targetOf(ann)]).toEqual([[], true, undefined]);
    teleports.endTick();
    teleports.endTick();
    expect(begun).toEqual(["ann to east 3"]);
    expect(teleports.targetOf(ann)).toEqual(there);
    step("another", full, "ann");
    expect(teleports.has(ann)).toBe(true);
    step("handover 1", full, "ann");
    expect(await outcome).toBe("full");
    expect([teleports.has(ann), teleports.targetOf(ann)]).toEqual([false, undefined]);
  });

  it("is one at a time", async () => {
    const outcome = teleports.ask(ann, there);
    expect(await teleports.ask(ann, beyond)).toBe("busy");
    teleports.endTick();
    step("handover 1", { type: "linkDown" }, "ann");
    expect(await outcome).toBe("unreachable");
    void teleports.ask(ann, there);
    expect(teleports.has(ann)).toBe(true);
  });

  it.each<[string, string, () => void]>([
    ["unreachable", "the link breaks before it begins", () => (linked = false)],
    ["left", "it leaves before it begins", () => (ann.connected = false)],
    ["busy", "its client is away", () => (ann.readiness = "busy")],
    ["unsupported", "its client cannot be handed over", () => (ann.readiness = "unsupported")],
    ["busy", "it is being handed over already", () => (accepts = false)],
    ["apart", "another of its group stays here", () => (groups = [[bob, ann]])],
  ])("is %s where %s", async (outcome, _when, arrange) => {
    const told = teleports.ask(ann, there);
    arrange();
    teleports.endTick();
    expect(await told).toBe(outcome);
    expect(begun).toEqual([]);
  });

  it("is unreachable at once where nobody carries the place", async () => {
    linked = false;
    expect(await teleports.ask(ann, there)).toBe("unreachable");
  });

  it("is told to have left where it said goodbye on the way", async () => {
    const told = teleports.ask(ann, there);
    teleports.endTick();
    ann.connected = false;
    step("handover 1", { type: "timeout" }, "ann");
    expect(await told).toBe("left");
  });

  it("[HAND-11] takes those who are kept together in one handover, and tells each", async () => {
    groups = [[ann, bob]];
    const outcomes = Promise.all([teleports.ask(bob, there), teleports.ask(ann, { ...there, x: 31 })]);
    teleports.endTick();
    expect(begun).toEqual(["ann+bob to east 3"]);
    expect(teleports.targetOf(ann)?.x).toBe(31);
    step("handover 1", full, "ann", "bob");
    expect(await outcomes).toEqual(["full", "full"]);
  });

  it("[HAND-11] takes along who stands there already, and nobody to two clusters", async () => {
    groups = [[ann, bob]];
    bob.position = { ...there, x: 1 };
    void teleports.ask(ann, there);
    teleports.endTick();
    expect(begun).toEqual(["ann+bob to east 3"]);
    const cleo = new Traveller("cleo");
    const dan = new Traveller("dan");
    groups = [[cleo, dan]];
    const outcomes = Promise.all([teleports.ask(cleo, there), teleports.ask(dan, beyond)]);
    teleports.endTick();
    expect(await outcomes).toEqual(["apart", "apart"]);
  });

  it("begins at most 16 in a tick, the others in the next", () => {
    for (let count = 0; count < 40; count += 1) void teleports.ask(new Traveller(`p${count}`), there);
    const counts = [1, 2, 3, 4].map(() => {
      teleports.endTick();
      return begun.length;
    });
    expect(counts).toEqual([16, 32, 40, 40]);
  });
});
