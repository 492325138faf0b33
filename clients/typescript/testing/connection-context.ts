import type { ConnectionContext } from "../connection.ts";
import { SustenetError } from "../error.ts";
import type { ManualClock } from "./manual-clock.ts";
import type { MemoryTransport } from "./memory-transport.ts";

/** What connections over a transport in memory need. A transport that fails says so as the real ones do. */
export function contextOf(transport: MemoryTransport, clock: ManualClock): ConnectionContext {
  return {
    transport: {
      connect: async (target, handlers) => {
        try {
          return await transport.connect(target, handlers);
        } catch (cause) {
          throw new SustenetError("NETWORK", { origin: "client", advice: "retry", detail: "no network", cause });
        }
      },
    },
    clock,
    clientName: "test/1",
    connectTimeoutMs: 1_000,
    joinTimeoutMs: 1_000,
    leaveTimeoutMs: 100,
    maxQueuedBytes: 65_536,
  };
}
