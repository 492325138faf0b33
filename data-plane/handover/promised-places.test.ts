/** Places that a cluster has promised to players of a neighbour, as these players come some other way, and as others want them. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { closeCodes } from "../../protocol/index.ts";
import { encodePlayerState } from "../authority/player-state.ts";
import type { PeerMessage } from "../peers/handover-codec.ts";
import type { TeleportOutcome } from "../plugin/player.ts";
import { until } from "../testing/until.ts";
import { Border, type BorderOptions, generation, type Side } from "./testing/border.ts";
import { type Counting, countingBorder } from "./testing/counting.ts";
import { offer, offeredState } from "./testing/offered.ts";

/** The hall has a single place, and the east has it. */
const options: BorderOptions<Counting> = {
  ...countingBorder,
  fragments: [
    { name: "hall", min: [50, -50], max: [60, 50], capacity: 1 },
    { name: "yard", min: [-50, 50], max: [60, 60] },
  ],
};
const hall = { x: 55, y: 0, z: 0, heading: 0 };
const inHall = { frag: "hall" };

let border: Border<Counting>;
let west: Side<Counting>;
let east: Side<Counting>;
let send: (message: PeerMessage) => boolean;

beforeEach(async () => open({}));

afterEach(async () => border.close());

async function open(more: Partial<BorderOptions<Counting>>): Promise<void> {
  ({ border, west, east } = await Border.open({ ...options, ...more }));
  const { peers } = west.cluster.server;
  if (peers === undefined) throw new Error("no links");
  const say = peers.send.bind(peers);
  send = (message) => say("default.b", message);
  // It keeps what is promised to it, until the test gives that up.
  vi.spyOn(peers, "send").mockImplementation((to, said) => said.type === "abort" || say(to, said));
}

/** The same, with so many places in the hall. */
async function openHall(capacity: number): Promise<void> {
  await border.close();
  const [room, yard] = options.fragments ?? [];
  if (room === undefined || yard === undefined) throw new Error("no fragments");
  await open({ fragments: [{ ...room, capacity }, yard] });
}

/** What the east says to a player who is to stand in the hall. */
async function offerInHall(playerId: string, id = randomBytes(16).toString("hex")): Promise<string> {
  return offer(west, playerId, encodePlayerState({ ...offeredState, placement: hall }), id);
}

const playersInHall = (): string[] => east.game.cluster?.playersIn("hall").map(({ id }) => id) ?? [];

async function expectFull(sub: string): Promise<void> {
  const client = await border.ask(east, { sub, claims: inHall });
  expect(await client.next("reject")).toMatchObject({ code: closeCodes.FULL.number });
}

describe("a place of a fragment that is promised to a player", () => {
  it("[HAND-24] [TICKET-10] lets that player in by a ticket, is counted once meanwhile, and is given back once", async () => {
    const id = randomBytes(16).toString("hex");
    expect(await offerInHall("eve", id)).toBe("ready");
    await expectFull("bob");
    // Its session does not say that it has come by a newer ticket: so the promise stands.
    const answer = border.holdMaster();
    await border.join(east, { sub: "eve", gen: 2 * generation, claims: inHall });
    expect(playersInHall()).toEqual(["eve"]);
    await expectFull("bob");
    east.game.players.get("eve")?.close();
    await expectFull("bob");
    send({ type: "abort", id });
    send({ type: "abort", id });
    expect(await offerInHall("ada")).toBe("ready");
    expect(await offerInHall("bob")).toBe("refused");
    answer();
  });

  it("[HAND-24] is free as soon as that player has left by whose ticket it has lapsed", async () => {
    expect(await offerInHall("eve")).toBe("ready");
    await border.join(east, { sub: "eve", gen: 2 * generation, claims: inHall });
    await until("her entry", () => border.master.sessions.get("eve")?.generation === 2 * generation);
    east.game.players.get("eve")?.close();
    await until("the free place", () => playersInHall().length === 0);
    await border.join(east, { sub: "bob", claims: inHall });
    await expectFull("ada");
  });

  it("[HAND-24] lets that player in from another fragment", async () => {
    expect(await offerInHall("eve")).toBe("ready");
    border.holdMaster();
    await border.join(east, { sub: "eve", gen: 2 * generation });
    await border.join(east, { sub: "bob" });
    expect(await east.game.players.get("bob")?.teleport(hall)).toBe("full");
    expect(await east.game.players.get("eve")?.teleport(hall)).toBe("moved");
    expect(await east.game.players.get("eve")?.teleport({ ...hall, x: 5 })).toBe("moved");
    expect(await east.game.players.get("bob")?.teleport(hall)).toBe("full");
    border.master.holdSessions = undefined;
  });

  it("[HAND-24] is that player's also where it is offered again, as the word that it was given up is lost with a link", async () => {
    const [first, second] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
    expect(await offerInHall("eve", first)).toBe("ready");
    expect(await offerInHall("eve", second)).toBe("ready");
    send({ type: "abort", id: first });
    expect(await offerInHall("bob")).toBe("refused");
    send({ type: "abort", id: second });
    expect(await offerInHall("bob")).toBe("ready");
  });

  it("[HAND-17] so is a seat", async () => {
    await border.close();
    await open({ settings: () => ({ maxConnections: 1 }) });
    expect(await offerInHall("eve")).toBe("ready");
    expect(await offerInHall("eve")).toBe("ready");
    expect(await offerInHall("bob")).toBe("refused");
  });

  it("[HAND-17] is one of its neighbour's share, however often it is offered", async () => {
    await openHall(4);
    for (const playerId of ["eve", "eve", "bob"]) expect(await offerInHall(playerId)).toBe("ready");
    expect(await offerInHall("ada")).toBe("refused");
  });

  it("[HAND-17] is none of it any more where its player is in by a ticket", async () => {
    await openHall(2);
    expect(await offerInHall("eve")).toBe("ready");
    const answer = border.holdMaster();
    await border.join(east, { sub: "eve", gen: 2 * generation, claims: inHall });
    expect(await offerInHall("ada")).toBe("ready");
    answer();
  });

  it("[HAND-17] nor is a seat, which is one of it however often it is offered", async () => {
    await border.close();
    await open({ settings: () => ({ maxConnections: 4 }) });
    for (const playerId of ["eve", "eve", "bob"]) expect(await offer(west, playerId)).toBe("ready");
    const answer = border.holdMaster();
    await border.join(east, { sub: "eve", gen: 2 * generation });
    expect(await offer(west, "ada")).toBe("ready");
    expect(await offer(west, "ian")).toBe("refused");
    answer();
  });

  it("[HAND-17] [TICKET-10] nor is a seat anybody else's where it is the world that has no other", async () => {
    await border.close();
    await open({ rules: { max_entities: 2 } });
    await border.join(east, { sub: "ada" });
    expect(await offer(west, "eve")).toBe("ready");
    const bob = await border.ask(east, { sub: "bob" });
    expect(await bob.next("reject")).toMatchObject({ code: closeCodes.FULL.number });
    border.holdMaster();
    await border.join(east, { sub: "ada", gen: 2 * generation });
    await border.join(east, { sub: "eve", gen: 2 * generation });
    border.master.holdSessions = undefined;
    expect(east.game.cluster?.playerCount).toBe(2);
  });
});

describe("places of a fragment that are promised to a group", () => {
  it("[HAND-11] [HAND-24] are kept for all of it while the game takes the first of them in", async () => {
    await openHall(2);
    const at = { tenure: 1, received: 0, acknowledged: 0 };
    for (const sub of ["ann", "eve"]) await border.join(west, { sub, position: at });
    await border.join(east, { sub: "bob" });
    const outcomes: Promise<TeleportOutcome | undefined>[] = [];
    east.game.onIn = () => void outcomes.push(Promise.resolve(east.game.players.get("bob")?.teleport(hall)));
    const { players, cluster } = west.game;
    cluster?.keepTogether(players.values());
    const both = await Promise.all(Array.from(players.values(), async (player) => player.teleport(hall)));
    expect(both).toEqual(["handed-over", "handed-over"]);
    expect(await Promise.all(outcomes)).toEqual(["full", "full"]);
    expect(playersInHall().toSorted()).toEqual(["ann", "eve"]);
    // And no longer than that.
    east.game.onIn = undefined;
    east.game.players.get("ann")?.close();
    expect(await east.game.players.get("bob")?.teleport(hall)).toBe("moved");
  });
});
