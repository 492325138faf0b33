import { beforeEach, expect, it } from "vitest";
import type { PlayerHolder } from "../session/player-holder.ts";
import { LogBook } from "../testing/test-cluster.ts";
import { type Freezable, Freezer, type Snapshots } from "./freezer.ts";

const holder: PlayerHolder = {
  input: () => undefined,
  output: () => undefined,
  leave: () => undefined,
  clientGone: () => undefined,
  clientBack: () => undefined,
};

class TestPlayer implements Freezable {
  readonly id: string;
  readonly number: number;
  readonly log: string[] = [];
  isAtRest = true;

  constructor(id: string, number: number) {
    this.id = id;
    this.number = number;
  }

  giveUpRequests(): void {
    this.log.push("hurry");
  }

  settleStreams(): boolean {
    if (this.id === "unsettled") throw new Error("it has no streams");
    return true;
  }

  rest(rests: boolean): void {
    this.log.push(rests ? "rest" : "go on");
  }

  freeze(): void {
    this.log.push("frozen");
  }
}

let nowMs: number;
let players: Map<string, TestPlayer>;
let frozen: string[];
let freezer: Freezer<TestPlayer>;
let log: LogBook;

beforeEach(() => {
  nowMs = 0;
  frozen = [];
  log = new LogBook();
  players = new Map(["ann", "bob", "unsettled", "unpackable"].map((id, index) => [id, new TestPlayer(id, index)]));
  freezer = new Freezer({
    playerOf: (id) => players.get(id),
    pack: (group) =>
      group.map((player) => {
        if (player.id === "unpackable") throw new Error("the game has lost it");
        const streams = { tenure: 1, past: [], lastInput: 0, lastOutput: 0, unacknowledged: [] };
        return { player, parts: new Map(), snapshot: { state: new Uint8Array(0), streams } };
      }),
    holder,
    nowMs: () => nowMs,
    log,
    onFrozen: () => undefined,
  });
});

function freeze(...ids: readonly string[]): void {
  freezer.freeze(ids, (snapshots: Snapshots) => void frozen.push(`${ids.join()}: ${Object.keys(snapshots).join()}`));
}

it("[HAND-6] freezes the others of a tick when one of them fails, and that one plays on", () => {
  freeze("ann");
  freeze("unsettled");
  freeze("unpackable");
  freeze("bob");
  freezer.endTick();
  expect(frozen).toEqual(["ann: ann", "unsettled: ", "unpackable: ", "bob: bob"]);
  expect(players.get("unsettled")?.log).toEqual(["rest", "go on"]);
  expect(players.get("unpackable")?.log).toEqual(["rest", "go on"]);
  expect(players.get("bob")?.log).toEqual(["rest", "go on", "frozen"]);
});

it("[HAND-6] freezes the others of a tick when whoever asked for one fails", () => {
  freezer.freeze(["ann"], () => {
    throw new Error("its handover is a fault");
  });
  freeze("bob");
  freezer.endTick();
  expect(frozen).toEqual(["bob: bob"]);
});

it("[HAND-6] waits for all of a group, hurries them, and lets them go on together", () => {
  const ann = players.get("ann");
  if (ann !== undefined) ann.isAtRest = false;
  freeze("ann", "bob");
  for (const ms of [0, 399, 400, 899]) {
    nowMs = ms;
    freezer.endTick();
    expect(frozen).toEqual([]);
  }
  nowMs = 900;
  freezer.endTick();
  expect(frozen).toEqual(["ann,bob: "]);
  expect(players.get("ann")?.log).toEqual(["rest", "hurry", "go on"]);
  expect(players.get("bob")?.log).toEqual(["rest", "hurry", "go on"]);
  const said = { event: "player-stays", player: ann?.number, code: "NOT_AT_REST" };
  expect(log.lines).toMatchObject([{ level: "warn", fields: said }]);
});

it("[HAND-6] lets go of who has left, and does not touch who has come in its place, nor the others of its group", () => {
  const [ann, bob] = [players.get("ann"), players.get("bob")];
  freeze("ann", "bob");
  const again = new TestPlayer("ann", 7);
  players.set("ann", again);
  freezer.endTick();
  expect(frozen).toEqual(["ann,bob: "]);
  expect(again.log).toEqual([]);
  expect(ann?.log).toEqual(["rest", "go on"]);
  expect(bob?.log).toEqual(["rest", "go on"]);
});

it("[HAND-6] freezes none of those of whom one was not there", () => {
  freeze("nobody", "bob");
  players.set("nobody", new TestPlayer("nobody", 7));
  freezer.endTick();
  expect(frozen).toEqual(["nobody,bob: "]);
  expect(players.get("nobody")?.log).toEqual([]);
  expect(players.get("bob")?.log).toEqual(["rest", "go on"]);
});
