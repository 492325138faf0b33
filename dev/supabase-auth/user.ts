import { randomUUID } from "node:crypto";
import { z } from "zod";

const metadata = z.record(z.string(), z.json());
export type Metadata = z.infer<typeof metadata>;

const identity = z.object({
  identityId: z.string(),
  data: metadata,
  createdAt: z.number(),
  updatedAt: z.number(),
});

const otherIdentity = identity.extend({ provider: z.string(), providerId: z.string() });
export type OtherIdentity = z.infer<typeof otherIdentity>;

/** An account as it is stored. Times are milliseconds since 1970. */
export const userSchema = z.object({
  id: z.string(),
  email: z.string().nullable(),
  passwordHash: z.string().nullable(),
  emailConfirmedAt: z.number().nullable(),
  confirmationSentAt: z.number().nullable(),
  /** An address that waits to be confirmed before it replaces `email`. */
  newEmail: z.string().nullable(),
  emailChangeSentAt: z.number().nullable(),
  lastSignInAt: z.number().nullable(),
  appMetadata: metadata,
  userMetadata: metadata,
  emailIdentity: identity.nullable(),
  /** Identities at providers that the player signed in with in a browser. */
  otherIdentities: z.array(otherIdentity).default([]),
  bannedUntil: z.number().nullable(),
  isAnonymous: z.boolean(),
  createdAt: z.number(),
  updatedAt: z.number(),
});
export type User = z.infer<typeof userSchema>;

/** The only role and audience that an account here has. */
export const userRole = "authenticated";

export function createAnonymousUser(data: Metadata, now: number): User {
  return {
    id: randomUUID(),
    email: null,
    passwordHash: null,
    emailConfirmedAt: null,
    confirmationSentAt: null,
    newEmail: null,
    emailChangeSentAt: null,
    lastSignInAt: null,
    appMetadata: {},
    userMetadata: data,
    emailIdentity: null,
    otherIdentities: [],
    bannedUntil: null,
    isAnonymous: true,
    createdAt: now,
    updatedAt: now,
  };
}

export function createEmailUser(
  email: string,
  passwordHash: string,
  data: Metadata,
  now: number,
  id: string = randomUUID(),
): User {
  return adoptEmail({ ...createAnonymousUser(data, now), id, passwordHash }, email, now);
}

/** The account under this address, not yet confirmed. An anonymous account becomes a permanent one. */
export function adoptEmail(user: User, email: string, now: number): User {
  const claims: Metadata = { sub: user.id, email, email_verified: false, phone_verified: false };
  const { identityId, createdAt } = user.emailIdentity ?? { identityId: randomUUID(), createdAt: now };
  return {
    ...user,
    email,
    newEmail: null,
    isAnonymous: false,
    appMetadata: { ...user.appMetadata, ...describeProviders(["email", ...providersOf(user)]) },
    userMetadata: { ...user.userMetadata, ...claims },
    emailIdentity: { identityId, data: { ...user.userMetadata, ...claims }, createdAt, updatedAt: now },
    updatedAt: now,
  };
}

/** A new account that a provider vouches for: without a password, its address confirmed. */
export function createProvidedUser(identity: OtherIdentity, email: string, now: number): User {
  const user = { ...createAnonymousUser({}, now), email, emailConfirmedAt: now, isAnonymous: false };
  return adoptIdentity(user, identity, now);
}

/** The account with an identity at another provider, which it may have had before. */
export function adoptIdentity(user: User, identity: OtherIdentity, now: number): User {
  const { provider, providerId, data } = identity;
  const known = user.otherIdentities.find((one) => one.provider === provider && one.providerId === providerId);
  const adopted = known === undefined ? identity : { ...known, data, updatedAt: now };
  const next: User = {
    ...user,
    otherIdentities: [...user.otherIdentities.filter((one) => one !== known), adopted],
    userMetadata: { ...user.userMetadata, ...data },
    updatedAt: now,
  };
  return { ...next, appMetadata: { ...next.appMetadata, ...describeProviders(providersOf(next)) } };
}

function providersOf(user: User): string[] {
  const byEmail = user.emailIdentity === null ? [] : ["email"];
  return [...byEmail, ...user.otherIdentities.map(({ provider }) => provider)];
}

function describeProviders(providers: readonly string[]): Metadata {
  const distinct = [...new Set(providers)];
  return { provider: distinct[0] ?? "email", providers: distinct };
}

/** The account whose address is known to be its owner's. */
export function confirmEmail(user: User, now: number): User {
  const identity = user.emailIdentity;
  return {
    ...user,
    emailConfirmedAt: user.emailConfirmedAt ?? now,
    userMetadata: { ...user.userMetadata, email_verified: true },
    emailIdentity: identity && { ...identity, data: { ...identity.data, email_verified: true }, updatedAt: now },
    updatedAt: now,
  };
}

export function isBanned(user: User, now: number): boolean {
  return user.bannedUntil !== null && user.bannedUntil > now;
}

/** Sets what `updates` names, and removes what it names with null. Keys such as `__proto__` stay plain keys. */
export function mergeMetadata(current: Metadata, updates: Metadata): Metadata {
  const merged = new Map(Object.entries(current));
  for (const [key, value] of Object.entries(updates)) {
    if (value === null) merged.delete(key);
    else merged.set(key, value);
  }
  return Object.fromEntries(merged);
}

/** The account as the outside sees it. */
export function describeUser(user: User): Record<string, unknown> {
  return {
    id: user.id,
    aud: userRole,
    role: userRole,
    email: user.email ?? "",
    ...optionalTime("email_confirmed_at", user.emailConfirmedAt),
    phone: "",
    ...optionalTime("confirmation_sent_at", user.confirmationSentAt),
    ...optionalTime("confirmed_at", user.emailConfirmedAt),
    ...(user.newEmail === null ? {} : { new_email: user.newEmail }),
    ...optionalTime("email_change_sent_at", user.emailChangeSentAt),
    ...optionalTime("last_sign_in_at", user.lastSignInAt),
    app_metadata: user.appMetadata,
    user_metadata: user.userMetadata,
    identities: describeIdentities(user),
    created_at: timeText(user.createdAt),
    updated_at: timeText(user.updatedAt),
    ...optionalTime("banned_until", user.bannedUntil),
    is_anonymous: user.isAnonymous,
  };
}

/**
 * The answer to a sign-up with an address that has a confirmed account already, while confirmation is on: it looks like
 * success, so that nobody learns who has an account.
 */
export function describeObfuscatedUser(email: string, data: Metadata, now: number): Record<string, unknown> {
  const user = { ...createEmailUser(email, "", {}, now), userMetadata: data, confirmationSentAt: now };
  return { ...describeUser(user), role: "", identities: [] };
}

function describeIdentities(user: User): unknown[] {
  const { emailIdentity, otherIdentities } = user;
  const byEmail = emailIdentity === null ? [] : [{ ...emailIdentity, provider: "email", providerId: user.id }];
  return [...byEmail, ...otherIdentities].map((identity) => ({
    identity_id: identity.identityId,
    id: identity.providerId,
    user_id: user.id,
    identity_data: identity.data,
    provider: identity.provider,
    last_sign_in_at: timeText(identity.createdAt),
    created_at: timeText(identity.createdAt),
    updated_at: timeText(identity.updatedAt),
    email: identity.data["email"],
  }));
}

function optionalTime(name: string, milliseconds: number | null): Record<string, string> {
  return milliseconds === null ? {} : { [name]: timeText(milliseconds) };
}

function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
