/**
 * A player's connection is cut again and again, in the middle of whatever it carries, while thousands of messages and
 * requests go both ways over TLS: nothing may be lost, doubled or out of order.
 */
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../clients/typescript/clock.ts";
import type { ConnectionContext } from "../../clients/typescript/connection.ts";
import { openConnection, resumeConnection } from "../../clients/typescript/opening.ts";
import { GameSession } from "../../clients/typescript/game-session.ts";
import { nodeTlsTransport } from "../../clients/typescript/node-tls.ts";
import type { Transport } from "../../clients/typescript/transport.ts";
import type { Player } from "../../data-plane/plugin/player.ts";
import { startTestCluster, type TestCluster } from "../../data-plane/testing/test-cluster.ts";
import { until } from "../../data-plane/testing/until.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

const seeds = [1, 2, 3, 4];
const messages = 3_000;
const bulk = 250;
const requests = 300;

/** A small generator, so that a failing seed can be run again. */
function createRandom(seed: number): () => number {
  let state = seed * 2_654_435_761;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9) | 0;
    return ((state ^ (state >>> 12)) >>> 0) / 2 ** 32;
  };
}

/** Cuts each connection after so many bytes, in either direction and in the middle of a write or a read. */
class CuttingTransport implements Transport {
  cuts = 0;
  /** Later connections hold. */
  enough = false;
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  async connect(...[target, handlers, signal]: Parameters<Transport["connect"]>): ReturnType<Transport["connect"]> {
    let left = 200 + Math.floor(this.#random() ** 3 * 60_000);
    let cut = false;
    const spend = (bytes: Uint8Array): Uint8Array | undefined => {
      if (cut) return undefined;
      if (this.enough || bytes.length <= left) {
        left -= bytes.length;
        return bytes;
      }
      cut = true;
      this.cuts += 1;
      return bytes.subarray(0, left);
    };
    const inner = await nodeTlsTransport.connect(
      target,
      {
        onData: (bytes) => {
          const part = spend(bytes);
          if (part !== undefined && part.length > 0) handlers.onData(part);
          if (cut) inner.abort();
        },
        onClose: (cause) => handlers.onClose(cause),
      },
      signal,
    );
    return {
      get queuedBytes() {
        return inner.queuedBytes;
      },
      write: (bytes) => {
        const part = spend(bytes);
        if (part !== undefined) inner.write(part);
        // What was written may get there or not: both have to be right.
        if (cut) setImmediate(() => inner.abort());
      },
      close: () => inner.close(),
      abort: () => inner.abort(),
    };
  }
}

const numbered = (value: number, size: number): Uint8Array => {
  const payload = new Uint8Array(4 + size);
  new DataView(payload.buffer).setUint32(0, value);
  return payload;
};
const valueOf = (payload: Uint8Array): number => new DataView(payload.buffer, payload.byteOffset).getUint32(0);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe.each(seeds)("seed %d", (seed) => {
  it("[RESUME-3] [RESUME-4] [MESSAGE-1] [ACK-2] loses, doubles and swaps nothing, however often the connection is cut", async () => {
    const random = createRandom(seed);
    const heard: number[] = [];
    const hooks: string[] = [];
    let joined: Player | undefined;
    cluster = await startTestCluster({
      plugin: {
        onJoin: (player) => {
          joined = player;
          hooks.push("join");
        },
        onDrop: () => void hooks.push("drop"),
        onResume: () => void hooks.push("resume"),
        onLeave: (_player, reason) => void hooks.push(reason),
        onMessage: (_player, _command, reader) => void heard.push(valueOf(reader.rest())),
        onRequest: async (_player, _command, reader) => {
          const payload = reader.rest().slice();
          await new Promise((resolve) => setTimeout(resolve, random() * 20));
          return payload;
        },
      },
    });
    const transport = new CuttingTransport(random);
    const context: ConnectionContext = {
      transport,
      clock: systemClock,
      clientName: "cut/1",
      connectTimeoutMs: 5_000,
      joinTimeoutMs: 5_000,
      leaveTimeoutMs: 1_000,
      maxQueuedBytes: 1_048_576,
    };
    const { port, serverName, caPem } = cluster.target;
    const sha256 = cluster.master.registrations.at(-1)?.tls.sha256 ?? "";
    const address = { id: "c", name: "C", host: "127.0.0.1", port, tls: { serverName, caPem, sha256 } };
    // The first connection may be cut before WELCOME: then there is nothing to resume yet.
    transport.enough = true;
    const entered = await openConnection({ cluster: address, ticket: await cluster.master.ticket() }, context);
    const session = new GameSession(entered, {
      clock: systemClock,
      rejoin: undefined,
      stableMs: 0,
      resumption: {
        open: (memory, signal) => resumeConnection(memory, context, signal),
        clock: systemClock,
        random: () => 0,
      },
    });
    const got: number[] = [];
    const gotBulk: number[] = [];
    let asked = 0;
    session.on("message", ({ command, payload }) => (command === 2 ? gotBulk : got).push(valueOf(payload)));
    session.onRequest((_command, payload) => {
      asked += 1;
      return payload;
    });
    await until("the token", () => entered.memory.token !== undefined);
    entered.connection.abort();
    transport.enough = false;
    const player = joined;
    if (player === undefined) throw new Error("nobody has joined");

    const answers: Promise<number>[] = [];
    let sent = 0;
    let said = 0;
    let saidBulk = 0;
    while (sent < messages || said < messages) {
      for (let burst = Math.floor(random() * 60); burst > 0; burst -= 1) {
        if (sent < messages && session.send(1, numbered(sent, Math.floor(random() * 60)))) sent += 1;
        if (said < messages && player.send(1, numbered(said, Math.floor(random() * 60)))) said += 1;
        if (saidBulk < bulk && random() < 0.1) {
          player.sendBulk(2, numbered(saidBulk, 200));
          saidBulk += 1;
        }
        player.sendState("tick", 3, numbered(said, 20));
        if (answers.length < requests && random() < 0.05) {
          const from = answers.length % 2 === 0 ? session : player;
          const asking = from.request(4, numbered(answers.length, 5), { timeoutMs: 30_000 });
          answers.push(
            asking.then(valueOf, (error: unknown) => {
              // The one refusal there may be: too many open at a time.
              if (error instanceof Error && /TOO_MANY|Too many|BUSY/.test(error.message)) return -1;
              throw error;
            }),
          );
        }
      }
      await new Promise((resolve) => setTimeout(resolve, random() * 8));
      if (session.state === "closed") throw new Error("the session ended");
    }
    for (; saidBulk < bulk; saidBulk += 1) player.sendBulk(2, numbered(saidBulk, 200));
    await until("many cuts", () => transport.cuts >= 10 || got.length === messages, 30_000);
    transport.enough = true;
    await until(
      "everything",
      () => heard.length >= messages && got.length >= messages && gotBulk.length >= bulk,
      60_000,
    );
    const values = await Promise.all(answers);
    expect(values.filter((value, index) => value !== index && value !== -1)).toEqual([]);
    expect(asked).toBeGreaterThan(0);
    expect(heard).toEqual(upTo(messages));
    expect(got).toEqual(upTo(messages));
    expect(gotBulk).toEqual(upTo(bulk));
    // It must have been cut, or it proves nothing.
    expect(transport.cuts).toBeGreaterThanOrEqual(5);
    expect(cluster.server.metrics.joins).toBe(1);
    expect(cluster.server.metrics.resumes).toBeGreaterThanOrEqual(5);
    await session.leave();
    await until("the player's end", () => hooks.at(-1) === "NORMAL");
    expect(hooks.join().replaceAll("drop,resume,", "")).toBe("join,NORMAL");
  });
});
