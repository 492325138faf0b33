/** What the client of a player that has gone on to another cluster may still do over the connection that it came from. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeAck, encodePing, encodePong, encodeResume } from "../../protocol/index.ts";
import { rawFrame } from "../testing/test-client.ts";
import { until } from "../testing/until.ts";
import { Border, generation, helloOf, message, type Side } from "./testing/border.ts";
import { countingBorder, type Counting, counts } from "./testing/counting.ts";

let border: Border<Counting>;
let west: Side<Counting>;
let east: Side<Counting>;

beforeEach(async () => {
  ({ border, west, east } = await Border.open({
    ...countingBorder,
    settings: () => ({ maxMessagesPerSecond: 100 }),
    limits: { maxQueuedFrames: 100, stopTimeoutMs: 120_000 },
  }));
});

afterEach(async () => border.close());

function times(count: number, frame: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: count }, () => frame);
}

/** More than the budget of three seconds, and of some more in which they are read. */
const flood = times(1_000, encodePong({ echoMs: 0, timeMs: 0 }));
/** More answers than may wait at a time. */
const questions = times(150, encodePing({ timeMs: 0 }));

const faults: readonly (readonly [string, readonly Uint8Array[]])[] = [
  ["breaks the protocol", [rawFrame(0x3f)]],
  ["sends more than its budget", flood],
  ["has more to be sent than may wait", questions],
];

describe("the first connection of a player that was sent on", () => {
  it.each(faults)(
    "[REDIRECT-9] ends where its client %s, and nothing else does: what was said before goes along",
    async (_what, frames) => {
      const client = await border.join(west);
      const redirect = await border.walkOver(client);
      client.send(message(1), ...frames, message(2));
      await client.gone();
      // It is not that its time there was over.
      expect(west.cluster.server.metrics.handovers.moved).toBe(0);
      expect(client.types()).not.toContain("close");
      const arrived = await border.arrive(redirect, { tenure: generation, received: 0, acknowledged: 0 });
      await arrived.next("resumeToken");
      arrived.send(encodeAck({ received: 0 }));
      await until("what was held", () => counts(arrived).length === 1);
      const { received } = await arrived.next("streams");
      // Nothing behind the fault was read: the second one is this.
      arrived.send(...[message(1), message(3)].slice(received));
      await until("the answer", () => counts(arrived).length === 2);
      expect(arrived.received.filter(({ type }) => type === "message")).toMatchObject([{ command: 1 }, { command: 3 }]);
      expect(east.game.hooks).toEqual(["in 0", "enter east"]);
      expect(west.cluster.server.metrics.departures).toEqual({});
    },
  );

  it.each(faults)(
    "[REDIRECT-9] [HAND-9] leaves a player that is taken back without a connection, where its client %s: it comes back to all that was said",
    async (_what, frames) => {
      const client = await border.join(west);
      const { token } = await client.next("resumeToken");
      client.send(message(1));
      await until("the answer", () => counts(client).length === 1);
      const refuse = await border.refuseLate();
      await border.walkOver(client);
      client.send(message(1), ...frames);
      await client.gone();
      expect(west.cluster.server.metrics.connections.joined).toBe(0);
      refuse();
      await until("the return", () => west.game.hooks.includes("in 1"));
      west.game.players.get("ann")?.send(9, Buffer.from("a"));
      const back = await west.cluster.connected();
      back.send(helloOf(), encodeResume({ received: 1, token }));
      await back.next("resumed");
      await until("what was said", () => counts(back).length === 2);
      expect(new Set(counts(back))).toEqual(new Set([2, 97]));
    },
  );

  it("[REDIRECT-9] ends in order when the cluster stops, and without a word of that: its client has been told where to go", async () => {
    const client = await border.join(west);
    await border.walkOver(client);
    await Promise.all([west.cluster.server.stop(), client.gone()]);
    expect(west.cluster.server.metrics.handovers.moved).toBe(0);
    expect(client.types()).not.toContain("close");
    expect(client.ended).toBe(true);
  });
});
