/** A handover as the client sees it, cut at each of its steps, and in every disorder that the channels allow. */
import { describe, expect, it } from "vitest";
import { messageTypes } from "../../protocol/index.ts";
import { createRandom, randomInteger } from "../../protocol/testing/seeded-random.ts";
import { AuditedJourney } from "./testing/audited-journey.ts";
import type { Line } from "./testing/faithful-clusters.ts";
import { settle } from "./testing/manual-clock.ts";

type Clusters = AuditedJourney["clusters"];

/** What happens, one after the other, when nothing goes wrong. */
const steps: readonly [string, (journey: AuditedJourney) => void][] = [
  ["both sides have said something", (journey) => (journey.send(), journey.clusters.say(), journey.clusters.say())],
  ["half of it has come", ({ clusters }) => (absorb(clusters, "a"), deliver(clusters, "a", "message"))],
  ["an input is on its way", (journey) => journey.send()],
  [
    "the client is told where it may be sent",
    ({ clusters }) => (clusters.announce("b"), deliver(clusters, "a", "ahead")),
  ],
  ["the player is handed over", ({ clusters }) => clusters.handOver("b")],
  ["an input has come too late for the old side", ({ clusters }) => absorb(clusters, "a")],
  ["what was said before REDIRECT has come", ({ clusters }) => deliver(clusters, "a", "message")],
  ["REDIRECT has come", ({ clusters }) => deliver(clusters, "a", "redirect")],
  ["the client has sent while moving", (journey) => (journey.send(), journey.clusters.say())],
  ["HELLO has come", ({ clusters }) => absorb(clusters, "b", "hello")],
  ["ARRIVE has come", ({ clusters }) => absorb(clusters, "b", "arrive")],
  ["WELCOME has come", ({ clusters }) => deliver(clusters, "b", "welcome")],
  ["STREAMS has come", ({ clusters }) => deliver(clusters, "b", "streams")],
  ["RESUME_TOKEN has come", ({ clusters }) => deliver(clusters, "b", "resumeToken")],
  ["the first message has come", ({ clusters }) => deliver(clusters, "b", "message")],
  ["ACK has come", ({ clusters }) => absorb(clusters, "b", "ack")],
  ["the first input has come", ({ clusters }) => absorb(clusters, "b", "message")],
  ["the old side has seen the end", (journey) => (journey.send(), absorb(journey.clusters, "a"))],
  ["the new side has acknowledged", ({ clusters }) => (clusters.acknowledge(), deliver(clusters, "b", "ack"))],
];

/** What the cluster has said comes, up to the next of this type. */
function deliver(clusters: Clusters, at: string, type: keyof typeof messageTypes): void {
  for (const line of clusters.lines) {
    if (line.cluster !== at) continue;
    const index = line.coming.findIndex((frame) => frame[2] === messageTypes[type]);
    if (index >= 0) clusters.deliver(line, index + 1);
  }
}

/** What the client has said comes, up to the next of this type. */
function absorb(clusters: Clusters, at: string, type?: keyof typeof messageTypes): void {
  for (const line of clusters.lines) {
    if (line.cluster !== at) continue;
    const left = line.link.messages.slice(line.taken);
    const index = left.findIndex((message) => message.type === type);
    clusters.absorb(line, type === undefined ? left.length : index + 1);
  }
}

function each(lines: readonly Line[], run: (line: Line) => void): void {
  for (const line of lines) run(line);
}

async function playUntil(count: number): Promise<AuditedJourney> {
  const journey = new AuditedJourney();
  await journey.join();
  for (const [, step] of steps.slice(0, count)) {
    step(journey);
    await settle();
  }
  return journey;
}

const cuts: readonly [string, readonly string[]][] = [
  ["the old connection", ["a"]],
  ["the new connection", ["b"]],
  ["both", ["a", "b"]],
];

function cut(clusters: Clusters, at: readonly string[]): void {
  for (const line of clusters.lines) if (at.includes(line.cluster)) clusters.cut(line);
}

describe("[HAND-9] [HAND-13] a handover goes its way", () => {
  it("when nothing is cut", async () => {
    const journey = await playUntil(steps.length);
    expect(journey.events).toEqual(["moving b", "moved b"]);
    await journey.heal();
    expect([journey.faults(), journey.events, await journey.leave()]).toEqual([[], ["moving b", "moved b"], []]);
  });

  describe.each(steps.map(([name], index) => [name, index + 1] as const))("when %s", (_name, count) => {
    it.each(cuts)("and %s is cut", async (_what, at) => {
      const journey = await playUntil(count);
      cut(journey.clusters, at);
      journey.send();
      journey.clusters.say();
      await journey.heal();
      expect([journey.faults(), journey.events.includes("rejoined"), journey.ended]).toEqual([[], false, undefined]);
      expect(await journey.leave()).toEqual([]);
    });

    it.each(cuts)("and the source takes the player back, and %s is cut", async (_what, at) => {
      const journey = await playUntil(count);
      const { clusters } = journey;
      const isBack = clusters.takeBack();
      // The word that the player stays is lost with the connection: refused there, it begins again here, and is told what was lost. [REDIRECT-6]
      const mayBeginAgain = isBack && journey.session.state === "moving" && at.includes("a");
      cut(clusters, at);
      journey.send();
      clusters.say();
      await journey.heal();
      expect([journey.faults(), journey.ended]).toEqual([[], undefined]);
      expect(journey.events.includes("rejoined")).toBe(mayBeginAgain);
      expect(clusters.holder).toBe(isBack || count < 5 ? "a" : "b");
    });
  });
});

describe("[FRAME-1] [HAND-9] a connection that ends in the middle of a frame", () => {
  /** So many bytes of what is on its way come, and then the end. */
  function cutAfter(clusters: Clusters, at: string, bytes: number): boolean {
    const line = clusters.lines.find(({ cluster }) => cluster === at);
    if (line === undefined) throw new Error(`there is no connection to ${at}`);
    const all = Buffer.concat(line.coming);
    line.link.handlers.onData(new Uint8Array(all.subarray(0, bytes)));
    clusters.cut(line);
    return bytes >= all.length;
  }

  it.each([
    ["REDIRECT", "the player is handed over", "a"],
    ["the answer to ARRIVE", "ARRIVE has come", "b"],
  ])("as of %s", async (_what, name, at) => {
    const count = steps.findIndex(([step]) => step === name) + 1;
    for (let bytes = 0, isAll = false; !isAll; bytes += 3) {
      const journey = await playUntil(count);
      isAll = cutAfter(journey.clusters, at, bytes);
      journey.send();
      await journey.heal();
      expect({ bytes, faults: journey.faults(), ended: journey.ended }).toEqual({
        bytes,
        faults: [],
        ended: undefined,
      });
      expect(journey.events).not.toContain("rejoined");
    }
  });
});

describe("[HAND-9] [HAND-13] a journey ends in play, with each message once and in order", () => {
  it.each(Array.from({ length: 12 }, (_, index) => index * 25))(
    "whatever comes first, seeds from %i",
    async (first) => {
      for (let seed = first; seed < first + 25; seed += 1) {
        const { journey, log } = await wander(seed);
        await journey.heal();
        expect({ seed, faults: journey.faults(), ended: journey.ended }, log.join("\n")).toEqual({
          seed,
          faults: [],
          ended: undefined,
        });
        expect({ seed, left: await journey.leave() }).toEqual({ seed, left: [] });
      }
    },
  );
});

/** A life in disorder: links that are slow, cut or dead, redirects that come twice, and players who are taken back. */
async function wander(seed: number): Promise<{ readonly journey: AuditedJourney; readonly log: string[] }> {
  const random = createRandom(seed);
  const log: string[] = [];
  const journey = new AuditedJourney();
  await journey.join(random);
  const { clusters, clock } = journey;
  const pick = <T>(of: readonly T[]): T | undefined => of[randomInteger(random, 0, of.length - 1)];
  const cluster = (): string => pick(["a", "b", "c"]) ?? "a";
  const actions: readonly [number, string, () => void | Promise<void>][] = [
    [
      20,
      "deliver",
      () => each(clusters.lines.slice(-3), (line) => clusters.deliver(line, randomInteger(random, 0, 3))),
    ],
    [20, "absorb", () => each(clusters.lines.slice(-3), (line) => clusters.absorb(line, randomInteger(random, 0, 3)))],
    [10, "send", () => journey.send()],
    [10, "say", () => clusters.say()],
    [4, "acknowledge", () => clusters.acknowledge()],
    [
      6,
      "hand over",
      () =>
        clusters.current === undefined
          ? undefined
          : clusters.handOver(
              pick([clusters.announced, "a", "b", "c"].filter((one) => one !== clusters.holder)) ?? "a",
            ),
    ],
    [4, "announce", () => clusters.announce(pick(["a", "b", "c"].filter((one) => one !== clusters.holder)) ?? "a")],
    [1, "call off", () => clusters.callOff()],
    [2, "take back", () => void clusters.takeBack()],
    [2, "redirect again", () => clusters.repeatRedirect()],
    [3, "cut", () => each(clusters.lines.slice(-2), (line) => (random() < 0.5 ? clusters.cut(line) : undefined))],
    [1, "away", () => void clusters.away.add(cluster())],
    [1, "mute", () => void clusters.mute.add(cluster())],
    [2, "back", () => (clusters.away.clear(), clusters.mute.clear())],
    [10, "wait", () => clock.advance(randomInteger(random, 0, 400))],
  ];
  const sum = actions.reduce((weights, [weight]) => weights + weight, 0);
  for (let step = 0; step < 80; step += 1) {
    let left = random() * sum;
    const [, name, run] = actions.find(([weight]) => (left -= weight) < 0) ?? actions[0] ?? [0, "", () => undefined];
    log.push(`${name} (${journey.session.state})`);
    await run();
    await settle();
  }
  return { journey, log };
}
