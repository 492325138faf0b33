import { describe, expect, it } from "vitest";
import { createRandom, type Random, randomInteger } from "../../protocol/testing/seeded-random.ts";
import {
  decodePlayerState,
  encodePlayerState,
  maxSavedBytes,
  maxStateBytes,
  type PlayerState,
  PlayerStateError,
} from "./player-state.ts";

const plain: PlayerState = {
  placement: { x: 1.5, y: -2, z: 1e9, heading: 65_535 },
  fragment: "north",
  values: { score: 7, tag: Uint8Array.of(1, 2) },
  saved: Uint8Array.of(9),
  carried: Uint8Array.of(8, 8),
  parts: new Map([["game", Uint8Array.of(3)]]),
};

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

function codeOf(bytes: Uint8Array): string | undefined {
  try {
    decodePlayerState(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof PlayerStateError) return error.code;
    throw error;
  }
}

describe("a player's state", () => {
  it("has the bytes that are written down", () => {
    const state = { ...plain, placement: { x: 1, y: 0, z: -1, heading: 0x1234 }, values: { hp: 2 } };
    const bytes = hex(
      "01 000000000000f03f 0000000000000000 000000000000f0bf 3412 05 6e6f727468" +
        "01 02 6870 00 0000000000000040 02000000 09 0200 0808 01 04 67616d65 01000000 03",
    );
    expect(encodePlayerState(state)).toEqual(bytes);
    expect(decodePlayerState(bytes)).toEqual(state);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])("comes back as it was, and tells nothing from empty (seed %i)", (seed) => {
    const random = createRandom(seed);
    for (let round = 0; round < 200; round += 1) {
      const state = randomState(random);
      expect(decodePlayerState(encodePlayerState(state))).toEqual(state);
    }
    expect(decodePlayerState(encodePlayerState({ ...plain, saved: undefined })).saved).toBeUndefined();
    expect(decodePlayerState(encodePlayerState({ ...plain, saved: new Uint8Array(0) })).saved).toHaveLength(0);
  });

  it("shares no memory with what it was read from", () => {
    const bytes = Buffer.from(encodePlayerState(plain));
    const state = decodePlayerState(bytes);
    bytes.fill(0xff);
    expect(state).toEqual(plain);
  });

  it("is refused wherever it is cut off, and with anything behind it", () => {
    const bytes = encodePlayerState(plain);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(codeOf(bytes.subarray(0, length)), `the first ${length} bytes`).toBe("STATE_MALFORMED");
    }
    expect(codeOf(Uint8Array.from([...bytes, 0]))).toBe("STATE_MALFORMED");
  });

  it.each([1, 2, 3, 4])("is refused or read, whatever was done to its bytes (seed %i)", (seed) => {
    const random = createRandom(seed);
    for (let round = 0; round < 2_000; round += 1) {
      const bytes = encodePlayerState(randomState(random));
      for (let changes = randomInteger(random, 1, 4); changes > 0; changes -= 1) {
        bytes[randomInteger(random, 0, bytes.length - 1)] = randomInteger(random, 0, 255);
      }
      const length = codeOf(bytes) === undefined ? encodePlayerState(decodePlayerState(bytes)).length : bytes.length;
      expect(length).toBe(bytes.length);
    }
  });

  it("of a later version is told from a broken one", () => {
    const bytes = encodePlayerState(plain);
    bytes[0] = 2;
    expect(codeOf(bytes)).toBe("STATE_VERSION");
    bytes[0] = 0;
    expect(codeOf(bytes)).toBe("STATE_VERSION");
  });

  it("has no name twice, no coordinate that is none, and no kind of value that there is not", () => {
    const head = "01 000000000000f03f 0000000000000000 000000000000f0bf 3412 00";
    const good = (rest: string): string | undefined => codeOf(hex(head + rest));
    expect(good("00 00000000 0000 00")).toBeUndefined();
    expect(good("02 0161 01 00 0161 01 00 00000000 0000 00")).toBe("STATE_MALFORMED");
    expect(good("01 0161 02 00 00000000 0000 00")).toBe("STATE_MALFORMED");
    expect(good("00 00000000 0000 02 0161 00000000 0161 00000000")).toBe("STATE_MALFORMED");
    expect(good("01 09 5f5f70726f746f5f5f 01 00 00000000 0000 00")).toBe("STATE_MALFORMED");
    expect(codeOf(hex("01 000000000000f07f 0000000000000000 000000000000f0bf 3412 00 00 00000000 0000 00"))).toBe(
      "STATE_MALFORMED",
    );
    expect(() => encodePlayerState({ ...plain, placement: { x: Number.NaN, y: 0, z: 0, heading: 0 } })).toThrow(
      RangeError,
    );
  });

  it("is bounded: what the game saves, each count, and all together", () => {
    const saving = (length: number) => () => encodePlayerState({ ...plain, saved: new Uint8Array(length) });
    expect(saving(maxSavedBytes)).not.toThrow();
    expect(saving(maxSavedBytes + 1)).toThrow(expect.objectContaining({ code: "STATE_TOO_LARGE" }));
    const rest = encodePlayerState({ ...plain, parts: new Map([["a", new Uint8Array(0)]]) }).length;
    const giving = (length: number) => () =>
      encodePlayerState({ ...plain, parts: new Map([["a", new Uint8Array(length)]]) });
    expect(giving(maxStateBytes - rest)()).toHaveLength(maxStateBytes);
    expect(giving(maxStateBytes - rest + 1)).toThrow(expect.objectContaining({ code: "STATE_TOO_LARGE" }));
    expect(codeOf(new Uint8Array(maxStateBytes + 1).fill(1))).toBe("STATE_TOO_LARGE");
    expect(() => encodePlayerState({ ...plain, carried: new Uint8Array(4_097) })).toThrow(
      expect.objectContaining({ code: "STATE_TOO_LARGE" }),
    );
    const named = (count: number) => () =>
      encodePlayerState({
        ...plain,
        values: Object.fromEntries(Array.from({ length: count }, (_, at) => [`v${at}`, at])),
      });
    expect(named(24)).not.toThrow();
    expect(named(25)).toThrow(expect.objectContaining({ code: "STATE_TOO_LARGE" }));
    expect(() => encodePlayerState({ ...plain, fragment: "x".repeat(256) })).toThrow(
      expect.objectContaining({ code: "STATE_TOO_LARGE" }),
    );
  });

  it("always has room for the most that a game saves, beside the most of its entity", () => {
    const name = (at: number): string => `${at}`.padEnd(255, "x");
    const values = Object.fromEntries(Array.from({ length: 24 }, (_, at) => [name(at), new Uint8Array(255)]));
    const state = { ...plain, fragment: name(0), values, saved: new Uint8Array(maxSavedBytes) };
    expect(encodePlayerState(state).length).toBeLessThanOrEqual(maxStateBytes);
  });
});

function randomState(random: Random): PlayerState {
  const bytes = (most: number): Uint8Array =>
    Uint8Array.from({ length: randomInteger(random, 0, most) }, () => randomInteger(random, 0, 255));
  const named = <T>(most: number, make: () => T): [string, T][] =>
    Array.from({ length: randomInteger(random, 0, most) }, (_, at) => [`é${at}`, make()]);
  const coordinate = (): number => (random() - 0.5) * 10 ** randomInteger(random, 0, 12);
  return {
    placement: { x: coordinate(), y: coordinate(), z: coordinate(), heading: randomInteger(random, 0, 65_535) },
    fragment: random() < 0.5 ? "" : "mitte",
    values: Object.fromEntries(named(5, () => (random() < 0.5 ? coordinate() : bytes(20)))),
    saved: random() < 0.3 ? undefined : bytes(60),
    carried: bytes(20),
    parts: new Map(named(3, () => bytes(30))),
  };
}
