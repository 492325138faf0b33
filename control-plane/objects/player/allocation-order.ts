import type { AllocateRequest } from "../../../protocol/index.ts";

/** Who asks for what. The route has verified the player and the shapes. */
export interface AllocationOrder {
  readonly playerId: string;
  readonly displayName: string;
  /** When the player last proved who they are; seconds since 1970. */
  readonly authenticatedAt: number;
  readonly idempotencyKey: string;
  readonly request: AllocateRequest;
  /** Names the request, in logs and in the ticket. */
  readonly requestId?: string;
}
