import { describe, expect, it } from "vitest";
import { defaultReservedEmailDomain, isReservedEmail, reservedEmail, shownEmail } from "./reserved-email.ts";

const domain = "players.sustenet.invalid";

describe("reserved addresses", () => {
  it("are made of the provider and its id", () => {
    expect(reservedEmail("steam", "76561198000000001")).toBe("steam-76561198000000001@players.sustenet.invalid");
    expect(reservedEmail("epic", "ABC", "p.example.com")).toBe("epic-abc@p.example.com");
    expect(defaultReservedEmailDomain).toBe(domain);
  });

  it.each([
    "a@players.sustenet.invalid",
    "a@PLAYERS.Sustenet.INVALID",
    "a@players.sustenet.invalid.",
    "a@sub.players.sustenet.invalid",
    '"b@example.com"@players.sustenet.invalid',
    reservedEmail("steam", "1"),
  ])("[SEC-30] %s is one", (email) => {
    expect(isReservedEmail(email)).toBe(true);
    expect(shownEmail(email)).toBeNull();
  });

  it.each([
    "ada@example.com",
    "players.sustenet.invalid@example.com",
    "a@otherplayers.sustenet.invalid",
    "a@sustenet.invalid",
    "a@players.sustenet.invalid.example.com",
  ])("%s is none", (email) => {
    expect(isReservedEmail(email)).toBe(false);
    expect(shownEmail(email)).toBe(email);
  });

  it.each([undefined, null, ""])("no address, %j, is shown as none", (email) => {
    expect(shownEmail(email)).toBeNull();
  });
});
