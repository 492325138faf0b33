import { describe, expect, it } from "vitest";
import { encodeMessage } from "../../protocol/index.ts";
import { maskedFrame, RecordScanner, type Scanner, SustenetScanner, WebSocketScanner } from "./scanner.ts";

/** What a scanner finds in a stream that comes in pieces of so many bytes. */
function scan(scanner: Scanner, stream: Uint8Array, pieceBytes: number): string[] {
  const found: string[] = [];
  for (let at = 0; at < stream.length; at += pieceBytes) {
    scanner.push(Buffer.from(stream.subarray(at, at + pieceBytes)), (kind, bytes, start, end) => {
      found.push(`${kind}:${bytes.toString("latin1", start, end)}`);
    });
  }
  return found;
}

const pieceSizes = [1, 2, 3, 5, 1_000];

describe.each(pieceSizes)("in pieces of %i bytes", (pieceBytes) => {
  it("cuts records of a fixed size", () => {
    expect(scan(new RecordScanner(3), Buffer.from("abcdefgh"), pieceBytes)).toEqual(["0:abc", "0:def"]);
  });

  it("cuts frames of the game protocol, with the command in front of the payload", () => {
    const stream = Buffer.concat([
      encodeMessage({ command: 0x41, payload: Buffer.from("bc") }),
      encodeMessage({ command: 0x42, payload: Buffer.alloc(0) }),
    ]);
    expect(scan(new SustenetScanner(), stream, pieceBytes)).toEqual(["64:Abc", "64:B"]);
  });

  it("cuts WebSocket frames, short and long", () => {
    const long = Buffer.concat([Buffer.of(0x82, 126, 0, 200), Buffer.alloc(200, "x")]);
    const stream = Buffer.concat([Buffer.of(0x82, 2), Buffer.from("ab"), long, Buffer.of(0x89, 0)]);
    expect(scan(new WebSocketScanner(), stream, pieceBytes)).toEqual(["2:ab", `2:${"x".repeat(200)}`, "9:"]);
  });
});

it("masks a frame as a WebSocket client must, with a mask that is not zero", () => {
  const frame = maskedFrame(2, Buffer.from("hello"));
  expect(frame.subarray(0, 2).toString("hex")).toBe("8285");
  const mask = frame.subarray(2, 6);
  expect(mask.every((byte) => byte !== 0)).toBe(true);
  const text = Buffer.from(frame.subarray(6).map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
  expect(text.toString("latin1")).toBe("hello");
});
