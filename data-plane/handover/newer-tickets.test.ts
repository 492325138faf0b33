/** Players that come with a new ticket while a handover has them, or has had them. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { generationAfterAbort } from "../../protocol/handover/generation.ts";
import type { StreamPosition } from "../../protocol/handover/streams.ts";
import { allFeatures, closeCodes, encodeAck, encodeClose, encodeJoin, features } from "../../protocol/index.ts";
import type { PeerMessage } from "../peers/handover-codec.ts";
import type { FakeMaster } from "../testing/fake-master.ts";
import type { TestClient } from "../testing/test-client.ts";
import { until } from "../testing/until.ts";
import { Border, generation, helloOf, message, type Side } from "./testing/border.ts";
import { countingBorder, type Counting, counts } from "./testing/counting.ts";

let border: Border<Counting>;
let master: FakeMaster;
let west: Side<Counting>;
let east: Side<Counting>;

beforeEach(async () => {
  ({ border, west, east } = await Border.open(countingBorder));
  ({ master } = border);
});

afterEach(async () => border.close());

describe("a player that walks over the border, and comes with a ticket", () => {
  it("[HAND-10] goes on with a new ticket from what the commit has saved, where it left, when it cannot get to where it was sent", async () => {
    const client = await border.join(west);
    client.send(message(1), message(1));
    await until("the answers", () => counts(client).length === 2);
    await border.walkOver(client);
    client.close();
    const at = { tenure: generation, received: 2, acknowledged: 0 };
    const again = await border.ask(west, { gen: 2 * generation, position: at });
    await again.next("welcome");
    expect(await again.next("streams")).toMatchObject({ fresh: false, received: 2 });
    again.send(encodeAck({ received: 2 }), message(1));
    await until("the answer", () => counts(again).length === 1);
    expect(counts(again)).toEqual([3]);
    await until("its hooks", () => west.game.hooks.length === 6);
    expect(west.game.hooks).toEqual(["join", "enter west", "out", "leave west", "in 2", "enter west"]);
    await until("the end in the east", () => east.game.hooks.includes("leave REPLACED"));
  });

  it("[HAND-20] [HAND-7] finds played what was held for it where it left, once, when it comes back with a ticket", async () => {
    const client = await border.join(west);
    client.send(message(1), message(1));
    await until("the answers", () => counts(client).length === 2);
    // What the destination says of it is lost, as with a link.
    const { peers } = east.cluster.server;
    if (peers === undefined) throw new Error("no links");
    const send = peers.send.bind(peers);
    const isLost = ({ type }: PeerMessage): boolean => type === "activated" || type === "forwarded";
    vi.spyOn(peers, "send").mockImplementation((to, said) => isLost(said) || send(to, said));
    await border.walkOver(client);
    const { framesIn } = west.cluster.server.metrics;
    client.send(message(1));
    await until("the third", () => west.cluster.server.metrics.framesIn > framesIn);
    client.close();
    const again = await border.ask(west, {
      gen: 2 * generation,
      position: { tenure: generation, received: 2, acknowledged: 1 },
    });
    expect(await again.next("streams")).toMatchObject({ fresh: false, received: 3 });
    again.send(encodeAck({ received: 2 }), message(1));
    await until("the answers", () => counts(again).length === 2);
    expect(counts(again)).toEqual([3, 4]);
    expect(west.game.hooks.filter((hook) => !/(enter|leave) west/.test(hook))).toEqual(["join", "out", "in 2"]);
    await until("the end in the east", () => east.game.hooks.includes("leave REPLACED"));
  });

  /** As when the source dies with the redirect on its way to the client, and the token at the destination. */
  async function broughtOver(): Promise<void> {
    const client = await border.join(west);
    client.send(message(1), message(1));
    await until("the answers", () => counts(client).length === 2);
    await border.walkOver(client);
    client.close();
    await until("the move", () => east.game.hooks.includes("in 2"));
  }

  it("[HAND-20] [JOIN-5] goes on, as one, when it comes with a ticket to where it was brought already", async () => {
    await broughtOver();
    // Said to it while nobody was there.
    east.game.players.get("ann")?.send(7, Uint8Array.of(77));
    const again = await border.ask(east, {
      gen: 2 * generation,
      position: { tenure: generation, received: 1, acknowledged: 0 },
    });
    expect(await again.next("streams")).toMatchObject({ fresh: false, received: 2, tenure: generation + 1 });
    again.send(encodeAck({ received: 1 }), message(1));
    await until("the answers", () => counts(again).length === 3);
    expect(counts(again)).toEqual([2, 77, 3]);
    expect(east.game.hooks.filter((hook) => !/(enter|leave) east/.test(hook))).toEqual(["in 2"]);
    expect(master.sessions.get("ann")).toMatchObject({ generation: 2 * generation, holder: "default.b" });
    // What its game saves counts from now on under the new ticket.
    expect(await east.game.players.get("ann")?.save(Uint8Array.of(1))).toBe("saved");
    expect(master.sessions.get("ann")?.save?.generation).toBe(2 * generation);
    expect(east.cluster.server.metrics.handovers.overlaps).toBe(0);
  });

  it("[HAND-20] goes on as well with a ticket that names the fragment in which it is", async () => {
    await broughtOver();
    const at = { tenure: generation, received: 2, acknowledged: 0 };
    const again = await border.ask(east, { gen: 2 * generation, position: at, claims: { frag: "east" } });
    expect(await again.next("streams")).toMatchObject({ fresh: false, received: 2 });
    expect(east.game.hooks.filter((hook) => !/(enter|leave) east/.test(hook))).toEqual(["in 2"]);
  });

  it("[HAND-20] goes on a second time, with another ticket, and not with one that is older", async () => {
    await broughtOver();
    const at = { tenure: generation, received: 2, acknowledged: 0 };
    const first = await border.ask(east, { gen: 2 * generation, position: at });
    await first.next("streams");
    const second = await border.ask(east, { gen: 3 * generation, position: at });
    expect(await second.next("streams")).toMatchObject({ fresh: false, received: 2 });
    await first.gone();
    const late = await east.cluster.connected();
    const { boot = 0 } = east.cluster.server.peers?.self ?? {};
    const ticket = await master.ticket({ aud: "default.b", boot, gen: 2 * generation, sub: "ann" });
    late.send(helloOf(), encodeJoin({ ticket, position: at }));
    expect((await late.next("reject")).code).toBe(closeCodes.STALE_GENERATION.number);
    second.send(message(1));
    await until("the answer", () => counts(second).length === 1);
    expect(counts(second)).toEqual([3]);
  });

  it("[AHEAD-1] [HAND-20] has AHEAD in force as its client offers it with each ticket", async () => {
    await broughtOver();
    const at = { tenure: generation, received: 2, acknowledged: 0 };
    for (const [index, offered] of [allFeatures, allFeatures & ~features.ahead, allFeatures].entries()) {
      const client = await border.ask(east, { gen: (2 + index) * generation, position: at, offered });
      expect((await client.next("welcome")).features).toBe(offered);
      expect(await client.next("streams")).toMatchObject({ fresh: false, received: 2 });
    }
  });

  it.each<[string, StreamPosition, object]>([
    ["a position of which nobody knows", { tenure: 7, received: 2, acknowledged: 0 }, {}],
    ["more received than was said", { tenure: generation, received: 3, acknowledged: 0 }, {}],
    ["more acknowledged than was heard", { tenure: generation, received: 2, acknowledged: 3 }, {}],
    ["a ticket that names another fragment", { tenure: generation, received: 2, acknowledged: 0 }, { frag: "west" }],
  ])("[HAND-1] [HAND-20] begins afresh, as one, and its game is told, with %s", async (_what, at, claims) => {
    await broughtOver();
    const again = await border.ask(east, { gen: 2 * generation, position: at, claims });
    expect(await again.next("streams")).toMatchObject({ fresh: true });
    again.send(encodeAck({ received: 0 }), message(1));
    await until("the answer", () => counts(again).length === 1);
    // It plays once: the copy that was brought has gone before it joins.
    expect(counts(again)).toEqual([1]);
    expect(east.game.hooks.filter((hook) => !/(enter|leave) east/.test(hook))).toEqual([
      "in 2",
      "leave REPLACED",
      "join",
    ]);
    expect(master.sessions.get("ann")).toMatchObject({ generation: 2 * generation, holder: "default.b" });
  });

  it("[HAND-10] [HAND-20] does not begin while its own new ticket is being entered here, and goes on by that as it is", async () => {
    const client = await border.join(west);
    client.send(message(1), message(1));
    await until("the answers", () => counts(client).length === 2);
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdSessions = promise;
    const asked = master.consultations.length;
    const again = await border.ask(west, {
      gen: 2 * generation,
      position: { tenure: generation, received: 2, acknowledged: 0 },
    });
    await until("the question", () => master.consultations.length > asked);
    client.send(border.step());
    await until("its step", () => west.game.players.get("ann")?.position.x === 2);
    const { ticks } = west.cluster.server.metrics;
    // Long enough for one that walks.
    await until("some ticks", () => west.cluster.server.metrics.ticks > ticks + 10);
    expect(west.cluster.server.metrics.handovers.begun).toBe(0);
    resolve();
    expect(await again.next("streams")).toMatchObject({ fresh: false, received: 2, tenure: generation });
    again.send(encodeAck({ received: 2 }), message(1));
    await until("the answer", () => counts(again).length === 1);
    expect(counts(again)).toEqual([3]);
    // It still stands beyond the border.
    await again.next("redirect");
    expect(master.sessions.get("ann")).toMatchObject({ generation: 2 * generation + 1, holder: "default.b" });
    expect(west.game.hooks.filter((hook) => !/(enter|leave) west/.test(hook))).toEqual(["join", "out"]);
  });

  /** The other cluster has all of the player but the commit, which the master is about to make. @returns what lets it */
  async function standStill(client: TestClient): Promise<() => void> {
    const commit = border.holdMaster();
    const asked = master.consultations.length;
    client.send(border.step());
    await until("the commit", () =>
      master.consultations.slice(asked).some((all) => all.some(({ message: { type } }) => type === "commit")),
    );
    return commit;
  }

  it("[HAND-8] is told that a save of before counts for nothing, where a newer session elsewhere takes it as it stands still", async () => {
    const client = await border.join(west);
    await until("its entry", () => master.sessions.get("ann")?.holder === "default.a");
    border.holdMaster();
    const outcome = west.game.players.get("ann")?.save(Buffer.from("gold"));
    client.send(border.step());
    await until("its standstill", () => west.game.hooks.includes("out"));
    master.command({ type: "fence", playerId: "ann", generation: 2 * generation });
    expect(await outcome).toBe("superseded");
    expect(await client.next("close")).toMatchObject({ code: closeCodes.REPLACED.number });
  });

  it("[HAND-1] does not come to where it plays by a newer ticket, of which its session has not said anything yet", async () => {
    const client = await border.join(west);
    client.send(message(1));
    await until("the answer", () => counts(client).length === 1);
    const commit = await standStill(client);
    const enter = border.holdMaster();
    const newer = await border.ask(east, { gen: 2 * generation });
    await newer.next("welcome");
    commit();
    // It plays on where it was, until its session has said to whom it belongs.
    await until("its return", () => west.game.hooks.includes("in 1"));
    newer.send(message(1));
    await until("the answer", () => counts(newer).length === 1);
    expect(counts(newer)).toEqual([1]);
    expect(east.game.hooks.filter((hook) => !/(enter|leave) east/.test(hook))).toEqual(["join"]);
    enter();
    await until("the end of the one before", () => west.game.hooks.includes("leave REPLACED"));
    expect(master.sessions.get("ann")).toMatchObject({ generation: 2 * generation, holder: "default.b" });
    expect(east.game.hooks.filter((hook) => !/(enter|leave) east/.test(hook))).toEqual(["join"]);
  });

  it("[HAND-1] is not offered a seat where a newer ticket of its own is being entered", async () => {
    const client = await border.join(west);
    await until("its entry", () => master.sessions.get("ann")?.holder === "default.a");
    const enter = border.holdMaster();
    const asked = master.consultations.length;
    const newer = await border.ask(east, {
      gen: 2 * generation,
      position: { tenure: generation, received: 0, acknowledged: 0 },
    });
    await until("the question", () => master.consultations.length > asked);
    master.holdSessions = undefined;
    client.send(border.step());
    await until("the refusal", () => east.cluster.server.metrics.handovers.refused > 0);
    expect(west.game.hooks).not.toContain("out");
    enter();
    await newer.next("welcome");
    await until("the end of the one before", () => west.game.hooks.includes("leave REPLACED"));
  });

  it("[HAND-1] takes the place of who has come there by an older ticket, of which its session has not said anything yet", async () => {
    const client = await border.ask(west, { gen: 2 * generation });
    await client.next("welcome");
    await until("its entry", () => master.sessions.get("ann")?.holder === "default.a");
    const commit = await standStill(client);
    const enter = border.holdMaster();
    const older = await border.ask(east);
    await older.next("welcome");
    commit();
    expect((await older.next("close")).code).toBe(closeCodes.REPLACED.number);
    await until("the move", () => east.game.hooks.includes("in 0"));
    enter();
    const redirect = await client.next("redirect");
    const arrived = await border.arrive(redirect, { tenure: 2 * generation, received: 0, acknowledged: 0 });
    expect(await arrived.next("streams")).toMatchObject({ tenure: 2 * generation + 1, fresh: false });
    arrived.send(encodeAck({ received: 0 }), message(1));
    await until("the answer", () => counts(arrived).length === 1);
    expect(east.game.hooks.filter((hook) => !/(enter|leave) east/.test(hook))).toEqual([
      "join",
      "leave REPLACED",
      "in 0",
    ]);
  });

  it("[HAND-13] is forgotten where it left when it is not taken elsewhere and has come back by a newer ticket meanwhile", async () => {
    const client = await border.join(west);
    // The token takes its time, and the destination does not take it.
    const { peers } = west.cluster.server;
    if (peers === undefined) throw new Error("no links");
    const send = peers.send.bind(peers);
    const late: Parameters<typeof send>[] = [];
    const mock = vi
      .spyOn(peers, "send")
      .mockImplementation((...said) => (said[1].type === "commit" ? late.push(said) > 0 : send(...said)));
    master.changeCommit = (claims) => ({ ...claims, members: [{ playerId: "bob", generation }] });
    await border.walkOver(client);
    const enter = border.holdMaster();
    const asked = master.consultations.length;
    const newer = await border.ask(west, { gen: 2 * generation });
    await newer.next("welcome");
    await until("the question", () => master.consultations.length > asked);
    // What is asked about the handover is answered before that.
    master.holdSessions = undefined;
    mock.mockRestore();
    for (const said of late) send(...said);
    await client.gone();
    await until("the abort", () => master.sessions.get("ann")?.generation === generationAfterAbort(generation));
    enter();
    await until("its entry", () => master.sessions.get("ann")?.generation === 2 * generation);
    newer.send(message(1));
    await until("the answer", () => counts(newer).length === 1);
    expect(west.game.hooks.filter((hook) => !/(enter|leave) west/.test(hook))).toEqual(["join", "out", "join"]);
  });

  it("[HAND-7] [HAND-20] does not play for a newer session what was held for the one before, nor its goodbye", async () => {
    const client = await border.join(west);
    const heard: PeerMessage[] = [];
    const onMessage = (_from: unknown, said: PeerMessage): void => void heard.push(said);
    west.cluster.server.peers?.listen({ onUp: () => undefined, onDown: () => undefined, onMessage });
    await border.walkOver(client);
    await until("the move", () => east.game.hooks.includes("in 0"));
    const enter = border.holdMaster();
    const newer = await border.ask(east, { gen: 2 * generation });
    await newer.next("welcome");
    client.send(message(1), encodeClose("NORMAL"));
    await until("its goodbye there", () => heard.filter(({ type }) => type === "forwarded").length === 2);
    newer.send(message(1));
    await until("the answer", () => counts(newer).length === 1);
    expect(counts(newer)).toEqual([1]);
    expect(east.game.hooks.filter((hook) => !/(enter|leave) east/.test(hook))).toEqual([
      "in 0",
      "leave REPLACED",
      "join",
    ]);
    enter();
  });

  it("[JOIN-5] [HAND-10] goes on with a new ticket from what the commit has saved also when its new cluster has closed it, having saved nothing", async () => {
    const client = await border.join(west);
    client.send(message(1), message(1));
    await until("the answers", () => counts(client).length === 2);
    const gate = Promise.withResolvers<void>();
    east.game.onIn = () => gate.promise;
    const at = { tenure: generation, received: 2, acknowledged: 0 };
    const arrived = await border.arrive(await border.walkOver(client), at);
    await arrived.next("resumeToken");
    gate.reject(new Error("it cannot read that"));
    expect((await arrived.next("close")).code).toBe(closeCodes.INTERNAL.number);
    const again = await border.ask(west, { gen: 2 * generation, position: at });
    expect(await again.next("streams")).toMatchObject({ fresh: false, received: 2 });
    again.send(encodeAck({ received: 2 }), message(1));
    await until("the answer", () => counts(again).length === 1);
    expect(counts(again)).toEqual([3]);
  });
});

describe("a seat that is promised to a player who comes by a ticket instead", () => {
  /** The west announces a player to the east, which has a single seat, and promises that. */
  async function announce(playerId: string): Promise<void> {
    await border.close();
    const settings = () => ({ maxConnections: 1 });
    ({ border, west, east } = await Border.open({ ...countingBorder, settings }));
    const heard: string[] = [];
    const { peers } = west.cluster.server;
    if (peers === undefined) throw new Error("no links");
    peers.listen({
      onUp: () => undefined,
      onDown: () => undefined,
      onMessage: (_from, { type }) => heard.push(type),
    });
    const send = peers.send.bind(peers);
    // It is to wait for what comes next.
    vi.spyOn(peers, "send").mockImplementation((to, said) => said.type === "abort" || send(to, said));
    const id = randomBytes(16).toString("hex");
    peers.send("default.b", { type: "prepare", id, members: [{ playerId, generation: 1 }] });
    expect(await until("an answer", () => heard[0])).toBe("prepared");
  }

  it("[TICKET-10] is that player's, and nobody else's", async () => {
    await announce("ann");
    const bob = await border.ask(east, { sub: "bob" });
    expect(await bob.next("reject")).toMatchObject({ code: closeCodes.FULL.number });
    await border.join(east);
    expect(east.game.hooks).toContain("join");
  });
});
