import type { StreamPosition } from "../../protocol/handover/streams.ts";
import {
  decodeClientMessage,
  features,
  frameHeaderBytes,
  IncomingRequests,
  NumberedStreams,
  OutgoingRequests,
  ProtocolError,
  RequestError,
  type RequestErrorCode,
  type RequestHandler,
  type Streams,
  type Welcome,
} from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";
import { type LocalCode, localError } from "./error.ts";
import type { GameMessage } from "./session-events.ts";
import type { ClusterAddress } from "./transport.ts";

/** Frames that may wait for their acknowledgement: each costs more memory than its bytes. */
const maxUnacknowledgedFrames = 16_384;

/** What RESPONSE has before its payload: type, id and status. */
const responseBytes = 6;

/** A cluster, and what it said when it let this player in. */
export interface PlaceOfSession {
  readonly cluster: ClusterAddress;
  readonly welcome: Welcome;
}

/** What of a session outlives its connections, so that it can be resumed. Spec: docs/PROTOCOL.md, section 5.10. */
export class SessionMemory {
  /** `undefined` where the cluster cannot resume: then a session ends with its connection. */
  readonly streams: NumberedStreams | undefined;
  readonly requests: OutgoingRequests;
  readonly handling: IncomingRequests;
  #token: { readonly bytes: Uint8Array; readonly graceMs: number } | undefined;
  /** The kinds of entities of the cluster's world have been told. */
  #knowsKinds = false;
  /** Answers the cluster's requests. */
  handler: RequestHandler | undefined;
  /** Where numbered frames go at once; `undefined` while there is no connection: then they wait to be sent again. */
  line: ((frame: Uint8Array) => boolean) | undefined;
  #cluster: ClusterAddress;
  #welcome: Welcome;
  /** The tenure of the cluster that has the streams now, and that of the one that there was news from last; 0: not told. */
  #tenure: number;
  #newsTenure: number;
  #ended = false;

  /** @param tenure as STREAMS said; 0 where the cluster does not hand players over */
  constructor(cluster: ClusterAddress, welcome: Welcome, clock: Clock, maxQueuedBytes: number, tenure = 0) {
    this.#cluster = cluster;
    this.#welcome = welcome;
    this.#tenure = tenure;
    this.#newsTenure = tenure;
    this.streams =
      (welcome.features & features.resume) === 0
        ? undefined
        : new NumberedStreams({ maxFrames: maxUnacknowledgedFrames, maxBytes: maxQueuedBytes });
    const wiring = {
      send: (frame: Uint8Array) => this.send(frame),
      after: (ms: number, run: () => void) => clock.after(ms, run),
    };
    this.requests = new OutgoingRequests(wiring);
    this.handling = new IncomingRequests({
      ...wiring,
      handler: () => (this.#ended ? undefined : this.handler),
      check: ({ length }) => {
        const { maxFrameBytes } = this.welcome;
        if (length + responseBytes <= maxFrameBytes) return;
        throw localError(
          "MESSAGE_TOO_LARGE",
          `An answer may have ${Math.max(0, maxFrameBytes - responseBytes)} bytes here.`,
        );
      },
      // As with any handler of the game's: nobody else's business, and not to be swallowed.
      onError: (error) =>
        queueMicrotask(() => {
          throw error;
        }),
    });
  }

  /** Where the session is now. */
  get cluster(): ClusterAddress {
    return this.#cluster;
  }

  /** What that cluster said. */
  get welcome(): Welcome {
    return this.#welcome;
  }

  /** What to come back with; nothing leads back where the kinds of what there is to see have not come: they are told once. Secret. [KINDS-4] */
  get token(): { readonly bytes: Uint8Array; readonly graceMs: number } | undefined {
    const awaitsKinds = (this.#welcome.features & features.world) !== 0 && !this.#knowsKinds;
    return awaitsKinds ? undefined : this.#token;
  }

  takeToken(bytes: Uint8Array, graceMs: number): void {
    this.#token = { bytes, graceMs };
  }

  heardKinds(): void {
    this.#knowsKinds = true;
  }

  get tenure(): number {
    return this.#tenure;
  }

  /** Whether the session may go on at another cluster. */
  get canMove(): boolean {
    return (this.#welcome.features & features.handover) !== 0;
  }

  /** Where this side is in its streams, for a cluster that has not had them yet; `undefined` where none could take them up. [HAND-10] */
  get position(): StreamPosition | undefined {
    const { streams } = this;
    if (streams === undefined || !this.canMove) return undefined;
    return { tenure: this.#newsTenure, received: streams.lastInput, acknowledged: streams.lastAcknowledged };
  }

  /** A numbered frame has come; whether it is time for an ACK. */
  count(byteLength: number): boolean {
    this.#newsTenure = this.#tenure;
    return this.streams?.count(byteLength) ?? false;
  }

  /** The cluster has received so many, modulo 2^32. @throws ProtocolError */
  acknowledge(received: number): void {
    const before = this.streams?.lastAcknowledged;
    this.streams?.acknowledge(received);
    if (this.streams?.lastAcknowledged !== before) this.#newsTenure = this.#tenure;
  }

  /**
   * The streams go on, as STREAMS says; with `at`, at another cluster.
   *
   * @returns what to send again
   * @throws ProtocolError where they cannot have come so far
   */
  takeUp({ tenure, received, fresh }: Omit<Streams, "type">, at?: PlaceOfSession): readonly Uint8Array[] {
    const { streams } = this;
    if (fresh || streams === undefined || received < streams.lastAcknowledged || received > streams.lastOutput) {
      throw new ProtocolError("BAD_VALUE", "streams that do not go on from where they are");
    }
    this.#tenure = tenure;
    this.acknowledge(received >>> 0);
    const again = streams.unreceived(received >>> 0) ?? [];
    if (at !== undefined) {
      this.#cluster = at.cluster;
      this.#welcome = at.welcome;
      this.#token = undefined;
      this.#knowsKinds = false;
    }
    return again;
  }

  /** The game's messages that no cluster is known to have taken. */
  get unacknowledged(): GameMessage[] {
    return (this.streams?.export().unacknowledged ?? []).flatMap((frame) => {
      const message = decodeClientMessage(frame.subarray(frameHeaderBytes));
      return message.type === "message" ? [{ command: message.command, payload: message.payload }] : [];
    });
  }

  /** Bytes that wait for a connection. */
  get waitingBytes(): number {
    return this.#ended ? 0 : (this.streams?.keptBytes ?? 0);
  }

  /** Sends a numbered frame now, or when the session is resumed; false, and it is not sent, when too much waits. */
  send(frame: Uint8Array): boolean {
    const { streams, line } = this;
    if (this.#ended || (streams !== undefined && !streams.hasRoomFor(frame.length))) return false;
    if (line !== undefined ? !line(frame) : streams === undefined) return false;
    streams?.keep(frame);
    return true;
  }

  /** Asks the cluster. @throws SustenetError */
  async request(command: number, payload: Uint8Array, timeoutMs: number, signal?: AbortSignal): Promise<Uint8Array> {
    if ((this.welcome.features & features.requests) === 0) throw localError("UNSUPPORTED");
    try {
      return await this.requests.request(command, payload, timeoutMs, signal);
    } catch (error) {
      if (error instanceof RequestError) throw localError(localCodeOf[error.code], undefined, { cause: error });
      throw error;
    }
  }

  /** Nothing can be resumed any more. */
  end(): void {
    this.line = undefined;
    this.#ended = true;
    this.requests.end();
    this.handling.end();
  }
}

const localCodeOf = {
  TIMEOUT: "TIMEOUT",
  CANCELLED: "CLOSED",
  TOO_MANY: "TOO_MANY_REQUESTS",
  BUSY: "REQUEST_BUSY",
  UNHANDLED: "REQUEST_UNHANDLED",
  FAILED: "REQUEST_FAILED",
  UNSUPPORTED: "UNSUPPORTED",
  ENDED: "CONNECTION_LOST",
  MOVED: "CONNECTION_LOST",
  QUEUE_FULL: "QUEUE_FULL",
} as const satisfies Record<RequestErrorCode, LocalCode>;
