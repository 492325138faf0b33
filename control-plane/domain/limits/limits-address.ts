import { addressGroup, parseIpv6 } from "../../../protocol/ip-address.ts";

/**
 * What of a client's address limits are counted by: an IPv4 address as it is, of an IPv6 address the first 64 bits, for the rest
 * is the client's to choose. `undefined` for what is no address, and for this machine's own: a player there is a developer.
 * [SEC-35]
 */
export function limitedAddress(address: string | undefined): string | undefined {
  const group = address === undefined ? undefined : addressGroup(address);
  const isOwn = address !== undefined && (group?.startsWith("127.") === true || isOwnIpv6(address));
  return isOwn ? undefined : group;
}

function isOwnIpv6(address: string): boolean {
  return parseIpv6(address)?.join(":") === "0:0:0:0:0:0:0:1";
}

/** A device id that a client sent, if it is of a form that can be one. It is the client's own word. */
export function limitedDevice(deviceId: string | undefined): string | undefined {
  return deviceId !== undefined && /^[\w.:-]{8,128}$/.test(deviceId) ? deviceId : undefined;
}

/** An e-mail address as limits are counted by: its spelling does not make it another account. */
export function limitedAccount(email: string): string {
  return email.trim().toLowerCase();
}
