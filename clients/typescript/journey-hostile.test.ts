/** Clusters that do not keep to the protocol, or mean harm: a journey ends in play or in a clear error, and leaves nothing behind. */
import { describe, expect, it } from "vitest";
import {
  encodeAck,
  encodeClose,
  encodeMessage,
  encodeRedirect,
  encodeReject,
  encodeStay,
  encodeWelcome,
  features,
} from "../../protocol/index.ts";
import { settle } from "./testing/manual-clock.ts";
import { sampleWelcome } from "./testing/scripted-cluster.ts";
import { nextUnhandledRejection } from "./testing/uncaught-error.ts";
import {
  type Answer,
  firstTenure,
  redirectTo,
  resumedFrames,
  saidTo,
  sendOn,
  tokenFrame,
  type Travelling,
  travelling,
  welcomeFrames,
  worldless,
} from "./testing/travelling-session.ts";

const empty = new Uint8Array(0);
const message = (command: number): Uint8Array => encodeMessage({ command, payload: empty });
const { id } = redirectTo("b");
const otherId = "02".repeat(16);

/** Ends the session, whatever it is doing; what is left then. */
async function remains({ clock, transport, session }: Travelling): Promise<string[]> {
  const leaving = session.leave();
  // As long as a cluster may take to end its side, and no longer.
  await clock.advance(100);
  await leaving;
  const open = transport.links.filter(({ state }) => state === "open");
  return [...open.map(({ cluster }) => `a connection to ${cluster.id}`), ...(clock.pending > 0 ? ["timers"] : [])];
}

function open({ transport }: Travelling): string[] {
  return transport.links.filter(({ state }) => state === "open").map(({ cluster }) => cluster.id);
}

describe("a redirect that answers RESUME", () => {
  it("[REDIRECT-5] is void when STAY comes right behind it", async () => {
    const behind = [encodeRedirect(redirectTo("b")), encodeStay({ id })];
    const journey = await travelling([behind, "silence", resumedFrames(0)]);
    journey.home.end();
    await journey.clock.advance(200);
    expect([journey.session.state, journey.transport.last.cluster.id]).toEqual(["joined", "a"]);
    expect(await remains(journey)).toEqual([]);
  });

  it("[REDIRECT-7] is followed when the connection ends right behind it", async () => {
    const journey = await travelling();
    journey.transport.onConnect = (link) => {
      link.onJoin = () => {
        link.send(...(link.cluster.id === "a" ? [encodeRedirect(redirectTo("b"))] : welcomeFrames(0)));
        if (link.cluster.id === "a") link.end();
      };
    };
    journey.home.end();
    await journey.clock.advance(200);
    expect([journey.session.state, journey.events]).toEqual(["joined", ["resuming 1", "moving b", "moved b"]]);
  });

  it("[REDIRECT-5] gives way to another one that comes right behind it", async () => {
    const behind = [encodeRedirect(redirectTo("b")), encodeRedirect(redirectTo("c", otherId))];
    const journey = await travelling([behind, "silence", welcomeFrames(0)]);
    journey.home.end();
    await journey.clock.advance(200);
    expect(journey.events).toEqual(["resuming 1", "moving b", "moving c", "moved c"]);
    expect(open(journey)).toEqual(["c"]);
  });

  it("[REDIRECT-8] and is taken back, again and again, leads to 31 strangers at most", async () => {
    const journey = await travelling([], worldless, false);
    let strangers = 0;
    journey.transport.onConnect = (link, index) => {
      if (index > 500) return Promise.reject(new Error("no end"));
      if (link.cluster.id !== "a") strangers += 1;
      link.onJoin = () => {
        const one = index.toString(16).padStart(32, "0");
        if (link.cluster.id === "a") link.send(encodeRedirect(redirectTo("stranger", one)), encodeStay({ id: one }));
      };
      return undefined;
    };
    journey.home.end();
    await journey.clock.advance(1_000);
    expect(strangers).toBeLessThanOrEqual(31);
    expect(journey.events.at(-1)).toBe("close CONNECTION_LOST");
    expect(await remains(journey)).toEqual([]);
  });
});

describe("a cluster that sends the player around", () => {
  it("[REDIRECT-5] over and over with one id gets four tries, not more", async () => {
    const journey = await travelling();
    await sendOn(journey.home, redirectTo("b"));
    for (let step = 0; step < 40; step += 1) {
      await journey.clock.advance(100);
      if (journey.home.state === "open") await sendOn(journey.home, redirectTo("b"));
    }
    expect(journey.transport.links.map(({ cluster }) => cluster.id)).toEqual(["a", "b", "b", "b", "b", "z"]);
    expect(journey.events.at(-1)).toBe("close NETWORK");
  });

  it("[REDIRECT-5] with one id to two places is followed to the first alone, and that has an end", async () => {
    const journey = await travelling(["silence"]);
    await sendOn(journey.home, redirectTo("b"));
    await sendOn(journey.home, redirectTo("c", id, 2));
    await journey.clock.advance(20_000);
    expect(journey.transport.links.map(({ cluster }) => cluster.id)).toEqual(["a", "b", "b", "b", "b", "z"]);
    expect(journey.session.state).toBe("closed");
    expect(await remains(journey)).toEqual([]);
  });

  it("[REDIRECT-6] to itself, under the name of the process that it is, comes to an end", async () => {
    const journey = await travelling([welcomeFrames(0)]);
    await sendOn(journey.home, redirectTo("b"));
    journey.answers.push("silence");
    await sendOn(journey.transport.last, redirectTo("b", otherId));
    journey.transport.links[1]?.end();
    await journey.clock.advance(20_000);
    expect(journey.session.state).toBe("closed");
    expect(await remains(journey)).toEqual([]);
  });

  it("[REDIRECT-5] [REDIRECT-2] by one id, from where that led to, comes to an end", async () => {
    const circle = [encodeRedirect(redirectTo("b"))];
    const journey = await travelling([circle, circle]);
    await sendOn(journey.home, redirectTo("b"));
    await journey.clock.advance(60_000);
    expect(journey.session.state).toBe("closed");
    expect(journey.events.at(-1)).toBe("close NETWORK");
    expect(await remains(journey)).toEqual([]);
  });

  it("[REDIRECT-5] and takes it back 40 times has it follow 30 at most", async () => {
    const journey = await travelling([], worldless, false);
    journey.transport.onConnect = (link) => {
      if (link.cluster.id === "a") link.onJoin = () => link.send(...resumedFrames(0));
    };
    let link = journey.home;
    for (let index = 0; index < 40 && journey.session.state !== "closed"; index += 1) {
      const one = index.toString(16).padStart(32, "0");
      await sendOn(link, redirectTo("b", one));
      link.send(encodeStay({ id: one }));
      await journey.clock.advance(0);
      link = journey.transport.last;
    }
    expect(journey.transport.links.filter(({ cluster }) => cluster.id === "b")).toHaveLength(30);
    expect(journey.events.at(-1)).toBe("close CONNECTION_LOST");
    expect(await remains(journey)).toEqual([]);
  });
});

describe("a destination", () => {
  const ways: readonly [string, Answer][] = [
    ["never opens a connection", "no network"],
    ["opens it and says nothing", "silence"],
    ["ends it at once", "cut"],
    ["refuses", "ARRIVAL_UNKNOWN"],
    ["is shutting down", "SHUTTING_DOWN"],
    ["bans the player", encodedReject()],
    ["says half of it", [welcomeFrames(0)[0] ?? empty]],
    ["says all of it twice", [...welcomeFrames(0), ...welcomeFrames(0)]],
    ["says what is none of its type", [Uint8Array.of(1, 0, 0x3f)]],
    ["says a frame without a type", [Uint8Array.of(0, 0)]],
  ];

  it.each(ways)("[REDIRECT-6] that %s, every time, ends in a clear error", async (_what, answer) => {
    const journey = await travelling(Array.from({ length: 20 }, () => answer));
    await sendOn(journey.home, redirectTo("b"));
    await journey.clock.advance(60_000);
    expect(journey.session.state).toBe("closed");
    expect((await journey.session.closed).code).toMatch(
      /^(NETWORK|TIMEOUT|CONNECTION_LOST|BAD_FRAME|ARRIVAL_UNKNOWN|SHUTTING_DOWN|BANNED)$/,
    );
    expect([open(journey), journey.clock.pending]).toEqual([[], 0]);
  });

  it("[REDIRECT-6] that says that the player is banned ends the session at once, while the old side is there", async () => {
    const journey = await travelling([encodedReject(), resumedFrames(0)]);
    await sendOn(journey.home, redirectTo("b"));
    await journey.clock.advance(0);
    expect((await journey.session.closed).code).toBe("BANNED");
    expect(saidTo(journey.home)).not.toContain("close");
    expect(await remains(journey)).toEqual([]);
  });

  it.each(ways.filter(([what]) => what !== "bans the player"))(
    "[REDIRECT-5] that %s does no harm where the old side says stay",
    async (_what, answer) => {
      const journey = await travelling([answer, resumedFrames(0)]);
      journey.session.send(1);
      await settle();
      await sendOn(journey.home, redirectTo("b"));
      // One that has said all of it, and too much, had the player: that is a faulty cluster, and the end.
      const isBack = journey.session.state === "moving";
      journey.home.send(encodeStay({ id }));
      await journey.clock.advance(0);
      const after = isBack ? ["joined", "a", "message 1"] : ["closed", "b", "close"];
      expect([journey.session.state, journey.transport.last.cluster.id, saidTo(journey.transport.last).at(-1)]).toEqual(
        after,
      );
      expect(await remains(journey)).toEqual([]);
    },
  );

  it.each([
    [
      "without HANDOVER in force",
      [encodeWelcome({ ...sampleWelcome, features: features.resume | features.state }), tokenFrame(7)],
    ],
    ["without any feature in force", [encodeWelcome({ ...sampleWelcome, features: 0 })]],
    ["with the tenure of the cluster before", welcomeFrames(0, firstTenure)],
    ["with a tenure of long ago", welcomeFrames(0, 1)],
  ])("[ARRIVE-8] that welcomes %s is not believed: what was sent is still there", async (_what, frames) => {
    const journey = await travelling([frames, resumedFrames(0)]);
    journey.session.send(1);
    await settle();
    await sendOn(journey.home, redirectTo("b"));
    expect([journey.session.state, journey.events]).toEqual(["moving", ["moving b"]]);
    journey.home.send(encodeStay({ id }));
    await journey.clock.advance(0);
    expect(saidTo(journey.transport.last).at(-1)).toBe("message 1");
  });

  it("[REDIRECT-4] is the only one that is believed, once it has answered", async () => {
    const journey = await travelling([welcomeFrames(0)]);
    await sendOn(journey.home, redirectTo("b"));
    const { last } = journey.transport;
    const late = [
      message(66),
      encodeAck({ received: 0 }),
      encodeStay({ id }),
      encodeRedirect(redirectTo("c", otherId)),
    ];
    journey.home.handlers.onData(new Uint8Array(Buffer.concat([...late, encodeClose("KICKED")])));
    journey.home.handlers.onClose();
    last.send(message(1));
    await journey.clock.advance(5_000);
    expect([journey.session.state, journey.events]).toEqual(["joined", ["moving b", "moved b", "message 1"]]);
    expect(journey.transport.links).toHaveLength(2);
  });

  it("[REDIRECT-5] that answers when another one is followed already is hung up on, and nothing of it counts", async () => {
    const journey = await travelling(["silence", welcomeFrames(0)]);
    await sendOn(journey.home, redirectTo("b"));
    const first = journey.transport.last;
    await sendOn(journey.home, redirectTo("c", otherId));
    first.handlers.onData(new Uint8Array(Buffer.concat([...welcomeFrames(0, firstTenure + 9), message(66)])));
    await settle();
    expect([journey.events, first.state]).toEqual([["moving b", "moving c", "moved c"], "aborted"]);
    expect(saidTo(first)).toEqual(["hello", "arrive"]);
  });

  it("[ARRIVE-5] that begins to speak before it was asked is malformed", async () => {
    const journey = await travelling();
    journey.transport.onConnect = (link) => {
      link.handlers.onData(welcomeFrames(0)[0] ?? empty);
    };
    await sendOn(journey.home, redirectTo("b"));
    expect([journey.session.state, journey.transport.last.state]).toEqual(["moving", "aborted"]);
    expect(saidTo(journey.transport.last)).toEqual([]);
    expect(await remains(journey)).toEqual([]);
  });
});

it("a fault of a transport's own surfaces, and leaves no connection behind", async () => {
  const fault = new TypeError("a transport with a fault");
  const surfaced = nextUnhandledRejection();
  const journey = await travelling([], worldless, true, { arrive: () => Promise.reject(fault) });
  await sendOn(journey.home, redirectTo("b"));
  expect(await surfaced).toBe(fault);
  expect([journey.events.at(-1), open(journey)]).toEqual(["close NETWORK", []]);
  expect(await remains(journey)).toEqual([]);
});

describe("a player that leaves", () => {
  it("when it is told that it moves opens nothing any more", async () => {
    const journey = await travelling([welcomeFrames(0)]);
    journey.session.on("moving", () => void journey.session.leave());
    await sendOn(journey.home, redirectTo("b"));
    expect(journey.transport.links).toHaveLength(1);
    expect(saidTo(journey.home).at(-1)).toBe("close");
    expect(await remains(journey)).toEqual([]);
  });

  it("when it is told that it has moved says so there", async () => {
    const journey = await travelling([welcomeFrames(0)]);
    journey.session.on("moved", () => void journey.session.leave());
    await sendOn(journey.home, redirectTo("b"));
    expect(saidTo(journey.transport.last).at(-1)).toBe("close");
    expect(await remains(journey)).toEqual([]);
  });

  it.each<[string, Answer[], number]>([
    ["while it waits for the next try", ["no network"], 10],
    ["while the destination says nothing", ["silence"], 10],
    ["while the old side takes it back", ["silence", "silence"], 0],
  ])("%s leaves nothing behind", async (_what, answers, waitMs) => {
    const journey = await travelling(answers);
    await sendOn(journey.home, redirectTo("b"));
    await journey.clock.advance(waitMs);
    if (waitMs === 0) journey.home.send(encodeStay({ id }));
    expect(await remains(journey)).toEqual([]);
    expect((await journey.session.closed).code).toBe("NORMAL");
  });
});

function encodedReject(): Uint8Array[] {
  return [encodeReject("BANNED")];
}
