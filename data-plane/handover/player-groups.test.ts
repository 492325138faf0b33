import { expect, it } from "vitest";
import { PlayerGroups } from "./player-groups.ts";

const player = (): { connected: boolean } => ({ connected: true });

it("groups players, the newest word counts, and who has left is not among them", () => {
  const groups = new PlayerGroups();
  const [ann, bob, eve] = [player(), player(), player()];
  expect(groups.of(ann)).toEqual([ann]);
  groups.keepTogether([ann, bob, eve]);
  expect(groups.of(bob)).toEqual([ann, bob, eve]);
  eve.connected = false;
  expect(groups.of(ann)).toEqual([ann, bob]);
  groups.keepTogether([ann]);
  expect(groups.of(ann)).toEqual([ann]);
  expect(groups.of(bob)).toEqual([bob]);
});

it("takes 16, and not 17", () => {
  const groups = new PlayerGroups();
  const sixteen = Array.from({ length: 16 }, player);
  groups.keepTogether(sixteen);
  expect(groups.of(sixteen[3] ?? player())).toHaveLength(16);
  expect(() => groups.keepTogether([...sixteen, player()])).toThrow(RangeError);
});
