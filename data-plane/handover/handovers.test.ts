import { beforeEach, describe, expect, it } from "vitest";
import type { ClusterRef } from "../../protocol/handover/parties.ts";
import { abandonAfterMs } from "../../protocol/handover/timing.ts";
import { maxDestinationHandovers, maxHeldBytes } from "./destination-handovers.ts";
import { bytesOf } from "./testing/stage-copies.ts";
import { TwoClusters } from "./testing/two-clusters.ts";

let world: TwoClusters;
let generation: number;

beforeEach(() => {
  world = new TwoClusters();
  generation = world.join("p");
  world.a.input("p", 1);
});

function begin(): void {
  expect(world.a.handovers.begin(["p"], world.b.ref)).toBeTypeOf("string");
}

describe("a handover between two clusters", () => {
  it("[HAND-3] moves the player, its history and its authority", async () => {
    begin();
    await world.run();
    expect(world.a.stage.copies.has("p")).toBe(false);
    expect(world.b.stage.historyOf("p")).toBe("<1");
    expect(world.b.stage.generationOf("p")).toBe(generation + 1);
    expect(world.session("p")).toMatchObject({ generation: generation + 1, holder: "b" });
    expect(world.a.stage.told).toMatchObject([{ playerId: "p", message: { type: "redirect" } }]);
    const [told] = world.a.stage.told;
    expect(told?.message).toMatchObject({ key: world.b.stage.keys.get("p") });
  });

  it("[HAND-7] plays what came after the freeze at the destination, in order, though it comes while the token is checked", async () => {
    begin();
    await world.run("transfer");
    world.a.input("p", 2);
    world.a.give("p", { kind: "output", body: bytesOf("gift") });
    await world.run("committed");
    world.a.input("p", 3);
    await world.run();
    expect(world.b.stage.historyOf("p")).toBe("<1<2>gift<3");
    expect(world.a.stage.historyOf("p")).toBeUndefined();
  });

  it("forgets it when the client has had its time to come back, and counts it", async () => {
    begin();
    await world.run();
    expect(world.a.handovers.open).toEqual({ outgoing: 1, incoming: 0 });
    await world.pass(11_000);
    expect(world.a.handovers.open).toEqual({ outgoing: 0, incoming: 0 });
    expect(world.b.handovers.open).toEqual({ outgoing: 0, incoming: 0 });
    expect(world.a.stage.dropped).toEqual([{ playerId: "p", outcome: "moved" }]);
    expect(world.a.handovers.counts).toMatchObject({ begun: 1, moved: 1, stayed: 0, doubtful: 0 });
    expect(world.b.handovers.counts).toMatchObject({ taken: 1 });
    expect(world.a.handovers.counts.standstill.count).toBe(1);
  });

  /** Time passes with something for the player each 50 ms, and a beat each 250 ms, as a cluster has it. */
  async function passBusily(ms: number, give: (count: number) => void): Promise<void> {
    for (let count = 1; count <= ms / 50; count += 1) {
      world.nowMs += 50;
      give(count);
      await world.run();
      if (count % 5 > 0) continue;
      world.a.handovers.beat();
      world.b.handovers.beat();
    }
  }

  it("[HAND-5] stands still no longer than it may when the master is away, however much comes for the player", async () => {
    begin();
    await world.run("transfer");
    world.masterUp = false;
    await passBusily(3_000, (count) => world.a.input("p", 1 + count));
    expect(world.a.handovers.counts.doubtful).toBe(1);
    expect(world.a.stage.historyOf("p")).toMatch(/^<1<2<3.*<61$/);
  });

  it("[HAND-7] says again that it plays the player when the master was away, however much is forwarded", async () => {
    begin();
    await world.run("committed");
    world.masterUp = false;
    await world.run();
    const joined = (): number => world.posted.filter(({ type }) => type === "joined").length;
    expect(joined()).toBe(1);
    await passBusily(2_500, (count) => world.a.input("p", 1 + count));
    expect(joined()).toBe(2);
  });

  it("[HAND-19] has not begun where the link breaks under its first word", () => {
    const sendPeer = world.sendPeer.bind(world);
    world.sendPeer = (...letter) => {
      world.sendPeer = sendPeer;
      sendPeer(...letter);
      // As a link with too much in it does, within the call.
      world.breakLink();
    };
    expect(world.a.handovers.begin(["p"], world.b.ref)).toBeUndefined();
    expect(world.a.handovers.open.outgoing).toBe(0);
  });

  it("moves it on, and back, while earlier handovers linger", async () => {
    begin();
    await world.run();
    expect(world.b.handovers.begin(["p"], world.a.ref)).toBeTypeOf("string");
    await world.run();
    expect(world.a.stage.generationOf("p")).toBe(generation + 2);
    expect(world.b.stage.historyOf("p")).toBeUndefined();
    world.a.input("p", 2);
    expect(world.a.stage.historyOf("p")).toBe("<1<2");
    await world.pass(25_000);
    expect(world.a.handovers.open).toEqual({ outgoing: 0, incoming: 0 });
    expect(world.b.handovers.open).toEqual({ outgoing: 0, incoming: 0 });
  });

  it("[HAND-7] ends the handovers of a player that goes to and fro as fast as they begin", async () => {
    const most = { outgoing: 0, incoming: 0 };
    for (let crossing = 0; crossing < 60; crossing += 1) {
      const [from, to] = crossing % 2 === 0 ? [world.a, world.b] : [world.b, world.a];
      expect(from.handovers.begin(["p"], to.ref)).toBeTypeOf("string");
      await world.pass(2_000);
      const { outgoing, incoming } = world.a.handovers.open;
      most.outgoing = Math.max(most.outgoing, outgoing);
      most.incoming = Math.max(most.incoming, incoming);
    }
    // Each is remembered for 10 s, in which the player crosses five times, both ways together.
    expect(most.outgoing).toBeLessThanOrEqual(4);
    expect(most.incoming).toBeLessThanOrEqual(4);
  });

  it("[HAND-12] is over for the destination too when the source's last word was lost with the link", async () => {
    begin();
    await world.run();
    while (!world.waiting.includes("finished")) {
      world.nowMs += 250;
      world.a.handovers.beat();
    }
    world.breakLink();
    expect(world.a.handovers.open.outgoing).toBe(0);
    expect(world.b.handovers.open.incoming).toBe(1);
    world.link();
    await world.run();
    expect(world.b.handovers.open.incoming).toBe(0);
    expect(world.b.stage.historyOf("p")).toBe("<1");
    expect(world.b.handovers.counts.abandoned).toBe(0);
  });

  it.each([
    ["full", () => (world.b.stage.isFull = true)],
    ["of a game that cannot take the state", () => (world.b.stage.admits = false)],
    ["where the player is in the game already", () => world.b.stage.enter("p", generation)],
  ])("stays where it is when the destination is %s", async (_name, arrange) => {
    arrange();
    begin();
    await world.run();
    world.a.input("p", 2);
    expect(world.a.stage.historyOf("p")).toBe("<1<2");
    expect(world.a.stage.generationOf("p")).toBe(generation);
    expect(world.a.handovers.open.outgoing).toBe(0);
    expect(world.a.handovers.counts).toMatchObject({ stayed: 1, doubtful: 0 });
    expect(world.b.stage.reserved.size).toBe(0);
  });

  it("does not begin for one that is not here, is on its way, or comes from before generations stepped", async () => {
    expect(world.a.handovers.begin(["q"], world.b.ref)).toBeUndefined();
    expect(world.a.handovers.begin(["p", "q"], world.b.ref)).toBeUndefined();
    expect(world.a.handovers.begin([], world.b.ref)).toBeUndefined();
    world.a.stage.enter("old", 7);
    expect(world.a.handovers.begin(["old"], world.b.ref)).toBeUndefined();
    begin();
    expect(world.a.handovers.begin(["p"], world.b.ref)).toBeUndefined();
  });
});

describe("[AHEAD-5] a client is told where it may be sent", () => {
  it("when the destination has a place for it, and not before", async () => {
    begin();
    await world.run("prepare");
    expect(world.a.stage.hints).toEqual([]);
    await world.run();
    expect(world.a.stage.hints).toEqual(["p may go to b"]);
    await world.pass(25_000);
    expect(world.a.stage.hints).toEqual(["p may go to b"]);
  });

  it("not where the destination has none", async () => {
    world.b.stage.isFull = true;
    begin();
    await world.run();
    expect(world.a.stage.hints).toEqual([]);
  });

  it("and that it stays, when it is given up on the way", async () => {
    world.b.stage.admits = false;
    begin();
    await world.run();
    expect(world.a.stage.hints).toEqual(["p may go to b", "p stays"]);
  });

  it("and that it stays, when nobody knows whether it was committed", async () => {
    begin();
    await world.run("transfer");
    world.masterUp = false;
    await world.pass(4_000);
    expect(world.a.stage.hints).toEqual(["p may go to b", "p stays"]);
  });
});

describe("when something breaks", () => {
  it("[HAND-5] plays on at once when the link breaks before the commit", async () => {
    begin();
    await world.run("transfer");
    world.a.input("p", 2);
    world.breakLink();
    expect(world.a.stage.historyOf("p")).toBe("<1<2");
    expect(world.a.handovers.open.outgoing).toBe(0);
    world.link();
    await world.pass(16_000);
    expect(world.b.handovers.open.incoming).toBe(0);
    expect(world.b.stage.historyOf("p")).toBeUndefined();
  });

  it("[HAND-5] plays on in doubt while the master is away, and under a newer generation when it is back", async () => {
    begin();
    await world.run("transfer");
    world.masterUp = false;
    world.a.input("p", 2);
    await world.pass(4_000);
    expect(world.a.stage.historyOf("p")).toBe("<1<2");
    expect(world.a.handovers.governs("p")).toBe(true);
    expect(world.b.stage.historyOf("p")).toBeUndefined();
    world.masterUp = true;
    await world.pass(10_000);
    expect(world.a.stage.generationOf("p")).toBe(generation + 2);
    expect(world.session("p")).toMatchObject({ generation: generation + 2, holder: "a" });
    expect(world.a.handovers.governs("p")).toBe(false);
    expect(world.a.handovers.counts).toMatchObject({ doubtful: 1, stayed: 1 });
  });

  it("[HAND-12] says it again over the next link when the token was lost with the last one", async () => {
    begin();
    await world.run("committed");
    world.a.input("p", 2);
    world.breakLink();
    expect(world.a.stage.historyOf("p")).toBeUndefined();
    expect(world.b.stage.historyOf("p")).toBeUndefined();
    world.link();
    await world.run();
    expect(world.b.stage.historyOf("p")).toBe("<1<2");
  });

  it("throws away what waits behind a token that is being checked when the link breaks", async () => {
    begin();
    await world.run("committed");
    world.a.input("p", 2);
    const from = world.a.ref;
    const forward = { type: "forward", id: "x", playerId: "p", index: 1, item: { kind: "leave" } } as const;
    world.b.handovers.hearPeer(from, { type: "commit", id: "x", token: "not a token" });
    world.b.handovers.hearPeer(from, forward);
    world.breakLink();
    world.link();
    await world.run();
    expect(world.b.stage.historyOf("p")).toBe("<1<2");
  });

  it("[HAND-4] takes the commit from the client's hands when the source cannot bring it", async () => {
    begin();
    await world.run("committed");
    world.breakLink();
    const [told] = world.a.stage.told;
    const token = told?.message.type === "redirect" ? told.message.token : "";
    expect(await world.b.handovers.bring(token)).toMatchObject({ source: "a" });
    expect(world.b.stage.historyOf("p")).toBe("<1");
    expect(await world.b.handovers.bring("nonsense")).toBeUndefined();
  });

  it("[HAND-5] reclaims from a destination that has died with the token on its way", async () => {
    begin();
    await world.run("committed");
    world.a.input("p", 2);
    world.breakLink();
    world.b.ref = { clusterId: "b", boot: 2 };
    // A new process knows nothing: what it is told of is unknown.
    world.b.stage.copies.clear();
    await world.b.handovers.bring("");
    const { id } = world.a.handovers.newest("p") ?? { id: "" };
    world.b.handovers.hearPeer(world.a.ref, { type: "abort", id });
    world.link();
    await world.run();
    expect(world.a.stage.historyOf("p")).toBe("<1<2");
    expect(world.a.stage.generationOf("p")).toBe(generation + 2);
    expect(world.a.handovers.counts).toMatchObject({ reclaimed: 1, stayed: 1 });
    expect(world.a.stage.told.at(-1)?.message.type).toBe("stay");
  });

  it("drops the player when a newer session has it", async () => {
    begin();
    await world.run("transfer");
    world.a.handovers.fence("p", 2 * generation);
    expect(world.a.stage.copies.has("p")).toBe(false);
    expect(world.a.stage.dropped).toEqual([{ playerId: "p", outcome: "superseded" }]);
    await world.run();
    expect(world.b.handovers.open.incoming).toBe(0);
    expect(world.a.handovers.counts).toMatchObject({ superseded: 1 });
  });

  it("plays what is frozen when the player's own new ticket wants it", async () => {
    begin();
    await world.run("transfer");
    world.a.input("p", 2);
    world.a.handovers.cancel("p");
    expect(world.a.stage.historyOf("p")).toBe("<1<2");
  });

  it("plays on when the freeze comes after it was given up", async () => {
    begin();
    await world.deliver();
    expect(await world.deliver()).toBe("prepared");
    world.a.handovers.cancel("p");
    world.a.stage.endTick();
    world.a.input("p", 2);
    expect(world.a.stage.historyOf("p")).toBe("<1<2");
    expect(world.a.stage.copies.get("p")?.frozen).toBe(false);
  });

  it("abandons a handover that nobody ever answers, and counts it", async () => {
    begin();
    await world.run("committed");
    world.breakLink();
    await world.pass(abandonAfterMs + 1_000);
    expect(world.a.handovers.open.outgoing).toBe(0);
    expect(world.a.handovers.counts).toMatchObject({ abandoned: 1, moved: 1 });
  });

  it("[HAND-13] goes on saying that it plays a player, however long the master is away and its source gone", async () => {
    begin();
    await world.run("committed");
    world.masterUp = false;
    await world.run();
    world.breakLink();
    await world.pass(abandonAfterMs + 60_000);
    expect(world.b.handovers.open.incoming).toBe(1);
    world.masterUp = true;
    await world.pass(60_000);
    expect(world.session("p").holder).toBe("b");
    await world.pass(abandonAfterMs);
    expect(world.b.handovers.open.incoming).toBe(0);
    expect(world.b.handovers.counts.abandoned).toBe(1);
  });

  it("answers those who speak of what is not known here", async () => {
    world.b.handovers.hearPeer(world.a.ref, { type: "transfer", id: "x", members: [] });
    world.b.handovers.hearPeer(world.a.ref, { type: "finished", id: "x" });
    expect(world.waiting).toEqual(["refused"]);
    await world.run();
    world.a.handovers.hearPeer(world.b.ref, { type: "prepared", id: "y" });
    world.a.handovers.hearPeer(world.b.ref, { type: "activated", id: "z", superseded: [] });
    expect(world.waiting).toEqual(["abort", "finished"]);
  });

  it("[HAND-15] [HAND-17] holds so many bytes of players that have not come, half of what is left of a neighbour's, and no more", () => {
    const streams = { tenure: 1, past: [], lastInput: 0, lastOutput: 0, unacknowledged: [] };
    const offer = (id: string, from: ClusterRef, share: number): string | undefined => {
      const member = { playerId: id, generation };
      world.b.handovers.hearPeer(from, { type: "prepare", id, members: [member] });
      const members = [{ ...member, key: "k", snapshot: { state: new Uint8Array(maxHeldBytes * share), streams } }];
      world.b.handovers.hearPeer(from, { type: "transfer", id, members });
      return world.waiting.at(-1);
    };
    expect(offer("too much", world.a.ref, 1.01)).toBe("refused");
    expect(offer("x", world.a.ref, 0.25)).toBe("ready");
    expect(offer("y", world.a.ref, 0.25)).toBe("ready");
    expect(offer("z", world.a.ref, 0.01)).toBe("refused");
    expect(offer("v", { clusterId: "c", boot: 1 }, 0.25)).toBe("ready");
    expect(offer("w", { clusterId: "c", boot: 1 }, 0.01)).toBe("refused");
    world.b.handovers.hearPeer(world.a.ref, { type: "abort", id: "x" });
    expect(offer("z", world.a.ref, 0.01)).toBe("ready");
  });

  it("[HAND-17] lets no neighbour keep it busy for the others", () => {
    const ask = (id: string, clusterId: string): string | undefined => {
      const members = [{ playerId: id, generation }];
      world.b.handovers.hearPeer({ clusterId, boot: 1 }, { type: "prepare", id, members });
      return world.waiting.at(-1);
    };
    for (let count = 1; count <= maxDestinationHandovers / 2; count += 1) ask(`a${count}`, "a");
    expect(world.b.handovers.open.incoming).toBe(maxDestinationHandovers / 2);
    expect(ask("one more", "a")).toBe("refused");
    expect(ask("another's", "c")).toBe("prepared");
    world.b.handovers.hearPeer(world.a.ref, { type: "abort", id: "a1" });
    expect(ask("one more", "a")).toBe("prepared");
  });

  it("[HAND-4] lets no other cluster speak of a handover", async () => {
    begin();
    await world.run("prepare");
    const { id } = world.a.handovers.newest("p") ?? { id: "" };
    const stranger = { clusterId: "c", boot: 1 };
    world.b.handovers.hearPeer(stranger, { type: "abort", id });
    expect(world.b.handovers.open.incoming).toBe(1);
    world.a.handovers.hearPeer(stranger, { type: "refused", id, reason: "full" });
    expect(world.a.handovers.open.outgoing).toBe(1);
  });
});

describe("a group", () => {
  it("[HAND-11] moves together", async () => {
    world.join("q");
    expect(world.a.handovers.begin(["p", "q"], world.b.ref)).toBeTypeOf("string");
    await world.run();
    expect([...world.b.stage.copies.keys()]).toEqual(["p", "q"]);
    expect(world.a.stage.copies.size).toBe(0);
  });

  it("[HAND-1] [HAND-11] comes without the one that has come there by a newer ticket meanwhile", async () => {
    world.join("q");
    expect(world.a.handovers.begin(["p", "q"], world.b.ref)).toBeTypeOf("string");
    await world.run("committed");
    world.b.stage.enter("q", 2 * generation);
    await world.run();
    expect(world.b.stage.generationOf("p")).toBe(generation + 1);
    expect(world.b.stage.generationOf("q")).toBe(2 * generation);
    expect(world.a.stage.dropped).toEqual([{ playerId: "q", outcome: "superseded" }]);
    world.a.input("p", 2);
    await world.run();
    expect(world.b.stage.historyOf("p")).toBe("<1<2");
  });
});
