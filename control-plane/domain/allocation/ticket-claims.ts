import type { TicketClaims } from "../../../auth/ticket.ts";
import { versions } from "../../../protocol/index.ts";

/** What a ticket is made of. Times in seconds. */
export interface TicketParts {
  readonly issuer: string;
  readonly game: string;
  readonly lifetimeSeconds: number;
  readonly cluster: {
    readonly id: string;
    readonly boot: number;
    readonly protocol: { readonly min: number; readonly max: number };
  };
  /** Where the player is to start; empty for wherever the cluster likes. */
  readonly fragment: string;
  readonly player: { readonly id: string; readonly displayName: string };
  readonly reservation: { readonly id: string; readonly generation: number; readonly expiresAt: number };
  /** 128 random bits. */
  readonly ticketId: string;
  /** The name of the request, for logs. */
  readonly requestId?: string | undefined;
}

/** The claims of a join ticket. Spec: docs/PROTOCOL.md, section 6. */
export function createTicketClaims(parts: TicketParts): TicketClaims {
  const { cluster, player, reservation } = parts;
  const issuedAt = reservation.expiresAt - parts.lifetimeSeconds;
  return {
    iss: parts.issuer,
    aud: cluster.id,
    sub: player.id,
    jti: parts.ticketId,
    iat: issuedAt,
    nbf: issuedAt,
    exp: reservation.expiresAt,
    game: parts.game,
    proto: {
      min: Math.max(cluster.protocol.min, versions.min),
      max: Math.min(cluster.protocol.max, versions.max),
    },
    boot: cluster.boot,
    gen: reservation.generation,
    rsv: reservation.id,
    frag: parts.fragment,
    name: player.displayName,
    ...(parts.requestId === undefined ? {} : { req: parts.requestId }),
  };
}
