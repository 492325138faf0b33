import { addressGroup as groupOf } from "../../protocol/ip-address.ts";

/** The group that a peer's address is counted in, as the system names it: with the zone of a link-local address, which is no part of it. */
export function addressGroup(address: string): string {
  const [plain = ""] = address.split("%", 1);
  return groupOf(plain) ?? "unknown";
}
