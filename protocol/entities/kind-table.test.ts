import { describe, expect, it } from "vitest";
import { ProtocolError } from "../error.ts";
import { fromHex, toHex } from "../vectors/hex.ts";
import { ByteReader } from "../bytes.ts";
import { decodeKinds, encodeKinds } from "../messages/kinds.ts";
import { KindTable } from "./kind-table.ts";
import { createRandom } from "../testing/seeded-random.ts";
import { type EntityKind, fieldTypes, maxFields } from "./wire.ts";

const player: EntityKind = {
  id: 7,
  name: "hero",
  fields: [
    { name: "a", type: "angle" },
    { name: "tag", type: "bytes", maxBytes: 9 },
  ],
};

/** Bodies, without length and type. */
function encode(kinds: readonly EntityKind[]): Uint8Array {
  return encodeKinds({ kinds }).subarray(3);
}

function decode(body: Uint8Array): readonly EntityKind[] {
  return decodeKinds(new ByteReader(body)).kinds;
}

describe("KINDS", () => {
  it("has the bytes of the document", () => {
    const bytes = encode([player]);
    expect(toHex(bytes)).toBe("0107046865726f02060161080374616709");
    expect(decode(bytes)).toEqual([player]);
  });

  it("carries every type of field, and as many kinds and fields as there may be", () => {
    const kinds = Array.from({ length: 255 }, (_, id): EntityKind => {
      const fields = Array.from({ length: id % (maxFields + 1) }, (__, index) => {
        const types = ["u8", "u16", "u32", "i16", "f32", "angle", "flags"] as const;
        return { name: `field ${index}`, type: types[index % types.length] ?? "u8" };
      });
      return { id, name: `kind ${id}`, fields };
    });
    expect(decode(encode(kinds))).toEqual(kinds);
    expect(Object.keys(fieldTypes)).toHaveLength(8);
  });

  it("[KINDS-1] carries names of 64 bytes, and bytes of 255", () => {
    const name = "é".repeat(32);
    const kinds: EntityKind[] = [{ id: 1, name, fields: [{ name, type: "bytes", maxBytes: 255 }] }];
    expect(decode(encode(kinds))).toEqual(kinds);
  });

  it.each([
    ["", "nothing"],
    ["01", "a kind that is missing"],
    ["0107046865726f", "a kind without fields' number"],
    ["01070000", "an empty name"],
    ["010741" + "61".repeat(65) + "00", "a name of 65 bytes"],
    ["01070161010141" + "61".repeat(65), "a field's name of 65 bytes"],
    ["0107016101090161", "an unknown type"],
    ["0107016102010161010161", "two fields of a name"],
    ["020701610007016200", "two kinds of an id"],
    ["010701610108016100", "a field of no bytes"],
    ["0107016119" + "010161".repeat(25), "25 fields"],
    ["010701610000", "a byte too many"],
    ["010701ff00", "a name that is not UTF-8"],
  ])("[KINDS-1] refuses %s, %s", (hex) => {
    expect(() => decode(fromHex(hex))).toThrow(ProtocolError);
  });

  it("refuses with its own error, or reads what it would write", () => {
    const random = createRandom(9);
    const good = encode([player, { ...player, id: 8 }]);
    for (let round = 0; round < 20_000; round++) {
      const bytes = good.slice(0, random() < 0.3 ? Math.floor(random() * good.length) : good.length);
      for (let flips = Math.floor(random() * 4); flips > 0; flips--) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      try {
        expect(toHex(encode(decode(bytes)))).toBe(toHex(bytes));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }
  });
});

describe("KindTable", () => {
  it.each([
    [{ ...player, id: 256 }, "kind 256: expected an id from 0 to 255"],
    [{ ...player, id: 0.5 }, "kind 0.5: expected an id from 0 to 255"],
    [{ ...player, name: "x".repeat(65) }, "kind 7: expected a name of 1 to 64 bytes"],
    [
      { ...player, fields: [{ name: "b", type: "bytes" as const, maxBytes: 256 }] },
      "kind 7, field 0: expected maxBytes from 1 to 255",
    ],
  ])("refuses a kind that the wire cannot carry, %#", (kind, message) => {
    expect(() => new KindTable([kind])).toThrow(new RangeError(message));
  });

  it("bounds what its entities take", () => {
    const table = new KindTable([player]);
    expect(table.maxEnterBytes).toBe(5 + 1 + 19 + 2 + 10);
    expect(table.maxUpdateBytes).toBe(4 + 19 + 2 + 10);
    expect(table.find(7)).toBe(player);
    expect(table.find(8)).toBeUndefined();
  });
});
