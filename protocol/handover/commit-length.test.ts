import { expect, it } from "vitest";
import { maxCommitLength, maxSnapshotLength, maxStateLength, snapshotsLength } from "./commit-length.ts";
import { maxMembers } from "./parties.ts";
import { openStreams } from "./streams.ts";

it("[HAND-21] a player alone always fits, and so do the longest states of the largest group", () => {
  expect(maxSnapshotLength).toBeLessThan(maxCommitLength);
  const snapshots = Array.from({ length: maxMembers }, () => ({ state: "", streams: openStreams<string>(1) }));
  expect(snapshotsLength(snapshots, () => maxStateLength)).toBeLessThan(maxCommitLength);
});

it("[HAND-21] counts each frame that is not acknowledged, and what stands between them", () => {
  const streams = { ...openStreams<string>(1), unacknowledged: ["four", "five!"] };
  const empty = { state: "", streams: openStreams<string>(1) };
  const lengthOf = (body: string): number => body.length;
  const length = snapshotsLength([{ state: "abc", streams }], lengthOf) - snapshotsLength([empty], lengthOf);
  expect(length).toBe(3 + (4 + 4) + (5 + 4));
});
