import { describe, expect, it } from "vitest";
import { ReturnedSeats } from "./returned-seats.ts";

/** Storage in which these players of a cluster have something to be told. */
function storageOf(stored: Map<string, Set<string>>) {
  let finds = 0;
  const asked: string[] = [];
  const returned = new ReturnedSeats((clusterId) => {
    finds += 1;
    return [...(stored.get(clusterId) ?? [])];
  });
  const collect = (clusterId: string, most = 10) =>
    returned
      .collect(clusterId, most, (playerIds) => {
        asked.push(...playerIds);
        return playerIds.filter((id) => stored.get(clusterId)?.has(id)).map((playerId) => ({ playerId }));
      })
      .map(({ playerId }) => playerId);
  return { returned, collect, asked, finds: () => finds };
}

describe("seats that were given back", () => {
  it("are looked up once for a cluster, and noted from then on", () => {
    const stored = new Map([["one", new Set(["ada"])]]);
    const { returned, collect, finds } = storageOf(stored);
    expect(collect("one")).toEqual(["ada"]);
    stored.get("one")?.add("bob");
    returned.note("one", "bob");
    expect(collect("one")).toEqual(["ada", "bob"]);
    expect(finds()).toBe(1);
  });

  it("are found although they were noted before the cluster was looked up", () => {
    const stored = new Map([["one", new Set(["ada", "bob"])]]);
    const { returned, collect } = storageOf(stored);
    returned.note("one", "bob");
    expect(collect("one")).toEqual(["ada", "bob"]);
  });

  it("are not asked for again when nothing is left to say of them", () => {
    const stored = new Map([["one", new Set(["ada", "bob"])]]);
    const { collect, asked } = storageOf(stored);
    collect("one");
    stored.get("one")?.delete("ada");
    expect(collect("one")).toEqual(["bob"]);
    asked.length = 0;
    expect(collect("one")).toEqual(["bob"]);
    expect(asked).toEqual(["bob"]);
  });

  it("come in no greater number than is asked for, with those that are not there any more passed over", () => {
    const players = Array.from({ length: 20 }, (_, index) => `p${index}`);
    const stored = new Map([["one", new Set(players)]]);
    const { collect } = storageOf(stored);
    expect(collect("one", 5)).toEqual(players.slice(0, 5));
    for (const player of players.slice(0, 8)) stored.get("one")?.delete(player);
    expect(collect("one", 5)).toEqual(players.slice(8, 13));
  });

  it("are looked up anew when there are too many to remember", () => {
    const stored = new Map([
      ["one", new Set(["ada"])],
      ["many", new Set<string>()],
    ]);
    const { returned, collect, finds } = storageOf(stored);
    collect("one");
    collect("many");
    for (let index = 0; index <= 65_536; index += 1) returned.note("many", `p${index}`);
    expect(collect("one")).toEqual(["ada"]);
    expect(finds()).toBe(3);
  });
});
