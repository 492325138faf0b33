import { expect, it } from "vitest";
import { explainFence, parseFenceClose } from "./fence.ts";

it.each([
  ["FENCED newer-process", "newer-process"],
  ["FENCED key-ended", "key-ended"],
  // Of an earlier master, of a later one, and of whoever makes something up.
  ["FENCED", undefined],
  ["FENCED eclipse", undefined],
  ["", undefined],
  ["key-ended", undefined],
  ["FENCED constructor", undefined],
])("reads from a link closed with '%s': %s", (reason, fencedBy) => {
  expect(parseFenceClose(reason)).toEqual({ fencedBy });
});

it("says what to do, and only what goes with the reason", () => {
  const [newer, ended, unknown] = [
    explainFence({ fencedBy: "newer-process" }),
    explainFence({ fencedBy: "key-ended" }),
    explainFence({ fencedBy: undefined }),
  ];
  expect(newer).toContain("[cluster] instance");
  expect(newer).not.toContain("key was revoked");
  expect(ended).toContain("start again with a key that is enrolled");
  expect(ended).not.toContain("instance");
  for (const part of ["a newer process", "key was revoked", "[cluster] instance", "enrolled key"]) {
    expect(unknown).toContain(part);
  }
});
