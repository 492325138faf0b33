import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { EngineConnection } from "./connection.ts";
import { ProtocolFault, StreamExpired, TooManyStreams } from "./fault.ts";

export interface StreamLimits {
  /** Streams that may exist at once (stops a client from opening connections without end). */
  readonly maxStreams: number;
  /** A stream that no request uses for so long is closed, and its transaction rolled back. */
  readonly streamIdleMs: number;
}

/** What one client does in turn: a connection, and the SQL texts stored for it. */
export interface Stream {
  readonly id: string;
  readonly connection: EngineConnection;
  readonly sqls: Map<number, string>;
}

interface Entry {
  readonly stream: Stream;
  sequence: number;
  acquired: boolean;
  timer: NodeJS.Timeout | undefined;
}

const maxIdleConnections = 16;
/** Ids of expired streams are kept, so that their clients get the right error; the oldest are forgotten. */
const maxExpiredIds = 1_024;

/**
 * The open streams. A baton names a stream and the number of the request that may come next on it; it is signed, and
 * each works once, so that requests on a stream come one after another.
 */
export class Streams {
  readonly #connect: () => EngineConnection;
  readonly #limits: StreamLimits;
  readonly #key = randomBytes(32);
  readonly #entries = new Map<string, Entry>();
  readonly #expired = new Set<string>();
  readonly #idle: EngineConnection[] = [];

  constructor(connect: () => EngineConnection, limits: StreamLimits) {
    this.#connect = connect;
    this.#limits = limits;
  }

  /** A new stream, or the one of the baton. It is the caller's until `release` or `close`. */
  acquire(baton: string | undefined): Stream {
    if (baton === undefined) {
      if (this.#entries.size >= this.#limits.maxStreams) throw new TooManyStreams("Too many streams are open");
      const connection = this.#idle.pop() ?? this.#connect();
      const stream: Stream = { id: randomBytes(16).toString("base64url"), connection, sqls: new Map() };
      this.#entries.set(stream.id, { stream, sequence: 0, acquired: true, timer: undefined });
      return stream;
    }
    const { id, sequence } = this.#decodeBaton(baton);
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      if (this.#expired.has(id)) throw new StreamExpired();
      throw new ProtocolFault("Received an invalid baton");
    }
    if (entry.acquired || entry.sequence !== sequence) {
      throw new ProtocolFault("Received a baton that has already been used");
    }
    clearTimeout(entry.timer);
    entry.acquired = true;
    entry.sequence += 1;
    return entry.stream;
  }

  /** Gives the stream back; returns the baton of its next request. */
  release(stream: Stream): string {
    const entry = this.#entries.get(stream.id);
    if (entry === undefined) throw new Error("a stream was released that is not open");
    entry.acquired = false;
    entry.timer = setTimeout(() => this.#expire(stream), this.#limits.streamIdleMs);
    return this.#encodeBaton(stream.id, entry.sequence);
  }

  /** Rolls back what is open and ends the stream. Closing it again does nothing. */
  close(stream: Stream): void {
    const entry = this.#entries.get(stream.id);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    this.#entries.delete(stream.id);
    try {
      stream.connection.reset();
    } catch {
      // A connection that cannot even roll back is not used again.
      return stream.connection.close();
    }
    if (this.#idle.length < maxIdleConnections) this.#idle.push(stream.connection);
    else stream.connection.close();
  }

  dispose(): void {
    for (const { stream } of this.#entries.values()) this.close(stream);
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  #expire(stream: Stream): void {
    this.close(stream);
    this.#expired.add(stream.id);
    const [oldest] = this.#expired;
    if (this.#expired.size > maxExpiredIds && oldest !== undefined) this.#expired.delete(oldest);
  }

  #encodeBaton(id: string, sequence: number): string {
    const payload = `${id}.${sequence}`;
    return `${payload}.${this.#sign(payload).toString("base64url")}`;
  }

  #decodeBaton(baton: string): { id: string; sequence: number } {
    const [id = "", sequence = "", signature = ""] = baton.split(".");
    const given = Buffer.from(signature, "base64url");
    const expected = this.#sign(`${id}.${sequence}`);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new ProtocolFault("Received an invalid baton");
    }
    return { id, sequence: Number(sequence) };
  }

  #sign(payload: string): Buffer {
    return createHmac("sha256", this.#key).update(payload).digest();
  }
}
