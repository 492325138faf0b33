import { describe, expect, it } from "vitest";
import { localError, type LocalCode, SustenetError } from "./error.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { clusterNamed } from "./testing/travelling-session.ts";
import type { ClusterAddress } from "./transport.ts";
import { UnreachableClusters } from "./unreachable-clusters.ts";

/** The master names it, and it cannot be reached. */
async function fail(clusters: UnreachableClusters, clusterId: string, code: LocalCode = "NETWORK"): Promise<void> {
  clusters.name(clusterNamed(clusterId));
  await failAt(clusters, clusterNamed(clusterId), code);
}

/** A connection to it fails, whoever has named it. */
async function failAt(clusters: UnreachableClusters, at: ClusterAddress, code: LocalCode = "NETWORK"): Promise<void> {
  await expect(clusters.watch(at, () => Promise.reject(localError(code)))).rejects.toThrow(code);
}

it("[ALLOC-12] has those avoided that could not be reached, the latest first, for a minute", async () => {
  const clock = new ManualClock();
  const clusters = new UnreachableClusters(clock);
  expect(clusters.avoidedBy({ region: "eu" })).toEqual({ region: "eu" });
  await fail(clusters, "a");
  await clock.advance(30_000);
  await fail(clusters, "b", "CERTIFICATE_MISMATCH");
  expect(clusters.avoidedBy({ region: "eu" })).toEqual({ region: "eu", avoid: ["b", "a"] });
  await clock.advance(30_000);
  expect(clusters.avoidedBy({})).toEqual({ avoid: ["b"] });
});

it("forgets one that can be reached again", async () => {
  const clusters = new UnreachableClusters(new ManualClock());
  await fail(clusters, "a");
  await clusters.watch(clusterNamed("a"), () => Promise.resolve());
  expect(clusters.avoidedBy({})).toEqual({});
});

it("knows of eight at most, beside what the game itself avoids", async () => {
  const clusters = new UnreachableClusters(new ManualClock());
  for (let index = 0; index < 12; index += 1) await fail(clusters, `c${index}`);
  expect(clusters.avoidedBy({ avoid: ["x", "c11"] }).avoid).toEqual(["x", "c11", "c10", "c9", "c8", "c7", "c6", "c5"]);
});

it("leaves alone a request for one cluster, and clusters that have answered", async () => {
  const clusters = new UnreachableClusters(new ManualClock());
  const refusal = new SustenetError("FULL", { origin: "cluster", advice: "allocate", detail: "full" });
  await expect(clusters.watch(clusterNamed("a"), () => Promise.reject(refusal))).rejects.toThrow("FULL");
  expect(clusters.avoidedBy({})).toEqual({});
  await fail(clusters, "a");
  expect(clusters.avoidedBy({ clusterId: "a" })).toEqual({ clusterId: "a" });
});

describe("[ALLOC-12] a cluster that sends the player on, and lies about where another is", () => {
  const innocent = clusterNamed("innocent");
  const lies: [string, ClusterAddress][] = [
    ["names a port at which nothing listens", { ...innocent, port: 9 }],
    ["names another host", { ...innocent, host: "203.0.113.9" }],
    ["names another certificate", { ...innocent, tls: { ...innocent.tls, sha256: "cd".repeat(32) } }],
    ["names another address for WebSocket", { ...innocent, wssUrl: "wss://203.0.113.9/" }],
  ];

  it.each(lies)("has it avoided by nobody when it %s", async (_what, lie) => {
    const clusters = new UnreachableClusters(new ManualClock());
    await failAt(clusters, lie);
    expect(clusters.avoidedBy({})).toEqual({});
    clusters.name(innocent);
    await failAt(clusters, lie);
    expect(clusters.avoidedBy({})).toEqual({});
  });

  it.each(lies)("does not make one that cannot be reached look as if it could when it %s", async (_what, lie) => {
    const clusters = new UnreachableClusters(new ManualClock());
    await fail(clusters, "innocent");
    await clusters.watch(lie, () => Promise.resolve());
    expect(clusters.avoidedBy({})).toEqual({ avoid: ["innocent"] });
  });
});

it("[ALLOC-12] has one avoided that was sent to, where the master names the same address", async () => {
  const clusters = new UnreachableClusters(new ManualClock());
  clusters.name(clusterNamed("b"));
  await failAt(clusters, clusterNamed("b"));
  expect(clusters.avoidedBy({})).toEqual({ avoid: ["b"] });
});

it("forgets what the master said of those that it named long before others", async () => {
  const clusters = new UnreachableClusters(new ManualClock());
  for (let index = 0; index < 65; index += 1) clusters.name(clusterNamed(`c${index}`));
  await failAt(clusters, clusterNamed("c0"));
  await failAt(clusters, clusterNamed("c1"));
  expect(clusters.avoidedBy({})).toEqual({ avoid: ["c1"] });
});
