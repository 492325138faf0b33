/** What a frame between two clusters is about. Spec: docs/HANDOVER.md, section 15. */
export const peerFrameKinds = {
  /** The dialling side's peer ticket. */
  hello: 0,
  /** The ticket is good. */
  welcome: 1,
  /** A sign of life. */
  ping: 2,
  /** A message of a handover, JSON. */
  handover: 16,
  /** Entities near the border. */
  ghosts: 17,
  /** Where players reach the cluster that says it, JSON. */
  address: 18,
} as const;
export type PeerFrameKind = (typeof peerFrameKinds)[keyof typeof peerFrameKinds];

/** Length and kind. */
const headBytes = 5;
/** Before the ticket has been verified a frame has at most this many bytes, kind included. [PEER-2] */
export const maxHelloBytes = 4_096;
/** And after it. Two snapshots of the largest size fit. */
export const maxPeerFrameBytes = 4 * 1_024 * 1_024;

const kinds: ReadonlySet<number> = new Set(Object.values(peerFrameKinds));

/** The frame's head; the body follows as it is. */
export function encodePeerFrameHead(kind: PeerFrameKind, bodyBytes: number): Buffer {
  const head = Buffer.allocUnsafe(headBytes);
  head.writeUInt32LE(bodyBytes + 1, 0);
  head[4] = kind;
  return head;
}

export interface PeerFrame {
  readonly kind: PeerFrameKind;
  /** Good until the parser is fed again. */
  readonly body: Uint8Array;
}

/** What came is no frame: the link has to end. */
export class PeerFrameError extends Error {
  override readonly name = "PeerFrameError";
}

/** A frame that spans pieces, as far as it has come. */
interface Unfinished {
  readonly kind: PeerFrameKind;
  readonly body: Uint8Array;
  filled: number;
}

/**
 * Cuts what a socket hands over into frames. The announced length is checked before anything waits for it. [PEER-2]
 *
 * A frame within one piece is a view of it; one that spans pieces is filled in place, so that each byte is copied once at most.
 */
export class PeerFrameParser {
  maxBytes = maxHelloBytes;
  readonly #head = Buffer.alloc(headBytes);
  #headFilled = 0;
  #unfinished: Unfinished | undefined;

  /** The frames that are whole now. @throws PeerFrameError */
  *feed(chunk: Uint8Array): Generator<PeerFrame> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#unfinished === undefined) {
        while (this.#headFilled < headBytes && at < chunk.length) this.#head[this.#headFilled++] = chunk[at++] ?? 0;
        if (this.#headFilled < headBytes) return;
        this.#headFilled = 0;
        const { kind, bodyBytes } = this.#readHead();
        if (chunk.length - at < bodyBytes) {
          this.#unfinished = { kind, body: new Uint8Array(bodyBytes), filled: 0 };
        } else {
          at += bodyBytes;
          yield { kind, body: chunk.subarray(at - bodyBytes, at) };
        }
      } else {
        const { kind, body, filled } = this.#unfinished;
        const part = chunk.subarray(at, at + body.length - filled);
        body.set(part, filled);
        at += part.length;
        this.#unfinished.filled += part.length;
        if (this.#unfinished.filled < body.length) return;
        this.#unfinished = undefined;
        yield { kind, body };
      }
    }
  }

  #readHead(): { readonly kind: PeerFrameKind; readonly bodyBytes: number } {
    const length = this.#head.readUInt32LE(0);
    if (length < 1 || length > this.maxBytes) throw new PeerFrameError(`a frame of ${length} bytes`);
    const kind = this.#head[4] ?? 0;
    if (!isKind(kind)) throw new PeerFrameError(`a frame of kind ${kind}`);
    return { kind, bodyBytes: length - 1 };
  }
}

function isKind(kind: number): kind is PeerFrameKind {
  return kinds.has(kind);
}
