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
/** Before the ticket has been verified a frame has at most so many bytes, kind included. [PEER-2] */
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

/** Cuts what a socket hands over into frames. The announced length is checked before anything waits for it. [PEER-2] */
export class PeerFrameParser {
  maxBytes = maxHelloBytes;
  #held: Buffer = Buffer.alloc(0);

  /** The frames that are whole now. @throws PeerFrameError */
  *feed(chunk: Uint8Array): Generator<PeerFrame> {
    this.#held = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    let at = 0;
    while (this.#held.length - at >= headBytes) {
      const length = this.#held.readUInt32LE(at);
      if (length < 1 || length > this.maxBytes) throw new PeerFrameError(`a frame of ${length} bytes`);
      const kind = this.#held[at + 4] ?? 0;
      if (!isKind(kind)) throw new PeerFrameError(`a frame of kind ${kind}`);
      if (this.#held.length - at < 4 + length) break;
      const body = this.#held.subarray(at + headBytes, at + 4 + length);
      at += 4 + length;
      yield { kind, body };
    }
    this.#held = this.#held.subarray(at);
  }
}

function isKind(kind: number): kind is PeerFrameKind {
  return kinds.has(kind);
}
