import { limits } from "../protocol/index.ts";
import { type BreakerRules, defaultBreakerRules } from "./plugin/breaker.ts";

/** Bounds of a cluster that are not settings, each with what it stops. */
export interface ClusterLimits {
  /** Time for the TLS handshake, absolute. Stops sockets that are opened and left. [TLS-4] */
  readonly handshakeTimeoutMs: number;
  /** Time from the handshake to a valid JOIN, absolute. Stops slow dripping. [JOIN-2] */
  readonly joinTimeoutMs: number;
  /** Bytes that may wait for one player. Stops a slow reader from filling our memory. */
  readonly maxQueuedBytes: number;
  /** Frames that may wait for one player. The same attack, with tiny frames. */
  readonly maxQueuedFrames: number;
  /** Bytes sent and not acknowledged that are kept for one player. Stops a client that never acknowledges. [ACK-3] */
  readonly maxUnacknowledgedBytes: number;
  /** Frames of the same. */
  readonly maxUnacknowledgedFrames: number;
  /** How long a write may make no headway. Stops a peer that does not read at all. */
  readonly stallTimeoutMs: number;
  /** How long a closed connection may take to read its last words and hang up. */
  readonly lingerMs: number;
  /** Ticket ids remembered at a time: more joins than this within a ticket's life are refused with BUSY. [TICKET-8] */
  readonly maxReplayEntries: number;
  /** Longest `exp - iat` of a ticket. Bounds how long its id is remembered. [TICKET-7] */
  readonly maxTicketLifetimeSeconds: number;
  /** How long an asynchronous plugin hook may hold up the next hook of the same player. */
  readonly hookTimeoutMs: number;
  /** How long a hook may hold up everybody before it is reported as slow. */
  readonly hookBudgetMs: number;
  /** The same, from which on it counts as failed. Stops one that hogs the process without ever throwing. */
  readonly hookStallMs: number;
  /** When a hook that keeps failing is switched off. */
  readonly breaker: BreakerRules;
  /** How long stopping may take in all, once the game has been brought to its end. */
  readonly stopTimeoutMs: number;
  /** How long the next certificate is announced before it is shown: longer than an allocation may be used. [TLS-6] */
  readonly certificateOverlapMs: number;
  /** How often to look whether there is another certificate. */
  readonly certificateCheckMs: number;
  /** Least time between two saves of a player. Keeps a plugin that saves with every tick from flooding the master. */
  readonly saveIntervalMs: number;
  /** How long the last save of a player that has left is tried while the master is away. */
  readonly lateSaveMs: number;
  /** Most bytes of such saves. Past it the oldest is given up. */
  readonly maxLateSaveBytes: number;
  /** Half-life of what an address is charged for failed attempts. */
  readonly penaltyHalfLifeMs: number;
}

export const defaultLimits: ClusterLimits = {
  handshakeTimeoutMs: limits.handshakeTimeoutMs,
  joinTimeoutMs: limits.joinTimeoutMs,
  maxQueuedBytes: 1_048_576,
  maxQueuedFrames: 16_384,
  maxUnacknowledgedBytes: 1_048_576,
  maxUnacknowledgedFrames: 16_384,
  stallTimeoutMs: 5_000,
  lingerMs: 1_000,
  maxReplayEntries: 1_000_000,
  maxTicketLifetimeSeconds: limits.maxTicketLifetimeSeconds,
  hookTimeoutMs: 10_000,
  hookBudgetMs: 10,
  hookStallMs: 250,
  breaker: defaultBreakerRules,
  stopTimeoutMs: 10_000,
  certificateOverlapMs: 310_000,
  certificateCheckMs: 10_000,
  saveIntervalMs: 1_000,
  lateSaveMs: 300_000,
  maxLateSaveBytes: 134_217_728,
  penaltyHalfLifeMs: 10_000,
};
