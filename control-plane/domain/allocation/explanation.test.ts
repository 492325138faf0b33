import { expect, it } from "vitest";
import { explainCandidates } from "./explanation.ts";

const plain = {
  capacity: 10,
  seats: 1,
  joined: 0,
  players: 0,
  tickMs: null,
  latencyMs: undefined,
  locked: false,
  draining: false,
  standby: false,
  starting: false,
  live: true,
  facts: { labels: {}, tags: ["pvp"], counters: {}, gameBuild: "", fragments: ["north"] },
};
const decision = {
  shard: "eu.0",
  policy: "load",
  selector: { tags: ["pvp"], fragment: "north" },
  clusterId: undefined,
  avoid: [] as string[],
} as const;

it("[ALLOC-10] says of each candidate why it won or lost", () => {
  const winner = { ...plain, clusterId: "won" };
  const candidates = [
    winner,
    { ...plain, clusterId: "tie" },
    { ...plain, clusterId: "outscored", seats: 2 },
    { ...plain, clusterId: "locked", locked: true },
    { ...plain, clusterId: "draining", draining: true },
    { ...plain, clusterId: "standby", standby: true },
    { ...plain, clusterId: "fragment", facts: { ...plain.facts, fragments: ["south"] } },
    { ...plain, clusterId: "silent", live: false },
    { ...plain, clusterId: "full", seats: 10 },
    { ...plain, clusterId: "tag", facts: { ...plain.facts, tags: [] } },
    { ...plain, clusterId: "not-drawn" },
  ];
  const drawn = new Set(candidates.map(({ clusterId }) => clusterId).filter((id) => id !== "not-drawn"));
  const explained = explainCandidates(candidates, { ...decision, drawn, winner });
  for (const { clusterId, reason } of explained) expect(reason).toBe(clusterId);
  expect(explained[2]).toEqual({
    clusterId: "outscored",
    shard: "eu.0",
    reason: "outscored",
    load: 0.2,
    places: 2,
    capacity: 10,
    score: 0.2,
  });
});

it("[ALLOC-12] says that a cluster was avoided, unless it was compared for want of others", () => {
  const winner = { ...plain, clusterId: "won" };
  const avoided = { ...plain, clusterId: "avoided" };
  const wish = { ...decision, avoid: ["avoided"], winner };
  const reasons = (drawn: string[]) =>
    explainCandidates([winner, avoided], { ...wish, drawn: new Set(drawn) }).map(({ reason }) => reason);
  expect(reasons(["won"])).toEqual(["won", "avoided"]);
  expect(reasons(["won", "avoided"])).toEqual(["won", "tie"]);
});

it("says that another cluster was asked for, and shows what was measured", () => {
  const explained = explainCandidates([{ ...plain, clusterId: "b", latencyMs: 30 }], {
    ...decision,
    policy: "latency",
    clusterId: "a",
    drawn: new Set(["a"]),
    winner: undefined,
  });
  expect(explained).toMatchObject([{ reason: "other-cluster", latencyMs: 30, score: 35 }]);
});
