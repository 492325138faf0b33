/** The view of a session over a connection in memory and a clock that stands still. */
import { describe, expect, it } from "vitest";
import {
  encodeClose,
  encodeEntities,
  encodeFragment,
  encodeKinds,
  encodePong,
  encodeResumed,
  encodeResumeToken,
  encodeWelcome,
  type EntityKind,
  features,
} from "../../protocol/index.ts";
import { fromHex } from "../../protocol/vectors/hex.ts";
import { openConnection, resumeConnection } from "./opening.ts";
import { GameSession } from "./game-session.ts";
import { contextOf } from "./testing/connection-context.ts";
import { ManualClock, settle } from "./testing/manual-clock.ts";
import { MemoryTransport } from "./testing/memory-transport.ts";
import { sampleWelcome } from "./testing/scripted-cluster.ts";

const cluster = {
  id: "c",
  name: "C",
  host: "127.0.0.1",
  port: 1,
  tls: { serverName: "c.invalid", caPem: "", sha256: "" },
};
const kinds: EntityKind[] = [
  {
    id: 0,
    name: "player",
    fields: [
      { name: "number", type: "u32" },
      { name: "heading", type: "angle" },
    ],
  },
  { id: 1, name: "stone", fields: [] },
];
const fragment = { tick: 30, updateHz: 15, viewRange: 50, precision: 0.5, speedLimit: 0, name: "meadow" };
const inForce = features.world | features.resume | features.state;

const changes = (hex: string): Uint8Array => fromHex(hex.replaceAll(" ", ""));
/** Player 9 enters as entity 300 at (10, 0, -2) steps of 0.5. */
const enters = encodeEntities({ tick: 30, changes: changes("00 01 05 ac02 00 0000003f 140003 09000000 0040") });
const walks = (tick: number): Uint8Array => encodeEntities({ tick, changes: changes("00 00 05 01 3000") });

/** @param behind what comes in one piece with WELCOME */
async function join(force: number = inForce, behind: readonly Uint8Array[] = []) {
  const clock = new ManualClock();
  const transport = new MemoryTransport();
  const context = contextOf(transport, clock);
  transport.onConnect = (link, index) => {
    link.onJoin = () => {
      const token = encodeResumeToken({ graceMs: 5_000, token: Uint8Array.of(index + 1) });
      // 30 ticks a second, and the cluster's clock stands at 1,000 ms in tick 30.
      if (index === 0) link.send(encodeWelcome({ ...sampleWelcome, features: force }), ...behind);
      else link.send(encodeResumed({ received: 0, timeMs: 1_000, tick: 30, tickHz: 30 }));
      if ((force & features.resume) !== 0) link.send(token);
    };
  };
  const joined = await openConnection({ cluster, ticket: "t" }, context);
  const session = new GameSession(joined, {
    clock,
    rejoin: undefined,
    stableMs: 0,
    resumption: {
      open: (memory, signal) => resumeConnection(memory, context, signal),
      clock,
      random: () => 0,
    },
  });
  const { world } = session;
  const told: string[] = [];
  world.on("enter", ({ number }) => told.push(`enter ${number}`));
  world.on("update", ({ number, tick }) => told.push(`update ${number} at ${tick}`));
  world.on("leave", ({ number }) => told.push(`leave ${number}`));
  world.on("fragment", ({ name, updateHz }) => told.push(`fragment ${name} ${updateHz}`));
  return { clock, transport, session, world, told };
}

describe("a session's world", () => {
  it("rebuilds the view and reports what enters, changes and leaves", async () => {
    const { transport, world, told } = await join();
    transport.last.send(encodeKinds({ kinds }), encodeFragment(fragment), enters);
    expect(world.find(300)).toMatchObject({ kind: "player", player: 9, told: { x: 5, y: 0, z: -1, heading: 0x4000 } });
    expect([world.size, world.tick, world.fragment?.name]).toEqual([1, 30, "meadow"]);
    transport.last.send(walks(32), encodeEntities({ tick: 33, changes: changes("01 05 00") }));
    expect(told).toEqual(["fragment meadow 15", "enter 300", "update 300 at 32", "leave 300"]);
    expect(Array.from(world.entities())).toEqual([]);
  });

  it("shows entities two frames late by the cluster's clock, or as late as the game wants, and between frames", async () => {
    const { clock, transport, world } = await join();
    transport.last.send(encodeKinds({ kinds }), encodeFragment(fragment), enters, walks(32), walks(34));
    const x = (): number => Math.round((world.find(300)?.shown.x ?? 0) * 10) / 10;
    // 15 frames a second of 30 ticks: four ticks late.
    expect(x()).toBe(5);
    await clock.advance((4_000 + 1_000) / 30);
    expect(x()).toBe(11);
    await clock.advance(1_000 / 30);
    expect(x()).toBe(17);
    await clock.advance(1_000);
    expect([x(), world.find(300)?.told.x]).toEqual([29, 29]);
    world.delayMs = 1_000 + 4_000 / 30;
    expect(x()).toBe(17);
  });

  it("never goes back, nor leaps, where frames come at another rate from now on", async () => {
    const { clock, transport, world } = await join();
    transport.last.send(encodeKinds({ kinds }), encodeFragment(fragment), enters);
    // Six units of x a tick, from 5 at tick 30.
    for (let tick = 32; tick <= 140; tick += 2) transport.last.send(walks(tick));
    const x = (): number => world.find(300)?.shown.x ?? 0;
    const behind = (): number => Math.round(10 * ((clock.nowMs() * 30) / 1_000 - (x() - 5) / 6)) / 10;
    const shownFor = async (ticks: number): Promise<number[]> => {
      const steps: number[] = [];
      for (let tick = 0; tick < ticks; tick++) {
        const before = x();
        await clock.advance(1_000 / 30);
        steps.push(Math.round(10 * (x() - before)) / 10);
      }
      return steps;
    };
    await shownFor(10);
    expect([behind(), new Set(await shownFor(5))]).toEqual([4, new Set([6])]);
    // Three frames a second: 20 ticks late, and not four.
    transport.last.send(encodeFragment({ ...fragment, updateHz: 3 }));
    expect([behind(), new Set(await shownFor(31))]).toEqual([4, new Set([3])]);
    await shownFor(2);
    expect([behind(), new Set(await shownFor(10))]).toEqual([20, new Set([6])]);
    transport.last.send(encodeFragment({ ...fragment, updateHz: 30 }));
    expect([behind(), new Set(await shownFor(35))]).toEqual([20, new Set([9])]);
    await shownFor(2);
    expect([behind(), new Set(await shownFor(5))]).toEqual([2, new Set([6])]);
  });

  it("goes on evenly also where it is told every fourth frame, as what is far off", async () => {
    const { clock, transport, world } = await join();
    transport.last.send(encodeKinds({ kinds }), encodeFragment(fragment), enters);
    const shown: number[] = [];
    for (let tick = 31; tick <= 190; tick++) {
      await clock.advance(1_000 / 30);
      // 24 units of x in eight ticks.
      if (tick % 8 === 0) transport.last.send(walks(tick));
      shown.push(world.find(300)?.shown.x ?? 0);
    }
    const steps = shown.map((x, index) => Math.round(100 * (x - (shown[index - 1] ?? 0))) / 100);
    expect(new Set(steps.slice(40))).toEqual(new Set([1.5]));
  });

  it("never goes back, nor leaps, when the cluster's clock turns out to be another than was thought", async () => {
    const { clock, transport, session, world } = await join();
    transport.last.send(encodeKinds({ kinds }), encodeFragment(fragment), enters);
    const walk = (from: number, to: number): void => {
      for (let tick = from; tick <= to; tick += 2) transport.last.send(walks(tick));
    };
    walk(32, 100);
    const seen = () => ({ timeMs: session.serverTimeMs(), x: world.find(300)?.shown.x ?? 0 });
    const pass = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 10) {
        const before = seen();
        await clock.advance(10);
        const { timeMs, x } = seen();
        expect(timeMs - before.timeMs).toBeGreaterThanOrEqual(4.99);
        expect(timeMs - before.timeMs).toBeLessThanOrEqual(15.01);
        // 1.8 units in 10 ms.
        expect(x - before.x).toBeGreaterThanOrEqual(0.89);
        expect(x - before.x).toBeLessThanOrEqual(2.71);
      }
    };
    await clock.advance(400);
    const late = seen();
    // 400 ms, all of them on the way back: half of that is too little.
    transport.last.send(encodePong({ echoMs: 0, timeMs: 1_000 }));
    expect(seen()).toEqual(late);
    await pass(1_000);
    expect(session.serverTimeMs()).toBe(clock.nowMs() + 800);
    await clock.advance(4_000 - clock.nowMs());
    walk(102, 220);
    await clock.advance(5_010 - clock.nowMs());
    const early = seen();
    transport.last.send(encodePong({ echoMs: 5_000, timeMs: 6_005 }));
    expect(seen()).toEqual(early);
    await pass(1_000);
    expect(session.serverTimeMs()).toBe(clock.nowMs() + 1_000);
  });

  it("[ENTITIES-6] begins anew with an empty view when the session is resumed, with the kinds of before", async () => {
    const { clock, transport, session, world, told } = await join();
    transport.last.send(encodeKinds({ kinds }), enters);
    transport.last.end();
    expect([session.state, world.size]).toEqual(["resuming", 1]);
    for (let second = 0; second < 10 && session.state !== "joined"; second++) await clock.advance(1_000);
    await settle();
    expect([session.state, world.size]).toEqual(["joined", 0]);
    transport.last.send(enters);
    expect(told).toEqual(["enter 300", "leave 300", "enter 300"]);
  });

  it("tells nothing more once the session was left in what it told", async () => {
    const { transport, session, world, told } = await join();
    session.on("close", () => told.push("close"));
    world.on("enter", () => void session.leave());
    const two = changes("00 02 05 ac02 00 0000003f 140003 09000000 0040 06 ad02 00 0000003f 140003 0a000000 0040");
    transport.last.send(encodeKinds({ kinds }), encodeEntities({ tick: 30, changes: two }));
    expect(told).toEqual(["enter 300", "close"]);
  });

  it("and nor does the session, where that was as its view began anew", async () => {
    const { clock, transport, session, world, told } = await join();
    transport.last.send(encodeKinds({ kinds }), enters);
    session.on("close", () => told.push("close"));
    session.on("resumed", () => told.push("resumed"));
    world.on("leave", () => void session.leave());
    transport.last.end();
    await clock.advance(200);
    expect([session.state, told]).toEqual(["closed", ["enter 300", "leave 300", "close"]]);
  });

  it.each([
    ["ENTITIES before KINDS", [enters]],
    ["[KINDS-2] KINDS twice", [encodeKinds({ kinds }), encodeKinds({ kinds })]],
    ["[ENTITIES-1] an update of nothing", [encodeKinds({ kinds }), walks(9)]],
  ])("ends the connection at %s", async (_what, frames) => {
    const { transport, session } = await join();
    transport.last.send(...frames);
    expect((await session.closed).code).toBe("BAD_FRAME");
  });

  it.each([
    ["CLOSE", [encodeClose("SHUTTING_DOWN")]],
    ["what else is malformed", [Uint8Array.of(0, 0)]],
  ])("ends the session also where %s came with what is malformed, before anybody listened", async (_what, frames) => {
    const { session } = await join(inForce, [walks(9), ...frames]);
    expect(session.state).toBe("closed");
    expect((await session.closed).code).toBe("BAD_FRAME");
  });

  it("[HELLO-6] has none where WORLD is not in force", async () => {
    const { transport, session } = await join(inForce & ~features.world);
    transport.last.send(encodeKinds({ kinds }));
    expect((await session.closed).code).toBe("BAD_FRAME");
  });
});
