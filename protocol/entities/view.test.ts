import { beforeEach, describe, expect, it } from "vitest";
import { ProtocolError } from "../error.ts";
import { fromHex } from "../vectors/hex.ts";
import { ByteReader } from "../bytes.ts";
import { decodeEntities } from "../messages/entities.ts";
import { KindTable } from "./kind-table.ts";
import { createRandom } from "../testing/seeded-random.ts";
import { EntityView } from "./view.ts";

const kinds = new KindTable([
  { id: 0, name: "hero", fields: [{ name: "heading", type: "angle" }] },
  {
    id: 1,
    name: "all",
    fields: [
      { name: "u8", type: "u8" },
      { name: "u16", type: "u16" },
      { name: "u32", type: "u32" },
      { name: "i16", type: "i16" },
      { name: "f32", type: "f32" },
      { name: "flags", type: "flags" },
      { name: "bytes", type: "bytes", maxBytes: 3 },
    ],
  },
]);

/** Tick 1: entity 300 enters as 5: kind 0, step 0.5, at steps (10, 0, -2), heading 0x4000. */
const enter = "01000000 00 01 05 ac02 00 0000003f 140003 0040".replaceAll(" ", "");

let view = new EntityView(kinds);
let log: string[] = [];

beforeEach(() => {
  view = new EntityView(kinds);
  log = [];
});

function apply(...frames: string[]): void {
  for (const frame of frames) {
    view.apply(decodeEntities(new ByteReader(fromHex(frame.replaceAll(" ", "")))), {
      onEnter: ({ number }) => log.push(`enter ${number}`),
      onUpdate: ({ number }, mask) => log.push(`update ${number} ${mask}`),
      onLeave: ({ number }) => log.push(`leave ${number}`),
    });
  }
}

describe("EntityView", () => {
  it("shows an entity that enters", () => {
    apply(enter);
    expect(view.find(300)).toMatchObject({ number: 300, x: 5, y: 0, z: -1, values: [0x4000], tick: 1 });
    expect(view.find(300)?.kind.name).toBe("hero");
    expect(log).toEqual(["enter 300"]);
  });

  it("follows the document's example of a walking player", () => {
    apply(enter, "02000000 00 00 05093017 0080");
    expect(view.find(300)).toMatchObject({ x: 17, y: 0, z: -7, values: [0x8000], tick: 2 });
    expect(log).toEqual(["enter 300", "update 300 9"]);
  });

  it("moves by height alone, and to another place with another step", () => {
    apply(enter, "02000000 0000 050205");
    expect(view.find(300)).toMatchObject({ x: 5, y: -1.5, z: -1 });
    apply("03000000 0000 0504 00000040 020406");
    expect(view.find(300)).toMatchObject({ x: 2, y: 4, z: 6, values: [0x4000] });
    apply("04000000 0000 05010202");
    expect(view.find(300)).toMatchObject({ x: 4, y: 4, z: 8 });
  });

  it("[ENTITIES-1] gives a handle to another entity within a frame", () => {
    apply(enter, "02000000 01 05 01 05 07 00 0000803f 000000 0000");
    expect(log).toEqual(["enter 300", "leave 300", "enter 7"]);
    expect([...view.entities()].map(({ number }) => number)).toEqual([7]);
    expect([view.size, view.find(300), view.tick]).toEqual([1, undefined, 2]);
  });

  it("[ENTITIES-5] reads every type of field, and only those in the mask", () => {
    const values = "ff ffff ffffffff 0080 000000bf 8001 020a0b";
    apply("01000000 00 01 00 01 01 0000803f 000000" + values);
    const bytes = Uint8Array.of(10, 11);
    expect(view.find(1)?.values).toEqual([255, 65_535, 4_294_967_295, -32_768, -0.5, 128, bytes]);
    apply("02000000 0000 00 c004 0100 00");
    expect(view.find(1)?.values).toEqual([255, 65_535, 4_294_967_295, 1, -0.5, 128, new Uint8Array(0)]);
  });

  it("[ENTITIES-1] [ENTITIES-4] takes handle 999, and a place 2^30 - 1 steps away, either way", () => {
    apply("01000000 00 01 e707 01 00 0000803f feffffff07 00 fdffffff07 0000");
    expect(view.find(1)).toMatchObject({ x: 2 ** 30 - 1, y: 0, z: 1 - 2 ** 30 });
  });

  it.each([
    ["010000", "a tick cut off"],
    ["0100000000", "no number of enters"],
    ["010000000100 00", "a leave of nothing (ENTITIES-1)"],
    [`${enter}0601`, "an update of nothing (ENTITIES-1)"],
    ["01000000 00 01 e807 01 00 0000803f 000000 0000", "handle 1,000 (ENTITIES-1)"],
    [`01000000 00 02 ${enter.slice(12)}05 01 00 0000803f0000000000`, "a handle twice (ENTITIES-1)"],
    [`01000000 00 02 ${enter.slice(12)}06${enter.slice(14)}`, "an entity twice (ENTITIES-2)"],
    ["01000000 00 01 05 00 00 0000803f 000000 0000", "an entity 0"],
    ["01000000 00 01 05 01 09 0000803f 000000 0000", "[KINDS-2] an unknown kind"],
    ["01000000 00 01 05 01 00 00000000 000000 0000", "a step of 0"],
    ["01000000 00 01 05 01 00 000080bf 000000 0000", "a step below 0"],
    ["01000000 00 01 05 01 00 0000c07f 000000 0000", "a step that is not a number"],
    ["01000000 00 01 05 01 00 0000803f 80808080080000 0000", "2^30 steps (ENTITIES-4)"],
    [`${enter}0500`, "an empty mask (ENTITIES-3)"],
    [`${enter}0510`, "a field beyond the kind's (ENTITIES-3)"],
    [`${enter}0505 0000803f0000000202`, "a position in two ways (ENTITIES-3)"],
    [`${enter}0501fcffffff0f00`, "a sum beyond the range (ENTITIES-4)"],
    [`${enter}0508`, "a field that is missing"],
    [`${enter}05810000`, "a padded mask (VARINT-1)"],
    [`01000000 00 01 00 01 01 0000803f 000000 ${"00".repeat(14)} 0401020304`, "too many bytes"],
  ])("[ENTITIES-1] [ENTITIES-2] [ENTITIES-3] [ENTITIES-4] refuses %s, %s", (hex) => {
    expect(() => apply(hex)).toThrow(ProtocolError);
  });

  it("throws nothing but its own error, whatever comes", () => {
    const random = createRandom(12);
    const frames = [enter, `${enter}05093017 0080`, `${enter}0504 00000040 020406`].map((frame) =>
      fromHex(frame.replaceAll(" ", "")),
    );
    let applied = 0;
    for (let round = 0; round < 30_000; round++) {
      const bytes = frames[round % frames.length]?.slice() ?? new Uint8Array(0);
      for (let flips = Math.floor(random() * 4); flips > 0; flips--) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      try {
        const length = random() < 0.9 ? bytes.length : Math.floor(random() * bytes.length);
        new EntityView(kinds).apply(decodeEntities(new ByteReader(bytes.subarray(0, length))));
        applied++;
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }
    expect(applied).toBeGreaterThan(1_000);
  });
});
