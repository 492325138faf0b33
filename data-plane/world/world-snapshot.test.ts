/** A player's place in the world, taken out of one and put into another; and views that wait. No sockets. */
import { expect, it } from "vitest";
import { decodeClusterMessage, EntityView, features, KindTable } from "../../protocol/index.ts";
import { assertLayout } from "../fragments/testing/random-world.ts";
import { ClusterWorld, type WorldPlayer } from "./cluster-world.ts";
import { createKinds } from "./entity-kinds.ts";

const layout = assertLayout({
  fragment: [
    { name: "west", min: [-50, -50], max: [0, 50] },
    { name: "east", min: [0, -50], max: [50, 50] },
  ],
});
const kinds = createKinds([{ player: { health: "u8", name: { bytes: 9 } } }]);

/** A client without a wire. */
class Fake implements WorldPlayer {
  readonly number: number;
  readonly id: string;
  position = { x: 1, y: 2, z: 3, heading: 4 };
  readonly moveBudget = { maxSpeed: 0 };
  dropped = false;
  viewWaits = false;
  held = false;
  view: EntityView | undefined;
  frames = 0;

  constructor(number: number) {
    this.number = number;
    this.id = `player-${number}`;
  }

  has(feature: number): boolean {
    return feature === features.world;
  }

  sendControl(frame: Uint8Array): void {
    const message = decodeClusterMessage(frame.subarray(2));
    if (message.type === "kinds") this.view = new EntityView(new KindTable(message.kinds));
  }

  sendView(frame: Uint8Array): void {
    const message = decodeClusterMessage(frame.subarray(2));
    if (message.type !== "entities") throw new Error("no view");
    this.view?.apply(message);
    this.frames += 1;
  }
}

function create(): ClusterWorld<Fake> {
  const nothing = (): void => undefined;
  const events = { enterFragment: nothing, leaveFragment: nothing, threshold: nothing, carry: nothing };
  const spawn = { x: 0, y: 0, z: 0 };
  return new ClusterWorld({ layout, kinds, tickHz: 20, maxPlayers: 0, maxSpeed: 0, spawn, events });
}

it("is carried from one world to another as it was", () => {
  const [from, to] = [create(), create()];
  const player = new Fake(7);
  from.enter(player);
  from.entityOf(player)?.set({ health: 50, name: Uint8Array.of(1, 2, 3) });
  const snapshot = from.snapshot(player);
  expect(snapshot).toEqual({
    placement: player.position,
    fragment: "east",
    values: { health: 50, name: Uint8Array.of(1, 2, 3) },
  });
  from.leave(player);
  expect([from.snapshot(player), from.fragmentOf(player), from.counts.entities]).toEqual([undefined, undefined, 0]);
  const arrived = new Fake(3);
  arrived.position = snapshot?.placement ?? arrived.position;
  expect(to.enter(arrived, snapshot?.values)).toBe(true);
  expect(to.snapshot(arrived)).toEqual(snapshot);
  expect(to.entityOf(arrived)?.get("number")).toBe(3);
});

it("[ENTITIES-9] is told nothing while the last frame waits, and then everything as one difference", () => {
  const world = create();
  const [viewer, other] = [new Fake(1), new Fake(2)];
  world.enter(viewer);
  world.tellKinds(viewer);
  world.enter(other);
  world.tick(1);
  expect(viewer.view?.size).toBe(1);
  viewer.viewWaits = true;
  for (let tick = 2; tick < 60; tick++) {
    world.moved(other, { x: tick / 10, y: 0, z: 0, heading: tick });
    world.tick(tick);
  }
  expect([viewer.frames, world.counts.held]).toEqual([1, 58]);
  viewer.viewWaits = false;
  world.tick(60);
  expect(viewer.frames).toBe(2);
  expect([...(viewer.view?.entities() ?? [])].map(({ x, values }) => [Math.round(x * 10), values[1]])).toEqual([
    [59, 59],
  ]);
});

it("[ENTITIES-6] shows everything anew to a client that is back, and nothing to one that is away", () => {
  const world = create();
  const [viewer, other] = [new Fake(1), new Fake(2)];
  world.enter(viewer);
  world.enter(other);
  world.tick(1);
  viewer.dropped = true;
  world.moved(other, { x: 9, y: 0, z: 0, heading: 0 });
  world.tick(2);
  expect(viewer.frames).toBe(1);
  viewer.dropped = false;
  viewer.view = new EntityView(kinds.table);
  world.returned(viewer);
  world.tick(30);
  expect([viewer.frames, viewer.view.size]).toEqual([2, 1]);
});
