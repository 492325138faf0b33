type Groups = readonly [number, number, number, number, number, number, number, number];

/**
 * The group that an address is counted in: itself for IPv4, also in the clothes of IPv6, and its /64 for IPv6, since one household or server has a
 * whole /64 to choose from. `undefined` for what is no address.
 */
export function addressGroup(address: string): string | undefined {
  const v4 = parseIpv4(address);
  if (v4 !== undefined) return v4.join(".");
  const groups = parseIpv6(address);
  if (groups === undefined) return undefined;
  const [a, b, c, d, e, f, g, h] = groups;
  const isMapped = a === 0 && b === 0 && c === 0 && d === 0 && e === 0 && f === 0xffff;
  if (isMapped) return [g >> 8, g & 0xff, h >> 8, h & 0xff].join(".");
  return `${[a, b, c, d].map((group) => group.toString(16)).join(":")}::/64`;
}

/** The four bytes, or `undefined`. */
export function parseIpv4(text: string): readonly number[] | undefined {
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) return undefined;
  const bytes = text.split(".").map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

/** The eight groups, or `undefined`. */
export function parseIpv6(text: string): Groups | undefined {
  if (text.length > 45 || !/^[\da-f:.]+$/i.test(text)) return undefined;
  const plain = text.replace(/(?<=:)[\d.]+$/, (tail) => (tail.includes(".") ? ipv4Groups(tail) : tail));
  const halves = plain.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: Math.max(0, missing) }, () => "0"), ...tail];
  if (!groups.every((group) => /^[\da-f]{1,4}$/i.test(group))) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups.map((group) => Number.parseInt(group, 16));
  return [a, b, c, d, e, f, g, h];
}

/** The dotted end of an address as two groups; as it is when it is none, which then does not parse. */
function ipv4Groups(text: string): string {
  const bytes = parseIpv4(text);
  if (bytes === undefined) return text;
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
