import type { FromSession, ToSession } from "../../protocol/handover/messages.ts";

/** One request of a call to players' sessions. */
export interface SessionRequest<Body> {
  readonly playerId: string;
  readonly message: ToSession<Body>;
}

/** What one request was answered. */
export interface SessionAnswer<Body> {
  readonly playerId: string;
  /** Empty where the answer comes later, over the link. */
  readonly messages: readonly FromSession<Body>[];
  /** The player's session could not be asked. */
  readonly failed?: boolean | undefined;
}

/**
 * What a call has come to that was not answered as it should have been. `refused`: the master is there, and takes nothing of the kind, however
 * often it is said. `answered`: it is there, and may take the same later. `away`: as far as can be told, nobody is there.
 */
export type SessionCallFault = "refused" | "answered" | "away";

/** A call to players' sessions came to nothing. */
export class SessionCallError extends Error {
  readonly fault: SessionCallFault;
  /** The master's code for it, if it gave one. */
  readonly code: string | undefined;

  constructor(message: string, fault: SessionCallFault, code?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SessionCallError";
    this.fault = fault;
    this.code = code;
  }
}
