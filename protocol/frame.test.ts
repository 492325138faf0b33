import { describe, expect, it } from "vitest";
import { ProtocolError } from "./error.ts";
import { createFrame, FrameParser } from "./frame.ts";
import { limits } from "./limits.ts";
import { fromHex, toHex } from "./vectors/hex.ts";

/** Two frames: type 0x40 with command 1 and "hi", and a bare type 0x07. */
const twoFrames = fromHex("040040016869010007");

describe("createFrame", () => {
  it("[FRAME-2] announces the type and the body", () => {
    expect(toHex(createFrame(0x40, 2).u8(1).u8(2).bytes)).toBe("0300400102");
    expect(toHex(createFrame(0x40, 0).bytes)).toBe("010040");
  });

  it("[FRAME-3] takes a body that a u16 can announce, and none that is one byte longer", () => {
    expect(createFrame(0x40, 65_534).bytes).toHaveLength(65_537);
    expect(() => createFrame(0x40, 65_535)).toThrow(expect.objectContaining({ code: "FRAME_TOO_LARGE" }));
  });
});

describe("FrameParser", () => {
  it("[FRAME-1] finds the same frames wherever the stream is cut in three", () => {
    for (let first = 0; first <= twoFrames.length; first++) {
      for (let second = first; second <= twoFrames.length; second++) {
        const pieces = [twoFrames.subarray(0, first), twoFrames.subarray(first, second), twoFrames.subarray(second)];
        expect(framesOf(new FrameParser(16), pieces)).toEqual(["40016869", "07"]);
      }
    }
  });

  it("[FRAME-1] hands a frame on as soon as its last byte is there, not later", () => {
    const parser = new FrameParser(16);
    const frames: string[] = [];
    const counts = Array.from(twoFrames, (byte) => {
      parser.push(Uint8Array.of(byte), (frame) => frames.push(toHex(frame)) > 0);
      return frames.length;
    });
    expect(counts).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 2]);
  });

  it("does not copy a frame that lies within one piece", () => {
    const parser = new FrameParser(16);
    parser.push(twoFrames, (frame) => {
      expect(frame.buffer).toBe(twoFrames.buffer);
      return true;
    });
    expect.assertions(2);
  });

  it("puts a frame together that spans pieces, though the pieces are overwritten afterwards", () => {
    const parser = new FrameParser(16);
    const buffer = new Uint8Array(3);
    const frames: string[] = [];
    for (let at = 0; at < twoFrames.length; at += 3) {
      buffer.set(twoFrames.subarray(at, at + 3));
      parser.push(buffer, (frame) => frames.push(toHex(frame)) > 0);
      buffer.fill(0xee);
    }
    expect(frames).toEqual(["40016869", "07"]);
  });

  it("[FRAME-2] refuses a length of 0, whole and in two pieces", () => {
    expect(() => framesOf(new FrameParser(16), [fromHex("0000")])).toThrow(
      expect.objectContaining({ code: "FRAME_EMPTY" }),
    );
    expect(() => framesOf(new FrameParser(16), [fromHex("00"), fromHex("00")])).toThrow(
      expect.objectContaining({ code: "FRAME_EMPTY" }),
    );
  });

  it.each([limits.maxHelloBytes, limits.maxJoinBytes, limits.defaultMaxClientFrameBytes])(
    "[FRAME-3] takes a length of %d and refuses one more before any byte of the body",
    (limit) => {
      const body = new Uint8Array(limit);
      expect(framesOf(new FrameParser(limit), [lengthOf(limit), body])).toEqual([toHex(body)]);
      expect(() => framesOf(new FrameParser(limit), [lengthOf(limit + 1)])).toThrow(
        expect.objectContaining({ code: "FRAME_TOO_LARGE" }),
      );
    },
  );

  it("[FRAME-3] takes the greatest length of all where no smaller limit is in force", () => {
    const body = new Uint8Array(65_535).fill(7);
    expect(framesOf(new FrameParser(limits.maxFrameBytes), [lengthOf(65_535), body])).toEqual([toHex(body)]);
  });

  it("[FRAME-3] uses the limit that the handler sets, from the very next frame on", () => {
    const parser = new FrameParser(4);
    const frames: string[] = [];
    const push = (): number =>
      parser.push(fromHex("0400400168690400400168690100"), (frame) => {
        frames.push(toHex(frame));
        parser.maxFrameBytes = 3;
        return true;
      });
    expect(push).toThrow(ProtocolError);
    expect(frames).toEqual(["40016869"]);
  });

  it("drops the rest of the piece when the handler returns false", () => {
    const parser = new FrameParser(16);
    const frames: string[] = [];
    parser.push(twoFrames, (frame) => {
      frames.push(toHex(frame));
      return false;
    });
    expect(frames).toEqual(["40016869"]);
  });

  it("drops what follows a frame that was put together, too", () => {
    const parser = new FrameParser(16);
    const frames: string[] = [];
    const once = (frame: Uint8Array): boolean => {
      frames.push(toHex(frame));
      return false;
    };
    parser.push(twoFrames.subarray(0, 4), once);
    expect(frames).toEqual([]);
    parser.push(twoFrames.subarray(4), once);
    expect(frames).toEqual(["40016869"]);
  });

  it("[FRAME-1] says how much it used, so that the rest can be pushed later", () => {
    const stream = Uint8Array.from([...twoFrames, ...twoFrames]);
    for (let cut = 0; cut <= stream.length; cut++) {
      const parser = new FrameParser(16);
      const frames: string[] = [];
      for (const piece of [stream.subarray(0, cut), stream.subarray(cut)]) {
        for (let rest = piece; rest.length > 0;) {
          rest = rest.subarray(parser.push(rest, (frame) => frames.push(toHex(frame)) < 0));
        }
      }
      expect(frames).toEqual([
        ...framesOf(new FrameParser(16), [twoFrames]),
        ...framesOf(new FrameParser(16), [twoFrames]),
      ]);
    }
  });

  it("[FRAME-1] copies a frame only when it spans pieces", () => {
    const parser = new FrameParser(16);
    const shared: boolean[] = [];
    const note = (frame: Uint8Array): boolean => shared.push(frame.buffer === twoFrames.buffer) > 0;
    parser.push(twoFrames, note);
    parser.push(twoFrames.subarray(0, 4), note);
    parser.push(twoFrames.subarray(4), note);
    expect(shared).toEqual([true, true, false, true]);
  });

  it("lets through what the handler throws", () => {
    const push = (): number =>
      new FrameParser(16).push(twoFrames, () => {
        throw new RangeError("from the handler");
      });
    expect(push).toThrow(RangeError);
  });

  it("passes on frames of many sizes from a stream cut at irregular places", () => {
    const sizes = Array.from({ length: 60 }, (_, index) => 1 + ((index * 37) % 300));
    const stream = sizes.flatMap((size) => [...lengthOf(size), ...new Uint8Array(size).fill(size % 251)]);
    for (const step of [1, 2, 3, 5, 7, 64, 1_000]) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < stream.length; at += step) pieces.push(Uint8Array.from(stream.slice(at, at + step)));
      expect(framesOf(new FrameParser(300), pieces).map((frame) => frame.length / 2)).toEqual(sizes);
    }
  });
});

function framesOf(parser: FrameParser, pieces: readonly Uint8Array[]): string[] {
  const frames: string[] = [];
  for (const piece of pieces) parser.push(piece, (frame) => frames.push(toHex(frame)) > 0);
  return frames;
}

function lengthOf(length: number): Uint8Array {
  return Uint8Array.of(length & 0xff, length >> 8);
}
