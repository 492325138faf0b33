/** How a session comes back by itself, against a master and a cluster that speak real HTTP and TLS. */
import { afterEach, describe, expect, it } from "vitest";
import {
  allFeatures,
  encodeClose,
  encodeReject,
  encodeResumeToken,
  encodeStreams,
  encodeWelcome,
} from "../../protocol/index.ts";
import type { CloseEvent } from "./close-event.ts";
import { createClient, type GameSession } from "./index.ts";
import { type Peer, sampleWelcome, startScriptedCluster } from "./testing/scripted-cluster.ts";
import {
  type Answer,
  problem,
  sampleAllocation,
  sampleTokens,
  startScriptedMaster,
} from "./testing/scripted-master.ts";

const session = 2 ** 20;
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** A player who waits for nothing; all tickets lead to one cluster, unless the master says something else. */
async function setUp(
  script: (peer: Peer, index: number) => Promise<void> | void,
  answer: (index: number, allocated: Exclude<Answer, string>) => Answer,
) {
  const cluster = await startScriptedCluster(script);
  closers.push(() => cluster.close());
  const master = await startScriptedMaster(({ route }, index) => {
    if (route !== "POST /v1/allocate") return { status: 200, body: sampleTokens("1") };
    const allocation = sampleAllocation(cluster.address, `ticket-${index}`);
    return answer(index, { status: 200, body: { ...allocation, generation: (index + 1) * session } });
  });
  closers.push(() => master.close());
  const client = createClient({ masterUrl: master.url, random: () => 0, rejoin: { maxDelayMs: 1 } });
  await client.login({ anonymous: true });
  return { client, asked: () => master.of("POST /v1/allocate").map(({ body }) => body) };
}

/** Lets the player in, and asks it to come again. */
async function shutDown(peer: Peer): Promise<void> {
  await peer.welcome();
  peer.socket.end(encodeClose("SHUTTING_DOWN"));
}

async function stay(peer: Peer): Promise<void> {
  await peer.welcome();
}

function unknown(field: string): Answer {
  return problem("INVALID_FIELD", { errors: [{ field, message: "There is no such field." }] });
}

function rejoined(game: GameSession): Promise<unknown> {
  return new Promise((resolve) => game.on("rejoined", resolve));
}

function closed(game: GameSession): Promise<CloseEvent> {
  return new Promise((resolve) => game.on("close", resolve));
}

describe("[ALLOC-21] a session that comes back by itself", () => {
  it("names the newest ticket that it may have joined by; the player's own wish names none", async () => {
    const { client, asked } = await setUp(
      async (peer, index) => {
        if (index === 1) {
          await peer.next("join");
          peer.socket.end(encodeReject("BUSY"));
        } else if (index < 3) await shutDown(peer);
        else await stay(peer);
      },
      (_, allocated) => allocated,
    );
    const game = await client.join();
    await rejoined(game);
    await rejoined(game);
    const after = (count: number) => ({ after: count * session });
    expect(asked()).toEqual([{}, after(1), after(2), after(3)]);
    await game.leave();
  });

  it("counts the handovers that it has heard of", async () => {
    const { client, asked } = await setUp(
      async (peer, index) => {
        await peer.next("join");
        const tenure = (index + 1) * session + 5;
        const welcome = encodeWelcome({ ...sampleWelcome, features: allFeatures });
        const token = encodeResumeToken({ graceMs: 5_000, token: Uint8Array.of(1) });
        peer.send(welcome, encodeStreams({ tenure, received: 0, fresh: true }), token);
        if (index === 0) peer.socket.end(encodeClose("SHUTTING_DOWN"));
      },
      (_, allocated) => allocated,
    );
    const game = await client.join();
    await rejoined(game);
    expect(asked()).toEqual([{}, { after: session + 5 }]);
    await game.leave();
  });

  it.each(["REPLACED", "KICKED"] as const)("is over where the master says %s", async (code) => {
    const { client } = await setUp(shutDown, (index, allocated) => (index === 0 ? allocated : problem(code)));
    const game = await client.join();
    expect(await closed(game)).toMatchObject({ code, advice: "stop", origin: "master" });
  });

  it("names none to a master that knows nothing of it any more, as the release before", async () => {
    const { client, asked } = await setUp(
      (peer, index) => (index === 0 ? shutDown(peer) : stay(peer)),
      (index, allocated) => (index === 1 ? unknown("after") : allocated),
    );
    const game = await client.join();
    await rejoined(game);
    expect(asked()).toEqual([{}, { after: session }, {}]);
    await game.leave();
  });

  it("is over where the master refuses what was asked for", async () => {
    const { client, asked } = await setUp(shutDown, (index, allocated) =>
      index === 0 ? allocated : unknown("region"),
    );
    const game = await client.join();
    expect(await closed(game)).toMatchObject({ code: "INVALID_FIELD", origin: "master" });
    expect(asked()).toEqual([{}, { after: session }]);
  });

  it("names none to a master that has not said which it is", async () => {
    const { client, asked } = await setUp(
      (peer, index) => (index === 0 ? shutDown(peer) : stay(peer)),
      (_, { body, ...allocated }) => ({ ...allocated, body: { ...Object(body), generation: undefined } }),
    );
    const game = await client.join();
    await rejoined(game);
    expect(asked()).toEqual([{}, {}]);
    await game.leave();
  });
});
