import type { SigningKey } from "./access-token.ts";
import type { RateLimiter } from "./rate-limit.ts";
import type { AuthStore } from "./store.ts";

/** The settings of a Supabase project that matter here. */
export interface ProjectSettings {
  /** `…/auth/v1`, the claim `iss`. */
  readonly issuer: string;
  readonly publishableKey: string;
  readonly secretKey: string | undefined;
  readonly confirmEmail: boolean;
  readonly signupDisabled: boolean;
  readonly anonymousDisabled: boolean;
  readonly minPasswordLength: number;
  readonly accessTokenLifetimeSeconds: number;
  /** How long a refresh token that has been used may be used again, for clients that lost the answer. */
  readonly refreshTokenReuseSeconds: number;
  /** Providers that players may sign in with in a browser; here all of them are one page of this server's. */
  readonly oauthProviders: readonly string[];
  /** Where browsers go that may not go where they wanted. */
  readonly siteUrl: string;
  /** Where they may go besides; `*` stands for anything but a dot or a slash, `**` for anything. */
  readonly redirectUrls: readonly string[];
  /** How long a login in the browser may take. */
  readonly flowLifetimeSeconds: number;
  /** How long a link that is mailed works. */
  readonly oneTimeTokenLifetimeSeconds: number;
}

/** What every handler works with. */
export interface Project {
  readonly settings: ProjectSettings;
  readonly store: AuthStore;
  readonly key: SigningKey;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly limiter: RateLimiter | undefined;
}

/** A request that has passed the gateway. */
export interface AuthRequest {
  readonly method: string;
  /** After `/auth/v1`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The header `Authorization`. */
  readonly authorization: string | undefined;
  readonly body: Buffer;
  /** Whether the project's secret key came with it. */
  readonly isService: boolean;
  readonly address: string;
}

export interface AuthAnswer {
  readonly status: number;
  /** JSON; absent means no body. */
  readonly body?: unknown;
  /** A page instead of JSON. */
  readonly html?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
