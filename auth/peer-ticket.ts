import { signStatement, type StatementExpectations, type StatementKind, verifyStatement } from "./master-statement.ts";
import type { SigningKey, TicketKeyResolver } from "./ticket.ts";

/** Lets one cluster open a link to another of its world. Short-lived: it is shown once, when the link is made. */
export const peerTicketKind: StatementKind = {
  type: "sustenet-peer+jwt",
  maxBytes: 2_048,
  maxLifetimeSeconds: 60,
};

/** A cluster process that may speak to another. */
export interface PeerTicket {
  readonly world: string;
  /** Who shows it, and which process of it. */
  readonly source: { readonly clusterId: string; readonly boot: number };
  /** For whom it is. */
  readonly destination: { readonly clusterId: string; readonly boot: number };
}

/** @throws RangeError when it would be too long */
export async function signPeerTicket(
  ticket: PeerTicket,
  issued: { readonly issuer: string; readonly now: number },
  signingKey: SigningKey,
): Promise<string> {
  const { world, source, destination } = ticket;
  const claims = {
    iss: issued.issuer,
    aud: destination.clusterId,
    iat: issued.now,
    exp: issued.now + peerTicketKind.maxLifetimeSeconds,
    boot: destination.boot,
    src: source.clusterId,
    sboot: source.boot,
    world,
  };
  return signStatement(peerTicketKind, claims, signingKey);
}

/** @param expected `boot` is this process's, `world` the one that it is in */
export async function verifyPeerTicket(
  ticket: string,
  resolveKey: TicketKeyResolver,
  expected: StatementExpectations & { readonly boot: number; readonly world: string },
): Promise<{ readonly ok: true; readonly ticket: PeerTicket } | { readonly ok: false; readonly detail: string }> {
  const verdict = await verifyStatement(peerTicketKind, ticket, resolveKey, expected);
  if (!verdict.ok) return verdict;
  const { boot, src, sboot, world } = verdict.claims;
  if (boot !== expected.boot) return { ok: false, detail: "boot is another process" };
  if (world !== expected.world) return { ok: false, detail: "world is another" };
  if (typeof src !== "string" || src === "" || typeof sboot !== "number" || !Number.isSafeInteger(sboot)) {
    return { ok: false, detail: "a claim is not of its shape" };
  }
  return {
    ok: true,
    ticket: {
      world: expected.world,
      source: { clusterId: src, boot: sboot },
      destination: { clusterId: expected.clusterId, boot: expected.boot },
    },
  };
}
