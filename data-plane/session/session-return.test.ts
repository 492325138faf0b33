/** A client whose cluster died behind the commit of a handover: it joins with a new ticket, and its session goes on from what the commit kept. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { stepsPerSession } from "../../protocol/handover/generation.ts";
import { openSession, type SessionState } from "../../protocol/handover/session-state.ts";
import type { StreamPosition } from "../../protocol/handover/streams.ts";
import { encodeHello, encodeJoin, encodeMessage, features } from "../../protocol/index.ts";
import { encodePlayerState } from "../authority/player-state.ts";
import { encodeCarriedFacts } from "./carried-facts.ts";
import type { Player } from "../plugin/player.ts";
import type { TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";

const offered = features.resume | features.state | features.handover;
const before = stepsPerSession;
const ticketed = 2 * stepsPerSession;
/** Where the client was: it has two of the three outputs, and knows of one of its inputs. */
const position: StreamPosition = { tenure: before, received: 2, acknowledged: 1 };
const message = (command: number): Uint8Array => encodeMessage({ command, payload: new Uint8Array(0) });
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

let cluster: TestCluster;
let hooks: string[];
let players: Player[];

beforeEach(async () => {
  hooks = [];
  players = [];
  cluster = await startTestCluster({
    plugin: {
      name: "counting",
      onLoad: (_player, data) => void hooks.push(`load ${data?.[0]}`),
      onJoin: (player) => {
        hooks.push("join");
        players.push(player);
      },
      onMigrateIn: (player, bytes) => {
        hooks.push(`in ${bytes?.[0]}`);
        players.push(player);
      },
      onMessage: (_player, command) => void hooks.push(`message ${command}`),
    },
    arrivals: () => ({ arrive: async () => undefined }),
  });
});
afterEach(() => cluster.stop());

/** What the master has after the commit: the source had taken two inputs and made three outputs. */
function committed(changes: { readonly features?: number; readonly carried?: Uint8Array } = {}): void {
  const facts = {
    name: "Ann",
    reservationId: "r",
    ticketFragment: "",
    version: 1,
    features: changes.features ?? offered,
    lastRequest: 6,
    moveSequence: 9,
    isPut: false,
  };
  const state = encodePlayerState({
    placement: { x: 1, y: 2, z: 3, heading: 4 },
    fragment: "",
    values: {},
    saved: Uint8Array.of(7),
    carried: changes.carried ?? encodeCarriedFacts(facts),
    parts: new Map([["counting", Uint8Array.of(8)]]),
  });
  const streams = {
    tenure: before,
    past: [],
    lastInput: 2,
    lastOutput: 3,
    unacknowledged: [base64(message(12)), base64(message(13))],
  };
  const session: SessionState<string> = {
    ...openSession<string>("ann"),
    issued: before,
    generation: before + 1,
    holder: "elsewhere",
    save: { generation: before + 1, version: 0, state: base64(state), streams },
  };
  cluster.master.sessions.set("ann", session);
}

async function join(at: StreamPosition | "none" = position): Promise<TestClient> {
  const client = await cluster.connected();
  const hello = encodeHello({ minVersion: 1, maxVersion: 1, features: offered, client: "test" });
  const ticket = await cluster.master.ticket({ sub: "ann", gen: ticketed });
  client.send(hello, encodeJoin({ ticket, position: at === "none" ? undefined : at }));
  await client.next("welcome");
  return client;
}

describe("a client that joins with its position", () => {
  it("[JOIN-5] [HAND-10] goes on where the handover's commit kept it, and so does its game", async () => {
    committed();
    const client = await join();
    expect(await client.next("streams")).toMatchObject({ tenure: ticketed, received: 2, fresh: false });
    expect((await client.next("message")).command).toBe(13);
    client.send(message(3));
    await until("the third input", () => hooks.includes("message 3"));
    players[0]?.send(14);
    expect((await client.next("message")).command).toBe(14);
    expect(hooks).toEqual(["in 8", "message 3"]);
    expect(players[0]?.position).toMatchObject({ x: 1, y: 2, z: 3, heading: 4 });
  });

  it.each<[string, StreamPosition | "none"]>([
    ["none at all", "none"],
    ["a tenure that is not in its history", { ...position, tenure: before + 1 }],
    ["more received than was sent", { ...position, received: 4 }],
    ["more acknowledged than was taken", { ...position, acknowledged: 3 }],
    ["less received than is kept", { ...position, received: 0 }],
  ])("[JOIN-5] [STREAMS-3] begins anew, from what its game had saved, with %s", async (_what, at) => {
    committed();
    const client = await join(at);
    expect(await client.next("streams")).toMatchObject({ tenure: ticketed, received: 0, fresh: true });
    await until("its hooks", () => hooks.length === 2);
    expect(hooks).toEqual(["load 7", "join"]);
    expect(client.types()).not.toContain("message");
  });

  it("[ARRIVE-2] begins anew where it no longer has what was in force", async () => {
    committed({ features: offered | features.requests });
    expect(await (await join()).next("streams")).toMatchObject({ fresh: true });
  });

  it("begins anew where what was carried cannot be read", async () => {
    committed({ carried: Uint8Array.of(99) });
    expect(await (await join()).next("streams")).toMatchObject({ fresh: true });
    await until("its hooks", () => hooks.length === 2);
    expect(hooks).toEqual(["load 7", "join"]);
  });

  it("[HAND-8] saves under its new generation from then on", async () => {
    committed();
    await join();
    await until("the player", () => players.length === 1);
    expect(await players[0]?.save(Uint8Array.of(9))).toBe("saved");
    expect(cluster.master.sessions.get("ann")?.save).toMatchObject({ generation: ticketed, version: 1 });
  });
});
