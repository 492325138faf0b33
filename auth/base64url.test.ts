import { describe, expect, it } from "vitest";
import { decodeBase64url } from "./base64url.ts";

describe("decodeBase64url", () => {
  it("decodes what Node encodes, at every length and with every byte", () => {
    for (let length = 0; length < 300; length += 1) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 167 + length) & 0xff);
      expect(decodeBase64url(Buffer.from(bytes).toString("base64url"))).toEqual(bytes);
    }
  });

  it.each(["A", "AAAAA", "AA=", "AA==", "A+", "A/", "A A", "A\n", "Aé", "A\u{1f600}", "A\u0080", "A."])(
    "refuses %j",
    (text) => {
      expect(decodeBase64url(text)).toBeUndefined();
    },
  );
});
