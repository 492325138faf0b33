import { setImmediate as nextTurn, setTimeout as work } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { closeCodes } from "../protocol/index.ts";
import { startTestCluster, type TestCluster } from "./testing/test-cluster.ts";
import { until } from "./testing/until.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

describe("stopping", () => {
  it("deregisters, then tells everyone to go elsewhere, then stops the plugin", async () => {
    const heard: string[] = [];
    cluster = await startTestCluster({
      plugin: {
        onLeave: async (_player, reason) => {
          await Promise.resolve();
          heard.push(`left ${reason}, deregistered ${cluster.master.deregistered}`);
        },
        onStop: () => void heard.push("stopped"),
      },
    });
    const client = await cluster.joined();
    const halfOpen = await cluster.connected();
    await cluster.server.stop();
    expect((await client.next("close")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    await Promise.all([client.gone(), halfOpen.gone()]);
    expect(heard).toEqual(["left SHUTTING_DOWN, deregistered 1", "stopped"]);
    await expect(cluster.connected()).rejects.toThrow("ECONNREFUSED");
  });

  it("may be asked for twice", async () => {
    cluster = await startTestCluster();
    await Promise.all([cluster.server.stop(), cluster.server.stop()]);
    expect(cluster.master.deregistered).toBe(1);
  });

  it("does not wait for ever: not for the master, not for a player, not for the plugin", async () => {
    cluster = await startTestCluster({
      limits: { stopTimeoutMs: 500 },
      plugin: { onStop: () => new Promise(() => undefined) },
    });
    const client = await cluster.joined();
    client.socket.pause();
    const startedAt = performance.now();
    await cluster.server.stop();
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await until("no connection", () => Object.values(cluster.server.metrics.connections).every((count) => count === 0));
  });

  it("has plugins end their work where the hook of somebody who has left never ends, nor that of another plugin", async () => {
    const heard: string[] = [];
    cluster = await startTestCluster({
      limits: { stopTimeoutMs: 2_000, hookTimeoutMs: 2_000 },
      plugin: [
        // It takes time of its own, which none of the others may have taken.
        { onStop: async () => void (await work(50), heard.push("the first")) },
        { onLeave: () => new Promise(() => undefined), onStop: () => new Promise(() => undefined) },
        { onStop: async () => void (await nextTurn(), heard.push("the last")) },
      ],
    });
    await cluster.joined();
    await cluster.server.stop();
    expect(heard).toEqual(["the last", "the first"]);
  });
});

it("counts bytes, frames and connections", async () => {
  cluster = await startTestCluster();
  const client = await cluster.joined();
  const { bytesIn, bytesOut, framesIn, framesOut, writes, connections } = cluster.server.metrics;
  expect({ framesIn, framesOut, writes, connections }).toEqual({
    framesIn: 2,
    framesOut: 1,
    writes: 1,
    connections: { handshake: 0, hello: 0, join: 0, verifying: 0, joined: 1, closing: 0 },
  });
  expect(bytesIn).toBeGreaterThan(500);
  expect(bytesOut).toBeGreaterThan(40);
  client.close();
  await until("its end", () => cluster.server.metrics.connections.joined === 0);
});

it("[SEC-82] leaves no secret in its log", async () => {
  cluster = await startTestCluster();
  const ticket = await cluster.master.ticket({ name: "Secret Name" });
  const client = await cluster.connected();
  client.join(ticket);
  await client.next("welcome");
  const forged = await cluster.connected();
  forged.join(`${ticket.slice(0, -4)}AAAA`);
  await forged.gone();
  const text = cluster.log.text();
  for (const secret of [cluster.master.sessionToken, ticket.slice(-30), "Secret Name"])
    expect(text).not.toContain(secret);
});
