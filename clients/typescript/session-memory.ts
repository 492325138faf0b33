import {
  features,
  IncomingRequests,
  NumberedStreams,
  OutgoingRequests,
  RequestError,
  type RequestErrorCode,
  type RequestHandler,
  type Welcome,
} from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";
import { type LocalCode, localError } from "./error.ts";
import type { ClusterAddress } from "./transport.ts";

/** Frames that may wait for their acknowledgement: each costs more memory than its bytes. */
const maxUnacknowledgedFrames = 16_384;

/** What of a session outlives its connections, so that it can be resumed. Spec: docs/PROTOCOL.md, section 5.10. */
export class SessionMemory {
  readonly cluster: ClusterAddress;
  readonly welcome: Welcome;
  /** `undefined` where the cluster cannot resume: then a session ends with its connection. */
  readonly streams: NumberedStreams | undefined;
  readonly requests: OutgoingRequests;
  readonly handling: IncomingRequests;
  /** What to come back with. Secret. */
  token: { readonly bytes: Uint8Array; readonly graceMs: number } | undefined;
  /** Answers the cluster's requests. */
  handler: RequestHandler | undefined;
  /** Where numbered frames go at once; `undefined` while there is no connection: then they wait to be sent again. */
  line: ((frame: Uint8Array) => boolean) | undefined;
  #ended = false;

  constructor(cluster: ClusterAddress, welcome: Welcome, clock: Clock, maxQueuedBytes: number) {
    this.cluster = cluster;
    this.welcome = welcome;
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
      handler: () => this.handler,
      // As with any handler of the game's: nobody else's business, and not to be swallowed.
      onError: (error) =>
        queueMicrotask(() => {
          throw error;
        }),
    });
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
