/** What a cluster takes of a neighbour that offers players, and how much. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { closeCodes, encodeArrive, encodeJoin } from "../../protocol/index.ts";
import { encodePlayerState } from "../authority/player-state.ts";
import type { PeerMessage } from "../peers/handover-codec.ts";
import type { FakeMaster } from "../testing/fake-master.ts";
import { until } from "../testing/until.ts";
import { encodeCarriedFacts } from "../session/carried-facts.ts";
import { Border, generation, helloOf, type Side } from "./testing/border.ts";
import { countingBorder, type Counting } from "./testing/counting.ts";
import { offer, offeredFacts, offeredState } from "./testing/offered.ts";

let border: Border<Counting>;
let master: FakeMaster;
let west: Side<Counting>;
let east: Side<Counting>;

beforeEach(async () => {
  ({ border, west, east } = await Border.open(countingBorder));
  ({ master } = border);
});

afterEach(async () => border.close());

describe("a cluster that is offered a player by a neighbour that lies", () => {
  const [facts, state] = [offeredFacts, offeredState];
  const answerTo = async (offered: Uint8Array, playerId = "eve"): Promise<string> => offer(west, playerId, offered);

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
