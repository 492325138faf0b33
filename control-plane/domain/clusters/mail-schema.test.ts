import { describe, expect, it } from "vitest";
import { maxMailBytes } from "../../../protocol/index.ts";
import { linkTellSchema } from "./mail-schema.ts";
import { parseLinkMessage } from "./report-schema.ts";

const tell = { type: "tell", id: 1, playerId: "p".repeat(64), command: 255, payload: "" };
const base64 = (bytes: number): string => Buffer.alloc(bytes, 0xfe).toString("base64");

describe("a message for a player elsewhere", () => {
  it.each([0, 1, 2, 3, 100, maxMailBytes - 1, maxMailBytes])("[MAIL-2] of %i bytes is taken as it is", (bytes) => {
    const message = { ...tell, payload: base64(bytes) };
    expect(parseLinkMessage(JSON.stringify(message))).toEqual(message);
  });

  it.each([
    ["a byte too many", { ...tell, payload: base64(maxMailBytes + 1) }],
    ["many too many", { ...tell, payload: base64(100_000) }],
    ["no base64", { ...tell, payload: "a" }],
    ["padding in the middle", { ...tell, payload: "YQ==YQ==" }],
    ["the other alphabet", { ...tell, payload: "__--" }],
    ["a line end", { ...tell, payload: "YWJj\n" }],
    ["no payload", { ...tell, payload: undefined }],
    ["a command over a byte", { ...tell, command: 256 }],
    ["a negative command", { ...tell, command: -1 }],
    ["nobody to go to", { ...tell, playerId: "" }],
    ["an id of a player that is too long", { ...tell, playerId: "p".repeat(65) }],
    ["a sender", { ...tell, from: "another" }],
    ["a fraction of an id", { ...tell, id: 0.5 }],
  ])("[MAIL-2] with %s is refused", (_, message) => {
    expect(linkTellSchema.safeParse(message).success).toBe(false);
    expect(parseLinkMessage(JSON.stringify(message))).toHaveProperty("fault");
  });
});
