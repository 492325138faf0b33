import { describe, expect, it } from "vitest";
import { isRedirectAllowed } from "./redirects.ts";

const allowed = [
  "https://game.example/login/done",
  "https://game.example/other?from=sustenet",
  "mygame://login",
  "http://127.0.0.1/callback",
  "http://[::1]/callback",
  "nonsense",
  "http://plain.example/done",
];

describe("redirects", () => {
  it.each([
    "https://game.example/login/done",
    "https://GAME.example/login/done",
    "https://game.example:443/login/done",
    "https://game.example/other?from=sustenet",
    "mygame://login",
    "http://127.0.0.1/callback",
    "http://127.0.0.1:49152/callback",
    "http://[::1]:49152/callback",
  ])("[SEC-32] %s is allowed", (address) => {
    expect(isRedirectAllowed(address, allowed)).toBe(true);
  });

  it.each([
    "",
    "nonsense",
    "//game.example/login/done",
    "https://game.example/",
    "https://game.example/login/done/",
    "https://game.example/login/done?x=1",
    "https://game.example/login/done#x",
    "https://game.example/login/done#",
    "https://game.example/login/../login/done/x",
    "https://user@game.example/login/done",
    "https://user:pass@game.example/login/done",
    "https://game.example:444/login/done",
    "http://game.example/login/done",
    "https://game.example.evil.example/login/done",
    "https://evil.example/https://game.example/login/done",
    "mygame://login/x",
    "othergame://login",
    "http://127.0.0.1:49152/callback/x",
    "http://127.0.0.2:49152/callback",
    "http://localhost:49152/callback",
    "https://127.0.0.1:49152/callback",
    "http://plain.example/done",
    "javascript:alert(1)",
    "data:text/html,x",
    `https://game.example/login/done?${"x".repeat(2_048)}`,
  ])("[SEC-32] %s is not", (address) => {
    expect(isRedirectAllowed(address, allowed)).toBe(false);
  });

  it("none is allowed where none is listed, not even a script that is", () => {
    expect(isRedirectAllowed("https://game.example/login/done", [])).toBe(false);
    expect(isRedirectAllowed("javascript:alert(1)", ["javascript:alert(1)"])).toBe(false);
  });
});
