import { describe, expect, it } from "vitest";
import { ProtocolError } from "./error.ts";
import { limits } from "./limits.ts";
import { isNumbered, NumberedStreams } from "./numbered-streams.ts";
import { messageTypes } from "./types.ts";

const bounds = { maxFrames: 100, maxBytes: 10_000 };
const frame = (value: number, length = 4): Uint8Array => new Uint8Array(length).fill(value);
const firstBytes = (frames: readonly Uint8Array[] | undefined): number[] | undefined =>
  frames?.map(([byte = 0]) => byte);

describe("what is numbered", () => {
  it("[RESUME-3] is MESSAGE, REQUEST, RESPONSE and CANCEL, and nothing else", () => {
    const numbered = Object.entries(messageTypes).filter(([, type]) => isNumbered(type));
    expect(numbered.map(([name]) => name)).toEqual(["message", "request", "response", "cancel"]);
  });
});

describe("NumberedStreams", () => {
  it("[RESUME-3] sends again what the other side has not received, in order", () => {
    const streams = new NumberedStreams(bounds);
    for (let value = 1; value <= 5; value++) streams.keep(frame(value));
    expect(firstBytes(streams.unreceived(0))).toEqual([1, 2, 3, 4, 5]);
    expect(firstBytes(streams.unreceived(3))).toEqual([4, 5]);
    expect(streams.unreceived(5)).toEqual([]);
  });

  it("[ACK-1] forgets what is acknowledged, and refuses what cannot be", () => {
    const streams = new NumberedStreams(bounds);
    for (let value = 1; value <= 5; value++) streams.keep(frame(value));
    streams.acknowledge(3);
    expect([streams.keptFrames, streams.keptBytes]).toEqual([2, 8]);
    streams.acknowledge(3);
    expect(() => streams.acknowledge(2)).toThrow(ProtocolError);
    expect(() => streams.acknowledge(6)).toThrow(ProtocolError);
    streams.acknowledge(5);
    expect(streams.keptFrames).toBe(0);
  });

  it("[RESUME-5] cannot go on where more was received than was sent, or the rest is not kept", () => {
    const streams = new NumberedStreams({ maxFrames: 3, maxBytes: 10_000 });
    for (let value = 1; value <= 5; value++) streams.keep(frame(value));
    expect(streams.unreceived(6)).toBeUndefined();
    expect(streams.unreceived(1)).toBeUndefined();
    expect(firstBytes(streams.unreceived(2))).toEqual([3, 4, 5]);
    streams.acknowledge(4);
    expect(streams.unreceived(3)).toBeUndefined();
  });

  it("[ACK-3] holds its bounds, in frames and in bytes", () => {
    const byBytes = new NumberedStreams({ maxFrames: 100, maxBytes: 10 });
    byBytes.keep(frame(1, 5));
    expect([byBytes.hasRoomFor(5), byBytes.hasRoomFor(6)]).toEqual([true, false]);
    byBytes.keep(frame(2, 5));
    byBytes.keep(frame(3, 1));
    expect([byBytes.keptFrames, byBytes.keptBytes]).toEqual([2, 6]);
    const byFrames = new NumberedStreams({ maxFrames: 2, maxBytes: 100 });
    for (let value = 1; value <= 300; value++) {
      expect(byFrames.hasRoomFor(1)).toBe(value <= 2);
      byFrames.keep(frame(value % 256, 1));
    }
    expect(firstBytes(byFrames.unreceived(298))).toEqual([43, 44]);
  });

  it("[ACK-2] asks for an ACK after so many frames or bytes, and not before", () => {
    const streams = new NumberedStreams(bounds);
    for (let count = 1; count < limits.ackFrames; count++) expect(streams.count(10)).toBe(false);
    expect(streams.count(10)).toBe(true);
    expect(streams.report()).toBe(limits.ackFrames);
    expect(streams.hasUnreported).toBe(false);
    expect(streams.count(limits.ackBytes - 1)).toBe(false);
    expect(streams.count(1)).toBe(true);
  });

  it("[RESUME-3] counts modulo 2^32 on the wire, and goes on past it", () => {
    const sent = 2 ** 32 - 2;
    const streams = new NumberedStreams(bounds, { lastInput: 2 ** 32 - 1, lastOutput: sent, unacknowledged: [] });
    for (let value = 1; value <= 5; value++) streams.keep(frame(value));
    expect(firstBytes(streams.unreceived(2 ** 32 - 1))).toEqual([2, 3, 4, 5]);
    expect(firstBytes(streams.unreceived(1))).toEqual([4, 5]);
    streams.acknowledge(1);
    expect(() => streams.acknowledge(2 ** 32 - 1)).toThrow(ProtocolError);
    expect(() => streams.acknowledge(4)).toThrow(ProtocolError);
    expect(streams.unreceived(3)).toEqual([]);
    expect(streams.received).toBe(2 ** 32 - 1);
    streams.count(1);
    expect(streams.report()).toBe(0);
    streams.count(1);
    expect(streams.report()).toBe(1);
  });

  it("is carried on elsewhere from its data alone", () => {
    const streams = new NumberedStreams(bounds);
    for (let value = 1; value <= 5; value++) streams.keep(frame(value));
    streams.acknowledge(2);
    streams.count(4);
    const data = structuredClone(streams.export());
    expect(data).toEqual({ lastInput: 1, lastOutput: 5, unacknowledged: [frame(3), frame(4), frame(5)] });
    const elsewhere = new NumberedStreams(bounds, data);
    elsewhere.keep(frame(6));
    expect(firstBytes(elsewhere.unreceived(2))).toEqual([3, 4, 5, 6]);
    expect(elsewhere.received).toBe(1);
    expect(elsewhere.keptBytes).toBe(16);
  });
});
