/** The session over a connection in memory and a clock that stands still: coming back, positions, bounds. */
import { describe, expect, it } from "vitest";
import {
  type AllocateRequest,
  type CloseCode,
  encodeClose,
  encodeMessage,
  encodePong,
  encodePosition,
  encodeReject,
  encodeWelcome,
  type Welcome,
} from "../../protocol/index.ts";
import { openConnection } from "./opening.ts";
import { enter, enterAgain, type Entrance, type RejoinPolicy } from "./entrance.ts";
import { localError, SustenetError } from "./error.ts";
import { GameSession } from "./game-session.ts";
import { contextOf } from "./testing/connection-context.ts";
import { ManualClock, settle } from "./testing/manual-clock.ts";
import { type MemoryLink, MemoryTransport } from "./testing/memory-transport.ts";
import { sampleWelcome } from "./testing/scripted-cluster.ts";
import { sampleAllocation } from "./testing/scripted-master.ts";

const cluster = {
  id: "c",
  name: "C",
  host: "127.0.0.1",
  port: 1,
  tls: { serverName: "c.invalid", caPem: "", sha256: "" },
};

type Reaction = "welcome" | "silent close" | "no network" | CloseCode;

interface World {
  readonly clock: ManualClock;
  readonly transport: MemoryTransport;
  /** What each allocation asked for. */
  readonly asked: AllocateRequest[];
  /** What the clusters do, one entry a connection; the last one repeats. */
  readonly reactions: Reaction[];
  /** What allocations fail with, one entry each; then they succeed. */
  readonly refusals: (SustenetError | undefined)[];
  readonly join: (request?: AllocateRequest, withTicket?: boolean) => Promise<GameSession>;
}

function createWorld(coming: "back" | "off" = "back", random: () => number = () => 0): World {
  const policy: RejoinPolicy | undefined = coming === "off" ? undefined : { attempts: 3, maxDelayMs: 4_000 };
  const clock = new ManualClock();
  const transport = new MemoryTransport();
  const asked: AllocateRequest[] = [];
  const reactions: Reaction[] = ["welcome"];
  const refusals: (SustenetError | undefined)[] = [];
  transport.onConnect = (link, index) => {
    const reaction = reactions[Math.min(index, reactions.length - 1)] ?? "welcome";
    if (reaction === "no network") throw localError("NETWORK");
    link.onJoin = () => react(link, reaction, index);
  };
  const context = contextOf(transport, clock);
  const entrance: Entrance = {
    allocate: async (request) => {
      asked.push(request);
      const refusal = refusals.shift();
      if (refusal !== undefined) throw refusal;
      return { ...sampleAllocation(cluster, `ticket-${asked.length}`), request };
    },
    open: (allocation, signal) => openConnection(allocation, context, signal),
    policy,
    clock,
    random,
  };
  const join = async (request: AllocateRequest = {}, withTicket = false): Promise<GameSession> => {
    const allocation = withTicket ? sampleAllocation(cluster, "given") : undefined;
    const entered = await enter(entrance, allocation, request);
    return new GameSession(entered, {
      clock,
      stableMs: policy?.maxDelayMs ?? 0,
      rejoin:
        policy &&
        ((failure, attempt, signal, onAttempt) =>
          enterAgain(entrance, { request, failure, attempt }, signal, onAttempt)),
    });
  };
  return { clock, transport, asked, reactions, refusals, join };
}

function react(link: MemoryLink, reaction: Exclude<Reaction, "no network">, index: number): void {
  if (reaction === "welcome") link.send(encodeWelcome({ ...sampleWelcome, playerNumber: index, x: index }));
  else if (reaction === "silent close") link.end();
  else link.send(encodeReject(reaction));
}

/** Every event of a session, in order. */
function record(session: GameSession): string[] {
  const events: string[] = [];
  session.on("message", ({ command }) => events.push(`message ${command}`));
  session.on("position", ({ sequence, x }) => events.push(`position ${sequence} x=${x}`));
  session.on("latency", ({ rttMs }) => events.push(`latency ${rttMs}`));
  session.on("rejoining", ({ attempt, delayMs, reason }) => {
    events.push(`rejoining ${attempt} in ${delayMs} after ${reason.code}`);
  });
  session.on("rejoined", ({ welcome }) => events.push(`rejoined as ${welcome.playerNumber}`));
  session.on("close", ({ code, advice }) => events.push(`close ${code} ${advice}`));
  return events;
}

/** Joins, while the clock goes on as far as that takes. */
async function joined(world: World, request?: AllocateRequest, withTicket?: boolean): Promise<GameSession> {
  const progress = { isSettled: false };
  const joining = world.join(request, withTicket);
  const settled = (): boolean => (progress.isSettled = true);
  joining.then(settled, settled);
  await settle();
  for (let step = 0; step < 200 && !progress.isSettled; step++) await world.clock.advance(100);
  return joining;
}

describe("joining", () => {
  it("[TICKET-6] allocates anew by itself when the cluster has restarted, also for a ticket that it was given", async () => {
    const world = createWorld();
    world.reactions.splice(0, 1, "STALE_BOOT", "welcome");
    const session = await joined(world, { region: "eu" }, true);
    expect(session.welcome.playerNumber).toBe(1);
    expect(world.asked).toEqual([{ region: "eu" }]);
    const tickets = world.transport.links.flatMap((link) => link.messages.filter((message) => message.type === "join"));
    expect(tickets.map(({ ticket }) => ticket)).toEqual(["given", "ticket-1"]);
  });

  it.each([
    "SHUTTING_DOWN",
    "INTERNAL",
    "EXPIRED",
    "NOT_YET_VALID",
    "REPLAYED",
    "FULL",
    "WRONG_TICKET",
    "STALE_GENERATION",
    "BUSY",
    "silent close",
    "no network",
  ] as const)("[REJECT-1] tries again after %s", async (reaction) => {
    const world = createWorld();
    world.reactions.splice(0, 1, reaction, "welcome");
    await expect(joined(world)).resolves.toMatchObject({ state: "joined" });
    expect(world.asked).toHaveLength(2);
  });

  it("[REJECT-1] does not try again after VERSION_UNSUPPORTED", async () => {
    const world = createWorld();
    world.reactions.splice(0, 1, "VERSION_UNSUPPORTED");
    await expect(joined(world)).rejects.toMatchObject({ code: "VERSION_UNSUPPORTED", advice: "stop" });
    expect(world.transport.links).toHaveLength(1);
  });

  it("ends with the last code when its tries are used up, and leaves no timer behind", async () => {
    const world = createWorld();
    world.reactions.splice(0, 1, "FULL", "BUSY");
    await expect(joined(world)).rejects.toMatchObject({ code: "BUSY" });
    expect(world.transport.links).toHaveLength(4);
    expect(world.clock.pending).toBe(0);
  });

  it("tries once where coming back is switched off", async () => {
    const world = createWorld("off");
    world.reactions.splice(0, 1, "STALE_BOOT");
    await expect(joined(world)).rejects.toMatchObject({ code: "STALE_BOOT" });
    expect(world.transport.links).toHaveLength(1);
  });

  it("passes the master's refusal on at once", async () => {
    const world = createWorld();
    world.refusals.push(
      new SustenetError("NO_CLUSTER_AVAILABLE", { origin: "master", advice: "retry", detail: "none" }),
    );
    await expect(joined(world)).rejects.toMatchObject({ code: "NO_CLUSTER_AVAILABLE" });
    expect(world.asked).toHaveLength(1);
  });
});

describe("coming back", () => {
  it.each([
    ["SHUTTING_DOWN", encodeClose("SHUTTING_DOWN")],
    ["IDLE", encodeClose("IDLE")],
    ["SLOW_CONSUMER", encodeClose("SLOW_CONSUMER")],
    ["INTERNAL", encodeClose("INTERNAL")],
    ["UNKNOWN_CODE", Uint8Array.of(8, 0, 5, 0xff, 0x01, 0, 0, 0, 0, 0)],
  ])("[CLOSE-3] allocates and joins again after CLOSE with %s", async (code, frame) => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    world.transport.last.send(frame);
    expect(session.state).toBe("rejoining");
    expect(session.send(1)).toBe(false);
    expect(session.move({ x: 0, y: 0, z: 0, heading: 0 })).toBe(false);
    await world.clock.advance(250);
    expect(session.state).toBe("joined");
    expect(events).toEqual([`rejoining 1 in 250 after ${code}`, "rejoined as 1"]);
    expect(session.position).toEqual({ x: 1, y: 2, z: 3, heading: 4 });
    expect(session.send(1)).toBe(true);
  });

  it("comes back after a connection that ended without a word", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    world.transport.last.end();
    await world.clock.advance(250);
    expect(events).toEqual(["rejoining 1 in 250 after CONNECTION_LOST", "rejoined as 1"]);
  });

  it.each(["REPLACED", "PROTOCOL_ERROR", "NORMAL"] as const)("[CLOSE-3] stays away after %s", async (code) => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    world.transport.last.send(encodeClose(code));
    await world.clock.advance(60_000);
    expect(events).toEqual([`close ${code} stop`]);
    expect(session.state).toBe("closed");
    await expect(session.closed).resolves.toMatchObject({ code });
    expect(world.transport.links).toHaveLength(1);
    expect(world.clock.pending).toBe(0);
  });

  it("does not come back before retryAfterMs", async () => {
    const world = createWorld();
    const session = await joined(world);
    world.transport.last.send(encodeClose("SHUTTING_DOWN", 3_000));
    await world.clock.advance(2_999);
    expect(world.asked).toHaveLength(1);
    await world.clock.advance(1);
    expect(session.state).toBe("joined");
  });

  it("does not come back just then either, as all who were told the same would, nor later than it may", async () => {
    const delays: number[] = [];
    for (const [retryAfterMs, random] of [
      [1_000, 0.5],
      [3_000, 0.9],
    ] as const) {
      const world = createWorld("back", () => random);
      const session = await joined(world);
      session.on("rejoining", ({ delayMs }) => delays.push(delayMs));
      world.transport.last.send(encodeClose("RATE_LIMITED", retryAfterMs));
      await world.clock.advance(4_000);
      expect(session.state).toBe("joined");
    }
    expect(delays).toEqual([1_250, 4_000]);
  });

  it("gives up where it is asked to stay away longer than it may wait", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    world.transport.last.send(encodeClose("SHUTTING_DOWN", 4_001));
    await settle();
    expect(events).toEqual(["close SHUTTING_DOWN allocate"]);
    await expect(session.closed).resolves.toMatchObject({ retryAfterMs: 4_001, number: 0x0100 });
  });

  it("waits longer from try to try, and ends with the last reason", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    world.reactions.push("FULL");
    world.refusals.push(localError("NETWORK"));
    world.transport.last.send(encodeClose("SHUTTING_DOWN"));
    await world.clock.advance(60_000);
    expect(events).toEqual([
      "rejoining 1 in 250 after SHUTTING_DOWN",
      "rejoining 2 in 500 after NETWORK",
      "rejoining 3 in 1000 after FULL",
      "close FULL allocate",
    ]);
    expect(world.clock.pending).toBe(0);
  });

  it("goes on counting where it is thrown out again and again, so that it ends", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    for (let round = 0; round < 4; round++) {
      world.transport.last.send(encodeClose("SHUTTING_DOWN"));
      await world.clock.advance(3_000);
    }
    expect(events.filter((event) => event.startsWith("rejoined"))).toHaveLength(3);
    expect(events.at(-1)).toBe("close SHUTTING_DOWN allocate");
  });

  it("counts anew after a connection that held", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    for (let round = 0; round < 6; round++) {
      world.transport.last.send(encodeClose("SHUTTING_DOWN"));
      await world.clock.advance(250 + 4_000);
    }
    expect(events.filter((event) => event === "rejoining 1 in 250 after SHUTTING_DOWN")).toHaveLength(6);
    expect(session.state).toBe("joined");
  });

  it("ends when the player has to log in again", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    world.refusals.push(new SustenetError("UNAUTHENTICATED", { origin: "master", advice: "login", detail: "expired" }));
    world.transport.last.send(encodeClose("SHUTTING_DOWN"));
    await world.clock.advance(60_000);
    expect(events.slice(1)).toEqual(["close UNAUTHENTICATED login"]);
  });

  it.each(["CLUSTER_NOT_FOUND", "CLUSTER_FULL", "NO_CLUSTER_AVAILABLE"] as const)(
    "asks for the cluster that was chosen first, and after %s for any",
    async (code) => {
      const world = createWorld();
      await joined(world, { clusterId: "c", region: "eu" });
      world.refusals.push(new SustenetError(code, { origin: "master", advice: "fix", detail: code }));
      world.transport.last.send(encodeClose("SHUTTING_DOWN"));
      await world.clock.advance(5_000);
      expect(world.asked.slice(1)).toEqual([{ clusterId: "c", region: "eu" }, { region: "eu" }]);
      expect(world.transport.links).toHaveLength(2);
    },
  );

  it("can be left while it waits", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    world.transport.last.send(encodeClose("SHUTTING_DOWN"));
    world.transport.last.end();
    await session.leave();
    await world.clock.advance(60_000);
    expect(events).toEqual(["rejoining 1 in 250 after SHUTTING_DOWN", "close NORMAL stop"]);
    expect(world.asked).toHaveLength(1);
    expect(world.clock.pending).toBe(0);
  });

  it("can be left while it joins", async () => {
    const world = createWorld();
    const session = await joined(world);
    world.transport.last.send(encodeClose("SHUTTING_DOWN"));
    world.transport.last.end();
    world.transport.onConnect = () => undefined;
    await world.clock.advance(300);
    expect(world.transport.links).toHaveLength(2);
    await session.leave();
    await settle();
    expect(world.transport.last.state).toBe("aborted");
    await expect(session.closed).resolves.toMatchObject({ code: "NORMAL" });
    expect(world.clock.pending).toBe(0);
  });

  it.each(Array.from({ length: 12 }, (_, turns) => turns))(
    "can be left just when it is welcomed, %d turns later: no connection stays",
    async (turns) => {
      const world = createWorld();
      const session = await joined(world);
      world.transport.last.send(encodeClose("SHUTTING_DOWN"));
      world.transport.last.end();
      world.transport.onConnect = (link) => {
        link.onJoin = () => {
          link.send(encodeWelcome(sampleWelcome));
          let leaving = Promise.resolve();
          for (let turn = 0; turn < turns; turn++) leaving = leaving.then(() => undefined);
          void leaving.then(() => session.leave());
        };
      };
      await world.clock.advance(300);
      expect(session.state).toBe("closed");
      expect(world.transport.links).toHaveLength(2);
      expect(world.transport.last.state).not.toBe("open");
      await world.clock.advance(1_000);
      expect(world.clock.pending).toBe(0);
    },
  );

  it("is not disturbed by what an old connection still brings", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    const old = world.transport.last;
    old.send(encodeClose("SHUTTING_DOWN"));
    await world.clock.advance(250);
    old.send(encodeMessage({ command: 1, payload: new Uint8Array() }));
    old.end();
    await world.clock.advance(1_000);
    expect(events).toEqual(["rejoining 1 in 250 after SHUTTING_DOWN", "rejoined as 1"]);
    expect(session.state).toBe("joined");
  });
});

describe("positions", () => {
  it("counts moves from 1, modulo 65,536, and goes on after coming back", async () => {
    const world = createWorld();
    const session = await joined(world);
    const place = { x: 1, y: 2, z: 3, heading: 4 };
    for (let count = 0; count <= 65_536; count++) {
      session.move(place);
      if (count % 1_000 === 0) await Promise.resolve();
    }
    await settle();
    const sequences = world.transport.last.messages.flatMap((message) =>
      message.type === "move" ? [message.sequence] : [],
    );
    expect(sequences.slice(0, 2)).toEqual([1, 2]);
    expect(sequences.slice(-3)).toEqual([65_535, 0, 1]);
    world.transport.last.send(encodeClose("SHUTTING_DOWN"));
    await world.clock.advance(250);
    session.move(place);
    await settle();
    expect(world.transport.last.messages.at(-1)).toMatchObject({ type: "move", sequence: 2 });
  });

  it("[MOVE-2] takes over where the cluster says the player stands", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    expect(session.position).toEqual({ x: 0, y: 2, z: 3, heading: 4 });
    session.move({ x: 0.1, y: 20, z: 30, heading: 40 });
    expect(session.position).toEqual({ x: Math.fround(0.1), y: 20, z: 30, heading: 40 });
    world.transport.last.send(encodePosition({ sequence: 1, x: 5, y: 6, z: 7, heading: 8 }));
    expect(session.position).toEqual({ x: 5, y: 6, z: 7, heading: 8 });
    expect(events).toEqual(["position 1 x=5"]);
  });

  describe("that are about an older MOVE than the last", () => {
    const place = (x: number) => ({ x, y: 2, z: 3, heading: 4 });

    async function walking() {
      const world = createWorld();
      const session = await joined(world);
      return {
        session,
        hear: (sequence: number, x: number) => world.transport.last.send(encodePosition({ sequence, ...place(x) })),
        pass: (ms: number) => world.clock.advance(ms),
        moves: () =>
          world.transport.last.messages.flatMap((message) =>
            message.type === "move" ? [[message.sequence, message.x] as const] : [],
          ),
      };
    }

    it("[MOVE-5] have it say once more where it stands: the cluster may have let a later one pass", async () => {
      const { session, hear, pass, moves } = await walking();
      for (const x of [1, 2]) session.move(place(x));
      hear(1, 9);
      await pass(200);
      expect(moves()).toHaveLength(2);
      await pass(1_000);
      expect(moves().slice(2)).toEqual([[3, 9]]);
      // That is what its last MOVE has asked for: whatever comes of it, there is no more to say.
      hear(2, 9);
      await pass(1_000);
      expect(moves()).toHaveLength(3);
      expect(session.position.x).toBe(9);
    });

    it("[MOVE-5] say nothing of its first MOVE either, when they came before it", async () => {
      const { session, hear, pass, moves } = await walking();
      session.move(place(1));
      hear(0, 9);
      await pass(1_000);
      expect(moves()).toEqual([
        [1, 1],
        [2, 9],
      ]);
    });

    it("[MOVE-5] cause none where the word about the last one follows, however often the game puts it elsewhere", async () => {
      const { session, hear, pass, moves } = await walking();
      session.move(place(1));
      hear(0, 9);
      await pass(50);
      for (let x = 10; x < 30; x += 1) {
        hear(1, x);
        await pass(50);
      }
      await pass(1_000);
      expect(moves()).toHaveLength(1);
      expect(session.position.x).toBe(29);
    });

    it("[MOVE-5] cause none where it walks on from there", async () => {
      const { session, hear, pass, moves } = await walking();
      for (const x of [1, 2]) session.move(place(x));
      hear(1, 9);
      session.move(place(8));
      await pass(1_000);
      expect(moves().slice(2)).toEqual([[3, 8]]);
      hear(2, 9);
      void session.leave();
      await pass(1_000);
      expect(moves()).toHaveLength(3);
    });
  });

  it.each([
    { x: Number.NaN, y: 0, z: 0, heading: 0 },
    { x: 0, y: 1e39, z: 0, heading: 0 },
    { x: 0, y: 0, z: 0, heading: 65_536 },
    { x: 0, y: 0, z: 0, heading: 0.5 },
  ])("refuses to ask for %o, and stays where it is", async (place) => {
    const session = await joined(createWorld());
    expect(() => session.move(place)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", advice: "fix" }));
    expect(session.position).toEqual({ x: 0, y: 2, z: 3, heading: 4 });
  });
});

describe("messages", () => {
  it("[MESSAGE-1] go out and come in in order", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    for (const command of [3, 1, 2]) session.send(command, Uint8Array.of(command));
    await settle();
    expect(world.transport.last.writes.at(-1)).toEqual(
      [3, 1, 2].map((command) => ({ type: "message", command, payload: Uint8Array.of(command) })),
    );
    world.transport.last.send(...[9, 8, 7].map((command) => encodeMessage({ command, payload: new Uint8Array() })));
    expect(events).toEqual(["message 9", "message 8", "message 7"]);
  });

  it("[FRAME-3] may fill maxFrameBytes of WELCOME, and not one byte more", async () => {
    const session = await joined(createWorld());
    expect(session.welcome.maxFrameBytes).toBe(1_024);
    expect(session.send(1, new Uint8Array(1_022))).toBe(true);
    expect(() => session.send(1, new Uint8Array(1_023))).toThrow(
      expect.objectContaining({ code: "MESSAGE_TOO_LARGE", advice: "fix" }),
    );
  });

  it.each([-1, 256, 1.5, Number.NaN])("refuses the command %d", async (command) => {
    const session = await joined(createWorld());
    expect(() => session.send(command)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  it.each(["text", [1, 2], new ArrayBuffer(3), new Float32Array(2)])(
    "refuses the payload %o, which JavaScript lets through and is no bytes",
    async (wrong) => {
      const session = await joined(createWorld());
      const payload: Uint8Array = JSON.parse("null") ?? wrong;
      const refusal = expect.objectContaining({ code: "INVALID_ARGUMENT", detail: "A payload is a Uint8Array." });
      expect(() => session.send(1, payload)).toThrow(refusal);
      await expect(session.request(1, payload)).rejects.toThrow(refusal);
    },
  );

  it("wait for the first handler, also those that came with WELCOME", async () => {
    const world = createWorld();
    const welcome: Welcome = { type: "welcome", ...sampleWelcome };
    world.transport.onConnect = (link) => {
      link.onJoin = () => link.send(encodeWelcome(welcome), encodeMessage({ command: 1, payload: new Uint8Array() }));
    };
    const session = await joined(world);
    world.transport.last.send(encodeMessage({ command: 2, payload: new Uint8Array() }));
    const events = record(session);
    await settle();
    expect(events).toEqual(["message 1", "message 2"]);
  });

  it("are no longer sent once a handler is taken away or the session is left", async () => {
    const world = createWorld();
    const session = await joined(world);
    const commands: number[] = [];
    const off = session.on("message", ({ command }) => commands.push(command));
    await settle();
    world.transport.last.send(encodeMessage({ command: 1, payload: new Uint8Array() }));
    off();
    world.transport.last.send(encodeMessage({ command: 2, payload: new Uint8Array() }));
    expect(commands).toEqual([1]);
    const leaving = session.leave();
    expect(session.send(1)).toBe(false);
    world.transport.last.end();
    await leaving;
    await session.leave();
    await expect(session.closed).resolves.toMatchObject({ code: "NORMAL" });
  });
});

describe("clock", () => {
  it("follows the cluster's, and tells of each round trip", async () => {
    const world = createWorld();
    const session = await joined(world);
    const events = record(session);
    expect(session.rttMs).toBeUndefined();
    await world.clock.advance(30);
    world.transport.last.send(encodePong({ echoMs: 0, timeMs: 100_000 }));
    expect(session.rttMs).toBe(30);
    expect(session.serverTimeMs()).toBe(100_015);
    expect(events).toEqual(["latency 30"]);
  });
});
