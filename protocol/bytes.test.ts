import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter, decodeUtf8, encodeUtf8 } from "./bytes.ts";
import { ProtocolError, type ProtocolErrorCode } from "./error.ts";
import { fromHex, toHex } from "./vectors/hex.ts";

describe("ByteReader", () => {
  it("reads little-endian fields in order", () => {
    const reader = new ByteReader(fromHex("010203000000040000c03f000000000000f8bf0261620099"));
    expect(reader.u8()).toBe(1);
    expect(reader.u16()).toBe(0x0302);
    expect(reader.u32()).toBe(0x0400_0000);
    expect(reader.remaining).toBe(17);
    reader.u16();
    expect(reader.u16()).toBe(0x3fc0);
    expect(reader.f64()).toBe(-1.5);
    expect(reader.str8()).toBe("ab");
    expect(toHex(reader.rest())).toBe("0099");
    expect(reader.remaining).toBe(0);
    reader.end();
  });

  it("reads from the middle of a larger buffer", () => {
    const whole = fromHex("ffffff0100000000803fff");
    const reader = new ByteReader(whole.subarray(3, 10), 1);
    expect(reader.u8()).toBe(0);
    expect(reader.u8()).toBe(0);
    expect(reader.f32()).toBe(1);
    expect(reader.remaining).toBe(0);
    expect(codeOf(() => reader.u8())).toBe("TRUNCATED");
  });

  it("[FRAME-5] throws for every field that is one byte short, and reads it when it is whole", () => {
    const fields: readonly [number, (reader: ByteReader) => unknown][] = [
      [1, (reader) => reader.u8()],
      [2, (reader) => reader.u16()],
      [4, (reader) => reader.u32()],
      [4, (reader) => reader.f32()],
      [8, (reader) => reader.f64()],
      [7, (reader) => reader.bytes(7)],
    ];
    for (const [size, read] of fields) {
      expect(codeOf(() => read(new ByteReader(new Uint8Array(size - 1))))).toBe("TRUNCATED");
      expect(codeOf(() => read(new ByteReader(new Uint8Array(size))))).toBe("none");
    }
    expect(codeOf(() => new ByteReader(fromHex("03616263")).str8())).toBe("none");
    expect(codeOf(() => new ByteReader(fromHex("036162")).str8())).toBe("TRUNCATED");
    expect(codeOf(() => new ByteReader(fromHex("")).str8())).toBe("TRUNCATED");
  });

  it("does not move past a field that it could not read", () => {
    const reader = new ByteReader(fromHex("010203"));
    expect(codeOf(() => reader.u32())).toBe("TRUNCATED");
    expect(reader.u16()).toBe(0x0201);
  });

  it("[FRAME-5] refuses bytes that nobody read", () => {
    expect(codeOf(() => new ByteReader(fromHex("00")).end())).toBe("TRAILING_BYTES");
    expect(codeOf(() => new ByteReader(fromHex("")).end())).toBe("none");
  });

  it.each(["0000c07f", "0100807f", "0000807f", "000080ff"])("[NUM-1] refuses the f32 %s", (hex) => {
    expect(codeOf(() => new ByteReader(fromHex(hex)).f32())).toBe("BAD_NUMBER");
  });

  it.each(["000000000000f87f", "010000000000f07f", "000000000000f07f", "000000000000f0ff"])(
    "[NUM-1] refuses the f64 %s",
    (hex) => {
      expect(codeOf(() => new ByteReader(fromHex(hex)).f64())).toBe("BAD_NUMBER");
    },
  );

  it("reads the greatest and the smallest finite numbers", () => {
    expect(new ByteReader(fromHex("ffff7f7f")).f32()).toBe(3.4028234663852886e38);
    expect(new ByteReader(fromHex("01000000")).f32()).toBe(2 ** -149);
    expect(new ByteReader(fromHex("ffffffffffffef7f")).f64()).toBe(Number.MAX_VALUE);
    expect(new ByteReader(fromHex("0100000000000000")).f64()).toBe(Number.MIN_VALUE);
    expect(new ByteReader(fromHex("0000000000000080")).f64()).toBe(-0);
  });
});

describe("ByteWriter", () => {
  it("writes what ByteReader reads", () => {
    const { bytes } = new ByteWriter(20).u8(255).u16(65_535).u32(0xffff_fffe).f32(-0.5).f64(1e300).raw(fromHex("aa"));
    expect(toHex(bytes)).toBe("fffffffeffffff000000bf9c7500883ce4377eaa");
    const reader = new ByteReader(bytes);
    expect([reader.u8(), reader.u16(), reader.u32(), reader.f32(), reader.f64()]).toEqual([
      255, 65_535, 0xffff_fffe, -0.5, 1e300,
    ]);
  });

  it.each([-1, 256, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses %d as u8 rather than wrap it", (value) => {
    expect(codeOf(() => new ByteWriter(1).u8(value))).toBe("BAD_VALUE");
  });

  it("refuses numbers just over their fields", () => {
    expect(codeOf(() => new ByteWriter(2).u16(65_536))).toBe("BAD_VALUE");
    expect(codeOf(() => new ByteWriter(4).u32(2 ** 32))).toBe("BAD_VALUE");
    expect(codeOf(() => new ByteWriter(4).u32(2 ** 32 - 1))).toBe("none");
  });

  it("[NUM-1] refuses to write what no receiver would take", () => {
    expect(codeOf(() => new ByteWriter(4).f32(Number.NaN))).toBe("BAD_NUMBER");
    expect(codeOf(() => new ByteWriter(8).f64(Number.NEGATIVE_INFINITY))).toBe("BAD_NUMBER");
    // Finite as f64, infinite as f32.
    expect(codeOf(() => new ByteWriter(4).f32(3.5e38))).toBe("BAD_NUMBER");
  });
});

describe("UTF-8", () => {
  it.each([
    ["80", "a continuation byte alone"],
    ["c1bf", "an overlong letter"],
    ["e08080", "an overlong NUL of three bytes"],
    ["f08282ac", "an overlong euro sign"],
    ["eda080", "half a surrogate pair"],
    ["f4908080", "a code point above U+10FFFF"],
    ["e282", "a cut-off character"],
    ["61ff62", "a byte that is never allowed"],
  ])("[NUM-2] refuses %s, %s", (hex) => {
    expect(codeOf(() => decodeUtf8(fromHex(hex)))).toBe("BAD_UTF8");
  });

  it("[NUM-2] keeps NUL, a byte order mark and the greatest code point", () => {
    expect(decodeUtf8(fromHex("00efbbbff48fbfbf"))).toBe("\0\ufeff\u{10ffff}");
    expect(decodeUtf8(fromHex("efbbbf61"))).toBe("\ufeffa");
    expect(decodeUtf8(fromHex(""))).toBe("");
  });

  it("cuts a text at a character's boundary", () => {
    expect(toHex(encodeUtf8("a€b", 5))).toBe("61e282ac62");
    expect(toHex(encodeUtf8("a€b", 4))).toBe("61e282ac");
    expect(toHex(encodeUtf8("a€b", 3))).toBe("61");
    expect(toHex(encodeUtf8("🐢", 3))).toBe("");
    expect(encodeUtf8("x".repeat(300))).toHaveLength(255);
    expect(encodeUtf8("")).toHaveLength(0);
  });

  it("encodes half a surrogate pair as the replacement character", () => {
    expect(toHex(encodeUtf8("\ud83d"))).toBe("efbfbd");
  });
});

function codeOf(run: () => unknown): ProtocolErrorCode | "none" {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return "none";
}
