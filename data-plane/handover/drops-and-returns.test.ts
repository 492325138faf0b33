/** What plugins hear of a client that goes and comes while handovers have its player: onDrop and onResume, by turns. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { encodeMove, encodePing, encodeResume } from "../../protocol/index.ts";
import { createRandom, randomInteger } from "../../protocol/testing/seeded-random.ts";
import type { PeerMessage } from "../peers/handover-codec.ts";
import type { Player, TeleportOutcome } from "../plugin/player.ts";
import type { FakeMaster } from "../testing/fake-master.ts";
import type { TestClient } from "../testing/test-client.ts";
import { until } from "../testing/until.ts";
import { Border, generation, helloOf, type Side } from "./testing/border.ts";
import { Counting, countingBorder, counts } from "./testing/counting.ts";

/** Notes also what it hears of connections. */
class Watching extends Counting {
  /** What the game does as it hears that a client has gone. */
  onGone: ((player: Player) => void) | undefined;

  onDrop(player: Player): void {
    this.hooks.push("drop");
    this.onGone?.(player);
  }

  onMove(): void {
    this.hooks.push("move");
  }

  onResume(): void {
    this.hooks.push("resume");
  }
}

let border: Border<Watching>;
let master: FakeMaster;
let west: Side<Watching>;
let client: TestClient;
let token: Uint8Array;
/** Commits that have not been sent to the east yet: until then the player has gone on, and nobody plays it. */
let heldBack: (() => void)[];

beforeEach(async () => {
  ({ border, west } = await Border.open({ ...countingBorder, createGame: () => new Watching() }));
  ({ master } = border);
  // A commit of others: the destination does not take it, and the source takes its player back.
  master.changeCommit = (claims) => ({ ...claims, members: [{ playerId: "bob", generation }] });
  heldBack = [];
  const { peers } = west.cluster.server;
  if (peers === undefined) throw new Error("no links");
  const send = peers.send.bind(peers);
  vi.spyOn(peers, "send").mockImplementation((to, said: PeerMessage) => {
    if (said.type !== "commit") return send(to, said);
    heldBack.push(() => void send(to, said));
    return true;
  });
  client = await border.join(west);
  ({ token } = await client.next("resumeToken"));
  await until("its entry", () => master.sessions.get("ann")?.holder === "default.a");
});

afterEach(async () => border.close());

async function goes(): Promise<void> {
  client.close();
  await until("the end of its connection", () => west.cluster.server.metrics.connections.joined === 0);
}

async function returns(): Promise<void> {
  client = await west.cluster.connected();
  client.send(helloOf(), encodeResume({ received: 0, token }));
  const isAnswered = (): boolean => client.types().some((type) => type === "resumeToken" || type === "redirect");
  await until("the answer", () => client.closed || isAnswered());
  const next = client.received.find((one) => one.type === "resumeToken");
  if (next !== undefined) ({ token } = next);
}

const isAway = (): boolean => west.game.players.get("ann")?.dropped === true;
const timesBack = (): number => west.game.hooks.filter((hook) => hook.startsWith("in ")).length;
const outs = (): number => west.game.hooks.filter((hook) => hook === "out").length;
const told = (): readonly string[] => west.game.hooks.filter((hook) => hook === "drop" || hook === "resume");

/** What it has heard are turns, of which the last says how things stand; and so do the counts. */
function expectTurns(what: string): void {
  const turns = told().map((_, index) => (index % 2 === 0 ? "drop" : "resume"));
  expect(told(), what).toEqual(turns);
  expect(told().at(-1) === "drop", what).toBe(isAway());
  const { drops, resumes } = west.cluster.server.metrics;
  expect(drops - resumes, what).toBe(isAway() ? 1 : 0);
}

/** The player is put where the east carries, and stands still. */
async function setOut(): Promise<void> {
  const before = outs();
  const there = { x: 5, y: 0, z: 0, heading: 0 };
  // Nobody can go while the master's answer that it has entered is on its way.
  let outcome: TeleportOutcome | undefined = "busy";
  await until("its standstill", () => {
    if (outcome === "busy") {
      outcome = undefined;
      void west.game.players
        .get("ann")
        ?.teleport(there)
        .then((found) => (outcome = found));
    }
    return outs() > before;
  });
}

/** It has gone on, and nobody plays it yet. */
async function departs(): Promise<void> {
  await setOut();
  await until("its departure", () => heldBack.length > 0);
}

/** @param times how often it has been, with this one */
async function isTakenBack(times = 1): Promise<void> {
  for (const commit of heldBack.splice(0)) commit();
  await until("its return", () => timesBack() >= times);
  await until("the end of it", () => west.cluster.server.metrics.handovers.stayed >= times);
}

it("hear that it has gone when it is taken back without it, and then that it has come", async () => {
  await departs();
  await goes();
  await isTakenBack();
  expect(told()).toEqual(["drop"]);
  await returns();
  expect(told()).toEqual(["drop", "resume"]);
  expectTurns("at the end");
});

it("hear that it has gone, once, when it came in between and went again", async () => {
  await departs();
  await goes();
  await returns();
  await goes();
  await isTakenBack();
  expect(told()).toEqual(["drop"]);
  expectTurns("taken back");
  await returns();
  expect(told()).toEqual(["drop", "resume"]);
});

it("hear of both when its connection was another one in between", async () => {
  await departs();
  await goes();
  await returns();
  await isTakenBack();
  expect(told()).toEqual(["drop", "resume"]);
  expectTurns("taken back");
});

describe("of which they hear as its player plays on here, and have that leave", () => {
  let answer: () => void;

  beforeEach(async () => {
    west.game.onGone = (player) => player.close();
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdSessions = promise;
    answer = () => {
      master.holdSessions = undefined;
      resolve();
    };
    await setOut();
  });

  afterEach(() => answer());

  it("hear nothing more of it, as of where it wanted to go", async () => {
    client.send(encodeMove({ sequence: 1, x: -3, y: 0, z: 0, heading: 0 }), encodePing({ timeMs: 0 }));
    await client.next("pong");
    await returns();
    await until("its end", () => west.game.hooks.includes("leave NORMAL"));
    expect(west.game.hooks.slice(-4)).toEqual(["in 0", "drop", "leave west", "leave NORMAL"]);
  });

  it("[HAND-9] leave it what was said to it before", async () => {
    for (const text of ["a", "b"]) west.game.players.get("ann")?.send(9, Buffer.from(text));
    await returns();
    await client.next("close");
    expect(counts(client)).toEqual([97, 98]);
  });
});

it.each([1, 2, 3, 4])("hear of both by turns, whatever comes when: life %i", async (seed) => {
  const random = createRandom(seed);
  const happens = (): boolean => randomInteger(random, 0, 1) === 1;
  let isHere = true;
  const comeAndGo = async (): Promise<void> => {
    for (let times = randomInteger(random, 0, 3); times > 0; times -= 1) {
      // An open connection may also be followed by another one, without its end.
      const stays = isHere && happens();
      if (isHere && !stays) await goes();
      else await returns();
      isHere = stays || !isHere;
    }
  };
  for (let round = 1; round <= 6; round += 1) {
    const what = `life ${seed}, round ${round}`;
    await comeAndGo();
    expectTurns(`${what}, in the game`);
    if (!isHere) await returns();
    isHere = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdSessions = promise;
    await setOut();
    await comeAndGo();
    resolve();
    master.holdSessions = undefined;
    // A machine that is slow may have had it play on before the commit was answered.
    await until("its departure", () => heldBack.length > 0 || timesBack() >= round);
    await comeAndGo();
    await isTakenBack(round);
    expectTurns(what);
  }
});
