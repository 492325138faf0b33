import { describe, expect, it } from "vitest";
import { type Authority, authorityAfterUse } from "./authority.ts";

const a1: Authority = { generation: 1, clusterId: "a", shard: "default.0" };
const b2: Authority = { generation: 2, clusterId: "b", shard: "eu.0" };

describe("a used ticket", () => {
  it("has authority when it is the first", () => {
    expect(authorityAfterUse(undefined, a1)).toEqual({ authority: a1, fence: undefined });
  });

  it("throws an older session out of another cluster", () => {
    const fence = { shard: "default.0", clusterId: "a", generation: 2 };
    expect(authorityAfterUse(a1, b2)).toEqual({ authority: b2, fence });
  });

  it("that is reported late, after a newer one, is itself thrown out", () => {
    const fence = { shard: "default.0", clusterId: "a", generation: 2 };
    expect(authorityAfterUse(b2, a1)).toEqual({ authority: b2, fence });
  });

  it("throws nobody out on its own cluster, which has seen to it", () => {
    expect(authorityAfterUse(a1, { ...a1, generation: 2 })).toMatchObject({ fence: undefined });
  });

  it("changes nothing when it is reported again", () => {
    expect(authorityAfterUse(b2, b2)).toEqual({ authority: b2, fence: undefined });
  });

  it("follows its cluster to another shard", () => {
    const moved = { ...b2, shard: "default.7" };
    expect(authorityAfterUse(b2, moved)).toEqual({ authority: moved, fence: undefined });
  });
});
