import { expect, it } from "vitest";
import { announce, leave, openWorld } from "./world-map.ts";
import { overviewOf } from "./world-overview.ts";

it("[WORLD-8] shows a cluster whose process is about to end as one that drains, from the same moment on", () => {
  const one = { clusterId: "a", boot: 1, shard: "eu-0", fragments: [], peer: undefined };
  const ending = leave(announce(openWorld("w"), one), { clusterId: "a", boot: 1, ending: true });
  if (ending === undefined) throw new Error("the world knows it");
  expect(overviewOf(ending).announced).toMatchObject([{ clusterId: "a", reasons: ["draining"] }]);
});
