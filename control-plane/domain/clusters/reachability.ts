import { isLoopbackHost, type ReachFault } from "../../../protocol/index.ts";
import { parseIpv4, parseIpv6 } from "../../../protocol/ip-address.ts";

/** How long the master waits for a connection to a cluster's address. */
export const probeTimeoutMs = 3_000;

/** Least time between two attempts at one cluster, whatever it does. */
export const leastProbeGapMs = 5_000;

const longestPauseMs = 300_000;

/** How long to wait after the `failures`-th attempt in a row has failed: longer each time, and never the same. */
export function probePauseMs(failures: number, random: () => number): number {
  const ceiling = Math.min(longestPauseMs, leastProbeGapMs * 2 ** Math.min(failures, 10));
  return Math.max(leastProbeGapMs, Math.round(ceiling * (0.5 + random() / 2)));
}

/**
 * Why an advertised address is not to be tried: it is, or by its name looks like, one of the master's own machine or network.
 * Only a master that is itself on a loopback address, as in development, tries those. A name that resolves to such an address is
 * for the platform to refuse. [SEC-60]
 */
export function untriedBecause(host: string, masterHost: string): ReachFault | undefined {
  if (isLoopbackHost(masterHost)) return undefined;
  const canonical = canonicalHost(host);
  return canonical === undefined || isInternal(canonical) ? "private" : undefined;
}

/** As a connection would read it: `127.1`, `0x7f000001` and `2130706433` are one address. `undefined` for what is no host. */
function canonicalHost(host: string): string | undefined {
  const text = host.includes(":") ? `http://[${host}]/` : `http://${host}/`;
  return URL.canParse(text) ? new URL(text).hostname.replace(/^\[|\]$/g, "") : undefined;
}

const internalNames = ["localhost", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa"];

function isInternal(host: string): boolean {
  const v4 = parseIpv4(host);
  if (v4 !== undefined) return isInternalIpv4(v4);
  const v6 = parseIpv6(host);
  if (v6 !== undefined) return isInternalIpv6(v6);
  const name = host.replace(/\.$/, "");
  return !name.includes(".") || internalNames.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
}

/** RFC 6890: what is not a global unicast address. */
function isInternalIpv4([a = 0, b = 0, c = 0]: readonly number[]): boolean {
  return (
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && ((b === 0 && c === 0) || b === 168)) ||
    (a === 198 && (b === 18 || b === 19))
  );
}

/** What is not in 2000::/3 is not global; of that, 6to4 and Teredo carry IPv4 addresses inside. */
function isInternalIpv6([a = 0, b = 0]: readonly number[]): boolean {
  return a < 0x2000 || a > 0x3fff || a === 0x2002 || (a === 0x2001 && b === 0);
}
