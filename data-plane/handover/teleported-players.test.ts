/** Players whom their game teleports over a border between clusters: real clusters over TLS, and a master whose sessions are the production's steps. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { allFeatures, encodeAck, encodeJoin, encodeMove, encodeResume, features } from "../../protocol/index.ts";
import type { Placement, Player, TeleportOutcome } from "../plugin/player.ts";
import type { Cluster, ServerPlugin } from "../plugin/server-plugin.ts";
import type { FakeMaster } from "../testing/fake-master.ts";
import type { TestClient } from "../testing/test-client.ts";
import { until } from "../testing/until.ts";
import { Border, type BorderOptions, generation, helloOf, message, type Side } from "./testing/border.ts";

/** Farther from the border than anybody may walk on. Its x is none that fits into 32 bits. */
const far: Placement = { x: 40.1, y: 1, z: -2, heading: 7 };

/** Answers each message with its command, and notes its hooks. */
class Echo implements ServerPlugin {
  readonly name = "echo";
  readonly hooks: string[] = [];
  readonly players = new Map<string, Player>();
  cluster: Cluster | undefined;
  refusesToPack = false;

  onStart(cluster: Cluster): void {
    this.cluster = cluster;
  }

  onJoin(player: Player): void {
    this.hooks.push("join");
    this.players.set(player.id, player);
  }

  onEnterFragment(_player: Player, name: string): void {
    this.hooks.push(`enter ${name}`);
  }

  onMessage(player: Player, command: number): void {
    player.send(command);
  }

  onMigrateOut(): Uint8Array | undefined {
    if (this.refusesToPack) throw new Error("not now");
    this.hooks.push("out");
    return undefined;
  }

  onMigrateIn(player: Player): void {
    this.hooks.push(`in ${player.position.x}`);
    this.players.set(player.id, player);
  }
}

const options: BorderOptions<Echo> = {
  createGame: () => new Echo(),
  fragments: [
    { name: "hall", min: [50, -50], max: [60, 50], capacity: 1 },
    { name: "limbo", min: [60, -50], max: [70, 50] },
    { name: "porch", min: [-50, 50], max: [0, 60], capacity: 1 },
    { name: "yard", min: [0, 50], max: [70, 60] },
  ],
  carries: (instance) => (instance === "a" ? ["west"] : ["east", "hall", "porch"]),
  settings: () => ({ loadTimeoutMs: 10_000 }),
};

let border: Border<Echo>;
let master: FakeMaster;
let west: Side<Echo>;
let east: Side<Echo>;

beforeEach(async () => {
  ({ border, west, east } = await Border.open(options));
  ({ master } = border);
});

afterEach(async () => border.close());

/** With a position it waits for the master's answer: before that nobody can be handed over. */
async function join(sub = "ann", side = west, offered = allFeatures): Promise<TestClient> {
  return border.join(side, { sub, offered, position: { tenure: 1, received: 0, acknowledged: 0 } });
}

async function teleport(to: Placement, sub = "ann", { game }: Side<Echo> = west): Promise<TeleportOutcome | undefined> {
  return game.players.get(sub)?.teleport(to);
}

/** It plays on where it was: what it says is answered there, and nobody else has it. */
async function playsOn(client: TestClient, sub = "ann"): Promise<void> {
  client.send(message(33));
  await until("the answer", () => client.received.some((one) => one.type === "message" && one.command === 33));
  expect(west.game.players.get(sub)).toMatchObject({ connected: true, fragment: "west", position: { x: -2 } });
  expect(client.types()).not.toContain("position");
  expect(east.game.players.has(sub)).toBe(false);
}

describe("a player that is teleported to what another cluster carries", () => {
  it("[HAND-19] [MOVE-3] is handed over, and goes on there: nothing lost, and its client is told its place first", async () => {
    const client = await join();
    client.send(message(1));
    await client.next("message");
    const outcome = teleport(far);
    await until("the redirect", () => client.types().includes("redirect"));
    const told = client.types().filter((type) => type === "position" || type === "redirect");
    expect(told).toEqual(["position", "redirect"]);
    expect(await client.next("position")).toMatchObject({ x: Math.fround(far.x), y: 1, z: -2, heading: 7 });
    const redirect = await client.next("redirect");
    // While it is on its way.
    client.send(message(2));
    expect(await outcome).toBe("handed-over");
    expect(west.game.players.get("ann")?.connected).toBe(false);
    const arrived = await border.arrive(redirect, { tenure: generation, received: 1, acknowledged: 0 });
    expect(await arrived.next("welcome")).toMatchObject({ fragment: "east", x: Math.fround(far.x), z: -2 });
    await arrived.next("streams");
    arrived.send(encodeAck({ received: 1 }));
    await until("the answer", () => arrived.received.some((one) => one.type === "message" && one.command === 2));
    await until("its fragment", () => east.game.hooks.includes("enter east"));
    expect(west.game.hooks).toEqual(["join", "enter west", "out"]);
    expect(east.game.hooks).toEqual([`in ${far.x}`, "enter east"]);
    expect(master.sessions.get("ann")).toMatchObject({ generation: generation + 1, holder: "default.b" });
  });

  it("[MOVE-4] stays there, though its client did not hear of it and asks for its old place", async () => {
    const client = await join();
    const outcome = teleport({ ...far, x: 2.5 });
    const redirect = await client.next("redirect");
    await outcome;
    const arrived = await border.arrive(redirect, { tenure: generation, received: 0, acknowledged: 0 });
    await arrived.next("resumeToken");
    const move = (sequence: number, x: number): Uint8Array => encodeMove({ sequence, x, y: 1, z: -2, heading: 7 });
    // From there the border is near enough to be walked over.
    arrived.send(encodeAck({ received: 0 }), move(5, -2), move(6, 2.6));
    const positions = () => arrived.received.filter(({ type }) => type === "position");
    await until("its place, twice", () => positions().length === 2);
    await until("its first step", () => east.game.players.get("ann")?.position.x === Math.fround(2.6));
    expect(positions()).toMatchObject([
      { sequence: 0, x: 2.5 },
      { sequence: 5, x: 2.5 },
    ]);
    arrived.send(move(7, 2.8), move(8, 2.9));
    await until("the next ones", () => east.game.players.get("ann")?.position.x === Math.fround(2.9));
    expect(positions().length).toBe(2);
    expect(east.game.players.get("ann")?.refusedMoves).toBe(0);
  });

  it("[MOVE-4] may go on at once where it knows", async () => {
    const client = await join();
    void teleport(far);
    const arrived = await border.arrive(await client.next("redirect"), {
      tenure: generation,
      received: 0,
      acknowledged: 0,
    });
    await arrived.next("resumeToken");
    arrived.send(encodeMove({ sequence: 5, ...far }), encodeMove({ sequence: 6, ...far, x: 41 }));
    await until("its step", () => east.game.players.get("ann")?.position.x === 41);
    expect(arrived.types().filter((type) => type === "position").length).toBe(1);
  });

  it("[HAND-19] stays where it was when the fragment there is full, and goes when it is not any more", async () => {
    const client = await join();
    const other = await join("bob", east);
    expect(await teleport({ ...far, x: 55 }, "bob", east)).toBe("moved");
    expect(await teleport({ ...far, x: 55 })).toBe("full");
    await playsOn(client);
    other.close();
    east.game.players.get("bob")?.close();
    await until("the room", () => east.game.cluster?.playersIn("hall").length === 0);
    expect(await teleport({ ...far, x: 55 })).toBe("handed-over");
    await client.next("redirect");
  });

  it("[HAND-19] stays where it was when the other cluster takes nobody", async () => {
    const client = await join();
    const [, link] = master.links;
    const orders = { type: "orders", version: 1, drain: { deadlineMs: 60_000, movePlayers: false }, settings: {} };
    link?.send(JSON.stringify(orders));
    await until("its drain", () => east.cluster.log.text().includes("drain"));
    expect(await teleport(far)).toBe("full");
    await playsOn(client);
  });

  it("[HAND-19] stays where it was when its game cannot pack it", async () => {
    west.game.refusesToPack = true;
    const client = await join();
    expect(await teleport(far)).toBe("refused");
    await playsOn(client);
  });

  it("[HAND-19] stays where it was without a link, or a cluster, that leads there", async () => {
    const client = await join();
    await east.cluster.server.stop();
    await until("the end of the link", () => west.cluster.server.peers?.linked.length === 0);
    expect(await teleport(far)).toBe("unreachable");
    await playsOn(client);
  });

  it("[HAND-5] [HAND-19] stays where it was when the master is away, at the latest after 2 s, and under its new generation when it is back", async () => {
    const client = await join();
    master.refuseSessions = { status: 503, code: "INTERNAL" };
    expect(await teleport(far)).toBe("unreachable");
    await playsOn(client);
    expect(await teleport(far)).toBe("busy");
    master.refuseSessions = undefined;
    await until("the answer", () => master.sessions.get("ann")?.generation === generation + 2);
    expect(master.sessions.get("ann")?.holder).toBe("default.a");
    await playsOn(client);
  });

  it("[HAND-10] [HAND-19] stays where it was while its own new ticket is being entered there", async () => {
    const client = await join();
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdSessions = promise;
    const asked = master.consultations.length;
    const again = await west.cluster.connected();
    const { clusterId: aud = "", boot = 0 } = west.cluster.server.peers?.self ?? {};
    const ticket = await master.ticket({ aud, boot, gen: 2 * generation, sub: "ann" });
    again.send(helloOf(), encodeJoin({ ticket, position: { tenure: generation, received: 0, acknowledged: 0 } }));
    await until("the question", () => master.consultations.length > asked);
    expect(await teleport(far)).toBe("busy");
    await playsOn(client);
    resolve();
    expect(await again.next("streams")).toMatchObject({ fresh: false, tenure: generation });
    expect(await teleport(far)).toBe("handed-over");
  });

  it("[MOVE-4] stands where it was, and its client is told so again, when it is refused after the commit", async () => {
    master.changeCommit = (claims) => ({ ...claims, members: [{ playerId: "bob", generation }] });
    const client = await join();
    const { token } = await client.next("resumeToken");
    expect(await teleport(far)).toBe("refused");
    await client.next("stay");
    expect(await client.next("position")).toMatchObject({ x: Math.fround(far.x) });
    const back = await west.cluster.connected();
    back.send(helloOf(allFeatures), encodeResume({ token, received: 0 }));
    await back.next("resumeToken");
    back.send(encodeMove({ sequence: 1, ...far }));
    await until("its place, twice", () => back.types().filter((type) => type === "position").length === 2);
    expect(back.received.filter(({ type }) => type === "position")).toMatchObject([{ x: -2 }, { x: -2 }]);
    expect(west.game.players.get("ann")?.position.x).toBe(-2);
  });

  /** Its connection breaks while it stands still, and then it goes on. */
  async function dropOnTheWay(client: TestClient): Promise<Promise<TeleportOutcome | undefined>> {
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdSessions = promise;
    const outcome = teleport(far);
    await until("its standstill", () => west.game.hooks.includes("out"));
    client.close();
    await until("the end of its connection", () => west.cluster.server.metrics.connections.joined === 0);
    resolve();
    return outcome;
  }

  it("[REDIRECT-2] is sent on by the first word to its client that comes back", async () => {
    const client = await join();
    const { token } = await client.next("resumeToken");
    // The destination looks at the token for as long as it takes.
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdKeySet = promise;
    await master.addKey("later");
    const outcome = dropOnTheWay(client);
    await until("the commit", () => west.game.players.get("ann")?.connected === false);
    const back = await west.cluster.connected();
    back.send(helloOf(allFeatures), encodeResume({ token, received: 0 }));
    await back.next("redirect");
    expect(back.types()).not.toContain("position");
    resolve();
    expect(await outcome).toBe("handed-over");
  });

  it("[REDIRECT-2] [PEER-7] is sent on also while no link leads to where it has gone", async () => {
    const client = await join();
    const { token } = await client.next("resumeToken");
    expect(await dropOnTheWay(client)).toBe("handed-over");
    await east.cluster.server.stop();
    await until("the end of the link", () => west.cluster.server.peers?.linked.length === 0);
    const back = await west.cluster.connected();
    back.send(helloOf(allFeatures), encodeResume({ token, received: 0 }));
    expect(await back.next("redirect")).toMatchObject({ cluster: { id: "default.b" } });
  });

  it("[HAND-11] goes with those whom it is kept together with, or not at all", async () => {
    const ann = await join();
    const bob = await join("bob");
    west.game.cluster?.keepTogether(west.game.players.values());
    expect(await teleport(far)).toBe("apart");
    await playsOn(ann);
    const outcomes = Promise.all([teleport(far), teleport({ ...far, x: 41 }, "bob")]);
    const [hers, his] = await Promise.all([ann.next("redirect"), bob.next("redirect")]);
    expect(hers.id).toBe(his.id);
    expect(await outcomes).toEqual(["handed-over", "handed-over"]);
    expect([...east.game.players.values()].map(({ position }) => position.x).toSorted((a, b) => a - b)).toEqual([
      far.x,
      41,
    ]);
  });

  it("[HAND-11] [HAND-24] stays with those whom it is kept together with where there is not room for all of them", async () => {
    const [ann, bob] = [await join(), await join("bob")];
    west.game.cluster?.keepTogether(west.game.players.values());
    const hall = { ...far, x: 55 };
    expect(await Promise.all([teleport(hall), teleport(hall, "bob")])).toEqual(["full", "full"]);
    await playsOn(ann);
    await playsOn(bob, "bob");
    expect(east.game.cluster?.playersIn("hall")).toEqual([]);
    // Elsewhere there is.
    expect(await Promise.all([teleport(far), teleport(hall, "bob")])).toEqual(["handed-over", "handed-over"]);
  });

  it("[HAND-19] is told that its client cannot go, or is not there, and that nobody carries the place", async () => {
    const plain = await join("plain", west, allFeatures & ~features.handover);
    expect(await teleport(far, "plain")).toBe("unsupported");
    await playsOn(plain, "plain");
    const client = await join();
    client.socket.destroy();
    await until("the drop", () => west.game.players.get("ann")?.dropped === true);
    expect(await teleport(far)).toBe("busy");
    expect(await teleport({ ...far, x: 65 })).toBe("unreachable");
  });

  it("[HAND-19] comes back the same way, but not before it has been there for a moment", async () => {
    const client = await join();
    void teleport(far);
    const arrived = await border.arrive(await client.next("redirect"), {
      tenure: generation,
      received: 0,
      acknowledged: 0,
    });
    await arrived.next("resumeToken");
    arrived.send(encodeAck({ received: 0 }));
    await until("the move", () => east.game.players.has("ann"));
    const home = { ...far, x: -9 };
    expect(await teleport(home, "ann", east)).toBe("busy");
    const outcomes: (TeleportOutcome | undefined)[] = [];
    const ask = (outcome: TeleportOutcome | undefined): void => {
      outcomes.push(outcome);
      if (outcome === "busy") void teleport(home, "ann", east).then(ask);
    };
    ask("busy");
    await until("its way back", () => outcomes.at(-1) !== "busy");
    expect(outcomes.at(-1)).toBe("handed-over");
    expect(west.game.players.get("ann")?.position.x).toBe(-9);
  });
});

describe("a player that walks over a border into a fragment with a limit", () => {
  const porch = { x: -2, y: 0, z: 52, heading: 0 };
  const stepThere = (client: TestClient): void => client.send(encodeMove({ sequence: 1, ...porch }));
  const inPorch = (): string[] => east.game.cluster?.playersIn("porch").map(({ id }) => id) ?? [];
  const refused = (): number => east.cluster.server.metrics.handovers.refused;

  it("[HAND-24] stays where it stands while that is full, and goes when it is not any more", async () => {
    const client = await join();
    await join("bob", east);
    expect(await teleport(porch, "bob", east)).toBe("moved");
    stepThere(client);
    await until("the refusal", () => refused() === 1);
    expect(inPorch()).toEqual(["bob"]);
    client.send(message(33));
    await until("the answer", () => client.received.some((one) => one.type === "message" && one.command === 33));
    expect(west.game.players.get("ann")).toMatchObject({ connected: true, fragment: "west", position: porch });
    east.game.players.get("bob")?.close();
    await client.next("redirect");
    await until("its place", () => inPorch().join() === "ann");
  });

  it("[HAND-24] finds the last place promised to another that has not come yet", async () => {
    const clients = [await join(), await join("bob")];
    await join("eve", east);
    // The destination looks at the token for as long as it takes.
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdKeySet = promise;
    await master.addKey("later");
    for (const client of clients) stepThere(client);
    await until("the refusal", () => refused() === 1);
    expect(await teleport(porch, "eve", east)).toBe("full");
    resolve();
    await until("the first", () => inPorch().length === 1);
    await until("the second's next try", () => refused() >= 2);
    expect(inPorch()).toHaveLength(1);
  });
});
