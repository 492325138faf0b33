import { describe, expect, it } from "vitest";
import { ByteReader } from "../bytes.ts";
import { ProtocolError } from "../error.ts";
import { fromHex, toHex } from "../vectors/hex.ts";
import { createRandom } from "../testing/seeded-random.ts";
import { readSigned, readVarint, varintBytes, writeSigned, writeVarint } from "./wire.ts";

describe("varints", () => {
  it.each([
    [0, "00"],
    [127, "7f"],
    [128, "8001"],
    [16_383, "ff7f"],
    [16_384, "808001"],
    [2_097_152, "80808001"],
    [268_435_455, "ffffff7f"],
    [268_435_456, "8080808001"],
    [4_294_967_295, "ffffffff0f"],
  ])("[VARINT-1] %i is %s", (value, hex) => {
    const bytes = new Uint8Array(5);
    expect(toHex(bytes.subarray(0, writeVarint(bytes, 0, value)))).toBe(hex);
    expect(varintBytes(value)).toBe(hex.length / 2);
    expect(readVarint(new ByteReader(fromHex(hex)))).toBe(value);
  });

  it.each(["8000", "ff00", "80808080808000", "ffffffff10", "ffffffffff01", "8080808000"])(
    "[VARINT-1] refuses %s",
    (hex) => {
      expect(() => readVarint(new ByteReader(fromHex(hex)))).toThrow(ProtocolError);
    },
  );

  it.each(["", "80", "ffffffff"])("refuses %s, which is cut off", (hex) => {
    expect(() => readVarint(new ByteReader(fromHex(hex)))).toThrow(expect.objectContaining({ code: "TRUNCATED" }));
  });

  it.each([
    [0, "00"],
    [-1, "01"],
    [1, "02"],
    [-2, "03"],
    [63, "7e"],
    [-64, "7f"],
    [64, "8001"],
    [2_147_483_647, "feffffff0f"],
    [-2_147_483_648, "ffffffff0f"],
  ])("writes %i as %s", (value, hex) => {
    const bytes = new Uint8Array(5);
    expect(toHex(bytes.subarray(0, writeSigned(bytes, 0, value)))).toBe(hex);
    expect(readSigned(new ByteReader(fromHex(hex)))).toBe(value);
  });

  it("reads back any number", () => {
    const random = createRandom(4);
    const bytes = new Uint8Array(10);
    for (let round = 0; round < 20_000; round++) {
      const value = Math.floor(2 ** (random() * 32));
      const signed = value | 0;
      const end = writeSigned(bytes, writeVarint(bytes, 0, value), signed);
      const reader = new ByteReader(bytes.subarray(0, end));
      expect([readVarint(reader), readSigned(reader), reader.remaining]).toEqual([value, signed, 0]);
    }
  });
});
