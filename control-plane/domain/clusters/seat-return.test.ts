import { describe, expect, it } from "vitest";
import { clusterToReturnTo, takesBack } from "./seat-return.ts";

const clusterId = "eu.AAAAAAAAAAAAAAAAAAAAAA";
const authority = { generation: 3, clusterId, shard: "eu.0" };

describe("the cluster to which a player returns", () => {
  it("is the one that holds the newest session", () => {
    expect(clusterToReturnTo(authority, {})).toEqual({ clusterId, shard: "eu.0" });
    expect(clusterToReturnTo(authority, { region: "eu", avoid: ["another"] })?.clusterId).toBe(clusterId);
  });

  it.each([
    ["names a cluster, even that one", { clusterId }],
    ["wants another region", { region: "us" }],
    ["wants it avoided", { avoid: [clusterId] }],
  ])("is none for who %s", (_, wish) => {
    expect(clusterToReturnTo(authority, wish)).toBeUndefined();
  });

  it("is none without a session", () => {
    expect(clusterToReturnTo(undefined, {})).toBeUndefined();
  });
});

describe("a cluster takes a player back", () => {
  const held = { draining: false, live: true, isHeld: true, fits: true };

  it("who has a seat there", () => {
    expect(takesBack(held)).toBe(true);
  });

  it.each([{ draining: true }, { live: false }, { isHeld: false }, { fits: false }])("but not with %o", (change) => {
    expect(takesBack({ ...held, ...change })).toBe(false);
  });
});
