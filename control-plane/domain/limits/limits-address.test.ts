import { describe, expect, it } from "vitest";
import { limitedAccount, limitedAddress, limitedDevice } from "./limits-address.ts";

describe("addresses", () => {
  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["255.255.255.255", "255.255.255.255"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["::FFFF:cb00:7107", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["2001:DB8:1:2::9", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002:ffff::", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:1:2:3:4:203.0.113.7", "2001:db8:1:2::/64"],
    ["64:ff9b::203.0.113.7", "64:ff9b:0:0::/64"],
    ["::", "0:0:0:0::/64"],
  ])("[SEC-35] %s counts as %s", (address, key) => {
    expect(limitedAddress(address)).toBe(key);
  });

  it("[SEC-35] of one IPv6 network count as one, of the next as another", () => {
    expect(limitedAddress("2001:db8:1:2:ffff:ffff:ffff:ffff")).toBe(limitedAddress("2001:db8:1:2::1"));
    expect(limitedAddress("2001:db8:1:3::1")).not.toBe(limitedAddress("2001:db8:1:2::1"));
  });

  it.each(["127.0.0.1", "127.255.0.9", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"])(
    "of this machine, %s, are not limited",
    (address) => {
      expect(limitedAddress(address)).toBeUndefined();
    },
  );

  it.each([
    undefined,
    "",
    "unknown",
    "203.0.113",
    "203.0.113.256",
    "203.0.113.7, 10.0.0.1",
    "203.0.113.7:80",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "1:2:3:4:5:6:7::8",
    "12345::",
    "::g",
    "fe80::1%eth0",
    "::203.0.113.256",
    "[::1]",
    ":".repeat(100),
    "::1\r\nX-Evil: 1",
  ])("%j is none", (text) => {
    expect(limitedAddress(text)).toBeUndefined();
  });
});

describe("devices and accounts", () => {
  it.each(["12345678", "device-1:abc.DEF_", "a".repeat(128)])("%s is a device id", (id) => {
    expect(limitedDevice(id)).toBe(id);
  });

  it.each([undefined, "", "1234567", "a".repeat(129), "1234 5678", "12345678\n", "ünïcödé-"])("%j is none", (id) => {
    expect(limitedDevice(id)).toBeUndefined();
  });

  it("an account is the same in any spelling", () => {
    expect(limitedAccount(" Ada@Example.COM ")).toBe("ada@example.com");
  });
});
