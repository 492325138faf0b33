import type { PlayerSessionTokens } from "../protocol/index.ts";
import { reservedEmail } from "./reserved-email.ts";
import { type AccountRecord, createAccount, createLoginToken, findAccount, moveAccount } from "./supabase-admin.ts";
import { callSupabase, type SupabaseAdminOptions } from "./supabase-call.ts";
import { identityUnavailable } from "./supabase-errors.ts";
import { playerMetadata, readSession } from "./supabase-session.ts";

/** A player whom another service vouches for. It has been verified. */
export interface ForeignIdentity {
  readonly provider: "steam" | "epic";
  /** That service's id of the player: letters, digits, `_` and `-`. */
  readonly id: string;
  /** For a new account; later ones do not change it. */
  readonly displayName?: string | undefined;
}

/** Called when an account that is not ours sat on a reserved address and was moved off it. Must not throw. */
export type OnDisplaced = (displaced: { readonly accountId: string; readonly provider: string }) => void;

/**
 * Opens a session of Supabase Auth for a foreign identity, and makes its account at the first login.
 *
 * The account's id is made of the identity (RFC 4122, version 5): a player who deletes the account and comes back is the same
 * player, with the same bans; and one who gave the account another address is found all the same. The address is of the
 * reserved domain. Should somebody have signed up with it at Supabase itself, whose sign-up is public, that account is moved to
 * another address, not trusted and not deleted. [SEC-30]
 *
 * @throws IdentityError `PROVIDER_TOKEN_INVALID` for who is banned at Supabase, `IDENTITY_UNAVAILABLE`, `RATE_LIMITED`
 */
export async function openForeignSession(
  project: SupabaseAdminOptions,
  identity: ForeignIdentity,
  onDisplaced?: OnDisplaced,
): Promise<PlayerSessionTokens> {
  const email = reservedEmail(identity.provider, identity.id, project.reservedEmailDomain);
  const accountId = await foreignAccountId(identity);
  const account =
    (await findAccount(project, accountId)) ?? (await makeAccount(project, identity, accountId, email, onDisplaced));
  if (account.email === undefined) throw identityUnavailable(new Error("a foreign account has lost its address"));
  const { account: found, tokenHash } = await createLoginToken(project, account.email);
  if (found.id !== account.id) throw identityUnavailable(new Error("an address changed hands during a login"));
  const { session } = await callSupabase(project, "foreign", ({ auth }) =>
    auth.verifyOtp({ type: "email", token_hash: tokenHash }),
  );
  const tokens = readSession(session, project.reservedEmailDomain);
  if (tokens.player.id !== account.id) throw identityUnavailable(new Error("a login token opened another account"));
  return tokens;
}

async function makeAccount(
  project: SupabaseAdminOptions,
  identity: ForeignIdentity,
  id: string,
  email: string,
  onDisplaced: OnDisplaced | undefined,
): Promise<AccountRecord> {
  const { provider, displayName } = identity;
  const appMetadata = { [mark]: { provider, id: identity.id } };
  const attributes = { id, email, appMetadata, userMetadata: playerMetadata(displayName) };
  const made = await createAccount(project, attributes);
  if (made !== undefined) return made;
  const { account } = await createLoginToken(project, email);
  // Another login of this player was faster, or the project is of a time when ids could not be chosen.
  if (account.id === id || isMarked(account, identity)) return account;
  await moveAccount(project, account.id, reservedEmail("displaced", crypto.randomUUID(), project.reservedEmailDomain));
  onDisplaced?.({ accountId: account.id, provider });
  const second = await createAccount(project, attributes);
  if (second === undefined) throw identityUnavailable(new Error("a reserved address is taken again and again"));
  return second;
}

/** In `app_metadata`, which only the secret key can write. */
const mark = "foreign_identity";

function isMarked({ appMetadata }: AccountRecord, identity: ForeignIdentity): boolean {
  const { provider, id }: { provider?: unknown; id?: unknown } = Object(appMetadata[mark]);
  return provider === identity.provider && id === identity.id;
}

/** Namespace of the ids below. */
const namespace = "0b6b9a6e-7d3c-4d0e-9f55-3f2c8a1d6e47";

/** The account id of a foreign identity: the same one for ever. */
export async function foreignAccountId({ provider, id }: ForeignIdentity): Promise<string> {
  const name = new TextEncoder().encode(`${provider}:${id}`);
  const prefix = Uint8Array.from(namespace.replaceAll("-", "").match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-1", new Uint8Array([...prefix, ...name])));
  const bytes = digest.slice(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
