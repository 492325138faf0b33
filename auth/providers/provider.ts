import type { PlayerSessionTokens } from "../../protocol/index.ts";

/** The ways to log in; a deployment switches on those that it wants. */
export const loginMethods = ["password", "anonymous", "supabase", "oauth", "steam", "epic"] as const;
export type LoginMethod = (typeof loginMethods)[number];

/** What a player shows, by the way of logging in. The caller has checked that the fields have their shapes. */
export interface LoginProofs {
  readonly password: { readonly email: string; readonly password: string };
  /** Nothing: it makes a new player. */
  readonly anonymous: { readonly displayName?: string | undefined };
  /** An access token of the same Supabase project, and its refresh token if the player wants it back in the answer. */
  readonly supabase: { readonly token: string; readonly refreshToken?: string | undefined };
  /** The code with which a browser came back, and the verifier that the login began with. */
  readonly oauth: { readonly code: string; readonly codeVerifier: string };
  /** A session ticket, hexadecimal. */
  readonly steam: { readonly token: string; readonly displayName?: string | undefined };
  /** An ID token. */
  readonly epic: { readonly token: string; readonly displayName?: string | undefined };
}

/**
 * One way to log in. Whatever the way, a login ends in a session of Supabase Auth. `login` throws {@link IdentityError},
 * nothing else, and has a deadline.
 */
export interface LoginProvider<Method extends LoginMethod> {
  readonly method: Method;
  login(proof: LoginProofs[Method]): Promise<PlayerSessionTokens>;
}

export function isLoginMethod(text: string): text is LoginMethod {
  return loginMethods.some((method) => method === text);
}
