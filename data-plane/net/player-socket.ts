/** Frames of one player that are handled before the others have their turn. Stops many tiny frames from holding up everybody. [BUDGET-3] */
export const maxFramesPerTurn = 256;

/**
 * A player's connection, whichever binding it came over (docs/PROTOCOL.md, section 2): frames in, frames out, and the
 * means to hold it back or end it. A session knows nothing else of sockets.
 */
export interface PlayerSocket {
  /** The player's own address, also behind a proxy that says it. */
  readonly address: string;
  /** Greatest length that the next frame may announce; 0 while nothing at all may come. [FRAME-3] */
  maxFrameBytes: number;
  /** True while the player is held back: what it sends waits in the system. */
  isPaused(): boolean;
  pause(): unknown;
  resume(): unknown;
  /** Hands whole frames, each with its length, to the system. The next ones may follow when it has taken them. */
  write(frames: Uint8Array): unknown;
  /** Whether the system has not taken yet what was written. */
  readonly isWriting: boolean;
  /** Calls back once it has, or never will: then with an error. */
  whenWritten(callback: (error?: Error | null) => void): unknown;
  /** Ends the stream in order, after what has been written. */
  end(): unknown;
  /** Ends it at once. */
  destroy(): unknown;
  /** Says who hears what comes; called once, in the turn in which the socket was handed over. */
  listen(listener: SocketListener): void;
}

/** Hears what comes over a {@link PlayerSocket}. */
export interface SocketListener {
  /** Bytes have come; `false` to drop them unread. */
  onBytes(count: number): boolean;
  /**
   * A frame, type and body, lies in `bytes` from `start` up to, not including, `end`; `false` to drop the rest of what came
   * with it. The bytes are not used again. No view is made of it, as most frames are looked at for a few bytes only.
   */
  onFrame(bytes: Uint8Array, start: number, end: number): boolean;
  /** The socket has written something of its own, when nothing else was under way. */
  onOwnWrite(): void;
  /** What came is malformed (ProtocolError), or {@link onFrame} threw. */
  onFault(error: unknown): void;
  /** It is over; the last call. */
  onClose(): void;
}
