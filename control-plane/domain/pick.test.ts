import { describe, expect, it } from "vitest";
import { type Candidate, exclusionOf, loadOf, pickCluster } from "./pick.ts";

function candidate(clusterId: string, changes: Partial<Candidate> = {}): Candidate {
  return {
    clusterId,
    capacity: 10,
    seats: 0,
    joined: 0,
    players: 0,
    locked: false,
    draining: false,
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
    expect(pickCluster([busy, large, unnamed], first)?.clusterId).toBe("large");
  });

  it("compares clusters without a limit by their number of players", () => {
    const fewer = candidate("fewer", { capacity: 0, seats: 3 });
    const more = candidate("more", { capacity: 0, seats: 4 });
    expect(pickCluster([more, fewer], first)?.clusterId).toBe("fewer");
    expect(loadOf(candidate("unlimited", { capacity: 0, seats: 500 }))).toBe(0.5);
  });

  it("takes one of several equals by chance", () => {
    const equals = ["a", "b", "c"].map((id) => candidate(id));
    expect(pickCluster(equals, first)?.clusterId).toBe("c");
    expect(pickCluster(equals, last)?.clusterId).toBe("a");
  });

  it("passes over those that cannot be given", () => {
    const excluded = [
      candidate("locked", { locked: true }),
      candidate("draining", { draining: true }),
      candidate("silent", { live: false }),
      candidate("full", { seats: 10 }),
    ];
    for (const one of excluded) expect(exclusionOf(one)).toBe(one.clusterId);
    expect(pickCluster(excluded, first)).toBeUndefined();
    expect(pickCluster([...excluded, candidate("open", { seats: 9 })], first)?.clusterId).toBe("open");
  });

  it("finds nothing among none", () => {
    expect(pickCluster([], first)).toBeUndefined();
  });
});
