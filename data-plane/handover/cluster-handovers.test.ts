/** Players that walk from one cluster to another: real clusters over TLS, and a master whose sessions are the production's steps. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { generationAfterAbort } from "../../protocol/handover/generation.ts";
import type { CommitClaims } from "../../protocol/handover/parties.ts";
import {
  allFeatures,
  closeCodes,
  encodeAck,
  encodeClose,
  encodeRequest,
  encodeResume,
  features,
  responseStatuses,
} from "../../protocol/index.ts";
import { decodePlayerState } from "../authority/player-state.ts";
import type { Player } from "../plugin/player.ts";
import type { FakeMaster } from "../testing/fake-master.ts";
import { until } from "../testing/until.ts";
import { decodeCarriedFacts } from "../session/carried-facts.ts";
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

describe("a player that walks over the border", () => {
  it("[HAND-9] [HAND-10] goes on at the other cluster where it was: nothing lost, nothing doubled", async () => {
    const client = await border.join(west);
    client.send(message(1), message(1));
    await until("the answers", () => counts(client).length === 2);
    const redirect = await border.walkOver(client);
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
    const over = await border.arrive(await border.walkOver(client), {
      tenure: generation,
      received: 1,
      acknowledged: 1,
    });
    await over.next("streams");
    over.send(encodeAck({ received: 1 }), message(1));
    await until("the answer", () => counts(over).length === 1);
    const back = await border.arrive(await border.walkOver(over, -2), {
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
    const redirect = await border.walkOver(client);
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
    const redirect = await border.walkOver(client);
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
    const sent = border.walkOver(client);
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
    client.send(border.step(), message(1));
    await until("the attempt", () => west.cluster.server.metrics.handovers.stayed === 1);
    client.send(message(1));
    await until("the answers", () => counts(client).length === 2);
    expect(west.game.hooks).toEqual(["join", "enter west"]);
    expect(east.game.hooks).toEqual([]);
  });

  it("[HAND-16] keeps what was saved of it where its new cluster's game fails to take it in, and saves as it leaves", async () => {
    const client = await border.join(west);
    expect(await west.game.players.get("ann")?.save(Uint8Array.of(7))).toBe("saved");
    const outcomes: Promise<string>[] = [];
    east.game.onIn = () => {
      throw new Error("it cannot read that");
    };
    east.game.onLeave = (player) => void outcomes.push(player.save(Uint8Array.of(0)));
    await border.walkOver(client);
    await until("its end", () => outcomes.length === 1);
    expect(east.cluster.server.metrics.departures).toEqual({ INTERNAL: 1 });
    expect(await outcomes[0]).toBe("unsaved");
    const { state = "" } = master.sessions.get("ann")?.save ?? {};
    expect(decodePlayerState(Buffer.from(state, "base64")).saved).toEqual(Uint8Array.of(7));
  });

  it("[HAND-5] plays on where it was when it is refused after the commit, and is closed where there is no place for it any more", async () => {
    // A commit of others: the destination does not take it.
    master.changeCommit = (claims) => ({ ...claims, members: [{ playerId: "bob", generation }] });
    const client = await border.join(west);
    client.send(border.step(), message(1));
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
    client.send(border.step());
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
    client.send(border.step());
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
    const refuse = await border.refuseLate();
    await border.walkOver(client);
    client.close();
    await until("its end", () => west.cluster.server.metrics.connections.joined === 0);
    refuse();
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
    await border.walkOver(client);
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
    const redirect = await border.walkOver(client);
    const ahead = client.received.find(({ type }) => type === "ahead");
    expect(ahead).toEqual({ type: "ahead", id: redirect.id, cluster: redirect.cluster });
    // A cluster of before would not take who has what it does not know.
    const saved = decodePlayerState(Buffer.from(master.sessions.get("ann")?.save?.state ?? "", "base64"));
    expect(decodeCarriedFacts(saved.carried)?.features).toBe(allFeatures & ~features.ahead);
    const over = await border.arrive(redirect, { tenure: generation, received: 0, acknowledged: 0 });
    expect((await over.next("welcome")).features & features.ahead).toBe(features.ahead);
    await over.next("resumeToken");
    over.send(encodeAck({ received: 0 }));
    const back = await border.walkOver(over, -2);
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
    await border.walkOver(older);
    expect(older.received.map(({ type }) => type)).not.toContain("ahead");
  });

  it("[AHEAD-5] is told that it stays where that comes to nothing", async () => {
    const client = await border.join(west);
    west.game.refusesToPack = true;
    client.send(border.step());
    const { id } = await client.next("ahead");
    expect(await client.next("stay")).toEqual({ type: "stay", id });
    client.send(message(1));
    await until("the answer", () => counts(client).length === 1);
  });

  it("[ARRIVE-4] [CLOSE-4] is told when it comes that the master has revoked it meanwhile", async () => {
    const client = await border.join(west);
    const redirect = await border.walkOver(client);
    await until("the move", () => east.game.hooks.includes("in 0"));
    const players = [{ playerId: "ann", minGeneration: 2 * generation, reason: "kicked" }];
    master.command({ type: "revoke", since: 0, version: 1, players });
    await until("its end", () => east.game.hooks.includes("leave KICKED"));
    // Whoever comes next does not have that forgotten.
    await border.walkOver(await border.join(west, { sub: "bob" }));
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
    await border.walkOver(client);
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
    client.send(border.step());
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
      client.send(border.step(x));
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
    client.send(border.step());
    await until("its standstill", () => west.game.hooks.includes("out"));
    client.send(border.step(1), encodeClose("NORMAL"));
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
    const letGo = border.holdMaster();
    client.send(border.step());
    await until("its standstill", () => west.game.hooks.includes("out"));
    west.game.players.get("ann")?.send(9);
    const request = encodeRequest({ id: 5, deadlineMs: 60_000, command: 1, payload: new Uint8Array(0) });
    client.send(request, border.step(1));
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
      client.send(border.step(x));
    }
    // 1 of margin and 8 of overrun: 10 is too far.
    expect(await client.next("position")).toMatchObject({ x: 5 });
    await until("its last step", () => west.game.players.get("ann")?.position.x === -3);
  });

  it("[HAND-7] takes its goodbye along", async () => {
    const client = await border.join(west);
    await border.walkOver(client);
    client.send(encodeClose("NORMAL"));
    await until("the end", () => east.game.hooks.includes("leave NORMAL"));
    expect(west.game.hooks).toEqual(["join", "enter west", "out", "leave west"]);
    await client.gone();
  });

  it("[ARRIVE-5] is told the kinds again where it arrives twice, as the first answer was lost", async () => {
    const client = await border.join(west);
    const redirect = await border.walkOver(client);
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const arrived = await border.arrive(redirect, { tenure: generation, received: 0, acknowledged: 0 });
      expect((await arrived.next("kinds")).kinds, `attempt ${attempt}`).not.toEqual([]);
      await arrived.next("fragment");
      arrived.close();
    }
  });

  it("is told again where to go when its connection was lost on the way, and is dropped there when it never comes", async () => {
    const client = await border.join(west);
    await border.walkOver(client);
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
      const redirect = await strict.border.walkOver(client);
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
