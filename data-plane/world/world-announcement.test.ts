import { afterEach, expect, it } from "vitest";
import { assertLayout } from "../fragments/testing/random-world.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { announceWorld } from "./world-announcement.ts";

const west = { name: "west", min: [-50, -50], max: [0, 50] };
const east = { name: "east", min: [0, -50], max: [50, 50], ticket_lifetime_seconds: 10 };

let cluster: TestCluster | undefined;
afterEach(() => cluster?.stop());

it("tells the master which fragments the cluster carries, and where they are", async () => {
  const world = assertLayout({ world: { carries: ["east"] }, fragment: [west, east] });
  cluster = await startTestCluster({ settings: { world } });
  expect(cluster.master.registrations.at(-1)?.world).toEqual({
    fragments: [{ name: "east", min: [0, -1e9, -50], max: [50, 1e9, 50], ticketLifetimeSeconds: 10 }],
  });
});

it("tells nothing where there is no world", async () => {
  cluster = await startTestCluster();
  expect(cluster.master.registrations.at(-1)).not.toHaveProperty("world");
});

it("tells nothing of more fragments than the master takes", () => {
  const grid = { name: "g", origin: [0, 0], size: [1, 1], columns: 257, rows: 1 };
  expect(announceWorld(assertLayout({ world: { grid } }))).toBeUndefined();
  expect(announceWorld(assertLayout({ world: { grid: { ...grid, columns: 256 } } }))?.fragments).toHaveLength(256);
});
