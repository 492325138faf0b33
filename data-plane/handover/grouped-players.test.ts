/** Players that a game keeps together, as they walk from one cluster to another. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { closeCodes, encodeAck } from "../../protocol/index.ts";
import type { FakeMaster } from "../testing/fake-master.ts";
import { until } from "../testing/until.ts";
import { Border, generation, message, type Side } from "./testing/border.ts";
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

describe("players who are kept together", () => {
  it("[HAND-11] wait for each other at the border, and go on together", async () => {
    const ann = await border.join(west);
    const bob = await border.join(west, { sub: "bob" });
    const { players } = west.game;
    west.game.cluster?.keepTogether(players.values());
    ann.send(message(1));
    await ann.next("message");
    ann.send(border.step());
    await until("her step", () => players.get("ann")?.position.x === 2);
    // Long enough for one that is alone.
    const { ticks } = west.cluster.server.metrics;
    await until("some ticks", () => west.cluster.server.metrics.ticks > ticks + 10);
    expect(west.cluster.server.metrics.handovers.begun).toBe(0);
    const [his, hers] = await Promise.all([border.walkOver(bob), ann.next("redirect")]);
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
    const at = { tenure: generation, received: 0, acknowledged: 0 };
    const again = await border.ask(west, { gen: 2 * generation, sub: "bob", position: at });
    await until("the question", () => master.consultations.length > asked);
    for (const client of both) client.send(border.step());
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
    for (const client of both) client.send(border.step());
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
      for (const client of both) client.send(border.step());
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
    for (const client of both) client.send(border.step());
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
