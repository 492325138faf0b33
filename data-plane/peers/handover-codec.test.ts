import { describe, expect, it } from "vitest";
import type { HeldItem } from "../../protocol/handover/messages.ts";
import { decodePeerMessage, encodePeerMessage, type PeerMessage, PeerMessageError } from "./handover-codec.ts";

const id = "0123456789abcdef";
const member = (playerId: string) => ({ playerId, generation: 7 });
const bytes = (...values: number[]): Uint8Array => Buffer.from(values);
const transferred = (playerId: string, state = bytes(0, 255), unacknowledged = [bytes(), bytes(1, 2, 3)]) => ({
  ...member(playerId),
  key: id,
  snapshot: {
    state,
    streams: {
      tenure: 7,
      past: [{ tenure: 6, lastInput: 1, lastOutput: 2 }],
      lastInput: 3,
      lastOutput: 4,
      unacknowledged,
    },
  },
});
const forward = (item: HeldItem<Uint8Array>): PeerMessage => ({ type: "forward", id, playerId: "ann", index: 1, item });

const messages: readonly PeerMessage[] = [
  { type: "prepare", id, members: [member("ann"), member("bob")] },
  { type: "transfer", id, members: [transferred("ann"), transferred("bob")] },
  { type: "commit", id, token: "a.b.c" },
  forward({ kind: "input", sequence: 9, body: bytes(4) }),
  forward({ kind: "output", body: bytes() }),
  forward({ kind: "leave" }),
  { type: "abort", id },
  { type: "finished", id },
  { type: "prepared", id },
  { type: "ready", id },
  { type: "activated", id, superseded: ["ann"] },
  { type: "forwarded", id, playerId: "ann", index: 2 },
  { type: "refused", id, reason: "full" },
];

const text = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const written = (message: PeerMessage): Record<string, unknown> =>
  JSON.parse(Buffer.from(encodePeerMessage(message)).toString());

describe("a handover message between clusters", () => {
  it.each(messages)("$type comes as it went", (message) => {
    expect(decodePeerMessage(encodePeerMessage(message))).toEqual(message);
  });

  it("carries bodies of any kind of byte array, and no more than they hold", () => {
    const part = new Uint8Array([9, 1, 2, 9]).subarray(1, 3);
    const message = decodePeerMessage(encodePeerMessage(forward({ kind: "output", body: part })));
    expect(message).toEqual(forward({ kind: "output", body: bytes(1, 2) }));
  });

  it.each(messages)("$type with a field that is not known is refused", (message) => {
    expect(() => decodePeerMessage(text({ ...written(message), more: 1 }))).toThrow(PeerMessageError);
  });

  it.each([
    ["no JSON", Buffer.from("{")],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22])],
    ["a list", text([])],
    ["an unknown type", text({ type: "explode", id })],
    ["an id that is none", text({ type: "ready", id: "../../x" })],
    ["no members", text({ type: "prepare", id, members: [] })],
    ["a member twice", text({ type: "prepare", id, members: [member("ann"), member("ann")] })],
    ["a generation that is no number", text({ type: "prepare", id, members: [{ playerId: "ann", generation: "7" }] })],
    ["a member's unknown field", text({ type: "prepare", id, members: [{ ...member("ann"), key: id }] })],
    ["base64 that is none", text({ ...written(forward({ kind: "leave" })), item: { kind: "output", body: "a" } })],
    ["an unknown reason", text({ type: "refused", id, reason: "because" })],
    ["an item counted from 0", text({ ...written(forward({ kind: "leave" })), index: 0 })],
  ])("is not %s", (_what, bad) => {
    expect(() => decodePeerMessage(bad)).toThrow(PeerMessageError);
  });

  it("has at most 16 members", () => {
    const group = (count: number) =>
      text({ type: "prepare", id, members: Array.from({ length: count }, (_, index) => member(`p${index}`)) });
    expect(decodePeerMessage(group(16)).type).toBe("prepare");
    expect(() => decodePeerMessage(group(17))).toThrow(PeerMessageError);
  });

  it("has states and streams as long as the master takes them, and no longer", () => {
    const one = (state: number, ring: readonly number[]): Uint8Array =>
      encodePeerMessage({
        type: "transfer",
        id,
        members: [
          transferred(
            "ann",
            new Uint8Array(state),
            ring.map((length) => new Uint8Array(length)),
          ),
        ],
      });
    expect(decodePeerMessage(one(72 * 1_024, [600_000, 525_000])).type).toBe("transfer");
    expect(() => decodePeerMessage(one(72 * 1_024 + 1, []))).toThrow(PeerMessageError);
    expect(() => decodePeerMessage(one(0, [600_000, 525_003]))).toThrow(PeerMessageError);
    expect(() =>
      decodePeerMessage(
        one(
          0,
          Array.from({ length: 16_385 }, () => 0),
        ),
      ),
    ).toThrow(PeerMessageError);
  });

  it("says where it is wrong, and nothing of what it said", () => {
    const secret = { type: "prepare", id, members: [{ playerId: "ann", generation: "a secret" }] };
    expect(() => decodePeerMessage(text(secret))).toThrow("not as expected at members.0.generation");
    expect(() => decodePeerMessage(Buffer.from("secret"))).toThrow(/^a handover message is no JSON$/);
  });
});
