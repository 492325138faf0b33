import { describe, expect, it } from "vitest";
import {
  encodeAhead,
  encodeClose,
  encodeMessage,
  encodeRedirect,
  encodeStay,
  encodeWelcome,
  features,
} from "../../protocol/index.ts";
import { settle } from "./testing/manual-clock.ts";
import { sampleWelcome } from "./testing/scripted-cluster.ts";
import {
  clusterNamed,
  redirectTo,
  resumedFrames,
  saidTo,
  sendOn,
  type Travelling,
  travelling,
  welcomeFrames,
  worldless,
} from "./testing/travelling-session.ts";
import type { ClusterAddress } from "./transport.ts";

const { id } = redirectTo("b");
const otherId = "02".repeat(16);

function ahead(cluster: ClusterAddress = clusterNamed("b"), of = id): Uint8Array {
  return encodeAhead({ id: of, cluster });
}

/** Tells the client where it may be sent. */
async function announce({ home }: Travelling, frame = ahead()): Promise<void> {
  home.send(frame);
  await settle();
}

function states({ transport }: Travelling): string[] {
  return transport.links.map(({ cluster, state }) => `${cluster.id} ${state}`);
}

describe("a player that may be sent on", () => {
  it("[AHEAD-2] connects ahead, says nothing, plays on, and arrives over that connection", async () => {
    const journey = await travelling([welcomeFrames(0)]);
    const { session, home, transport, events } = journey;
    await announce(journey);
    session.send(1);
    home.send(encodeMessage({ command: 2, payload: new Uint8Array(0) }));
    await settle();
    expect([states(journey), saidTo(transport.last)]).toEqual([["a open", "b open"], []]);
    expect([session.state, saidTo(home).at(-1), events]).toEqual(["joined", "message 1", ["message 2"]]);
    await sendOn(home, redirectTo("b"));
    expect(states(journey)).toEqual(["a aborted", "b open"]);
    expect(saidTo(transport.last)).toEqual(["hello", "arrive", "ack", "message 1"]);
    // It is no longer dropped.
    await journey.clock.advance(5_000);
    expect([session.state, events]).toEqual(["joined", ["message 2", "moving b", "moved b"]]);
  });

  it("[AHEAD-2] that is sent on while it still connects waits for that connection, and makes no other", async () => {
    const journey = await travelling();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    journey.transport.onConnect = (link) => {
      link.onJoin = () => link.send(...welcomeFrames(0));
      return promise;
    };
    await announce(journey);
    await sendOn(journey.home, redirectTo("b"));
    expect([journey.session.state, journey.transport.links.length]).toEqual(["moving", 2]);
    resolve(undefined);
    await settle();
    expect([journey.session.state, journey.transport.links.length]).toEqual(["joined", 2]);
  });

  it.each([
    ["did not come about", "no network"],
    ["ends without an answer", "cut"],
  ] as const)("[AHEAD-2] connects anew at once where the connection %s: it costs no try", async (_what, answer) => {
    const journey = await travelling([answer, "no network", "no network", "no network", welcomeFrames(0)]);
    await announce(journey);
    await sendOn(journey.home, redirectTo("b"));
    expect(journey.transport.links).toHaveLength(3);
    // Four tries beside it.
    await journey.clock.advance(125 + 250 + 500);
    expect(journey.events).toEqual(["moving b", "moved b"]);
  });

  it("[AHEAD-2] connects anew at once where the cluster has ended the connection meanwhile", async () => {
    const journey = await travelling(["silence", welcomeFrames(0)]);
    await announce(journey);
    journey.transport.last.end();
    await settle();
    expect(journey.session.state).toBe("joined");
    await sendOn(journey.home, redirectTo("b"));
    expect([journey.events, journey.transport.links.length]).toEqual([["moving b", "moved b"], 3]);
  });

  it.each<[string, ClusterAddress]>([
    ["another port", { ...clusterNamed("b"), port: 2 }],
    ["another host", { ...clusterNamed("b"), host: "127.0.0.2" }],
    ["another name of the server", { ...clusterNamed("b"), tls: { ...clusterNamed("b").tls, serverName: "x" } }],
    ["another certificate", { ...clusterNamed("b"), tls: { ...clusterNamed("b").tls, caPem: "PEM2" } }],
    ["another fingerprint", { ...clusterNamed("b"), tls: { ...clusterNamed("b").tls, sha256: "cd".repeat(32) } }],
  ])("[AHEAD-2] shows key and token to nobody but who REDIRECT names: %s", async (_what, cluster) => {
    const journey = await travelling(["silence", welcomeFrames(0)]);
    await announce(journey, ahead(cluster));
    const first = journey.transport.last;
    await sendOn(journey.home, redirectTo("b"));
    expect([first.state, saidTo(first)]).toEqual(["aborted", []]);
    expect([journey.transport.last.cluster, journey.events]).toEqual([clusterNamed("b"), ["moving b", "moved b"]]);
  });

  it("[AHEAD-2] ends what speaks before it was asked, and is not the worse for it", async () => {
    const journey = await travelling(["silence", welcomeFrames(0)]);
    await announce(journey);
    journey.transport.last.send(welcomeFrames(0)[0] ?? new Uint8Array(0));
    await settle();
    expect([journey.session.state, journey.transport.last.state]).toEqual(["joined", "closing"]);
    expect(saidTo(journey.transport.last)).toEqual([]);
    await sendOn(journey.home, redirectTo("b"));
    await journey.clock.advance(125);
    expect(journey.events.at(-1)).toBe("moved b");
  });
});

describe("[AHEAD-3] a connection ahead is dropped", () => {
  it.each<[string, (journey: Travelling) => unknown]>([
    ["on STAY with its id", ({ home }) => home.send(encodeStay({ id }))],
    ["on another AHEAD", ({ home }) => home.send(ahead(clusterNamed("c"), otherId))],
    ["on another REDIRECT", ({ home }) => home.send(encodeRedirect(redirectTo("c", otherId)))],
    ["on another REDIRECT to the same cluster", ({ home }) => home.send(encodeRedirect(redirectTo("b", otherId)))],
    ["when the session's connection ends", ({ home }) => home.end()],
    ["when the cluster closes the session", ({ home }) => home.send(encodeClose("KICKED"))],
    ["when the cluster asks to allocate", ({ home }) => home.send(encodeClose("SHUTTING_DOWN"))],
    ["when the player leaves", ({ session }) => session.leave()],
    ["after 4 s", ({ clock }) => clock.advance(4_000)],
  ])("%s", async (_what, happens) => {
    const journey = await travelling(["silence"]);
    await announce(journey);
    const { last } = journey.transport;
    void happens(journey);
    await settle();
    expect([last.state, saidTo(last)]).toEqual(["aborted", []]);
  });

  it("also while it still connects", async () => {
    const journey = await travelling();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    journey.transport.onConnect = () => promise;
    await announce(journey);
    journey.home.send(encodeStay({ id }));
    resolve(undefined);
    await settle();
    expect([journey.session.state, journey.transport.last.state]).toEqual(["joined", "aborted"]);
  });

  it("and not on STAY with another id, nor before the 4 s are over", async () => {
    const journey = await travelling(["silence"]);
    await announce(journey);
    journey.home.send(encodeStay({ id: otherId }));
    await journey.clock.advance(3_999);
    expect(states(journey)).toEqual(["a open", "b open"]);
  });

  it("and leaves no timer", async () => {
    const journey = await travelling(["silence"]);
    await announce(journey);
    const leaving = journey.session.leave();
    await journey.clock.advance(100);
    await leaving;
    expect([journey.clock.pending, states(journey).filter((state) => state.endsWith("open"))]).toEqual([0, []]);
  });

  it("after a REDIRECT that is taken back as well", async () => {
    const journey = await travelling(["silence", resumedFrames(0)]);
    await announce(journey);
    const { last } = journey.transport;
    await sendOn(journey.home, redirectTo("b"));
    journey.home.send(encodeStay({ id }));
    await journey.clock.advance(0);
    expect([last.state, journey.session.state]).toEqual(["aborted", "joined"]);
  });
});

describe("a cluster that announces without end", () => {
  const idOf = (index: number): string => index.toString(16).padStart(32, "0");

  it("[AHEAD-4] [REDIRECT-8] [NET-9] has 30 connections opened, one at a time", async () => {
    const journey = await travelling(Array.from({ length: 100 }, () => "silence" as const));
    for (let index = 0; index < 100; index += 1) await announce(journey, ahead(clusterNamed("b"), idOf(index)));
    expect(journey.transport.links).toHaveLength(31);
    expect(states(journey).filter((state) => state.endsWith("open"))).toEqual(["a open", "b open"]);
    expect(journey.session.state).toBe("joined");
  });

  it("[AHEAD-4] of one handover has one opened", async () => {
    const journey = await travelling(["silence", "silence"]);
    await announce(journey);
    await announce(journey);
    await announce(journey, ahead(clusterNamed("c")));
    expect(states(journey)).toEqual(["a open", "b open"]);
  });

  it("[AHEAD-4] is not counted twice when it sends the player on as it said", async () => {
    const journey = await travelling();
    let link = journey.home;
    for (let index = 0; index < 30; index += 1) {
      const cluster = index % 2 === 0 ? "b" : "a";
      journey.answers.push(welcomeFrames(0, 2_000_000 + index));
      link.send(ahead(clusterNamed(cluster), idOf(index)));
      await sendOn(link, redirectTo(cluster, idOf(index), index));
      link = journey.transport.last;
    }
    expect([journey.session.state, journey.transport.links.length]).toEqual(["joined", 31]);
    expect(journey.events.filter((event) => !event.startsWith("mov"))).toEqual([]);
  });

  it.each([
    ["goes on where that was announced", "b", "moving b"],
    ["is counted anew for another address", "c", "allocate after CONNECTION_LOST"],
  ] as const)("[AHEAD-4] and then sends the player on, %s", async (_what, cluster, event) => {
    const journey = await travelling([...Array.from({ length: 29 }, () => "silence" as const), welcomeFrames(0)]);
    for (let index = 0; index < 30; index += 1) await announce(journey, ahead(clusterNamed("b"), idOf(index)));
    await sendOn(journey.home, redirectTo(cluster, idOf(29)));
    expect(journey.events[0]).toBe(event);
  });

  it("[REDIRECT-4] is not heard any more on the way", async () => {
    const journey = await travelling(["silence"]);
    await sendOn(journey.home, redirectTo("b"));
    await announce(journey, ahead(clusterNamed("c"), otherId));
    expect(states(journey)).toEqual(["a open", "b open"]);
  });
});

describe("where AHEAD is not in force", () => {
  it("[HELLO-6] it is malformed", async () => {
    const journey = await travelling([], worldless & ~features.ahead);
    await announce(journey);
    expect([(await journey.session.closed).code, journey.transport.links.length]).toEqual(["BAD_FRAME", 1]);
  });

  it("[AHEAD-1] a WELCOME that has it without HANDOVER is malformed", async () => {
    const journey = await travelling();
    const [, streams, token] = welcomeFrames(0);
    const welcome = encodeWelcome({ ...sampleWelcome, features: features.ahead | features.resume | features.state });
    journey.answers.push([welcome, ...[streams, token].filter((frame) => frame !== undefined)]);
    journey.home.send(encodeClose("SHUTTING_DOWN"));
    expect((await journey.session.closed).code).toBe("BAD_FRAME");
  });

  it("nothing is opened by a client that waits until it is sent on", async () => {
    const journey = await travelling([welcomeFrames(0)], worldless, true, { openAhead: undefined });
    await announce(journey);
    expect(states(journey)).toEqual(["a open"]);
    await sendOn(journey.home, redirectTo("b"));
    expect(journey.events).toEqual(["moving b", "moved b"]);
  });
});
