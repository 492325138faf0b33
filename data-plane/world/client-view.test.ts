/**
 * The client library's view, fed by the worlds of two clusters through whatever may happen to a player: frames that are skipped or lost, sessions
 * that are resumed, joined anew or moved, and layouts that change. It is compared with what was true at the ticks that it tells.
 */
import { expect, it } from "vitest";
import { createRandom } from "../../protocol/testing/seeded-random.ts";
import { assertLayout, createRandomFragments } from "../fragments/testing/random-world.ts";
import { FollowedClient } from "./testing/followed-client.ts";
import { pick, randomLayout, RestlessSide } from "./testing/restless-side.ts";

it.each([1, 2])(
  "[ENTITIES-5] [ENTITIES-6] [ENTITIES-8] [ENTITIES-9] shows what was true, and tells of each change once and in order, whatever happens to its player (seed %i)",
  (seed) => {
    const random = createRandom(seed);
    const sides = [new RestlessSide(random), new RestlessSide(random)] as const;
    const clients = Array.from({ length: 6 }, () => new FollowedClient(random, pick(random, sides)));
    for (let round = 0; round < 300; round++) {
      for (const client of clients) client.act(sides);
      for (const side of sides) {
        side.stir();
        if (random() < 0.01) side.world.changeLayout(randomLayout(random));
        side.step();
      }
    }
    expect(clients.reduce((sum, { events }) => sum + events, 0)).toBeGreaterThan(2_000);
    // In the end all see all, as it is.
    for (const side of sides) {
      const fragment = createRandomFragments(random, 3, 400, 2);
      for (const table of fragment) Object.assign(table, { view_range: 900, max_visible: 200, precision: 0.5 });
      side.world.changeLayout(assertLayout({ fragment }));
    }
    for (const client of clients) client.settle();
    for (let round = 0; round < 150; round++) for (const side of sides) side.step();
    for (const { view, body, side } of clients) {
      const others = side.entities().filter(({ number }) => number !== side.world.entityOf(body)?.number);
      const numbers = (of: Iterable<{ readonly number: number }>): number[] =>
        Array.from(of, ({ number }) => number).toSorted((a, b) => a - b);
      expect(numbers(view.entities())).toEqual(numbers(others));
      for (const entity of view.entities()) side.assertTrue(entity, side.tick);
    }
  },
);
