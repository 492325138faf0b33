import type { PlayerSessionTokens } from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";
import { callSafely } from "./emitter.ts";
import { localError, SustenetError } from "./error.ts";

/** A token is replaced this long before it expires. */
const refreshMarginMs = 60_000;

/** What a {@link PlayerTokens} needs from outside. */
export interface PlayerTokensOptions {
  readonly clock: Clock;
  /** Asks the master for new tokens. */
  readonly refresh: (refreshToken: string) => Promise<PlayerSessionTokens>;
  /** Told of every change, so that a game can keep them. */
  readonly onChange: (tokens: PlayerSessionTokens | undefined) => void;
}

/** The tokens of the player who is logged in. All who need a new one share one refresh: a refresh token serves once. */
export class PlayerTokens {
  readonly #options: PlayerTokensOptions;
  #current: PlayerSessionTokens | undefined;
  /** Milliseconds since 1970. */
  #refreshDueMs = 0;
  #refreshing: Promise<PlayerSessionTokens> | undefined;

  constructor(options: PlayerTokensOptions) {
    this.#options = options;
  }

  get current(): PlayerSessionTokens | undefined {
    return this.#current;
  }

  /** Takes tokens over that are kept from an earlier run; they may have expired since. */
  restore(tokens: PlayerSessionTokens): void {
    this.#current = tokens;
    this.#refreshDueMs = tokens.expiresAt * 1_000 - refreshMarginMs;
  }

  /** Takes tokens over that have just been issued, or none. */
  set(tokens: PlayerSessionTokens | undefined): void {
    this.#current = tokens;
    this.#refreshing = undefined;
    if (tokens !== undefined) {
      const nowMs = this.#options.clock.wallMs();
      const lifetimeMs = tokens.expiresAt * 1_000 - nowMs;
      // Issued, and expired already: our clock is wrong. Then the master must tell us, rather than a refresh before each call.
      this.#refreshDueMs =
        lifetimeMs <= 0 ? Number.POSITIVE_INFINITY : nowMs + lifetimeMs - Math.min(refreshMarginMs, lifetimeMs / 2);
    }
    callSafely(() => this.#options.onChange(tokens));
  }

  /**
   * An access token that is not about to expire.
   *
   * @throws SustenetError `NOT_LOGGED_IN`, `REFRESH_TOKEN_INVALID`, or what else the refresh failed with.
   */
  async accessToken(): Promise<string> {
    const tokens = this.#loggedIn();
    const nowMs = this.#options.clock.wallMs();
    if (nowMs < this.#refreshDueMs) return tokens.accessToken;
    try {
      return (await this.refresh()).accessToken;
    } catch (error) {
      // The old one is still good for a while: that the master is away now need not matter.
      const isAway = error instanceof SustenetError && error.advice === "retry";
      if (isAway && nowMs < tokens.expiresAt * 1_000) return tokens.accessToken;
      throw error;
    }
  }

  /** After the master refused `accessToken`: a newer one. */
  async replaceAccessToken(accessToken: string): Promise<string> {
    const tokens = this.#loggedIn();
    return tokens.accessToken === accessToken ? (await this.refresh()).accessToken : tokens.accessToken;
  }

  /** New tokens. A refresh token that the master refuses logs the player out. */
  async refresh(): Promise<PlayerSessionTokens> {
    const tokens = this.#loggedIn();
    this.#refreshing ??= this.#exchange(tokens);
    return this.#refreshing;
  }

  async #exchange(old: PlayerSessionTokens): Promise<PlayerSessionTokens> {
    try {
      const tokens = await this.#options.refresh(old.refreshToken);
      // Somebody logged in or out meanwhile: theirs hold.
      if (this.#current === old) this.set(tokens);
      return tokens;
    } catch (error) {
      if (this.#current === old) {
        this.#refreshing = undefined;
        if (error instanceof SustenetError && error.advice === "login") this.set(undefined);
      }
      throw error;
    }
  }

  #loggedIn(): PlayerSessionTokens {
    if (this.#current === undefined) throw localError("NOT_LOGGED_IN", "Log in or sign up first.");
    return this.#current;
  }
}
