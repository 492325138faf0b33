import { expect, it } from "vitest";
import { HeldVersions } from "./held-versions.ts";

it("says nothing before the master has, for an older one would refuse the report", () => {
  expect(new HeldVersions().told()).toEqual({});
});

it("counts what follows on what it holds, and nothing past a gap", () => {
  const held = new HeldVersions();
  held.noteRevocations({ since: 0, version: 4 });
  expect(held.told()).toEqual({ revocations: 4 });
  held.noteRevocations({ since: 6, version: 7 });
  expect(held.told()).toEqual({ revocations: 4 });
  held.noteRevocations({ since: 4, version: 7 });
  expect(held.told()).toEqual({ revocations: 7 });
});

it("is not taken back by an old command that comes again", () => {
  const held = new HeldVersions();
  held.noteRevocations({ since: 0, version: 9 });
  held.noteRevocations({ since: 0, version: 3 });
  held.noteKeys(5);
  held.noteKeys(2);
  expect(held.told()).toEqual({ revocations: 9, keys: 5 });
});

it("admits at once that a command past a gap has left it without", () => {
  const held = new HeldVersions();
  held.noteRevocations({ since: 3, version: 5 });
  expect(held.told()).toEqual({ revocations: 0 });
});

it("starts anew with a registration", () => {
  const held = new HeldVersions();
  held.noteRevocations({ since: 0, version: 9 });
  held.reset();
  expect(held.told()).toEqual({});
});
