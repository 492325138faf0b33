import { describe, expect, it } from "vitest";
import { clusterTriggers, type KeptState, shownState, stateAfter } from "./cluster-states.ts";

const kept: readonly KeptState[] = ["starting", "ready", "suspect", "gone"];

/** Rows: from; columns: events, in their order. A slash: where its address has been reached / has not. */
const table: Record<KeptState, string> = {
  starting: "ready/starting  ready     suspect   starting        gone  gone",
  ready: "   ready/starting  ready     suspect   ready           gone  gone",
  suspect: " ready/starting  suspect   suspect   ready/starting  gone  gone",
  gone: "    ready/starting  gone      gone      gone            gone  gone",
};

describe("a cluster's state", () => {
  it.each(kept)("%s goes where the table says", (from) => {
    const cells = table[from].trim().split(/\s+/);
    for (const [index, event] of clusterTriggers.entries()) {
      const [reached = "", unreached = reached] = (cells[index] ?? "").split("/");
      expect(stateAfter(from, event, true), `${event}, reached`).toBe(reached);
      expect(stateAfter(from, event, false), `${event}, not reached`).toBe(unreached);
    }
  });

  it("never leads from gone to anywhere but by registering", () => {
    const ways = clusterTriggers.filter((event) => stateAfter("gone", event, true) !== "gone");
    expect(ways).toEqual(["registered"]);
  });

  it("is gone only by way of suspect, unless the cluster says goodbye or is given up", () => {
    const ways = clusterTriggers.filter((event) => stateAfter("ready", event, true) === "gone");
    expect(ways).toEqual(["given-up", "left"]);
  });

  it("shows that it drains, unless it is silent or gone", () => {
    expect(kept.map((state) => shownState(state, true))).toEqual(["draining", "draining", "suspect", "gone"]);
    expect(kept.map((state) => shownState(state, false))).toEqual(kept);
  });
});
