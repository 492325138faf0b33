/** Players that walk from one cluster to another: real clusters over TLS, and a master whose sessions are the production's steps. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { generationAfterAbort } from "../../protocol/handover/generation.ts";
import type { CommitClaims } from "../../protocol/handover/parties.ts";
import type { StreamPosition } from "../../protocol/handover/streams.ts";
import {
  allFeatures,
  closeCodes,
  encodeAck,
  encodeArrive,
  encodeClose,
  encodeJoin,
  encodeMove,
  encodeRequest,
  encodeResume,
  features,
  type Redirect,
  responseStatuses,
} from "../../protocol/index.ts";
import { decodePlayerState, encodePlayerState, type PlayerState } from "../authority/player-state.ts";
import type { PeerMessage } from "../peers/handover-codec.ts";
import type { Player } from "../plugin/player.ts";
import type { FakeMaster } from "../testing/fake-master.ts";
import type { TestClient } from "../testing/test-client.ts";
import { until } from "../testing/until.ts";
import { type CarriedFacts, decodeCarriedFacts, encodeCarriedFacts } from "../session/carried-facts.ts";
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

let moves = 0;

/** Stands still beyond the border until it is sent on. */
async function walkOver(client: TestClient, x = 2): Promise<Redirect> {
  moves += 1;
  client.send(encodeMove({ sequence: moves, x, y: 0, z: 0, heading: 0 }));
  return client.next("redirect");
}

/** From now on the master answers nobody, until it is let. What was asked before is let through by itself. */
function holdMaster(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  master.holdSessions = promise;
  return resolve;
}

describe("a player that walks over the border", () => {
  it("[HAND-9] [HAND-10] goes on at the other cluster where it was: nothing lost, nothing doubled", async () => {
    const client = await border.join(west);
    client.send(message(1), message(1));
    await until("the answers", () => counts(client).length === 2);
    const redirect = await walkOver(client);
    expect(redirect.cluster).toMatchObject({ id: "default.b", port: east.cluster.server.address?.port });
    // On its way to the old cluster, which has let go of the player: it is brought after it.
    client.send(message(1));
    await until("the move", () => east.game.hooks.includes("in 2"));
    const arrived = await border.arrive(redirect, { tenure: generation, received: 2, acknowledged: 0 });
    expect(await arrived.next("welcome")).toMatchObject({ fragment: "east", x: 2 });
    const streams = await arrived.next("streams");
    expect(streams).toMatchObject({ tenure: generation + 1, fresh: false });
    await arrived.next("resumeToken");
    // It sends again what nobody has acknowledged; some of it may have been brought meanwhile.
    const missing = 4 - streams.received;
    arrived.send(encodeAck({ received: 2 }), ...Array.from({ length: missing }, () => message(1)));
    await until("the answers", () => counts(arrived).length === 2 && east.game.hooks.includes("enter east"));
    expect(counts(arrived)).toEqual([3, 4]);
    expect(west.game.hooks).toEqual(["join", "enter west", "out", "leave west"]);
    expect(east.game.hooks).toEqual(["in 2", "enter east"]);
    expect(master.sessions.get("ann")).toMatchObject({ generation: generation + 1, holder: "default.b" });
    client.close();
    await until("the count", () => west.cluster.server.metrics.handovers.moved <= 1);
  });

  it("comes back the same way, with the old connection still there", async () => {
    const client = await border.join(west);
    client.send(message(1));
    await until("the answer", () => counts(client).length === 1);
    const over = await border.arrive(await walkOver(client), { tenure: generation, received: 1, acknowledged: 1 });
    await over.next("streams");
    over.send(encodeAck({ received: 1 }), message(1));
    await until("the answer", () => counts(over).length === 1);
    const back = await border.arrive(await walkOver(over, -2), {
      tenure: generation + 1,
      received: 2,
      acknowledged: 2,
    });
    expect(await back.next("streams")).toMatchObject({ tenure: generation + 2, received: 2 });
    back.send(encodeAck({ received: 2 }), message(1));
    await until("the answer", () => counts(back).length === 1 && west.game.hooks.at(-1) === "enter west");
    expect([...counts(over), ...counts(back)]).toEqual([2, 3]);
    expect(west.game.hooks).toEqual(["join", "enter west", "out", "leave west", "in 2", "enter west"]);
  });

  it("[HAND-9] has an input applied once that reaches its new cluster twice: by its client, and brought by the old one", async () => {
    const client = await border.join(west);
    const redirect = await walkOver(client);
    await until("the move", () => east.game.hooks.includes("in 0"));
    const arrived = await border.arrive(redirect, { tenure: generation, received: 0, acknowledged: 0 });
    await arrived.next("streams");
    arrived.send(encodeAck({ received: 0 }));
    // Brought by the old one first; then the client, which has no acknowledgement for it, sends it again.
    client.send(message(1));
    await until("the first", () => counts(arrived).length === 1);
    arrived.send(message(1), message(1));
    await until("the second", () => counts(arrived).length === 2);
    // The other way round.
    const { framesIn } = west.cluster.server.metrics;
    client.send(message(1));
    await until("it at the old cluster", () => west.cluster.server.metrics.framesIn > framesIn);
    client.send(message(1));
    await until("one that is new", () => counts(arrived).length === 3);
    arrived.send(message(1), message(1));
    await until("the next", () => counts(arrived).length === 4);
    expect(counts(arrived)).toEqual([1, 2, 3, 4]);
  });

  it("[HAND-6] takes along nothing that is under way: a request of its client fails, one to its client is told that it moved", async () => {
    const client = await border.join(west);
    await until("its fragment", () => west.game.hooks.includes("enter west"));
    const moved = west.game.players
      .get("ann")
      ?.request(7)
      .catch((error: unknown) => error);
    await client.next("request");
    client.send(encodeRequest({ id: 5, deadlineMs: 60_000, command: 1, payload: new Uint8Array(0) }));
    await until("the question", () => west.game.hooks.includes("asked"));
    const redirect = await walkOver(client);
    expect(await client.next("response")).toMatchObject({ id: 5, status: responseStatuses.FAILED });
    expect(await moved).toMatchObject({ code: "MOVED" });
    expect(west.game.hooks).toEqual(["join", "enter west", "asked", "called off", "out", "leave west"]);
    const arrived = await border.arrive(redirect, { tenure: generation, received: 2, acknowledged: 0 });
    expect(await arrived.next("streams")).toMatchObject({ received: 1 });
    arrived.send(encodeAck({ received: 2 }));
    // The id goes on where it was: the client would take the same one twice for a fault.
    void east.game.players
      .get("ann")
      ?.request(7)
      .catch(() => undefined);
    expect((await arrived.next("request")).id).toBe(2);
  });

  it("[HAND-6] waits for hooks that are under way", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const client = await border.join(west);
    west.game.slow = promise;
    client.send(message(1));
    const sent = walkOver(client);
    await until("the attempt", () => west.cluster.server.metrics.handovers.begun === 1);
    client.send(message(1));
    const { ticks } = west.cluster.server.metrics;
    await until("some ticks", () => west.cluster.server.metrics.ticks > ticks + 3);
    expect(west.game.hooks).not.toContain("out");
    resolve();
    const redirect = await sent;
    const arrived = await border.arrive(redirect, {
      tenure: generation,
      received: counts(client).length,
      acknowledged: 0,
    });
    await arrived.next("streams");
    expect(west.game.hooks).toContain("out");
    await until("the answers", () => counts(client).length + counts(arrived).length === 2);
    expect([...counts(client), ...counts(arrived)]).toEqual([1, 2]);
  });

  it("stays when its game cannot pack, and plays on", async () => {
    west.game.refusesToPack = true;
    const client = await border.join(west);
    moves += 1;
    client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }), message(1));
    await until("the attempt", () => west.cluster.server.metrics.handovers.stayed === 1);
    client.send(message(1));
    await until("the answers", () => counts(client).length === 2);
    expect(west.game.hooks).toEqual(["join", "enter west"]);
    expect(east.game.hooks).toEqual([]);
  });

  it("[HAND-5] plays on where it was when it is refused after the commit, and is closed where there is no place for it any more", async () => {
    // A commit of others: the destination does not take it.
    master.changeCommit = (claims) => ({ ...claims, members: [{ playerId: "bob", generation }] });
    const client = await border.join(west);
    moves += 1;
    client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }), message(1));
    await client.next("stay");
    client.send(message(1));
    await until("the answers", () => counts(client).length === 2);
    west.game.fillsUp = true;
    expect(await client.next("close")).toMatchObject({ code: closeCodes.INTERNAL.number });
    await until("its end", () => west.game.hooks.at(-1) === "leave INTERNAL");
    expect(west.game.hooks.slice(-4)).toEqual(["out", "leave east", "in 2", "leave INTERNAL"]);
  });

  it("[HAND-9] has what it left saved when it leaves before anybody knows whether it was to go on elsewhere", async () => {
    const client = await border.join(west);
    client.send(message(1));
    await until("the answer", () => counts(client).length === 1);
    master.refuseSessions = { status: 503, code: "INTERNAL" };
    moves += 1;
    client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
    await until("its return, in doubt", () => west.game.hooks.includes("in 1"));
    const saved = west.game.players.get("ann")?.save(Uint8Array.of(9));
    client.send(encodeClose("NORMAL"));
    await until("its end", () => west.game.hooks.includes("leave NORMAL"));
    master.refuseSessions = undefined;
    expect(await saved).toBe("saved");
    expect(master.sessions.get("ann")?.save?.generation).toBe(generationAfterAbort(generation));
  });

  it("[HAND-9] is told what its game says to it as it hears that it stays, and leaves if that says so", async () => {
    master.changeCommit = (claims) => ({ ...claims, members: [{ playerId: "bob", generation }] });
    const client = await border.join(west);
    west.game.onIn = (player) => void player.send(9, Buffer.from("a"));
    moves += 1;
    client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
    await until("the word", () => counts(client).length === 1);
    expect(counts(client)).toEqual([97]);
    west.game.onIn = (player) => player.close();
    expect(await client.next("close")).toMatchObject({ code: closeCodes.NORMAL.number });
    await until("its end", () => west.game.hooks.at(-1)?.startsWith("leave ") === true);
    expect(west.cluster.server.metrics.connections.joined).toBe(0);
  });

  it("[HAND-9] is told all that is said to it where it plays on, though its connection was lost on the way", async () => {
    const client = await border.join(west);
    const { token } = await client.next("resumeToken");
    client.send(message(1));
    await until("the answer", () => counts(client).length === 1);
    // The destination looks at the token for as long as it takes, and then does not take it.
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdKeySet = promise;
    await master.addKey("later");
    master.changeCommit = (claims) => ({ ...claims, members: [{ playerId: "bob", generation }] });
    await walkOver(client);
    client.close();
    await until("its end", () => west.cluster.server.metrics.connections.joined === 0);
    resolve();
    await until("the return", () => west.game.hooks.includes("in 1"));
    for (const text of ["a", "b"]) west.game.players.get("ann")?.send(9, Buffer.from(text));
    const back = await west.cluster.connected();
    back.send(helloOf(), encodeResume({ received: 1, token }));
    await back.next("resumed");
    await until("what was said", () => counts(back).length === 2);
    expect(counts(back)).toEqual([97, 98]);
  });

  it("[RESUME-3] [HAND-5] is answered as ever where its client asks to go on while nobody knows yet who plays it", async () => {
    await border.close();
    const settings = (instance: string) => ({ ...countingBorder.settings?.(instance), pingIntervalMs: 100 });
    ({ border, west, east } = await Border.open({ ...countingBorder, settings }));
    ({ master } = border);
    const bystander = await border.join(west, { sub: "bob" });
    const client = await border.join(west);
    const { token } = await client.next("resumeToken");
    client.send(message(1), message(1));
    await until("the answers", () => counts(client).length === 2);
    // The destination looks at the token for as long as it takes, and ends before it has; the next one there knows nothing of it.
    const looks = Promise.withResolvers<void>();
    master.holdKeySet = looks.promise;
    await master.addKey("later");
    await walkOver(client);
    client.close();
    const joined = (): number => west.cluster.server.metrics.connections.joined;
    await until("its end", () => joined() === 1);
    await east.cluster.server.stop();
    master.holdKeySet = undefined;
    looks.resolve();
    const answers = Promise.withResolvers<void>();
    master.holdSessions = answers.promise;
    const asked = master.consultations.length;
    await border.start("b");
    await until("the question", () => master.consultations.length > asked);
    const back = await west.cluster.connected();
    back.send(helloOf(), encodeResume({ received: 1, token }));
    await until("its return", () => joined() === 2);
    bystander.received.length = 0;
    for (let count = 0; count < 3; count += 1) await bystander.next("ping");
    expect(back.received).toEqual([]);
    master.holdSessions = undefined;
    answers.resolve();
    await until("what it sees", () => back.types().includes("fragment"));
    expect(back.types().slice(0, 3)).toEqual(["resumed", "streams", "resumeToken"]);
    back.send(encodeAck({ received: 2 }), message(1));
    await until("the answers", () => counts(back).length === 2);
    expect(counts(back)).toEqual([2, 3]);
    expect(west.game.hooks.filter((hook) => hook === "join")).toHaveLength(2);
  });

  it("[AHEAD-1] [AHEAD-5] is told where it may be sent before it is, if its client knows what to do with that, at each cluster anew", async () => {
    const client = await border.join(west);
    const redirect = await walkOver(client);
    const ahead = client.received.find(({ type }) => type === "ahead");
    expect(ahead).toEqual({ type: "ahead", id: redirect.id, cluster: redirect.cluster });
    // A cluster of before would not take who has what it does not know.
    const saved = decodePlayerState(Buffer.from(master.sessions.get("ann")?.save?.state ?? "", "base64"));
    expect(decodeCarriedFacts(saved.carried)?.features).toBe(allFeatures & ~features.ahead);
    const over = await border.arrive(redirect, { tenure: generation, received: 0, acknowledged: 0 });
    expect((await over.next("welcome")).features & features.ahead).toBe(features.ahead);
    await over.next("resumeToken");
    over.send(encodeAck({ received: 0 }));
    const back = await walkOver(over, -2);
    expect(over.received.some((one) => one.type === "ahead" && one.id === back.id)).toBe(true);
    // Another program has taken its place, which knows nothing of it.
    const older = await border.arrive(
      back,
      { tenure: generation + 1, received: 0, acknowledged: 0 },
      allFeatures & ~features.ahead,
    );
    expect((await older.next("welcome")).features & features.ahead).toBe(0);
    await older.next("resumeToken");
    older.send(encodeAck({ received: 0 }));
    await walkOver(older);
    expect(older.received.map(({ type }) => type)).not.toContain("ahead");
  });

  it("[AHEAD-5] is told that it stays where that comes to nothing", async () => {
    const client = await border.join(west);
    west.game.refusesToPack = true;
    moves += 1;
    client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
    const { id } = await client.next("ahead");
    expect(await client.next("stay")).toEqual({ type: "stay", id });
    client.send(message(1));
    await until("the answer", () => counts(client).length === 1);
  });

  it("[ARRIVE-4] [CLOSE-4] is told when it comes that the master has revoked it meanwhile", async () => {
    const client = await border.join(west);
    const redirect = await walkOver(client);
    await until("the move", () => east.game.hooks.includes("in 0"));
    const players = [{ playerId: "ann", minGeneration: 2 * generation, reason: "kicked" }];
    master.command({ type: "revoke", since: 0, version: 1, players });
    await until("its end", () => east.game.hooks.includes("leave KICKED"));
    // Whoever comes next does not have that forgotten.
    await walkOver(await border.join(west, { sub: "bob" }));
    await until("another one", () => east.game.players.has("bob"));
    const position = { tenure: generation, received: 0, acknowledged: 0 };
    const late = await border.arrive(redirect, position);
    expect((await late.next("reject")).code).toBe(closeCodes.KICKED.number);
    const stranger = await border.arrive({ ...redirect, key: "0".repeat(32) }, position);
    expect((await stranger.next("reject")).code).toBe(closeCodes.ARRIVAL_UNKNOWN.number);
  });

  it.each<[string, (claims: CommitClaims) => CommitClaims, () => Counting]>([
    ["where it goes", (claims) => claims, () => east.game],
    [
      "where it comes back to",
      (claims) => ({ ...claims, members: [{ playerId: "bob", generation }] }),
      () => west.game,
    ],
  ])("[CLOSE-4] [TICKET-20] is shown out %s, when the master has revoked it on the way", async (_where, change, at) => {
    const client = await border.join(west);
    // The destination looks at the token for as long as it takes.
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdKeySet = promise;
    await master.addKey("later");
    master.changeCommit = change;
    await walkOver(client);
    const players = [{ playerId: "ann", minGeneration: 2 * generation, reason: "banned" }];
    master.command({ type: "revoke", since: 0, version: 1, players });
    const isTold = ({ cluster }: Side<Counting>): boolean =>
      cluster.log.lines.some(({ fields }) => fields["event"] === "revoked");
    await until("the word of it", () => isTold(west) && isTold(east));
    resolve();
    await until("its end", () => at().hooks.some((hook) => hook.startsWith("leave B")));
    expect(at().hooks.at(-1)).toBe("leave BANNED");
  });

  it("[CLOSE-4] leaves with the reason for which the master has revoked it while it stood still, and its client need not wait", async () => {
    const client = await border.join(west);
    // Nobody goes on by a token of somebody else's.
    master.changeCommit = (claims) => ({ ...claims, members: [{ playerId: "bob", generation }] });
    await until("its entry", () => master.sessions.get("ann")?.holder === "default.a");
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdSessions = promise;
    moves += 1;
    client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
    await until("its standstill", () => west.game.hooks.includes("out"));
    const players = [{ playerId: "ann", minGeneration: 2 * generation, reason: "banned" }];
    master.command({ type: "revoke", since: 0, version: 1, players });
    expect((await client.next("close")).code).toBe(closeCodes.BANNED.number);
    expect(west.game.hooks.filter((hook) => /leave [A-Z]/.test(hook))).toEqual([]);
    resolve();
    await until("its end", () => west.game.hooks.some((hook) => /leave [A-Z]/.test(hook)));
    expect(west.game.hooks.at(-1)).toBe("leave BANNED");
    expect(west.cluster.server.metrics.departures).toEqual({ BANNED: 1 });
  });

  it("[HAND-22] stands where its client has come to rest while it stood still, if it stays", async () => {
    const client = await border.join(west);
    await until("its entry", () => master.sessions.get("ann")?.holder === "default.a");
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdSessions = promise;
    const move = (x: number) => {
      moves += 1;
      client.send(encodeMove({ sequence: moves, x, y: 0, z: 0, heading: 0 }));
    };
    move(2);
    await until("its standstill", () => west.game.hooks.includes("out"));
    for (const x of [1.5, 1, 0.5]) move(x);
    await until("its last step", () => west.game.players.get("ann")?.position.x === 0.5);
    expect(west.cluster.server.metrics.movesRefused).toBe(0);
    resolve();
  });

  it("[HAND-22] has that step told to its plugins before it leaves, if it leaves then", async () => {
    Object.assign(west.game, {
      onMove: (_player: unknown, _from: unknown, { x }: { x: number }) => void west.game.hooks.push(`move ${x}`),
    });
    const client = await border.join(west);
    await until("its entry", () => master.sessions.get("ann")?.holder === "default.a");
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdSessions = promise;
    moves += 2;
    client.send(encodeMove({ sequence: moves - 1, x: 2, y: 0, z: 0, heading: 0 }));
    await until("its standstill", () => west.game.hooks.includes("out"));
    client.send(encodeMove({ sequence: moves, x: 1, y: 0, z: 0, heading: 0 }), encodeClose("NORMAL"));
    await until("its end", () => west.game.hooks.includes("leave NORMAL"));
    expect(west.game.hooks.slice(-3)).toEqual(["move 1", "leave west", "leave NORMAL"]);
    resolve();
  });

  it("[HAND-9] [HAND-22] is not played any more when that step has it leave, and is told first what was said to it before", async () => {
    Object.assign(west.game, {
      onMove: (player: Player, _from: unknown, { x }: { x: number }) => void (x === 1 && player.close()),
    });
    const client = await border.join(west);
    await until("its entry", () => master.sessions.get("ann")?.holder === "default.a");
    const letGo = holdMaster();
    moves += 2;
    client.send(encodeMove({ sequence: moves - 1, x: 2, y: 0, z: 0, heading: 0 }));
    await until("its standstill", () => west.game.hooks.includes("out"));
    west.game.players.get("ann")?.send(9);
    const request = encodeRequest({ id: 5, deadlineMs: 60_000, command: 1, payload: new Uint8Array(0) });
    client.send(request, encodeMove({ sequence: moves, x: 1, y: 0, z: 0, heading: 0 }));
    await client.next("close");
    expect(client.types()).toContain("message");
    await until("its end", () => west.game.hooks.includes("leave NORMAL"));
    expect(west.game.hooks.at(-1)).toBe("leave NORMAL");
    letGo();
  });

  it("may walk on by the overrun and no farther, and back", async () => {
    west.game.refusesToPack = true;
    const client = await border.join(west);
    for (const x of [5, 10, 8, -3]) {
      moves += 1;
      client.send(encodeMove({ sequence: moves, x, y: 0, z: 0, heading: 0 }));
    }
    // 1 of margin and 8 of overrun: 10 is too far.
    expect(await client.next("position")).toMatchObject({ x: 5 });
    await until("its last step", () => west.game.players.get("ann")?.position.x === -3);
  });

  it("[HAND-10] goes on with a new ticket from what the commit has saved, where it left, when it cannot get to where it was sent", async () => {
    const client = await border.join(west);
    client.send(message(1), message(1));
    await until("the answers", () => counts(client).length === 2);
    await walkOver(client);
    client.close();
    const again = await west.cluster.connected();
    const boot = west.cluster.server.peers?.self?.boot ?? 0;
    const ticket = await master.ticket({ aud: "default.a", boot, gen: 2 * generation, sub: "ann" });
    again.send(helloOf(), encodeJoin({ ticket, position: { tenure: generation, received: 2, acknowledged: 0 } }));
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
    await walkOver(client);
    const { framesIn } = west.cluster.server.metrics;
    client.send(message(1));
    await until("the third", () => west.cluster.server.metrics.framesIn > framesIn);
    client.close();
    const again = await joinAgain(west, { tenure: generation, received: 2, acknowledged: 1 });
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
    await walkOver(client);
    client.close();
    await until("the move", () => east.game.hooks.includes("in 2"));
  }

  /** Comes with a ticket, and as a rule without a position: then nobody waits for what the master says of it. */
  async function join(side: typeof west, gen: number, position?: StreamPosition): Promise<TestClient> {
    const client = await side.cluster.connected();
    const { clusterId: aud = "", boot = 0 } = side.cluster.server.peers?.self ?? {};
    const ticket = await master.ticket({ aud, boot, gen, sub: "ann" });
    client.send(helloOf(), encodeJoin({ ticket, ...(position === undefined ? {} : { position }) }));
    return client;
  }

  /** Comes with a new ticket. */
  async function joinAgain(
    { cluster }: typeof west,
    position: StreamPosition,
    claims: object = {},
    offered = allFeatures,
  ): Promise<TestClient> {
    const again = await cluster.connected();
    const { clusterId: aud = "", boot = 0 } = cluster.server.peers?.self ?? {};
    const ticket = await master.ticket({ aud, boot, gen: 2 * generation, sub: "ann", ...claims });
    again.send(helloOf(offered), encodeJoin({ ticket, position }));
    return again;
  }

  it("[HAND-20] [JOIN-5] goes on, as one, when it comes with a ticket to where it was brought already", async () => {
    await broughtOver();
    // Said to it while nobody was there.
    east.game.players.get("ann")?.send(7, Uint8Array.of(77));
    const again = await joinAgain(east, { tenure: generation, received: 1, acknowledged: 0 });
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

  it("[HAND-20] goes on a second time, with another ticket, and not with one that is older", async () => {
    await broughtOver();
    const at = { tenure: generation, received: 2, acknowledged: 0 };
    const first = await joinAgain(east, at);
    await first.next("streams");
    const second = await joinAgain(east, at, { gen: 3 * generation });
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
      const client = await joinAgain(east, at, { gen: (2 + index) * generation }, offered);
      expect((await client.next("welcome")).features).toBe(offered);
      expect(await client.next("streams")).toMatchObject({ fresh: false, received: 2 });
    }
  });

  it.each<[string, StreamPosition, object]>([
    ["a position of which nobody knows", { tenure: 7, received: 2, acknowledged: 0 }, {}],
    ["more received than was said", { tenure: generation, received: 3, acknowledged: 0 }, {}],
    ["more acknowledged than was heard", { tenure: generation, received: 2, acknowledged: 3 }, {}],
    ["a ticket that says where to begin", { tenure: generation, received: 2, acknowledged: 0 }, { frag: "east" }],
  ])("[HAND-1] [HAND-20] begins afresh, as one, and its game is told, with %s", async (_what, at, claims) => {
    await broughtOver();
    const again = await joinAgain(east, at, claims);
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
    const again = await joinAgain(west, { tenure: generation, received: 2, acknowledged: 0 });
    await until("the question", () => master.consultations.length > asked);
    moves += 1;
    client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
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
    const commit = holdMaster();
    const asked = master.consultations.length;
    moves += 1;
    client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
    await until("the commit", () =>
      master.consultations.slice(asked).some((all) => all.some(({ message: { type } }) => type === "commit")),
    );
    return commit;
  }

  it("[HAND-1] does not come to where it plays by a newer ticket, of which its session has not said anything yet", async () => {
    const client = await border.join(west);
    client.send(message(1));
    await until("the answer", () => counts(client).length === 1);
    const commit = await standStill(client);
    const enter = holdMaster();
    const newer = await join(east, 2 * generation);
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
    const enter = holdMaster();
    const asked = master.consultations.length;
    const newer = await join(east, 2 * generation, { tenure: generation, received: 0, acknowledged: 0 });
    await until("the question", () => master.consultations.length > asked);
    master.holdSessions = undefined;
    moves += 1;
    client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
    await until("the refusal", () => east.cluster.server.metrics.handovers.refused > 0);
    expect(west.game.hooks).not.toContain("out");
    enter();
    await newer.next("welcome");
    await until("the end of the one before", () => west.game.hooks.includes("leave REPLACED"));
  });

  it("[HAND-1] takes the place of who has come there by an older ticket, of which its session has not said anything yet", async () => {
    const client = await join(west, 2 * generation);
    await client.next("welcome");
    await until("its entry", () => master.sessions.get("ann")?.holder === "default.a");
    const commit = await standStill(client);
    const enter = holdMaster();
    const older = await join(east, generation);
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
    await walkOver(client);
    const enter = holdMaster();
    const asked = master.consultations.length;
    const newer = await join(west, 2 * generation);
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
    await walkOver(client);
    await until("the move", () => east.game.hooks.includes("in 0"));
    const enter = holdMaster();
    const newer = await join(east, 2 * generation);
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
    const arrived = await border.arrive(await walkOver(client), at);
    await arrived.next("resumeToken");
    gate.reject(new Error("it cannot read that"));
    expect((await arrived.next("close")).code).toBe(closeCodes.INTERNAL.number);
    const again = await joinAgain(west, at);
    expect(await again.next("streams")).toMatchObject({ fresh: false, received: 2 });
    again.send(encodeAck({ received: 2 }), message(1));
    await until("the answer", () => counts(again).length === 1);
    expect(counts(again)).toEqual([3]);
  });

  it("[HAND-7] takes its goodbye along", async () => {
    const client = await border.join(west);
    await walkOver(client);
    client.send(encodeClose("NORMAL"));
    await until("the end", () => east.game.hooks.includes("leave NORMAL"));
    expect(west.game.hooks).toEqual(["join", "enter west", "out", "leave west"]);
    await client.gone();
  });

  it("[ARRIVE-5] is told the kinds again where it arrives twice, as the first answer was lost", async () => {
    const client = await border.join(west);
    const redirect = await walkOver(client);
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const arrived = await border.arrive(redirect, { tenure: generation, received: 0, acknowledged: 0 });
      expect((await arrived.next("kinds")).kinds, `attempt ${attempt}`).not.toEqual([]);
      await arrived.next("fragment");
      arrived.close();
    }
  });

  it("is told again where to go when its connection was lost on the way, and is dropped there when it never comes", async () => {
    const client = await border.join(west);
    await walkOver(client);
    await until("the move", () => east.game.hooks.includes("in 0"));
    expect(east.game.players.get("ann")?.dropped).toBe(true);
    expect(east.game.players.get("ann")?.send(9)).toBe(true);
  });
});

describe("a player that goes where nobody is kept whose connection is lost", () => {
  it("[ARRIVE-9] is waited for as it comes after its player, plays, and leaves there with its connection", async () => {
    const settings = (instance: string) => ({ resumeGraceMs: instance === "b" ? 0 : 15_000 });
    const strict = await Border.open({ ...countingBorder, settings });
    try {
      const { game, cluster } = strict.east;
      const client = await strict.border.join(strict.west);
      const redirect = await walkOver(client);
      await until("the move", () => game.hooks.includes("in 0"));
      const arrived = await strict.border.arrive(redirect, { tenure: generation, received: 0, acknowledged: 0 });
      expect(await arrived.next("resumeToken")).toMatchObject({ graceMs: 0 });
      arrived.send(encodeAck({ received: 0 }), message(1));
      await until("the answer", () => counts(arrived).length === 1);
      arrived.close();
      await until("its end", () => game.hooks.at(-1) === "leave DROPPED");
      expect(cluster.server.metrics.drops).toBe(1);
    } finally {
      await strict.border.close();
    }
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
    const bob = await east.cluster.connected();
    const { clusterId: aud = "", boot = 0 } = east.cluster.server.peers?.self ?? {};
    bob.send(helloOf(), encodeJoin({ ticket: await border.master.ticket({ aud, boot, gen: generation, sub: "bob" }) }));
    expect(await bob.next("reject")).toMatchObject({ code: closeCodes.FULL.number });
    await border.join(east);
    expect(east.game.hooks).toContain("join");
  });
});

describe("a cluster that is offered a player by a neighbour that lies", () => {
  const facts: CarriedFacts = {
    name: "Eve",
    reservationId: "seat",
    ticketFragment: "",
    version: 1,
    features: allFeatures,
    lastRequest: 0,
    moveSequence: 0,
    isPut: false,
  };
  const state: PlayerState = {
    placement: { x: 5, y: 0, z: 0, heading: 0 },
    fragment: "east",
    values: {},
    saved: undefined,
    carried: encodeCarriedFacts(facts),
    parts: new Map(),
  };

  /** What the cluster in the east says to this state of a player. */
  async function answerTo(offered: Uint8Array, playerId = "eve"): Promise<string> {
    const heard: PeerMessage[] = [];
    const { peers } = west.cluster.server;
    peers?.listen({
      onUp: () => undefined,
      onDown: () => undefined,
      onMessage: (_from, message) => heard.push(message),
    });
    const id = randomBytes(16).toString("hex");
    const member = { playerId, generation };
    peers?.send("default.b", { type: "prepare", id, members: [member] });
    const streams = { tenure: generation, past: [], lastInput: 0, lastOutput: 0, unacknowledged: [] };
    const members = [{ ...member, key: id, snapshot: { state: offered, streams } }];
    peers?.send("default.b", { type: "transfer", id, members });
    return until("an answer", () => heard.map(({ type }) => type).find((type) => type !== "prepared"));
  }

  it("takes what it can play", async () => {
    expect(await answerTo(encodePlayerState(state))).toBe("ready");
  });

  it.each<[string, Uint8Array]>([
    ["bytes that are no state", new Uint8Array(40)],
    ["no facts", encodePlayerState({ ...state, carried: new Uint8Array(0) })],
    [
      "facts that go on and on",
      encodePlayerState({ ...state, carried: Uint8Array.of(...encodeCarriedFacts(facts), 0) }),
    ],
    [
      "a version that it does not speak",
      encodePlayerState({ ...state, carried: encodeCarriedFacts({ ...facts, version: 9 }) }),
    ],
    [
      "features that it does not know",
      encodePlayerState({ ...state, carried: encodeCarriedFacts({ ...facts, features: 0xffff_ffff }) }),
    ],
    [
      "no streams to go on with",
      encodePlayerState({ ...state, carried: encodeCarriedFacts({ ...facts, features: 0 }) }),
    ],
    [
      "a teleport to a place that it does not carry",
      encodePlayerState({
        ...state,
        placement: { x: -5, y: 0, z: 0, heading: 0 },
        carried: encodeCarriedFacts({ ...facts, isPut: true }),
      }),
    ],
    [
      "a place that no client could be told",
      encodePlayerState({ ...state, placement: { x: 5, y: 0, z: 1e39, heading: 0 } }),
    ],
    [
      "the number of a MOVE that no MOVE has",
      encodePlayerState({ ...state, carried: encodeCarriedFacts({ ...facts, moveSequence: 65_536 }) }),
    ],
    [
      "a reservation without a name",
      encodePlayerState({ ...state, carried: encodeCarriedFacts({ ...facts, reservationId: "" }) }),
    ],
    [
      "a reservation that the master would not take from it",
      encodePlayerState({ ...state, carried: encodeCarriedFacts({ ...facts, reservationId: "s".repeat(65) }) }),
    ],
    ["a place that it does not carry", encodePlayerState({ ...state, placement: { x: -5, y: 0, z: 0, heading: 0 } })],
    [
      "something for a game that it does not have",
      encodePlayerState({ ...state, parts: new Map([["chess", Uint8Array.of(1)]]) }),
    ],
  ])("[HAND-15] takes nobody with %s", async (_what, offered) => {
    expect(await answerTo(offered)).toBe("refused");
  });

  it("[HAND-17] has at most half of its free seats promised to it", async () => {
    const heard: string[] = [];
    const { peers } = west.cluster.server;
    const onMessage = (_from: unknown, message: PeerMessage): void => void heard.push(message.type);
    peers?.listen({ onUp: () => undefined, onDown: () => undefined, onMessage });
    const offers = 4_096 / 16 / 2 + 1;
    for (let offer = 0; offer < offers; offer += 1) {
      const members = Array.from({ length: 16 }, (_, index) => ({ playerId: `eve${offer}.${index}`, generation }));
      peers?.send("default.b", { type: "prepare", id: randomBytes(16).toString("hex"), members });
    }
    await until("the answers", () => heard.length === offers);
    expect(heard.filter((type) => type === "refused")).toEqual(["refused"]);
    expect(heard.at(-1)).toBe("refused");
    // Who comes with a ticket finds a seat.
    const client = await east.cluster.connected();
    const boot = east.cluster.server.peers?.self?.boot ?? 0;
    client.send(
      helloOf(),
      encodeJoin({ ticket: await master.ticket({ aud: "default.b", boot, gen: generation, sub: "bob" }) }),
    );
    await client.next("welcome");
  });

  it("[HAND-17] [HAND-24] has at most half of a fragment's places promised to it", async () => {
    await border.close();
    const fragments = [
      { name: "hall", min: [50, -50], max: [60, 50], capacity: 4 },
      { name: "yard", min: [-50, 50], max: [60, 60] },
    ];
    ({ border, west, east } = await Border.open({ ...countingBorder, fragments }));
    const { peers } = west.cluster.server;
    if (peers === undefined) throw new Error("no links");
    const send = peers.send.bind(peers);
    // It keeps what is promised to it.
    vi.spyOn(peers, "send").mockImplementation((to, said) => said.type === "abort" || send(to, said));
    const hall = encodePlayerState({ ...state, placement: { x: 55, y: 0, z: 0, heading: 0 } });
    const answers: string[] = [];
    for (let offer = 0; offer < 4; offer += 1) answers.push(await answerTo(hall, `eve${offer}`));
    expect(answers).toEqual(["ready", "ready", "refused", "refused"]);
  });

  it("[HAND-4] puts nobody into the game on a token that is none", async () => {
    const id = randomBytes(16).toString("hex");
    west.cluster.server.peers?.send("default.b", { type: "commit", id, token: "a.b.c" });
    const client = await east.cluster.connected();
    const position = { tenure: generation, received: 0, acknowledged: 0 };
    client.send(helloOf(), encodeArrive({ id, key: id, token: "a.b.c", position }));
    expect((await client.next("reject")).code).toBe(closeCodes.ARRIVAL_UNKNOWN.number);
    expect(east.game.hooks).toEqual([]);
  });
});

describe("players who are kept together", () => {
  it("[HAND-11] wait for each other at the border, and go on together", async () => {
    const ann = await border.join(west);
    const bob = await border.join(west, { sub: "bob" });
    const { players } = west.game;
    west.game.cluster?.keepTogether(players.values());
    ann.send(message(1));
    await ann.next("message");
    moves += 1;
    ann.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
    await until("her step", () => players.get("ann")?.position.x === 2);
    // Long enough for one that is alone.
    const { ticks } = west.cluster.server.metrics;
    await until("some ticks", () => west.cluster.server.metrics.ticks > ticks + 10);
    expect(west.cluster.server.metrics.handovers.begun).toBe(0);
    const [his, hers] = await Promise.all([walkOver(bob), ann.next("redirect")]);
    expect(his.id).toBe(hers.id);
    await until("both", () => east.game.players.size === 2);
    // Each with what was packed for it.
    expect(east.game.hooks.filter((hook) => hook.startsWith("in ")).toSorted()).toEqual(["in 0", "in 1"]);
    expect(west.cluster.server.metrics.handovers).toMatchObject({ begun: 1 });
    expect([...master.sessions.values()].map(({ holder }) => holder)).toEqual(["default.b", "default.b"]);
  });

  it("[HAND-10] wait for the one whose new ticket is being entered here, and for nobody whose join came to nothing", async () => {
    const both = [await border.join(west), await border.join(west, { sub: "bob" })];
    const { players } = west.game;
    west.game.cluster?.keepTogether(players.values());
    const holders = (): unknown[] => ["ann", "bob"].map((sub) => master.sessions.get(sub)?.holder);
    await until("their entries", () => holders().every((holder) => holder === "default.a"));
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdSessions = promise;
    const asked = master.consultations.length;
    const again = await west.cluster.connected();
    const { clusterId: aud = "", boot = 0 } = west.cluster.server.peers?.self ?? {};
    const ticket = await master.ticket({ aud, boot, gen: 2 * generation, sub: "bob" });
    again.send(helloOf(), encodeJoin({ ticket, position: { tenure: generation, received: 0, acknowledged: 0 } }));
    await until("the question", () => master.consultations.length > asked);
    moves += 1;
    for (const client of both) client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
    await until("their steps", () => [...players.values()].every(({ position }) => position.x === 2));
    const { ticks } = west.cluster.server.metrics;
    await until("some ticks", () => west.cluster.server.metrics.ticks > ticks + 10);
    expect(west.cluster.server.metrics.handovers.begun).toBe(0);
    again.close();
    await until("the end of the join", () => west.cluster.server.metrics.connections.verifying === 0);
    resolve();
    // The session before goes on by that ticket, and along with the other one. [HAND-23]
    for (const client of both) await client.next("redirect");
    expect(west.game.hooks).not.toContain("leave REPLACED");
    expect(master.sessions.get("bob")).toMatchObject({ generation: 2 * generation + 1, holder: "default.b" });
  });

  it("[HAND-7] [HAND-9] take along what is said to one as the game gives up another, or sees it leave, once and in order", async () => {
    const both = [await border.join(west), await border.join(west, { sub: "bob" })];
    const { players } = west.game;
    const [ann, bob] = players.values();
    west.game.cluster?.keepTogether(players.values());
    west.game.onOut = (player) => {
      for (const one of [ann, bob]) one?.send(9, Buffer.from(player === ann ? "a" : "b"));
    };
    // She goes first: he stands still, and is about to.
    const onLeaveFragment = (player: unknown): void => void (player === ann && bob?.send(9, Buffer.from("c")));
    Object.assign(west.game, { onLeaveFragment });
    moves += 1;
    for (const client of both) client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
    for (const [client, said] of [
      [both[0], [98]],
      [both[1], [98, 99]],
    ] as const) {
      const redirect = await client?.next("redirect");
      if (client === undefined || redirect === undefined) throw new Error("nobody was sent on");
      expect(counts(client)).toEqual([97, 98]);
      const arrived = await border.arrive(redirect, { tenure: generation, received: 1, acknowledged: 0 });
      await until("what was said", () => counts(arrived).length === said.length);
      arrived.send(encodeAck({ received: 1 + said.length }), message(1));
      await until("the answer", () => counts(arrived).length > said.length);
      expect(counts(arrived)).toEqual([...said, 1]);
    }
  });

  it.each(["first", "second"])(
    "[HAND-6] are neither given up nor taken in again once they have left, as the %s was asked",
    async (which) => {
      const both = [await border.join(west), await border.join(west, { sub: "bob" })];
      const { players } = west.game;
      const [ann, bob] = players.values();
      const [asked, leaving, leavesHere] = which === "first" ? [ann, bob, both[1]] : [bob, ann, both[0]];
      west.game.cluster?.keepTogether(players.values());
      const told: string[] = [];
      west.game.onOut = (player) => {
        told.push(`out ${player.id}`);
        if (player === asked) leaving?.close();
      };
      west.game.onIn = ({ id }) => void told.push(`in ${id}`);
      moves += 1;
      for (const client of both) client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
      expect((await leavesHere?.next("close"))?.code).toBe(closeCodes.NORMAL.number);
      await both.find((client) => client !== leavesHere)?.next("redirect");
      const ofThem = which === "first" ? [] : ["out ann"];
      expect(told).toEqual([...ofThem, `out ${asked?.id}`, `in ${asked?.id}`, `out ${asked?.id}`]);
    },
  );

  it("[HAND-21] stays where it is while more is to be moved of it than the master takes at once, and goes when it is less", async () => {
    const both = [await border.join(west), await border.join(west, { sub: "bob" })];
    const { players } = west.game;
    west.game.cluster?.keepTogether(players.values());
    for (const player of players.values())
      for (let count = 0; count < 42; count += 1) player.send(9, new Uint8Array(16_000));
    moves += 1;
    for (const client of both) client.send(encodeMove({ sequence: moves, x: 2, y: 0, z: 0, heading: 0 }));
    const stays = await until("the word of it", () =>
      west.cluster.log.lines.find(({ fields }) => fields["event"] === "group-stays"),
    );
    expect(stays).toMatchObject({ level: "warn", fields: { code: "GROUP_TOO_LARGE" } });
    await until("the end of the attempt", () => west.cluster.server.metrics.handovers.stayed === 2);
    // Nothing of it was offered, and they play on.
    expect(west.game.hooks.filter((hook) => hook === "in 0")).toHaveLength(2);
    expect(east.cluster.server.metrics.handovers.taken).toBe(0);
    const [ann, bob] = both;
    ann?.send(encodeAck({ received: 42 }), message(1));
    bob?.send(encodeAck({ received: 42 }));
    await Promise.all(both.map((client) => client.next("redirect")));
    await until("both", () => east.game.players.size === 2);
    expect(east.game.hooks).toContain("in 1");
  });
});
