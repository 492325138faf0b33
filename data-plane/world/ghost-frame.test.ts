import { describe, expect, it } from "vitest";
import { KindTable, ProtocolError } from "../../protocol/index.ts";
import { decodeGhostFrame, encodeGhostKinds, encodeGhostView } from "./ghost-frame.ts";
import { ghostIdentity } from "./ghost-identity.ts";

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(" ", ""), "hex");
const hex = (of: Uint8Array): string => Buffer.from(of).toString("hex");

const kinds = new KindTable([{ id: 1, name: "ox", fields: [{ name: "a", type: "u8" }] }]);
const kindsHex = "00 01 01 02 6f78 01 01 01 61";
const identities = [
  { number: 5, identity: "00000000000000aa" },
  { number: 300, identity: "0123456789abcdef" },
];
const viewHex = "01 02 05 00000000000000aa ac02 0123456789abcdef 07000000 000000";

describe("a frame of ghosts", () => {
  it("[GHOST-4] tells kinds behind a 0, as KINDS does", () => {
    expect(hex(encodeGhostKinds(kinds))).toBe(kindsHex.replaceAll(" ", ""));
    const frame = decodeGhostFrame(bytes(kindsHex));
    expect(frame.type === "kinds" && frame.kinds.kinds).toEqual(kinds.kinds);
  });

  it("[GHOST-4] tells who enters, and the view, behind a 1", () => {
    expect(hex(encodeGhostView(identities, bytes("07000000 000000")))).toBe(viewHex.replaceAll(" ", ""));
    expect(decodeGhostFrame(bytes(viewHex))).toEqual({
      type: "view",
      identities: new Map(identities.map(({ number, identity }) => [number, identity])),
      entities: { type: "entities", tick: 7, changes: bytes("000000") },
    });
  });

  it.each(["", "02", "01", "01 01 05 00000000000000", "01 00 070000", "01 e907", `${kindsHex} 00`])(
    "[GHOST-4] is not %j",
    (text) => {
      expect(() => decodeGhostFrame(bytes(text))).toThrow(ProtocolError);
    },
  );

  it("[GHOST-4] calls a player the same everywhere", () => {
    expect(ghostIdentity("ann")).toMatch(/^[0-9a-f]{16}$/);
    expect(ghostIdentity("ann")).toBe(ghostIdentity("ann"));
    expect(ghostIdentity("bob")).not.toBe(ghostIdentity("ann"));
  });
});
