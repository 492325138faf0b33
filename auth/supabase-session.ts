import { z } from "zod";
import type { PlayerIdentity, PlayerSessionTokens } from "../protocol/index.ts";
import { cleanDisplayName, displayNameOf } from "./identity.ts";
import { shownEmail } from "./reserved-email.ts";
import { identityUnavailable } from "./supabase-errors.ts";

/** What is needed of a user. supabase-js has types for it, but does not look. */
const userSchema = z.object({
  id: z.string().min(1),
  email: z.string().nullish(),
  is_anonymous: z.boolean().nullish(),
  user_metadata: z.record(z.string(), z.unknown()).nullish(),
});

const sessionSchema = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1),
  expires_at: z.number(),
  user: userSchema,
});

/** The tokens of a session that Supabase Auth gave. @throws IdentityError `IDENTITY_UNAVAILABLE` when it is incomplete */
export function readSession(session: unknown, reservedEmailDomain?: string): PlayerSessionTokens {
  const parsed = sessionSchema.safeParse(session);
  if (!parsed.success) throw identityUnavailable(new Error("Supabase Auth gave an incomplete session"));
  const { access_token: accessToken, refresh_token: refreshToken, expires_at: expiresAt, user } = parsed.data;
  return { accessToken, refreshToken, expiresAt, player: describePlayer(user, reservedEmailDomain) };
}

/** The player that a user of Supabase Auth is. @throws IdentityError `IDENTITY_UNAVAILABLE` when it is incomplete */
export function readPlayer(user: unknown, reservedEmailDomain?: string): PlayerIdentity {
  const parsed = userSchema.safeParse(user);
  if (!parsed.success) throw identityUnavailable(new Error("Supabase Auth gave an incomplete user"));
  return describePlayer(parsed.data, reservedEmailDomain);
}

function describePlayer(user: z.infer<typeof userSchema>, reservedEmailDomain: string | undefined): PlayerIdentity {
  return {
    id: user.id,
    email: shownEmail(user.email, reservedEmailDomain),
    anonymous: user.is_anonymous ?? false,
    displayName: displayNameOf(user.id, user.user_metadata?.["display_name"]),
  };
}

/** What is kept with an account of how its owner wants to be called. */
export function playerMetadata(displayName: string | undefined): Record<string, string> {
  const name = cleanDisplayName(displayName);
  return name === undefined ? {} : { display_name: name };
}
