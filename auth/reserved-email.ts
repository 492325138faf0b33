/**
 * Supabase knows accounts by e-mail address. A player who comes from elsewhere, with a Steam ticket for instance, has an account
 * there under an address of a domain that is set apart for that: nobody can sign up with it, log in with it, or see it.
 */
export const defaultReservedEmailDomain = "players.sustenet.invalid";

/** The address under which Supabase knows `id` of `provider`. `id` has been checked: letters, digits, `_` and `-`. */
export function reservedEmail(provider: string, id: string, domain = defaultReservedEmailDomain): string {
  return `${provider}-${id}@${domain}`.toLowerCase();
}

/** Whether an address is of the reserved domain, or of one below it. */
export function isReservedEmail(email: string, domain = defaultReservedEmailDomain): boolean {
  const host = email
    .slice(email.lastIndexOf("@") + 1)
    .toLowerCase()
    .replace(/\.+$/, "");
  return host === domain || host.endsWith(`.${domain}`);
}

/** An account's address as it may be shown: `null` when it has none, or a reserved one. */
export function shownEmail(email: string | null | undefined, domain = defaultReservedEmailDomain): string | null {
  // An anonymous user's is the empty string.
  return email === undefined || email === null || email === "" || isReservedEmail(email, domain) ? null : email;
}
