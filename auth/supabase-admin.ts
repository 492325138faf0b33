import type { User } from "@supabase/supabase-js";
import { IdentityError } from "./identity.ts";
import { playerOfSession } from "./supabase-bearer.ts";
import { callSupabase, type SupabaseAdminOptions } from "./supabase-call.ts";
import { identityUnavailable } from "./supabase-errors.ts";

/** What is needed of an account when it is looked at with the secret key. */
export interface AccountRecord {
  readonly id: string;
  readonly email: string | undefined;
  readonly appMetadata: Readonly<Record<string, unknown>>;
}

/** The account of `id`, or `undefined`. */
export async function findAccount(project: SupabaseAdminOptions, id: string): Promise<AccountRecord | undefined> {
  return asAdmin(project, async ({ auth }) => {
    const { data, error } = await auth.admin.getUserById(id);
    if (error?.code === "user_not_found") return { data: undefined, error: null };
    return error === null ? { data: accountRecord(data.user), error } : { data: undefined, error };
  });
}

/** Makes an account whose address needs no confirmation; `undefined` when the address has one. */
export async function createAccount(
  project: SupabaseAdminOptions,
  account: {
    readonly id: string;
    readonly email: string;
    readonly appMetadata: Readonly<Record<string, unknown>>;
    readonly userMetadata: Readonly<Record<string, unknown>>;
  },
): Promise<AccountRecord | undefined> {
  const { id, email, appMetadata: app_metadata, userMetadata: user_metadata } = account;
  return asAdmin(project, async ({ auth }) => {
    const attributes = { id, email, email_confirm: true, app_metadata, user_metadata };
    const { data, error } = await auth.admin.createUser(attributes);
    if (error?.code === "email_exists") return { data: undefined, error: null };
    return error === null ? { data: accountRecord(data.user), error } : { data: undefined, error };
  });
}

/** Gives an account another address. */
export async function moveAccount(project: SupabaseAdminOptions, id: string, email: string): Promise<void> {
  await asAdmin(project, ({ auth }) => auth.admin.updateUserById(id, { email }));
}

/** A token that opens one session of the account with this address, once and soon; nothing is mailed. */
export async function createLoginToken(
  project: SupabaseAdminOptions,
  email: string,
): Promise<{ readonly account: AccountRecord; readonly tokenHash: string }> {
  const { user, properties } = await asAdmin(project, ({ auth }) =>
    auth.admin.generateLink({ type: "magiclink", email }),
  );
  if (user === null || properties === null || properties.hashed_token === "") {
    throw identityUnavailable(new Error("Supabase Auth gave no login token"));
  }
  return { account: accountRecord(user), tokenHash: properties.hashed_token };
}

/**
 * Asks whether a session lives, before something that cannot be undone. `gone` when the whole account is: the same was asked
 * before, and the answer lost.
 *
 * @throws IdentityError `UNAUTHENTICATED` when the session has ended, and the account has not
 */
export async function checkSessionOrGone(
  project: SupabaseAdminOptions,
  { accessToken, playerId }: { readonly accessToken: string; readonly playerId: string },
): Promise<"lives" | "gone"> {
  try {
    await playerOfSession(project, accessToken);
    return "lives";
  } catch (error) {
    const isRefused = error instanceof IdentityError && error.code === "UNAUTHENTICATED";
    if (isRefused && (await findAccount(project, playerId)) === undefined) return "gone";
    throw error;
  }
}

/** Removes an account and ends its sessions; gone already is gone. */
export async function deleteAccount(project: SupabaseAdminOptions, id: string): Promise<void> {
  await asAdmin(project, async ({ auth }) => {
    const { error } = await auth.admin.deleteUser(id);
    const done = error === null || error.code === "user_not_found";
    return done ? { data: undefined, error: null } : { data: undefined, error };
  });
}

async function asAdmin<T>(project: SupabaseAdminOptions, ask: Parameters<typeof callSupabase<T>>[2]): Promise<T> {
  return callSupabase(project, "admin", ask, { secretKey: project.secretKey });
}

function accountRecord(user: User): AccountRecord {
  return { id: user.id, email: user.email || undefined, appMetadata: user.app_metadata };
}
