import { describe, expect, it } from "vitest";
import { Departure } from "./departure.ts";

const settleMs = 3_000;

/** Some who will go on elsewhere, some who only could, and one who has no client at all. */
function leaving(going: readonly string[], staying: readonly string[] = [], deadlineMs = 20_000) {
  const players = new Set([...going, ...staying, "away"]);
  let now = 500;
  let busy = false;
  let over = false;
  const departure = new Departure({
    players,
    nowMs: () => now,
    deadlineMs,
    settleMs,
    mightStillMove: (player) => player !== "away",
    isMoving: (player) => going.includes(player),
    isBusy: () => busy,
  });
  void departure.over.then(() => (over = true));
  return {
    players,
    setBusy: (is: boolean): void => void (busy = is),
    /** Whether it is over so many ms later. */
    isOverAfter: async (ms: number): Promise<boolean> => {
      now += ms;
      departure.beat();
      await Promise.resolve();
      return over;
    },
  };
}

describe("a departure", () => {
  it("is over at once where nobody is who could go anywhere", async () => {
    const { isOverAfter } = leaving([]);
    expect(await isOverAfter(0)).toBe(true);
  });

  it("waits for all who can go on elsewhere, and for what is on its way", async () => {
    const { players, setBusy, isOverAfter } = leaving(["ann", "bob"]);
    expect(await isOverAfter(5_000)).toBe(false);
    players.delete("ann");
    expect(await isOverAfter(5_000)).toBe(false);
    setBusy(true);
    players.delete("bob");
    expect(await isOverAfter(5_000)).toBe(false);
    setBusy(false);
    expect(await isOverAfter(0)).toBe(true);
  });

  it("does not wait for those who cannot, once others have had the time to take over", async () => {
    const { isOverAfter } = leaving([], ["cid"]);
    expect(await isOverAfter(settleMs - 1)).toBe(false);
    expect(await isOverAfter(1)).toBe(true);
  });

  it("gives others a quarter of the time at most", async () => {
    const { isOverAfter } = leaving([], ["cid"], 4_000);
    expect(await isOverAfter(999)).toBe(false);
    expect(await isOverAfter(1)).toBe(true);
  });

  it("ends at its deadline, whoever is left and whatever is on its way", async () => {
    const { setBusy, isOverAfter } = leaving(["ann"]);
    setBusy(true);
    expect(await isOverAfter(19_999)).toBe(false);
    expect(await isOverAfter(1)).toBe(true);
  });
});
