import { describe, expect, it } from "vitest";
import { leastProbeGapMs, probePauseMs, untriedBecause } from "./reachability.ts";

describe("[SEC-60] an address that the master does not try", () => {
  it.each([
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:7f00:1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "ff02::1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "2001:0:1::1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "printer.local",
    "metadata.google.internal",
    "router",
    "nas.home.arpa",
    "1.2.3.4.5",
    ":",
  ])("%s", (host) => {
    expect(untriedBecause(host, "master.example.com")).toBe("private");
  });

  it.each([
    "203.0.113.7",
    "172.32.0.1",
    "100.128.0.1",
    "192.169.0.1",
    "2606:4700::1111",
    "game.example.com",
    "eu-1.example.com.",
  ])("is not %s", (host) => {
    expect(untriedBecause(host, "master.example.com")).toBeUndefined();
  });

  it.each(["localhost", "127.0.0.1", "[::1]"])("is any, unless the master is on this machine: %s", (master) => {
    expect(untriedBecause("127.0.0.1", master)).toBeUndefined();
    expect(untriedBecause("127.0.0.1", `${master}.example.com`)).toBe("private");
  });
});

describe("[SEC-61] the pause between attempts", () => {
  it("grows to five minutes, and is never shorter than the least", () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 8, 50].map((failures) => probePauseMs(failures, () => 1));
    expect(pauses).toEqual([10, 20, 40, 80, 160, 300, 300, 300, 300].map((seconds) => seconds * 1_000));
    expect(probePauseMs(0, () => 0)).toBe(leastProbeGapMs);
    expect(probePauseMs(50, () => 0)).toBe(150_000);
  });
});
