import { expect, it } from "vitest";
import { localError, type LocalCode, SustenetError } from "./error.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { UnreachableClusters } from "./unreachable-clusters.ts";

async function fail(clusters: UnreachableClusters, clusterId: string, code: LocalCode = "NETWORK"): Promise<void> {
  await expect(clusters.watch(clusterId, () => Promise.reject(localError(code)))).rejects.toThrow(code);
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
  await clusters.watch("a", () => Promise.resolve());
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
  await expect(clusters.watch("a", () => Promise.reject(refusal))).rejects.toThrow("FULL");
  expect(clusters.avoidedBy({})).toEqual({});
  await fail(clusters, "a");
  expect(clusters.avoidedBy({ clusterId: "a" })).toEqual({ clusterId: "a" });
});
