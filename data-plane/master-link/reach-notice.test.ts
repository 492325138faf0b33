import { describe, expect, it } from "vitest";
import { reachFaults } from "../../protocol/index.ts";
import { explainReach } from "./reach-notice.ts";

const master = "https://master.example.com";

describe("what the master says of the cluster's address", () => {
  it.each(reachFaults)("names address and settings, in one line: %s", (fault) => {
    const text = explainReach({ type: "reach", host: "203.0.113.7", port: 6257, fault }, master);
    expect(text).toContain("cannot reach this cluster at 203.0.113.7:6257");
    expect(text).toContain("advertised_host");
    expect(text).not.toContain("\n");
  });

  it("says that it is reached", () => {
    const text = explainReach({ type: "reach", host: "2001:db8::1", port: 6257 }, master);
    expect(text).toBe("the master at https://master.example.com has reached this cluster at [2001:db8::1]:6257");
  });
});
