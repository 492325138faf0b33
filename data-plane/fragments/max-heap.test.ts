import { expect, it } from "vitest";
import { MaxHeap } from "./max-heap.ts";
import { createRandom, randomInteger } from "../../protocol/testing/seeded-random.ts";

it("gives back what was put in, greatest first", () => {
  const random = createRandom(1);
  for (let round = 0; round < 300; round++) {
    const keys = Array.from({ length: randomInteger(random, 0, 40) }, () => randomInteger(random, 0, 20));
    const heap = new MaxHeap(40);
    for (const [index, key] of keys.entries()) heap.push(key, index);
    const popped: number[] = [];
    while (heap.size > 0) popped.push(keys[heap.pop()] ?? -1);
    expect(popped).toEqual(keys.toSorted((a, b) => b - a));
  }
});

it("keeps the least by replacing the greatest", () => {
  const random = createRandom(2);
  const keys = Array.from({ length: 500 }, () => random());
  const heap = new MaxHeap(10);
  for (const [index, key] of keys.entries()) {
    if (heap.size < 10) heap.push(key, index);
    else if (key < (heap.keys[0] ?? 0)) heap.replaceTop(key, index);
  }
  expect([...heap.keys].sort((a, b) => a - b)).toEqual(keys.toSorted((a, b) => a - b).slice(0, 10));
});
