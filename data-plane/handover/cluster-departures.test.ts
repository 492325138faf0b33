/** Clusters that give away what they carry, and their players with it: when an operator orders it, and when their process is told to stop. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { allFeatures, closeCodes, encodeAck, encodeJoin, features, linkCloseCodes } from "../../protocol/index.ts";
import type { FakeMaster } from "../testing/fake-master.ts";
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

describe("a cluster that drains", () => {
  it("hands its players over to the cluster that has taken over where they stand, and is then done", async () => {
    const client = await border.join(west);
    client.send(message(1));
    await until("the answer", () => counts(client).length === 1);
    master.changeMap = (map) => ({
      ...map,
      fragments: map.fragments.map((area) => ({ ...area, clusterId: "default.b" })),
      clusters: map.clusters.filter(({ clusterId }) => clusterId === "default.b"),
    });
    master.worldChanged();
    const drained = west.cluster.server.drained;
    const [link] = master.links;
    const drain = { deadlineMs: 60_000, movePlayers: true };
    link?.send(JSON.stringify({ type: "orders", version: 1, drain, settings: {} }));
    const arrived = await border.arrive(await client.next("redirect"), {
      tenure: generation,
      received: 1,
      acknowledged: 1,
    });
    await arrived.next("streams");
    arrived.send(encodeAck({ received: 1 }), message(1));
    await until("the answer", () => counts(arrived).length === 1);
    expect(counts(arrived)).toEqual([2]);
    await until("its fragment", () => east.game.hooks.length === 2);
    expect(east.game.hooks).toEqual(["in 1", "enter west"]);
    await drained;
    expect(west.game.hooks).toEqual(["join", "enter west", "out", "leave west"]);
  });
});

describe("a cluster whose process is told to stop", () => {
  it("[WORLD-8] lets others take over, hands over whom they take, then deregisters and tells the rest to go", async () => {
    const client = await border.join(west);
    const bob = await border.join(west, { sub: "bob", offered: allFeatures & ~features.handover });
    client.send(message(1));
    await until("the answer", () => counts(client).length === 1);
    const stopped = west.cluster.server.stop();
    const late = await west.cluster.connected();
    const boot = west.cluster.server.peers?.self?.boot ?? 0;
    late.send(helloOf(), encodeJoin({ ticket: await master.ticket({ aud: "default.a", boot, gen: generation }) }));
    expect(await late.next("reject")).toMatchObject({ code: closeCodes.SHUTTING_DOWN.number });
    const redirect = await client.next("redirect");
    expect([master.drains, master.deregistered]).toEqual([["default.a"], 0]);
    expect(bob.received.map(({ type }) => type)).not.toContain("close");
    const arrived = await border.arrive(redirect, { tenure: generation, received: 1, acknowledged: 1 });
    await arrived.next("streams");
    arrived.send(encodeAck({ received: 1 }), message(1));
    await until("the answer", () => counts(arrived).length === 1);
    expect(counts(arrived)).toEqual([2]);
    client.close();
    await stopped;
    expect((await bob.next("close")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    expect(master.deregistered).toBe(1);
    expect(
      west.game.hooks.filter((hook) => hook === "leave SHUTTING_DOWN"),
      "bob alone",
    ).toHaveLength(1);
    expect(east.cluster.server.metrics.handovers).toMatchObject({ taken: 1, abandoned: 0 });
  });

  it("deregisters first where the master does not know the call, and where it does not answer in time", async () => {
    const client = await border.join(west);
    master.refuseDrain = { status: 404, code: "NOT_FOUND" };
    await west.cluster.server.stop();
    expect((await client.next("close")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    expect([master.drains.length, master.deregistered]).toEqual([1, 1]);
    const again = await border.start("c");
    master.refuseDrain = undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdDrain = promise;
    await again.cluster.server.stop();
    expect([master.drains.length, master.deregistered]).toEqual([2, 2]);
    resolve();
  });

  it("says so again when it has to register again, and waits no longer for who has gone", async () => {
    const client = await border.join(west);
    west.game.refusesToPack = true;
    const stopped = west.cluster.server.stop();
    await until("its word", () => master.drains.length === 1);
    master.endLinks(linkCloseCodes.REGISTER_AGAIN);
    await until("its word once more", () => master.drains.filter((id) => id === "default.a").length === 2);
    client.close();
    await stopped;
    expect(master.deregistered).toBe(1);
  });
});
