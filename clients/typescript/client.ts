import {
  allFeatures,
  type AllocateRequest,
  type Allocation,
  type ClusterListing,
  features,
  type PlayerIdentity,
  type PlayerSessionTokens,
} from "../../protocol/index.ts";
import { allocateTicket, type ClientAllocation, releaseRequest } from "./allocation.ts";
import { isConfirmationRequired, parseAllocation, parseClusters, parseTokens } from "./answers.ts";
import type { WaitOptions } from "./asking.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { ConnectionContext } from "./connection.ts";
import { ConnectionAhead } from "./connection-ahead.ts";
import { enter, enterAgain, type Entrance, type RejoinPolicy, requestToReturn } from "./entrance.ts";
import { localError, SustenetError } from "./error.ts";
import { GameSession } from "./game-session.ts";
import type { Arrive, SessionContext } from "./session-context.ts";
import { type Fetch, MasterHttp, type MasterRequest } from "./master-http.ts";
import { arriveConnection, openConnection, resumeConnection } from "./opening.ts";
import { Parties } from "./parties.ts";
import { PlayerTokens } from "./player-tokens.ts";
import type { Resumption } from "./resumption.ts";
import type { Transport } from "./transport.ts";
import { UnreachableClusters } from "./unreachable-clusters.ts";

/** How long each wait may last, in milliseconds. */
export interface Deadlines {
  /** One HTTP call. Default 10,000. */
  readonly httpMs: number;
  /** An allocation, with all its tries. Default 30,000. */
  readonly allocateMs: number;
  /** The same, where it waits for a seat. Default 1,800,000. */
  readonly waitMs: number;
  /** TCP and TLS. Default 10,000. */
  readonly connectMs: number;
  /** From JOIN to WELCOME. Default 10,000. */
  readonly joinMs: number;
  /** From CLOSE to the end of the connection. Default 2,000. */
  readonly leaveMs: number;
}

/** Options of `createClient`. All but `masterUrl` have defaults. */
export interface ClientOptions {
  /** `https://…`; `http://…` for loopback addresses alone. */
  readonly masterUrl: string;
  /** Name and version of your game's client, for logs; at most 64 bytes. */
  readonly clientName?: string | undefined;
  /** Tokens kept from an earlier run; see {@link SustenetClient.tokens}. */
  readonly tokens?: PlayerSessionTokens | undefined;
  /** Told whenever the tokens change, so that they can be kept. Secret: whoever has them is the player. */
  readonly onTokens?: ((tokens: PlayerSessionTokens | undefined) => void) | undefined;
  /** Default: 5 tries, at most 15,000 ms apart. `false` switches it off. */
  readonly rejoin?: Partial<RejoinPolicy> | false | undefined;
  /** Whether a session is taken up again after its connection was lost, before it is rejoined; without that it is not handed over to other clusters either. Default true. */
  readonly resume?: boolean | undefined;
  readonly deadlines?: Partial<Deadlines> | undefined;
  /** Bytes that may wait to be sent to the cluster; default 1 MiB, at least 64 KiB. */
  readonly maxQueuedBytes?: number | undefined;
  readonly transport?: Transport | undefined;
  readonly fetch?: Fetch | undefined;
  readonly clock?: Clock | undefined;
  /** 0 inclusive to 1 exclusive; for jitter. */
  readonly random?: (() => number) | undefined;
}

/** Who logs in. */
export type Credentials =
  | { readonly email: string; readonly password: string }
  | { readonly anonymous: true; readonly displayName?: string | undefined };

/** A new account. */
export interface NewAccount {
  readonly email: string;
  readonly password: string;
  readonly displayName?: string | undefined;
}

/** Calls off what takes too long for the caller: it then rejects with `CLOSED`. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

const libraryName = "sustenet-ts/0.1.0";
const oldRuntime = "Node 22.12 or newer, or a browser of 2024 or newer, is needed.";
const resumeTryMs = 4_000;
const minQueuedBytes = 64 * 1024;
const defaultQueuedBytes = 1024 * 1024;
const defaultDeadlines: Deadlines = {
  httpMs: 10_000,
  allocateMs: 30_000,
  waitMs: 1_800_000,
  connectMs: 10_000,
  joinMs: 10_000,
  leaveMs: 2_000,
};
const defaultRejoin: RejoinPolicy = { attempts: 5, maxDelayMs: 15_000 };

/** One player at one master. Every method that waits has a deadline and throws {@link SustenetError}. */
export class SustenetClient {
  /** Players who want to be on one cluster together. */
  readonly parties: Parties;
  readonly #http: MasterHttp;
  readonly #createTokens: () => PlayerTokens;
  /** Of who is logged in. Who is being logged out has others: neither gets in the other's way. */
  #tokens: PlayerTokens;
  readonly #entrance: Entrance;
  readonly #resumption: Resumption | undefined;
  readonly #arrive: Arrive | undefined;
  readonly #openAhead: SessionContext["openAhead"];

  /** @throws SustenetError `INVALID_ARGUMENT`, or `UNSUPPORTED` where Node or the browser is too old */
  constructor(options: ClientOptions & { readonly transport: Transport }) {
    if (typeof Promise.withResolvers !== "function") throw localError("UNSUPPORTED", oldRuntime);
    const { clock = systemClock, random = Math.random, maxQueuedBytes = defaultQueuedBytes, transport } = options;
    if (!(maxQueuedBytes >= minQueuedBytes)) {
      throw localError("INVALID_ARGUMENT", `maxQueuedBytes must be at least ${minQueuedBytes}.`);
    }
    const deadlines = withDefaults(options.deadlines, defaultDeadlines);
    const policy = options.rejoin === false ? undefined : withDefaults(options.rejoin, defaultRejoin);
    const resumes = options.resume !== false;
    const connectionContext: ConnectionContext = {
      transport,
      clock,
      clientName: options.clientName ?? libraryName,
      connectTimeoutMs: deadlines.connectMs,
      joinTimeoutMs: deadlines.joinMs,
      leaveTimeoutMs: deadlines.leaveMs,
      maxQueuedBytes,
      features: resumes ? allFeatures : allFeatures & ~(features.resume | features.handover | features.ahead),
    };
    const allocationContext = {
      call: (request: MasterRequest, signal?: AbortSignal) => this.#callAsPlayer(request, signal),
      clock,
      random,
      timeoutMs: deadlines.allocateMs,
      waitTimeoutMs: deadlines.waitMs,
    };

    this.#http = new MasterHttp({
      masterUrl: options.masterUrl,
      // Called as a function of the global object: browsers refuse it otherwise.
      fetch: options.fetch ?? ((url, init) => fetch(url, init)),
      clock,
      timeoutMs: deadlines.httpMs,
    });
    this.#createTokens = () => {
      const own = new PlayerTokens({
        clock,
        refresh: async (refreshToken) =>
          parseTokens(await this.#http.call({ method: "POST", path: "/v1/refresh", body: { refreshToken } })),
        onChange: (tokens) => {
          if (this.#tokens === own) options.onTokens?.(tokens);
        },
      });
      return own;
    };
    this.#tokens = this.#createTokens();
    if (options.tokens !== undefined) this.#tokens.restore(options.tokens);
    this.parties = new Parties(allocationContext);
    const unreachable = new UnreachableClusters(clock);
    this.#entrance = {
      allocate: async (request, options) => ({
        ...(await allocateTicket(unreachable.avoidedBy(request), allocationContext, options)),
        // As it was asked for: what is unreachable now may be back when it is asked for again.
        request,
      }),
      open: (allocation, signal, earlier) => {
        unreachable.name(allocation.cluster);
        return unreachable.watch(allocation.cluster, () =>
          openConnection(allocation, connectionContext, signal, earlier),
        );
      },
      policy,
      clock,
      random,
    };
    // The cluster keeps a player for a while only: a try may not take all of it.
    const tryContext: ConnectionContext = {
      ...connectionContext,
      connectTimeoutMs: Math.min(deadlines.connectMs, resumeTryMs),
      joinTimeoutMs: Math.min(deadlines.joinMs, resumeTryMs),
    };
    this.#resumption = resumes
      ? {
          open: (memory, signal) =>
            unreachable.watch(memory.cluster, () => resumeConnection(memory, tryContext, signal)),
          clock,
          random,
        }
      : undefined;
    this.#arrive = resumes
      ? (memory, redirect, signal, ahead) =>
          unreachable.watch(redirect.cluster, () => arriveConnection(memory, redirect, tryContext, signal, ahead))
      : undefined;
    this.#openAhead = resumes ? (cluster) => new ConnectionAhead(cluster, tryContext) : undefined;
  }

  /** Who is logged in. */
  get player(): PlayerIdentity | undefined {
    return this.#tokens.current?.player;
  }

  /** What to keep, secretly, so that the player need not log in again next time. */
  get tokens(): PlayerSessionTokens | undefined {
    return this.#tokens.current;
  }

  /**
   * Makes an account and logs in to it. Undefined, and nobody is logged in, where the master wants the e-mail address confirmed
   * first: `login` works once the player has done that.
   *
   * @throws SustenetError `ACCOUNT_EXISTS`, `WEAK_PASSWORD`, `INVALID_FIELD`, `SIGNUP_DISABLED`, …
   */
  async signUp({ email, password, displayName }: NewAccount): Promise<PlayerIdentity | undefined> {
    const body = { email, password, displayName };
    const answer = await this.#http.call({ method: "POST", path: "/v1/signup", body });
    return isConfirmationRequired(answer) ? undefined : this.#take(parseTokens(answer));
  }

  /** @throws SustenetError `INVALID_CREDENTIALS`, `EMAIL_NOT_CONFIRMED`, … */
  async login(credentials: Credentials): Promise<PlayerIdentity> {
    const answer = await this.#http.call({ method: "POST", path: "/v1/login", body: credentials });
    return this.#take(parseTokens(answer));
  }

  /** Gets new tokens now. Calls that need one do so by themselves, a minute before the old one expires. */
  async refresh(): Promise<PlayerIdentity> {
    return (await this.#tokens.refresh()).player;
  }

  /** Forgets the tokens at once, whatever happens, and has the master end the session. */
  async logout(): Promise<void> {
    const leaving = this.#tokens;
    if (leaving.current === undefined) return;
    this.#tokens = this.#createTokens();
    this.#tokens.set(undefined);
    await this.#callAsPlayer({ method: "POST", path: "/v1/logout" }, undefined, leaving);
  }

  /** The clusters to choose from, of one region or of all. Needs no login. */
  async clusters({ region, signal }: CallOptions & { readonly region?: string | undefined } = {}): Promise<
    ClusterListing[]
  > {
    const query = region === undefined ? "" : `?region=${encodeURIComponent(region)}`;
    return parseClusters(await this.#http.call({ method: "GET", path: `/v1/clusters${query}` }, signal));
  }

  /**
   * Gets a seat and a ticket for it, which is good for about a minute. Repeats itself safely where an answer is lost. With
   * `wait: true` in the request it waits in line where there is no seat, for at most `deadlines.waitMs`.
   *
   * @throws SustenetError `NOT_LOGGED_IN`, `NO_CLUSTER_AVAILABLE`, `REGION_NOT_FOUND`, `CLUSTER_NOT_FOUND`, `CLUSTER_FULL`, …
   */
  async allocate(request: AllocateRequest = {}, options: WaitOptions = {}): Promise<ClientAllocation> {
    return this.#entrance.allocate(request, options);
  }

  /** Gives the seat of a ticket back that will not be used. */
  async release(allocation: Pick<Allocation, "reservationId">): Promise<void> {
    await this.#callAsPlayer(releaseRequest(allocation.reservationId));
  }

  /**
   * Joins the game: with the ticket given, or with one that it allocates. Where the cluster asks to allocate again, it does so,
   * within `rejoin`'s bounds. What waits for a seat tells `onWaiting`, then too.
   *
   * @throws SustenetError `CERTIFICATE_MISMATCH`, `NETWORK`, `TIMEOUT`, REJECT's code, or what `allocate` throws.
   */
  async join(
    allocation?: Allocation & { readonly request?: AllocateRequest | undefined },
    { signal, ...waiting }: WaitOptions = {},
  ): Promise<GameSession> {
    const { allocate } = this.#entrance;
    const entrance: Entrance = {
      ...this.#entrance,
      allocate: (request, options) => allocate(request, { ...waiting, ...options }),
    };
    const ticket = allocation === undefined ? undefined : checkAllocation(allocation);
    const entered = await enter(entrance, ticket, allocation?.request ?? {}, signal);
    let { request, generation } = entered;
    return new GameSession(entered, {
      clock: entrance.clock,
      stableMs: (entrance.policy ?? defaultRejoin).maxDelayMs,
      resumption: this.#resumption,
      arrive: this.#arrive,
      openAhead: this.#openAhead,
      rejoin:
        entrance.policy &&
        (async (failure, attempt, signal, onAttempt, memory) => {
          const earlier = { memory, generation };
          const start = { request: requestToReturn(request, memory), failure, attempt, earlier };
          const again = await enterAgain(entrance, start, signal, onAttempt);
          ({ request, generation } = again);
          return again;
        }),
    });
  }

  #take(tokens: PlayerSessionTokens): PlayerIdentity {
    this.#tokens.set(tokens);
    return tokens.player;
  }

  /** A token that the master refuses, as after it was revoked, is replaced once. */
  async #callAsPlayer(request: MasterRequest, signal?: AbortSignal, tokens = this.#tokens): Promise<unknown> {
    const accessToken = await tokens.accessToken();
    try {
      return await this.#http.call({ ...request, accessToken }, signal);
    } catch (error) {
      if (!(error instanceof SustenetError) || error.code !== "UNAUTHENTICATED") throw error;
      const replacement = await tokens.replaceAccessToken(accessToken);
      return this.#http.call({ ...request, accessToken: replacement }, signal);
    }
  }
}

/** One that is given as `undefined` has its default too: a bound that is not there would never be reached. */
function withDefaults<T extends object>(given: Partial<T> | undefined, defaults: T): T {
  const set = Object.entries(given ?? {}).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(set) };
}

/** An allocation may come from a file or another process. */
function checkAllocation(allocation: Allocation): Allocation {
  try {
    return parseAllocation(allocation);
  } catch (cause) {
    throw localError("INVALID_ARGUMENT", "This is not an allocation: pass what allocate() gave.", { cause });
  }
}
