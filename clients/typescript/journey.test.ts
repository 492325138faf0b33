import { describe, expect, it } from "vitest";
import {
  allFeatures,
  encodeAck,
  encodeClose,
  encodeEntities,
  encodeKinds,
  encodeMessage,
  encodePong,
  encodeRedirect,
  encodeResponse,
  encodeStay,
  encodeStreams,
  encodeWelcome,
  features,
} from "../../protocol/index.ts";
import { settle } from "./testing/manual-clock.ts";
import { sampleWelcome } from "./testing/scripted-cluster.ts";
import {
  clusterNamed,
  firstTenure,
  redirectTo,
  resumedFrames,
  saidTo,
  sendOn,
  tokenFrame,
  travelling,
  welcomeFrames,
} from "./testing/travelling-session.ts";

const empty = new Uint8Array(0);
const message = (command: number): Uint8Array => encodeMessage({ command, payload: empty });
const { id } = redirectTo("b");
const place = { x: 1, y: 2, z: 3, heading: 4 };
const kinds = encodeKinds({
  kinds: [
    {
      id: 0,
      name: "player",
      fields: [
        { name: "number", type: "u32" },
        { name: "heading", type: "angle" },
      ],
    },
  ],
});

describe("a player that is sent on", () => {
  it("[REDIRECT-3] [ARRIVE-7] [HAND-9] arrives while the old connection lives, and goes on where it was", async () => {
    const { clock, transport, session, events, home } = await travelling([welcomeFrames(1)]);
    home.send(message(10), message(11));
    session.send(1);
    session.send(2);
    await clock.advance(40);
    home.send(encodeRedirect(redirectTo("b")));
    expect([session.state, home.state]).toEqual(["moving", "open"]);
    expect(session.send(3)).toBe(true);
    await settle();
    const there = transport.last;
    expect(there.cluster).toEqual(clusterNamed("b"));
    expect(there.messages.slice(0, 2)).toMatchObject([
      { type: "hello", features: allFeatures },
      {
        type: "arrive",
        id,
        key: "0b".repeat(16),
        token: "h.t.s",
        position: { tenure: firstTenure, received: 2, acknowledged: 0 },
      },
    ]);
    expect([session.state, home.state]).toEqual(["joined", "aborted"]);
    expect(saidTo(home)).not.toContain("close");
    expect(saidTo(home)).not.toContain("message 3");
    expect(saidTo(there).slice(2)).toEqual(["ack", "message 2", "message 3"]);
    session.send(4);
    there.send(message(12));
    await settle();
    expect(saidTo(there).at(-1)).toBe("message 4");
    expect(session.welcome).toMatchObject({ playerNumber: 9, cluster: "there" });
    expect(events).toEqual(["message 10", "message 11", "moving b", "moved b", "message 12"]);
  });

  it("is told how long nothing came", async () => {
    const { clock, session, home, answers } = await travelling(["silence"]);
    const gaps: number[] = [];
    session.on("moved", ({ gapMs }) => gaps.push(gapMs));
    await clock.advance(500);
    home.send(message(1));
    await clock.advance(60);
    home.send(encodePong({ echoMs: 0, timeMs: 0 }));
    await sendOn(home, redirectTo("b"));
    answers.push(welcomeFrames(0));
    // The first try takes its second; the next comes after a wait.
    await clock.advance(1_000 + 125);
    expect(gaps).toEqual([60 + 1_000 + 125]);
  });

  it("[REQUEST-4] keeps its open requests", async () => {
    const { transport, session, home } = await travelling([welcomeFrames(1)]);
    const answer = session.request(5, empty);
    await settle();
    await sendOn(home, redirectTo("b"));
    const asked = home.messages.find((one) => one.type === "request");
    transport.last.send(encodeResponse({ id: asked?.id ?? 0, status: 0, payload: Uint8Array.of(6) }));
    expect(await answer).toEqual(Uint8Array.of(6));
  });

  it("[REDIRECT-4] takes nothing of the game from the old side any more", async () => {
    const { transport, events, home } = await travelling(["silence"]);
    await sendOn(home, redirectTo("b"));
    home.send(message(1), encodeAck({ received: 0 }), tokenFrame(5));
    expect(events).toEqual(["moving b"]);
    expect(saidTo(transport.last)).toEqual(["hello", "arrive"]);
  });

  it("[HAND-10] says the tenure that it had news from last", async () => {
    const { transport, session, home, answers } = await travelling([welcomeFrames(0)]);
    await sendOn(home, redirectTo("b"));
    answers.push(welcomeFrames(0, firstTenure + 2));
    await sendOn(transport.last, redirectTo("c", "02".repeat(16)));
    expect(transport.last.messages[1]).toMatchObject({
      type: "arrive",
      position: { tenure: firstTenure, received: 0 },
    });
    transport.last.send(message(1));
    answers.push(welcomeFrames(0, firstTenure + 3));
    await sendOn(transport.last, redirectTo("d", "03".repeat(16)));
    const position = { tenure: firstTenure + 2, received: 1, acknowledged: 0 };
    expect(transport.last.messages[1]).toMatchObject({ type: "arrive", position });
    session.send(1);
    await settle();
    transport.last.send(encodeAck({ received: 1 }));
    answers.push(welcomeFrames(1, firstTenure + 4));
    await sendOn(transport.last, redirectTo("e", "04".repeat(16)));
    const later = { tenure: firstTenure + 3, received: 1, acknowledged: 1 };
    expect(transport.last.messages[1]).toMatchObject({ type: "arrive", position: later });
  });

  it("asks for the place that it has taken meanwhile, once", async () => {
    const { clock, transport, session, home, answers } = await travelling(["no network"]);
    session.move({ ...place, x: 0 });
    await sendOn(home, redirectTo("b"));
    expect([session.move({ ...place, x: 5 }), session.move({ ...place, x: 6 })]).toEqual([true, true]);
    answers.push(welcomeFrames(0));
    await clock.advance(250);
    const moves = transport.last.messages.filter((one) => one.type === "move");
    expect(moves).toMatchObject([{ sequence: 2, x: 6 }]);
    expect(session.position.x).toBe(6);
    session.move({ ...place, x: 7 });
    await settle();
    expect(transport.last.messages.at(-1)).toMatchObject({ type: "move", sequence: 3, x: 7 });
  });

  it("[ARRIVE-7] asks for the place that it took last before it was sent on: it may have stood still already", async () => {
    const { transport, session, home } = await travelling([welcomeFrames(0)]);
    session.move({ ...place, x: 3 });
    await sendOn(home, redirectTo("b"));
    await settle();
    expect(transport.last.messages.filter((one) => one.type === "move")).toMatchObject([{ sequence: 2, x: 3 }]);
    expect(session.position.x).toBe(3);
  });

  it("[ENTITIES-6] sees what it saw until the first frame has come, and then all that is new in the same turn", async () => {
    const enters = (entity: number): Uint8Array =>
      encodeEntities({
        tick: 31,
        changes: Uint8Array.of(0, 1, 1, entity, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 1, 0, 0, 0, 0, 0),
      });
    const arrival = welcomeFrames(0, undefined, undefined, allFeatures);
    const { transport, session, home } = await travelling([arrival], allFeatures);
    home.send(kinds, enters(5));
    const told: string[] = [];
    session.world.on("enter", ({ number }) => told.push(`enter ${number}`));
    session.world.on("leave", ({ number }) => told.push(`leave ${number}`));
    await sendOn(home, redirectTo("b"));
    expect([session.state, session.world.size, told]).toEqual(["joined", 1, []]);
    transport.last.send(kinds);
    expect(session.world.find(5)?.shown.x).toBe(0);
    transport.last.send(enters(6));
    expect(told).toEqual(["leave 5", "enter 6"]);
  });

  it.each([
    [" not", [], "allocate after CONNECTION_LOST"],
    ["", [kinds], "resuming 1"],
  ])("[KINDS-4] that was%s told the kinds where it is now comes back as they allow", async (_not, told, next) => {
    const arrival = [...welcomeFrames(0, undefined, undefined, allFeatures), ...told];
    const { transport, events, home } = await travelling([arrival], allFeatures);
    home.send(kinds);
    await sendOn(home, redirectTo("b"));
    transport.last.end();
    await settle();
    expect(events.slice(0, 3)).toEqual(["moving b", "moved b", next]);
  });

  it("sends its farewell to the old side when it leaves on the way", async () => {
    const { transport, session, home } = await travelling(["silence"]);
    await sendOn(home, redirectTo("b"));
    void session.leave();
    await settle();
    expect(saidTo(home).at(-1)).toBe("close");
    expect([saidTo(transport.last), transport.last.state]).toEqual([["hello", "arrive"], "aborted"]);
    expect((await session.closed).code).toBe("NORMAL");
  });
});

describe("a redirect", () => {
  it("[REDIRECT-5] is void after STAY: the session is taken up where it was, at once", async () => {
    const { clock, transport, session, events, home, answers } = await travelling(["silence"]);
    session.send(1);
    await settle();
    await sendOn(home, redirectTo("b"));
    session.send(2);
    const there = transport.last;
    answers.push(resumedFrames(0));
    home.send(encodeStay({ id }));
    await clock.advance(0);
    expect([there.state, session.state]).toEqual(["aborted", "joined"]);
    expect(transport.last.cluster.id).toBe("a");
    expect(saidTo(transport.last)).toEqual(["hello", "resume", "ack", "message 1", "message 2"]);
    expect(events).toEqual(["moving b", "resuming 1", "resumed"]);
  });

  it("[REDIRECT-5] is not touched by STAY with another id, nor by one that comes when all is over", async () => {
    const { transport, session, home, answers } = await travelling(["silence"]);
    await sendOn(home, redirectTo("b"));
    home.send(encodeStay({ id: "ff".repeat(16) }));
    expect(session.state).toBe("moving");
    transport.last.send(...welcomeFrames(0));
    await settle();
    expect(session.state).toBe("joined");
    answers.push(resumedFrames(0));
    transport.last.send(encodeStay({ id }));
    home.handlers.onData(encodeStay({ id }));
    await settle();
    expect([session.state, transport.links.length]).toEqual(["joined", 2]);
  });

  it("[REDIRECT-5] that is repeated is one; another one takes its place", async () => {
    const { transport, events, home } = await travelling(["silence", "silence"]);
    await sendOn(home, redirectTo("b"));
    await sendOn(home, redirectTo("b"));
    expect(transport.links).toHaveLength(2);
    await sendOn(home, redirectTo("c", "02".repeat(16)));
    expect(transport.links.map(({ cluster, state }) => `${cluster.id} ${state}`)).toEqual([
      "a open",
      "b aborted",
      "c open",
    ]);
    expect(events).toEqual(["moving b", "moving c"]);
  });

  it("[REDIRECT-2] answers RESUME, and leads on from there", async () => {
    const { clock, transport, events, home, answers } = await travelling([[encodeRedirect(redirectTo("b"))]]);
    home.end();
    answers.push(welcomeFrames(0));
    await clock.advance(200);
    expect(transport.links.map(({ cluster, state }) => `${cluster.id} ${state}`)).toEqual([
      "a closing",
      "a aborted",
      "b open",
    ]);
    expect(saidTo(transport.links[1] ?? home)).toEqual(["hello", "resume"]);
    expect(events).toEqual(["resuming 1", "moving b", "moved b"]);
  });

  it("[REDIRECT-2] answers RESUME, and the cluster's clock goes on meanwhile", async () => {
    const { clock, session, home, answers } = await travelling([[encodeRedirect(redirectTo("b"))]]);
    await clock.advance(40);
    home.send(encodePong({ echoMs: 0, timeMs: sampleWelcome.timeMs + 20 }));
    home.end();
    answers.push("silence");
    await clock.advance(200);
    expect(session.state).toBe("moving");
    expect([session.serverTimeMs(), session.rttMs]).toEqual([sampleWelcome.timeMs + 240, 40]);
  });

  it("[REDIRECT-2] answers RESUME, and STAY over that connection takes it back", async () => {
    const { clock, transport, session, home, answers } = await travelling([[encodeRedirect(redirectTo("b"))]]);
    home.end();
    answers.push("silence", resumedFrames(0));
    await clock.advance(200);
    expect(session.state).toBe("moving");
    transport.links[1]?.send(encodeStay({ id }));
    await clock.advance(0);
    expect([session.state, transport.last.cluster.id]).toEqual(["joined", "a"]);
  });

  it("[REDIRECT-2] answers ARRIVE where the player has been handed on already", async () => {
    const onward = [encodeRedirect(redirectTo("c", "02".repeat(16)))];
    const { transport, session, events, home } = await travelling([onward, welcomeFrames(0)]);
    await sendOn(home, redirectTo("b"));
    expect(transport.links.map(({ cluster, state }) => `${cluster.id} ${state}`)).toEqual([
      "a aborted",
      "b aborted",
      "c open",
    ]);
    expect([session.state, ...events]).toEqual(["joined", "moving b", "moving c", "moved c"]);
  });

  it("[REDIRECT-6] is tried again, ever later, four times; then the player allocates", async () => {
    const { clock, transport, events, home } = await travelling();
    await sendOn(home, redirectTo("b"));
    for (const waitMs of [125, 250, 500]) {
      await clock.advance(waitMs - 1);
      const before = transport.links.length;
      await clock.advance(1);
      expect(transport.links.length).toBe(before + 1);
    }
    expect(events).toEqual(["moving b"]);
    await clock.advance(1_000);
    expect(events).toEqual(["moving b", "allocate after CONNECTION_LOST", "close NETWORK"]);
    expect(home.state).toBe("aborted");
  });

  it("[REDIRECT-6] ends with the refusal when the old side is gone as well", async () => {
    const { transport, session, events, home } = await travelling(["silence"]);
    await sendOn(home, redirectTo("b"));
    home.end();
    expect(session.state).toBe("moving");
    transport.last.send(encodeClose("NORMAL"));
    await settle();
    // CLOSE is nothing that answers ARRIVE.
    expect(events.slice(0, 2)).toEqual(["moving b", "allocate after CONNECTION_LOST"]);
  });

  it("[REDIRECT-6] that is refused is still followed while the old side lives", async () => {
    const { clock, session, events, home, answers } = await travelling(["ARRIVAL_UNKNOWN"]);
    await sendOn(home, redirectTo("b"));
    expect(session.state).toBe("moving");
    answers.push(welcomeFrames(0));
    await clock.advance(250);
    expect(events).toEqual(["moving b", "moved b"]);
  });

  it.each([
    ["KICKED", ["moving b", "close KICKED"]],
    ["REPLACED", ["moving b", "close REPLACED"]],
    ["SHUTTING_DOWN", ["moving b", "moved b"]],
  ] as const)("[REDIRECT-7] while the old side says %s", async (code, expected) => {
    const { transport, events, home } = await travelling(["silence"]);
    await sendOn(home, redirectTo("b"));
    home.send(encodeClose(code));
    transport.last.send(...welcomeFrames(0));
    await settle();
    expect(events).toEqual(expected);
  });

  it("[REDIRECT-8] is followed 30 times at once; who sends the player on once more is left", async () => {
    const { transport, events, home, answers } = await travelling();
    let link = home;
    for (let index = 0; index < 40; index++) {
      answers.push(index < 30 ? welcomeFrames(0, firstTenure + 1 + index) : "no network");
      await sendOn(link, redirectTo(index % 2 === 0 ? "b" : "a", index.toString(16).padStart(32, "0"), index));
      link = transport.last;
    }
    expect(transport.links.map(({ state }) => state)).toEqual([...Array(30).fill("aborted"), "aborted", "aborted"]);
    expect(transport.last.cluster.id).toBe("z");
    expect(events.slice(-3)).toEqual(["moved a", "allocate after CONNECTION_LOST", "close NETWORK"]);
  });

  it("[REDIRECT-8] in a storm leads to one connection at a time", async () => {
    const { transport, home } = await travelling(Array.from({ length: 40 }, () => "silence" as const));
    const storm = Array.from({ length: 100 }, (_, index) =>
      encodeRedirect(redirectTo(`c${index}`, index.toString(16).padStart(32, "0"))),
    );
    home.send(...storm);
    await settle();
    expect(transport.links.filter(({ state }) => state === "open").length).toBeLessThanOrEqual(2);
    expect(transport.links.length).toBeLessThanOrEqual(31);
  });
});

describe("an answer to ARRIVE", () => {
  const [welcome = empty, streams = empty, token = empty] = welcomeFrames(0);
  const badWelcome = encodeWelcome({ ...sampleWelcome, features: allFeatures & ~features.resume });

  it.each<[string, Uint8Array[]]>([
    ["[ARRIVE-5] fresh streams", [welcome, encodeStreams({ tenure: 1, received: 0, fresh: true }), token]],
    ["[ARRIVE-5] more taken than was sent", [welcome, encodeStreams({ tenure: 1, received: 2, fresh: false }), token]],
    [
      "[ARRIVE-5] a count that is the same modulo 2^32",
      [welcome, encodeStreams({ tenure: 1, received: 2 ** 32, fresh: false }), token],
    ],
    ["[STREAMS-2] no STREAMS", [welcome, token]],
    ["[STREAMS-2] STREAMS twice", [welcome, streams, streams, token]],
    ["[ARRIVE-5] STREAMS first", [streams, welcome, token]],
    ["[ARRIVE-5] a message before RESUME_TOKEN", [welcome, streams, message(1), token]],
    ["[ARRIVE-5] RESUMED", [...resumedFrames(0)]],
    ["[ARRIVE-2] HANDOVER without RESUME", [badWelcome, streams, token]],
    ["[REDIRECT-2] a redirect behind WELCOME", [welcome, encodeRedirect(redirectTo("c")), token]],
  ])("of %s is refused: the old side may say stay", async (_what, frames) => {
    const { clock, transport, session, events, home, answers } = await travelling([frames]);
    session.send(1);
    await settle();
    await sendOn(home, redirectTo("b"));
    expect([session.state, events]).toEqual(["moving", ["moving b"]]);
    answers.push(resumedFrames(0));
    home.send(encodeStay({ id }));
    await clock.advance(0);
    expect([session.state, saidTo(transport.last).at(-1)]).toEqual(["joined", "message 1"]);
  });
});

describe("where HANDOVER is not in force", () => {
  it.each([
    ["REDIRECT", encodeRedirect(redirectTo("b"))],
    ["STAY", encodeStay({ id })],
    ["STREAMS", encodeStreams({ tenure: 1, received: 0, fresh: false })],
  ])("[HELLO-6] %s is malformed", async (_what, frame) => {
    const { session, home } = await travelling([], allFeatures & ~(features.handover | features.ahead));
    home.send(frame);
    expect((await session.closed).code).toBe("BAD_FRAME");
  });
});

describe("a player that has to allocate", () => {
  const fresh = (received: number, isFresh: boolean): Uint8Array[] => [
    encodeWelcome({ ...sampleWelcome, features: allFeatures, cluster: "z" }),
    encodeStreams({ tenure: 2 ** 21, received, fresh: isFresh }),
    tokenFrame(9),
  ];

  it("[JOIN-5] [STREAMS-3] goes on with its streams where the cluster has them, also after CLOSE", async () => {
    const { transport, session, events, home, answers } = await travelling();
    session.send(1);
    session.send(2);
    const answer = session.request(5, empty);
    await settle();
    answers.push(fresh(1, false));
    home.send(encodeClose("SHUTTING_DOWN"));
    await settle();
    expect(transport.last.messages[1]).toMatchObject({
      type: "join",
      position: { tenure: firstTenure, received: 0, acknowledged: 0 },
    });
    expect(events).toEqual(["allocate after SHUTTING_DOWN", "rejoined on lost "]);
    expect(saidTo(transport.last).slice(2)).toEqual(["message 2", "request 5", "ack"]);
    transport.last.send(encodeResponse({ id: 1, status: 0, payload: Uint8Array.of(6) }));
    expect(await answer).toEqual(Uint8Array.of(6));
  });

  it("advises to ask again what was not answered while it goes on, and to allocate only where it is over", async () => {
    const inForce = allFeatures & ~(features.handover | features.ahead);
    const { session, home } = await travelling(["silence"], inForce);
    const open = session.request(5);
    while (session.send(1, new Uint8Array(1_000)));
    await expect(session.request(5, new Uint8Array(1_000))).rejects.toMatchObject({
      code: "QUEUE_FULL",
      advice: "retry",
    });
    home.send(encodeClose("SHUTTING_DOWN"));
    expect(session.state).toBe("rejoining");
    await expect(open).rejects.toMatchObject({ code: "CONNECTION_LOST", advice: "retry" });
    await expect(session.request(5)).rejects.toMatchObject({ code: "CONNECTION_LOST", advice: "retry" });
    void session.leave();
    await expect(session.request(5)).rejects.toMatchObject({ code: "CONNECTION_LOST", advice: "allocate" });
  });

  it("[STREAMS-3] is told what was lost where they begin anew", async () => {
    const { transport, session, events, home, answers } = await travelling();
    session.send(1);
    session.send(2);
    const answer = session.request(5, empty);
    await settle();
    answers.push(fresh(0, true));
    home.send(encodeAck({ received: 1 }), encodeClose("SHUTTING_DOWN"));
    expect(session.send(3)).toBe(false);
    await expect(answer).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    expect(events).toEqual(["allocate after SHUTTING_DOWN", "rejoined fresh lost 2"]);
    session.send(4);
    await settle();
    expect(saidTo(transport.last).slice(2)).toEqual(["ack", "message 4"]);
  });
});
