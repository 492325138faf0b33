import { connect } from "cloudflare:sockets";
import type { ReachFault } from "../../../protocol/index.ts";
import { probeTimeoutMs } from "../../domain/clusters/reachability.ts";

/** Opens a TCP connection and closes it again, without a byte. Never throws; says nothing but why there was none. [SEC-62] */
export async function tryAddress(host: string, port: number): Promise<ReachFault | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<"timeout">();
  const timer = setTimeout(() => resolve("timeout"), probeTimeoutMs);
  try {
    const socket = connect({ hostname: host, port }, { allowHalfOpen: false, secureTransport: "off" });
    // Both end with the socket, one way or the other.
    socket.closed.catch(() => undefined);
    const opened = socket.opened.then(
      () => undefined,
      () => "refused" as const,
    );
    const outcome = await Promise.race([opened, late]);
    void socket.close().catch(() => undefined);
    return outcome;
  } catch {
    return "refused";
  } finally {
    clearTimeout(timer);
  }
}
