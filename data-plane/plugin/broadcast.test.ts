import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { encodeHello, encodeJoin, features } from "../../protocol/index.ts";
import { encodeMessage } from "../../protocol/messages/message.ts";
import { encodeState } from "../../protocol/messages/state.ts";
import type { TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import type { Cluster } from "./server-plugin.ts";
import { defineMessage } from "./typed-message.ts";

// The real ones, with their calls counted.
vi.mock(import("../../protocol/messages/message.ts"), { spy: true });
vi.mock(import("../../protocol/messages/state.ts"), { spy: true });

let cluster: TestCluster;
let view: Cluster;
let clients: TestClient[];

beforeEach(async () => {
  const { promise, resolve } = Promise.withResolvers<Cluster>();
  cluster = await startTestCluster({ plugin: { onStart: resolve } });
  view = await promise;
  clients = [];
  // Two that know STATE, and two that do not.
  for (const offered of [features.state, features.state, 0, 0]) {
    const client = await cluster.connected();
    const ticket = await cluster.master.ticket();
    client.send(
      encodeHello({ minVersion: 1, maxVersion: 1, features: offered, client: "test" }),
      encodeJoin({ ticket }),
    );
    await client.next("welcome");
    clients.push(client);
  }
  vi.clearAllMocks();
});
afterEach(() => cluster.stop());

/** What each client gets next, as its type, command and payload. */
async function heard(): Promise<readonly string[]> {
  return Promise.all(
    clients.map(async (client) => {
      const one = await until("a message", () => client.received.shift());
      return "payload" in one && "command" in one ? `${one.type} ${one.command} ${one.payload.join()}` : one.type;
    }),
  );
}

it("encodes what is said to all once, however many hear it", async () => {
  view.broadcast(7, Uint8Array.of(1, 2));
  expect(encodeMessage).toHaveBeenCalledTimes(1);
  expect(await heard()).toEqual(Array.from(clients, () => "message 7 1,2"));
});

it("encodes a message with a schema once as well", async () => {
  const greeting = defineMessage(8, { text: "str8" });
  const texts = { reads: 0 };
  const values = {
    get text(): string {
      texts.reads += 1;
      return "a";
    },
  };
  greeting.broadcast(view, values);
  expect([texts.reads, vi.mocked(encodeMessage).mock.calls.length]).toEqual([1, 1]);
  expect(await heard()).toEqual(Array.from(clients, () => "message 8 1,97"));
});

it("[LATEST-4] encodes state for all once in each of its two forms", async () => {
  view.broadcastState("a", 9, Uint8Array.of(3));
  expect([vi.mocked(encodeState).mock.calls.length, vi.mocked(encodeMessage).mock.calls.length]).toEqual([1, 1]);
  expect(await heard()).toEqual(["state 9 3", "state 9 3", "message 9 3", "message 9 3"]);
});
