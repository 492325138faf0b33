/**
 * Shapes of the master's HTTP interface that more than one room needs. The master validates them with schemas that are
 * checked against these types; `/openapi.json` describes them for everyone else.
 */

/** Answer of `POST /v1/signup`, `/v1/login` and `/v1/refresh`: the identity provider's own tokens. */
export interface PlayerSessionTokens {
  readonly accessToken: string;
  /** Empty after a login with a Supabase token that the client brought without one: it keeps its own. */
  readonly refreshToken: string;
  /** When the access token expires, in seconds since 1970. */
  readonly expiresAt: number;
  readonly player: PlayerIdentity;
}

/** Answer of `POST /v1/login/oauth/start`. */
export interface OAuthStarted {
  /** To be opened in the player's browser. */
  readonly url: string;
  /** RFC 7636. Secret: the client keeps it until the browser comes back, and sends it to `POST /v1/login/oauth/finish`. */
  readonly codeVerifier: string;
}

/** 200 of `POST /v1/me/upgrade`; 202 is `{status: "confirmation-required"}`. */
export interface Upgraded {
  readonly status: "upgraded";
  readonly player: PlayerIdentity;
}

/** Who a token belongs to. */
export interface PlayerIdentity {
  readonly id: string;
  readonly email: string | null;
  readonly anonymous: boolean;
  readonly displayName: string;
}

/** An entry of `GET /v1/clusters`. */
export interface ClusterListing {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly players: number;
  /** 0 means no limit. */
  readonly capacity: number;
  readonly locked: boolean;
  readonly tags: readonly string[];
  /** Where a client may measure its latency: a TCP connect is enough. */
  readonly ping: { readonly host: string; readonly port: number };
}

/** How a cluster is chosen among those that can be given. Spec: docs/PROTOCOL.md, section 9. */
export const allocationPolicies = ["load", "packed", "distributed", "latency"] as const;
export type AllocationPolicy = (typeof allocationPolicies)[number];

/** Body of `POST /v1/allocate`; all fields optional. */
export interface AllocateRequest {
  /** This cluster and no other. */
  readonly clusterId?: string | undefined;
  readonly region?: string | undefined;
  /** A cluster that carries this fragment of the world. */
  readonly fragment?: string | undefined;
  /** Without it `latency` where `latencies` has entries, else `load`. */
  readonly policy?: AllocationPolicy | undefined;
  /** What the client has measured, in ms, by cluster id or by region. A cluster's own entry counts before its region's. */
  readonly latencies?: Readonly<Record<string, number>> | undefined;
  readonly selector?: AllocationSelector | undefined;
  /** Clusters, by id, that could not be reached a moment ago: they are given only where no other can be. */
  readonly avoid?: readonly string[] | undefined;
  /** The generation of the session that comes back by itself, as a newer one of the player must not be ended for it. Spec: [ALLOC-21]. */
  readonly after?: number | undefined;
  /** For operators: say why each candidate won or lost. */
  readonly explain?: boolean | undefined;
  /** Take a place in the waiting room where there is no seat now. Spec: docs/PROTOCOL.md, section 10. */
  readonly wait?: boolean | undefined;
  /** `place` of the 202 before, when the request is repeated. It is no part of what the `Idempotency-Key` stands for. */
  readonly place?: string | undefined;
  /** Claim the seat that is held for this player's party; alone, without any other field. */
  readonly party?: string | undefined;
}

/** Body of `POST /v1/parties`. */
export interface CreateParty {
  /** Most members; 16 unless given. */
  readonly size?: number | undefined;
}

export const partyStates = ["open", "allocating", "waiting", "held"] as const;

/** A party, as its members see it. */
export interface PartyView {
  readonly id: string;
  /** Whoever has it can join. */
  readonly code: string;
  readonly size: number;
  readonly state: (typeof partyStates)[number];
  readonly leaderId: string;
  readonly members: readonly {
    readonly playerId: string;
    readonly displayName: string;
    /** Whether the member has claimed a seat of this hold. */
    readonly claimed: boolean;
  }[];
  readonly hold?: { readonly clusterId: string; readonly expiresAt: number } | undefined;
  /** When it ends unless something happens in it, in seconds since 1970. */
  readonly expiresAt: number;
}

/** 200 of `POST /v1/parties/:id/allocate`: there is a seat for each member, until then. */
export interface PartyHeld {
  readonly status: "held";
  readonly cluster: { readonly id: string; readonly name: string };
  /** Until when members may claim, in seconds since 1970. */
  readonly expiresAt: number;
  /** Those who may claim, by their ids. */
  readonly members: readonly string[];
}

/** 202 of `POST /v1/allocate`, and of a party's: repeat the request, with the same key, after `retryAfterSeconds`. */
export interface Waiting {
  readonly status: "waiting";
  /** Names what waits, for giving it up. */
  readonly reservationId: string;
  /** Signed; for this player, this queue and this key alone. Opaque. */
  readonly place: string;
  /** From 1: the first in line. */
  readonly position: number;
  /** How long it will take yet, by how fast others were served lately; `null` while that is not known. */
  readonly estimateSeconds: number | null;
  /** As the header `Retry-After`. The place is kept for four times as long, at least for 15 s. */
  readonly retryAfterSeconds: number;
}

/** Most entries of `avoid`. */
export const maxAvoidedClusters = 8;

/** What a cluster must have to be chosen; all of it. */
export interface AllocationSelector {
  /** Each label with this value. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly tags?: readonly string[] | undefined;
  /** Each counter, within these bounds, which are inclusive. */
  readonly counters?:
    | Readonly<Record<string, { readonly min?: number | undefined; readonly max?: number | undefined }>>
    | undefined;
  readonly gameBuild?: string | undefined;
}

/** How a client makes sure that it talks to the right cluster. */
export interface ClusterTls {
  /** Name for SNI and for the certificate check; it need not resolve. */
  readonly serverName: string;
  /** The certificate to trust, PEM. */
  readonly caPem: string;
  /** SHA-256 of the certificate's DER form, 64 lower-case hex digits. */
  readonly sha256: string;
}

/** 200 of `POST /v1/allocate`. */
export interface Allocation {
  /** The join ticket, opaque to the client. */
  readonly ticket: string;
  readonly reservationId: string;
  /** Orders the player's sessions: what to name with `after`. A master of an earlier version says none. */
  readonly generation?: number | undefined;
  /** When the ticket expires, in seconds since 1970. */
  readonly expiresAt: number;
  readonly cluster: {
    readonly id: string;
    readonly name: string;
    readonly host: string;
    readonly port: number;
    readonly tls: ClusterTls;
    readonly wssUrl?: string | undefined;
  };
  /** What `explain` asked for. */
  readonly explanation?: AllocationExplanation | undefined;
}

/** Why an allocation went as it did. */
export interface AllocationExplanation {
  readonly policy: AllocationPolicy;
  /** Shards in the order in which they come into question. */
  readonly shards: readonly { readonly shard: string; readonly outcome: ShardOutcome }[];
  /** Clusters of the shards that were asked; at most `maxExplainedCandidates` a shard. */
  readonly candidates: readonly ExplainedCandidate[];
}

export const shardOutcomes = ["gave", "refused", "not-asked"] as const;
export type ShardOutcome = (typeof shardOutcomes)[number];

export const maxExplainedCandidates = 50;

export const candidateReasons = [
  "won",
  /** Another one was better. */
  "outscored",
  /** As good as the winner; chance decided. */
  "tie",
  /** Not compared: one of the many that are left out where a shard has many clusters. */
  "not-drawn",
  "other-cluster",
  "locked",
  "draining",
  /** Its address has not been reached yet. */
  "starting",
  "silent",
  "full",
  /** Others wait for its seats. */
  "awaited",
  /** It takes no more joins for a moment. */
  "join-rate",
  "label",
  "tag",
  "counter",
  "game-build",
  /** The request wants it avoided, and another could be given. */
  "avoided",
  /** It does not carry the fragment. */
  "fragment",
  /** It belongs to a world in which others carry all that it could. */
  "standby",
] as const;
export type CandidateReason = (typeof candidateReasons)[number];

export interface ExplainedCandidate {
  readonly clusterId: string;
  readonly shard: string;
  readonly reason: CandidateReason;
  /** 0 empty, 1 full. */
  readonly load: number;
  /** Places taken: players, and tickets that may still join. */
  readonly places: number;
  /** 0 means no limit. */
  readonly capacity: number;
  /** What the client measured, if it did. */
  readonly latencyMs?: number | undefined;
  /** What was compared under the policy: less is better. */
  readonly score: number;
}

/**
 * Body of `POST /v1/clusters/register`. The header `Authorization: Bearer …` carries an assertion signed with the
 * cluster's Ed25519 key (auth/cluster-assertion.ts).
 */
export interface RegisterRequest {
  /** Tells apart the processes that share one key; the assertion names the same one. */
  readonly instance: string;
  /** Display name. */
  readonly name: string;
  readonly region: string;
  /** Where players reach it; may differ from where it listens. */
  readonly host: string;
  readonly port: number;
  readonly wssUrl?: string | undefined;
  readonly tls: ClusterTls;
  /** Most players at a time; 0 means no limit. */
  readonly capacity: number;
  readonly protocol: { readonly min: number; readonly max: number };
  readonly tags: readonly string[];
  /** Name and version of the cluster's software, for operators. */
  readonly software: string;
  /** What clients may select by: see {@link AllocationSelector}. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** What clients may select by; reports may change them. */
  readonly counters?: Readonly<Record<string, number>> | undefined;
  /** Build of the game that runs here, so that builds meet only their own clusters. */
  readonly gameBuild?: string | undefined;
  /** How long tickets for this cluster can be used; the master's own setting unless given. */
  readonly ticketLifetimeSeconds?: number | undefined;
  /** How many may join in a second, on average; any number unless given. Those who come faster wait. */
  readonly joinRatePerSecond?: number | undefined;
  /** The parts of a world that it can carry. */
  readonly world?: WorldAnnouncement | undefined;
}

/** What a cluster says of the world when it registers. Decision: docs/adr/0012-world-map.md. */
export interface WorldAnnouncement {
  /** Several clusters that name one world share it: each fragment has one carrier. Without a name the cluster is a world of its own. */
  readonly name?: string | undefined;
  readonly fragments: readonly FragmentArea[];
  /** Where other clusters of the world reach it; its TLS certificate is the one that it registers with. */
  readonly peer?: { readonly host: string; readonly port: number } | undefined;
}

/** A fragment and its box: `min` belongs to it, `max` does not. World units, x, y, z. */
export interface FragmentArea {
  readonly name: string;
  readonly min: readonly [number, number, number];
  readonly max: readonly [number, number, number];
  /** How long tickets that start there can be used; as for the whole cluster unless given. */
  readonly ticketLifetimeSeconds?: number | undefined;
}

export const maxFragmentsPerCluster = 256;

/** `GET /v1/clusters/:id/world`: who carries what in the cluster's world. */
export interface WorldMapView {
  readonly world: string;
  readonly version: number;
  readonly fragments: readonly (FragmentArea & { readonly clusterId: string })[];
  /** Every cluster of the world that carries something, or still has to hand over whom it has. */
  readonly clusters: readonly WorldCluster[];
}

export interface WorldCluster {
  readonly clusterId: string;
  readonly boot: number;
  /** Where its peers reach it; absent where it takes none. */
  readonly peer?: { readonly host: string; readonly port: number; readonly tls: ClusterTls } | undefined;
}

/**
 * Body of `POST /v1/clusters/:id/drain`: this process is about to end. Others take over what it carries, and it hands its players over.
 * A master of an earlier version answers 404.
 */
export interface DrainRequest {
  /** How long that may take. For operators to see; nothing happens then. */
  readonly deadlineMs: number;
}

/** Longest `deadlineMs` of a {@link DrainRequest}: a day. */
export const maxDrainMs = 86_400_000;

/** Answer of `POST /v1/clusters/:id/peer-tickets`. */
export interface PeerTicketGrant {
  /** To be shown to the other cluster. Spec: docs/HANDOVER.md, section 15. */
  readonly ticket: string;
  /** Seconds since 1970. */
  readonly expiresAt: number;
}

/** Answer to a registration. */
export interface RegisterResponse {
  /** `aud` of this cluster's tickets. */
  readonly clusterId: string;
  /** Boot epoch: `boot` of tickets for this process. A later registration of the same key and instance gets a greater one. */
  readonly boot: number;
  /** Bearer token for link, heartbeat and deregistration. Secret; valid for this boot only. */
  readonly sessionToken: string;
  /** `iss` of tickets. */
  readonly issuer: string;
  /** `game` of tickets. */
  readonly game: string;
  /** Without a sign of life for this long, the cluster is offered to nobody. */
  readonly leaseMs: number;
  /** How often to send `"ping"` over the link. */
  readonly pingIntervalMs: number;
  readonly reportIntervalMs: number;
  /** Whether full reports may come in parts; masters of the first release take none. */
  readonly takesParts?: boolean | undefined;
  /** Whether it passes messages on to players elsewhere: a {@link LinkTell} may be sent. */
  readonly takesMail?: boolean | undefined;
  readonly jwks: JsonWebKeySet;
}

/** RFC 7517 key set, as far as it is used here. */
export interface JsonWebKeySet {
  readonly keys: readonly JsonWebKeyEntry[];
}

export interface JsonWebKeyEntry {
  readonly kty: string;
  readonly kid: string;
  readonly alg: string;
  readonly use: string;
  readonly crv: string;
  readonly x: string;
  readonly y: string;
}
