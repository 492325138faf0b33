import { afterEach, expect, it, vi } from "vitest";
import { watchFailpoints } from "../../control-plane/failpoint.ts";
import { AllocationHistory, seatsNow } from "./support/allocation-history.ts";
import { startOn } from "./support/clusters.ts";
import { logIn, logInMany, requestAllocation } from "./support/players.ts";

/*
 * Rules 1 to 3 over histories that are drawn: a player allocates, repeats, gives back, is kicked, joins, leaves and deletes the account, while calls
 * are lost before or behind a shard, or come to it long after their session was stopped, tickets are not signed, or so slowly that another call
 * takes over, and all memory is lost between any two steps.
 */

const histories = 40;
const stepsEach = 14;

afterEach(() => {
  watchFailpoints(undefined);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

it(`no ticket is given twice or loses its seat, and none leaks, in ${histories} histories of ${stepsEach} steps`, async () => {
  // The day before the players log in: they stay logged in when their accounts are deleted, like one of Steam's who comes back under the same id.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 24 * 60 * 60 * 1_000 });
  const [one, two, far, farther] = [
    await startOn("default.0"),
    await startOn("default.0"),
    await startOn("eu.0"),
    await startOn("eu.1"),
  ];
  const full = await startOn("eu.0", { capacity: 1 });
  const [other, players] = [await logIn(), await logInMany(histories)];
  const clusters = [one, two, far, farther];
  expect((await requestAllocation(other, { clusterId: full.id })).status).toBe(200);
  for (const [seed, player] of players.entries()) {
    const history = new AllocationHistory(seed, player, { clusters, full });
    try {
      for (let step = 0; step < stepsEach; step += 1) await history.step();
      await history.end();
    } catch (error) {
      throw new Error(`history ${seed}:\n${history.did.join("\n")}`, { cause: error });
    }
  }
  for (let look = 0; look < 6; look += 1) {
    vi.setSystemTime(Date.now() + 15_000);
    for (const cluster of [...clusters, full]) await cluster.report({ full: true });
  }
  expect(await seatsNow()).toEqual([]);
});
