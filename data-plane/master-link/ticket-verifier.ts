import {
  type TicketExpectations,
  type TicketKeyResolver,
  type TicketVerdict,
  verifyTicket,
} from "../../auth/ticket.ts";
import { type Hello, versions } from "../../protocol/index.ts";
import { checkAtOnce } from "./signature-check.ts";

/** What makes a ticket one for this process. */
export type TicketTarget = Pick<TicketExpectations, "issuer" | "clusterId" | "game"> & {
  /** Boot epochs of this process, the newest first; at least one. */
  readonly boots: readonly number[];
};

/** Checks [TICKET-1] to [TICKET-7] for a process that may hold more than one boot epoch. */
export async function verifyForBoots(
  ticket: string,
  hello: Pick<Hello, "minVersion" | "maxVersion">,
  target: TicketTarget,
  resolveKey: TicketKeyResolver,
  bounds: { readonly maxLifetimeSeconds: number; readonly now: number },
): Promise<TicketVerdict> {
  const { boots, ...expected } = target;
  const common = { ...expected, ...bounds, versions: commonVersions(hello) };
  const [newest = 0, ...older] = boots;
  let verdict = await verifyTicket(ticket, resolveKey, { ...common, boot: newest }, checkAtOnce);
  // Only a genuine ticket gets as far as this; and seldom is there an older epoch at all.
  for (const boot of older) {
    if (verdict.ok || verdict.fault !== "STALE_BOOT") break;
    verdict = await verifyTicket(ticket, resolveKey, { ...common, boot }, checkAtOnce);
  }
  return verdict;
}

/** The versions that the peer and this cluster both speak. [HELLO-3] */
function commonVersions(
  hello: Pick<Hello, "minVersion" | "maxVersion">,
): { readonly min: number; readonly max: number } | undefined {
  const min = Math.max(hello.minVersion, versions.min);
  const max = Math.min(hello.maxVersion, versions.max);
  return min <= max ? { min, max } : undefined;
}
