import { expect, it } from "vitest";
import { ByteWriter } from "../../../protocol/bytes.ts";
import { createRandom, randomInteger } from "../../../protocol/testing/seeded-random.ts";
import { savedFragment } from "./saved-fragment.ts";

/** The head of a player's state; what follows may be long. */
function stateIn(fragment: string, version = 1, more = 0): string {
  const name = new TextEncoder().encode(fragment);
  const writer = new ByteWriter(1 + 26 + 1 + name.length + more).u8(version).f64(1).f64(2).f64(3).u16(4);
  return toBase64(writer.u8(name.length).raw(name).raw(new Uint8Array(more)).bytes);
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

it("[ALLOC-16] is read behind the place, whatever follows it", () => {
  for (const name of ["a", "north-west_1.2", "x".repeat(64)]) {
    for (const more of [0, 1, 2, 3, 9_000]) expect(savedFragment(stateIn(name, 1, more))).toBe(name);
  }
});

it.each([
  ["none", stateIn("")],
  ["a later version's", stateIn("a", 2)],
  ["a name that none can have", stateIn("a b")],
  ["one that is too long", stateIn("x".repeat(65))],
  ["half a name", stateIn("abcdefgh").slice(0, -4)],
  ["nothing", ""],
  ["no base64", "a"],
])("[ALLOC-16] is not read from %s", (_, state) => {
  expect(savedFragment(state)).toBeUndefined();
});

it("[ALLOC-16] is nothing, or a name, whatever a cluster has saved", () => {
  const random = createRandom(16);
  const names = Array.from({ length: 2_000 }, () => {
    const bytes = Uint8Array.from({ length: randomInteger(random, 0, 120) }, () => randomInteger(random, 0, 255));
    bytes[0] = 1;
    return savedFragment(toBase64(bytes));
  });
  expect(names.filter((name) => name !== undefined && !/^[\w.-]{1,64}$/.test(name))).toEqual([]);
  expect(names).toContain(undefined);
});
