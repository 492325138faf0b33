import { afterEach, expect, it } from "vitest";
import { encodeMove } from "../../protocol/index.ts";
import { startTestCluster, type TestCluster } from "../../data-plane/testing/test-cluster.ts";
import type { TestClient } from "../../data-plane/testing/test-client.ts";
import { until } from "../../data-plane/testing/until.ts";
import { assertLayout } from "../../data-plane/fragments/testing/random-world.ts";
import { commands, Wisps } from "./plugin.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

/** What the wisps that a player caught came to. */
function scores(client: TestClient): number[] {
  return client.received.flatMap((one) =>
    one.type === "message" && one.command === commands.caught
      ? [(one.payload[0] ?? 0) | ((one.payload[1] ?? 0) << 8)]
      : [],
  );
}

it("gives a player that joins again what it has caught before", async () => {
  // So small that no wisp can drift anywhere: whoever moves catches them all.
  const world = assertLayout({ fragment: [{ name: "all", min: [-0.01, -0.01], max: [0.01, 0.01] }] });
  const spawn = { x: 0, y: 0, z: 0 };
  cluster = await startTestCluster({ plugin: new Wisps(() => 0.5), settings: { world, spawn } });
  const step = encodeMove({ sequence: 1, x: 0, y: 0, z: 0, heading: 0 });
  const first = await cluster.joined({ sub: "ann", gen: 1 });
  first.send(step);
  await until("what she caught", () => scores(first).length > 0);
  const score = scores(first).length;
  first.close();
  await until("what is kept of her", () => cluster.server.metrics.saves["saved"] !== undefined);
  await until("her end", () => cluster.server.metrics.departures["DROPPED"] === 1);
  const again = await cluster.joined({ sub: "ann", gen: 2 });
  again.send(step);
  await until("what she catches now", () => scores(again).length > 0);
  expect(scores(again)[0]).toBe(score + 1);
});
