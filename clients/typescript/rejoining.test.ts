/** How a session comes back by itself, against a master and a cluster that speak real HTTP and TLS. */
import { describe, expect, it } from "vitest";
import {
  allFeatures,
  encodeClose,
  encodeRedirect,
  encodeReject,
  encodeResumeToken,
  encodeStreams,
  encodeWelcome,
} from "../../protocol/index.ts";
import type { CloseEvent } from "./close-event.ts";
import type { GameSession } from "./index.ts";
import { type Peer, sampleWelcome } from "./testing/scripted-cluster.ts";
import { nextEvent, useScriptedGame } from "./testing/scripted-game.ts";
import { type Answer, problem, sampleAllocation, type SeenRequest } from "./testing/scripted-master.ts";

const { startCluster, setUp } = useScriptedGame();

const session = 2 ** 20;

/** A player all of whose tickets lead to one cluster, unless the master says something else. */
async function setUpReturn(
  script: (peer: Peer, index: number) => Promise<void> | void,
  answer: (index: number, allocated: Exclude<Answer, string>) => Answer,
) {
  const cluster = await startCluster(script);
  const allocate = (_: SeenRequest, index: number): Answer => {
    const allocation = sampleAllocation(cluster.address, `ticket-${index}`);
    return answer(index, { status: 200, body: { ...allocation, generation: (index + 1) * session } });
  };
  const { client, master } = await setUp(allocate, { rejoin: { maxDelayMs: 1 } });
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
    const { client, asked } = await setUpReturn(
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
    const { client, asked } = await setUpReturn(
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
    const { client } = await setUpReturn(shutDown, (index, allocated) => (index === 0 ? allocated : problem(code)));
    const game = await client.join();
    expect(await closed(game)).toMatchObject({ code, advice: "stop", origin: "master" });
  });

  it("names none to a master that knows nothing of it any more, as the release before", async () => {
    const { client, asked } = await setUpReturn(
      (peer, index) => (index === 0 ? shutDown(peer) : stay(peer)),
      (index, allocated) => (index === 1 ? unknown("after") : allocated),
    );
    const game = await client.join();
    await rejoined(game);
    expect(asked()).toEqual([{}, { after: session }, {}]);
    await game.leave();
  });

  it("is over where the master refuses what was asked for", async () => {
    const { client, asked } = await setUpReturn(shutDown, (index, allocated) =>
      index === 0 ? allocated : unknown("region"),
    );
    const game = await client.join();
    expect(await closed(game)).toMatchObject({ code: "INVALID_FIELD", origin: "master" });
    expect(asked()).toEqual([{}, { after: session }]);
  });

  it("names none to a master that has not said which it is", async () => {
    const { client, asked } = await setUpReturn(
      (peer, index) => (index === 0 ? shutDown(peer) : stay(peer)),
      (_, { body, ...allocated }) => ({ ...allocated, body: { ...Object(body), generation: undefined } }),
    );
    const game = await client.join();
    await rejoined(game);
    expect(asked()).toEqual([{}, {}]);
    await game.leave();
  });
});

describe("a session whose cluster ends it, or has it gone on elsewhere", () => {
  it("[CLOSE-3] goes on elsewhere after CLOSE with SHUTTING_DOWN", async () => {
    const next = await startCluster(async (peer) => void (await peer.welcome({ cluster: "Test 2" })));
    const first = await startCluster(async (peer) => {
      await peer.welcome();
      await peer.next("message");
      peer.socket.end(encodeClose("SHUTTING_DOWN", 50));
    });
    const { client } = await setUp((_, index) => ({
      status: 200,
      body: sampleAllocation((index === 0 ? first : next).address),
    }));
    const session: GameSession = await client.join();
    const rejoining = nextEvent<{ attempt: number }>((handler) => session.on("rejoining", handler));
    const rejoined = nextEvent((handler) => session.on("rejoined", handler));
    session.send(1);
    await expect(rejoining).resolves.toMatchObject({
      attempt: 1,
      reason: { code: "SHUTTING_DOWN", retryAfterMs: 50 },
    });
    await rejoined;
    expect(session.welcome.cluster).toBe("Test 2");
    expect(session.send(2)).toBe(true);
    await session.leave();
    expect(first.faults).toEqual([]);
  });

  it("[PARTY-3] comes back by itself after it came with its party: the seats of that are no longer held", async () => {
    const cluster = await startCluster(async (peer, index) => {
      await peer.welcome();
      if (index > 0) return;
      await peer.next("message");
      peer.socket.end(encodeClose("SHUTTING_DOWN"));
    });
    const { client, master } = await setUp(
      ({ body }, index) => {
        const isClaim = JSON.stringify(body).includes("party");
        return isClaim && index > 0
          ? problem("PARTY_HOLD_ENDED")
          : { status: 200, body: sampleAllocation(cluster.address, `ticket-${index}`) };
      },
      { rejoin: { maxDelayMs: 10 } },
    );
    const session = await client.join(await client.allocate({ party: "p1" }));
    const over = nextEvent<unknown>((handler) => {
      const offs = [session.on("rejoined", () => handler("rejoined")), session.on("close", handler)];
      return () => offs.forEach((off) => off());
    });
    session.send(1);
    expect(await over).toBe("rejoined");
    expect(master.of("POST /v1/allocate").map(({ body }) => body)).toEqual([{ party: "p1" }, {}]);
    await session.leave();
  });

  it.each([
    ["nor for the fragment", "town", undefined],
    ["but for the fragment that it is in", "meadow", "meadow"],
  ])(
    "[ALLOC-14] asks for the cluster that was chosen no more when a handover has taken the player elsewhere, %s",
    async (_what, chosen, asks) => {
      const answer = (peer: Peer, tenure: number, fresh: boolean): void => {
        const welcome = encodeWelcome({ ...sampleWelcome, features: allFeatures });
        const tokenFrame = encodeResumeToken({ graceMs: 5_000, token: Uint8Array.of(1) });
        peer.send(welcome, encodeStreams({ tenure, received: 0, fresh }), tokenFrame);
      };
      const there = await startCluster(async (peer, index) => {
        await peer.next(index === 0 ? "arrive" : "join");
        answer(peer, 2 ** 20 + 1, false);
        if (index > 0) return;
        await peer.next("ack");
        peer.socket.end(encodeClose("SHUTTING_DOWN"));
      });
      const address = { ...there.address, id: "cluster-2" };
      const here = await startCluster(async (peer) => {
        await peer.next("join");
        answer(peer, 2 ** 20, true);
        const id = "01".repeat(16);
        peer.send(encodeRedirect({ id, key: id, boot: 1, cluster: address, token: "h.t.s" }));
      });
      const { client, master } = await setUp((_, index) => ({
        status: 200,
        body: sampleAllocation(index === 0 ? here.address : address),
      }));
      const request = { clusterId: "cluster-1", region: "eu", fragment: chosen };
      const session = await client.join(await client.allocate(request));
      expect(session.welcome.fragment).toBe("meadow");
      const { fresh } = await nextEvent<{ fresh: boolean }>((handler) => session.on("rejoined", handler));
      const asked = master.of("POST /v1/allocate").map(({ body }) => body);
      expect([asked, fresh]).toEqual([
        [request, { region: "eu", ...(asks === undefined ? {} : { fragment: asks }) }],
        false,
      ]);
      await session.leave();
    },
  );
});
