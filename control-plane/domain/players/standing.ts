/** A ban as `PlayerSession` enforces it. Times in ms. */
export interface Ban {
  /** Names it in the record. */
  readonly id: string;
  /** A code of the operator's; the player is told. */
  readonly reason: string;
  /** `undefined`: for good. */
  readonly untilMs: number | undefined;
  readonly bannedAtMs: number;
}

/** What of a player's past counts against logging in and allocating. */
export interface Standing {
  readonly ban: Ban | undefined;
  /** Logins from before this have ended. */
  readonly signedOutAtMs: number | undefined;
}

export const goodStanding: Standing = { ban: undefined, signedOutAtMs: undefined };

/** The ban, if it is in force. */
export function banInForce(ban: Ban | undefined, nowMs: number): Ban | undefined {
  return ban !== undefined && (ban.untilMs === undefined || nowMs < ban.untilMs) ? ban : undefined;
}

/**
 * Whether a login was ended by a sign-out. Access tokens say when their player proved who they are, to the second, and keep saying
 * it when they are refreshed; within one second the sign-out came last. [SEC-75]
 */
export function isSignedOut(standing: Standing, authenticatedAtSeconds: number): boolean {
  const { signedOutAtMs } = standing;
  return signedOutAtMs !== undefined && authenticatedAtSeconds * 1_000 <= signedOutAtMs;
}

/** What a banned player may know. */
export function describeBan({ reason, untilMs }: Ban): { readonly reason: string; readonly until: string | null } {
  return { reason, until: untilMs === undefined ? null : new Date(untilMs).toISOString() };
}
