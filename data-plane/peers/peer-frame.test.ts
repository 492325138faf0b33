import { afterEach, describe, expect, it, vi } from "vitest";
import {
  encodePeerFrameHead,
  maxHelloBytes,
  maxPeerFrameBytes,
  PeerFrameError,
  type PeerFrameKind,
  peerFrameKinds,
  PeerFrameParser,
} from "./peer-frame.ts";

afterEach(() => vi.restoreAllMocks());

function frameOf(kind: PeerFrameKind, body: Uint8Array): Buffer {
  return Buffer.concat([encodePeerFrameHead(kind, body.length), body]);
}

/** What comes of a stream that arrives in pieces of a length. */
function parse(stream: Uint8Array, pieceBytes: number, parser = new PeerFrameParser()): string[] {
  const frames: string[] = [];
  for (let at = 0; at < stream.length; at += pieceBytes) {
    for (const { kind, body } of parser.feed(stream.subarray(at, at + pieceBytes))) {
      frames.push(`${kind} ${Buffer.from(body).toString("hex")}`);
    }
  }
  return frames;
}

describe("[PEER-2] frames of a link", () => {
  const stream = Buffer.from("03000000107b7d0100000002050000001100010203", "hex");

  it.each([1, 2, 3, 4, 5, 6, 7, 100])("are the same in pieces of %d bytes", (pieceBytes) => {
    expect(parse(stream, pieceBytes)).toEqual(["16 7b7d", "2 ", "17 00010203"]);
  });

  it.each([
    ["of no bytes", "0000000010"],
    ["of a kind that is none", "0100000003"],
    ["over the length that is allowed before the welcome", "0110000000"],
  ])("are refused %s, before anything waits for the rest", (_name, hex) => {
    for (const pieceBytes of [1, 100]) {
      expect(() => parse(Buffer.from(hex, "hex"), pieceBytes)).toThrow(PeerFrameError);
    }
  });

  it("may have just the length that is allowed, and more only when more is", () => {
    const longest = frameOf(peerFrameKinds.hello, new Uint8Array(maxHelloBytes - 1));
    expect(parse(longest, 1_000)).toHaveLength(1);
    const tooLong = frameOf(peerFrameKinds.handover, new Uint8Array(maxHelloBytes));
    expect(() => parse(tooLong, 1_000)).toThrow(`a frame of ${maxHelloBytes + 1} bytes`);
    const parser = new PeerFrameParser();
    parser.maxBytes = maxPeerFrameBytes;
    expect(parse(tooLong, 1_000, parser)).toHaveLength(1);
    expect(() => parse(encodePeerFrameHead(peerFrameKinds.handover, maxPeerFrameBytes), 5, parser)).toThrow(
      PeerFrameError,
    );
  });

  it("are held to the length that is allowed when they begin, also within a piece", () => {
    const parser = new PeerFrameParser();
    const welcome = frameOf(peerFrameKinds.welcome, new Uint8Array(0));
    const long = frameOf(peerFrameKinds.handover, new Uint8Array(maxHelloBytes));
    const kinds: number[] = [];
    for (const { kind } of parser.feed(Buffer.concat([welcome, long]))) {
      kinds.push(kind);
      parser.maxBytes = maxPeerFrameBytes;
    }
    expect(kinds).toEqual([peerFrameKinds.welcome, peerFrameKinds.handover]);
  });

  it("cost what they are long, however small the pieces: each byte is copied once", () => {
    const parser = new PeerFrameParser();
    parser.maxBytes = maxPeerFrameBytes;
    const bytes = 64 * 1_024;
    const pieces = Array.from(frameOf(peerFrameKinds.handover, new Uint8Array(bytes)), (byte) => Uint8Array.of(byte));
    const joins = vi.spyOn(Buffer, "concat");
    const fills = vi.spyOn(Uint8Array.prototype, "set");
    let frames = 0;
    for (const piece of pieces) for (const { body } of parser.feed(piece)) frames += body.length === bytes ? 1 : 0;
    expect(frames).toBe(1);
    const filled = fills.mock.calls.reduce((sum, [source]) => sum + source.length, 0);
    const copied = joins.mock.results.reduce((sum, { value }) => sum + value.length, filled);
    expect(copied).toBeLessThanOrEqual(bytes + 5);
  });
});
