import { describe, expect, it } from "vitest";
import { type Candidate, exclusionOf, loadOf, pickCluster, policyOf } from "./pick.ts";

function candidate(clusterId: string, changes: Partial<Candidate> = {}): Candidate {
  return {
    clusterId,
    capacity: 10,
    seats: 0,
    joined: 0,
    players: 0,
    tickMs: null,
    latencyMs: undefined,
    locked: false,
    draining: false,
    standby: false,
    starting: false,
    live: true,
    ...changes,
  };
}

const first = () => 0;
const last = () => 0.999;

describe("picking a cluster", () => {
  it("takes the least loaded by seats and uncounted players against capacity", () => {
    const busy = candidate("busy", { seats: 5 });
    const large = candidate("large", { seats: 6, capacity: 100 });
    const unnamed = candidate("unnamed", { seats: 0, players: 8 });
    expect(pickCluster([busy, large, unnamed], "load", first)?.clusterId).toBe("large");
  });

  it("compares clusters without a limit by their number of players", () => {
    const fewer = candidate("fewer", { capacity: 0, seats: 3 });
    const more = candidate("more", { capacity: 0, seats: 4 });
    expect(pickCluster([more, fewer], "load", first)?.clusterId).toBe("fewer");
    expect(loadOf(candidate("unlimited", { capacity: 0, seats: 500 }))).toBe(0.5);
  });

  it("takes one of several equals by chance", () => {
    const equals = ["a", "b", "c"].map((id) => candidate(id));
    expect(pickCluster(equals, "load", first)?.clusterId).toBe("c");
    expect(pickCluster(equals, "load", last)?.clusterId).toBe("a");
  });

  it("passes over those that cannot be given", () => {
    const excluded = [
      candidate("locked", { locked: true }),
      candidate("draining", { draining: true }),
      candidate("silent", { live: false }),
      candidate("starting", { starting: true }),
      candidate("full", { seats: 10 }),
    ];
    for (const one of excluded) expect(exclusionOf(one)).toBe(one.clusterId);
    expect(pickCluster(excluded, "load", first)).toBeUndefined();
    expect(pickCluster([...excluded, candidate("open", { seats: 9 })], "load", first)?.clusterId).toBe("open");
  });

  it("finds nothing among none", () => {
    expect(pickCluster([], "load", first)).toBeUndefined();
  });

  it("[ALLOC-3] goes by tick time where there is no limit, and counts seats that no tick has felt yet", () => {
    const slow = candidate("slow", { capacity: 0, joined: 3, seats: 3, players: 3, tickMs: 20 });
    const quick = candidate("quick", { capacity: 0, joined: 900, seats: 900, players: 900, tickMs: 5 });
    expect(pickCluster([slow, quick], "load", first)?.clusterId).toBe("quick");
    expect(loadOf(quick)).toBeCloseTo(0.15);
    expect(loadOf({ ...quick, seats: 1_000 })).toBeCloseTo(0.25);
    // With a limit, what a tick takes does not matter.
    expect(loadOf({ ...slow, capacity: 10 })).toBe(0.3);
  });

  it("[ALLOC-4] packed takes the fullest that has room, and the least overloaded of those without a limit", () => {
    const empty = candidate("empty");
    const nearly = candidate("nearly", { seats: 9 });
    const full = candidate("full", { seats: 10 });
    expect(pickCluster([empty, full, nearly], "packed", first)?.clusterId).toBe("nearly");
    const [over, more] = [40, 60].map((tickMs) => candidate(`ticks ${tickMs}`, { capacity: 0, tickMs }));
    if (over === undefined || more === undefined) throw new Error("two were made");
    expect(pickCluster([more, over, empty], "packed", first)?.clusterId).toBe("empty");
    expect(pickCluster([more, over], "packed", first)?.clusterId).toBe("ticks 40");
  });

  it("[ALLOC-5] distributed takes the one with the fewest players, whatever its size", () => {
    const small = candidate("small", { seats: 2, capacity: 4 });
    const large = candidate("large", { seats: 3, capacity: 1_000 });
    expect(pickCluster([large, small], "distributed", first)?.clusterId).toBe("small");
  });

  it("[ALLOC-6] latency takes the nearest, unless load makes up for it; a full one never, an unmeasured one last", () => {
    const near = candidate("near", { latencyMs: 20 });
    const far = candidate("far", { latencyMs: 60 });
    const unmeasured = candidate("unmeasured");
    const choose = (...candidates: Candidate[]) => pickCluster(candidates, "latency", first)?.clusterId;
    expect(choose(unmeasured, far, near)).toBe("near");
    expect(choose(far, { ...near, seats: 7 })).toBe("near");
    expect(choose(far, { ...near, seats: 9 })).toBe("far");
    expect(choose(far, candidate("lie", { latencyMs: 0.001, seats: 10 }))).toBe("far");
    expect(choose(unmeasured, { ...far, latencyMs: 2_000 })).toBe("far");
  });
});

describe("a crowd", () => {
  it("[ALLOC-8] is shared by equally loaded clusters: none is ahead of another by more than one", () => {
    const clusters = Array.from({ length: 5 }, (_, index) => candidate(`c${index}`, { capacity: 100 }));
    const seats = new Map(clusters.map(({ clusterId }) => [clusterId, 0]));
    let state = 1;
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let player = 0; player < 251; player += 1) {
      const now = clusters.map(({ clusterId }) =>
        candidate(clusterId, { capacity: 100, seats: seats.get(clusterId) ?? 0 }),
      );
      const { clusterId } = pickCluster(now, "load", random) ?? { clusterId: "none" };
      seats.set(clusterId, (seats.get(clusterId) ?? 0) + 1);
    }
    expect([...seats.values()].toSorted((a, b) => a - b)).toEqual([50, 50, 50, 50, 51]);
  });
});

it("[ALLOC-2] the policy is the one asked for, else latency where something was measured, else load", () => {
  expect(policyOf({})).toBe("load");
  expect(policyOf({ latencies: {} })).toBe("load");
  expect(policyOf({ latencies: { eu: 5 } })).toBe("latency");
  expect(policyOf({ latencies: { eu: 5 }, policy: "packed" })).toBe("packed");
});
