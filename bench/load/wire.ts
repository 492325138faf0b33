/** One player of the load, who has joined, and what it has seen. */
export interface Player {
  /** Bytes that every message must equal; `undefined`: any will do. */
  expected: Uint8Array | undefined;
  /** Messages of the game that have arrived. */
  readonly received: number;
  /** Of these, those that were not what had been sent. */
  readonly wrong: number;
  /** Of a world: updates of entities that have arrived; 0 where the server counts them. */
  readonly updates: number;
  /** Round trips in milliseconds, while somebody collects them. */
  roundTrips: number[] | undefined;
  /** Why the connection ended, if it did and nobody asked it to. */
  readonly fault: string | undefined;
  write(bytes: Uint8Array): void;
  /** Sends a message of the game, and takes the time until one comes back. */
  send(bytes: Uint8Array): void;
  /** Says goodbye, if the wire has a word for it, and hangs up. Resolves when the connection is gone. */
  leave(goodbye: Uint8Array | undefined): Promise<void>;
}

/** How the load speaks with one kind of server. Frames are made beforehand: in the window they are only written. */
export interface Wire {
  /** Gets whatever a player may hold before it connects: a join ticket, a reserved seat. */
  prepare(count: number): Promise<void>;
  /** Connects and joins. Resolves when the server has let the player in. */
  join(): Promise<Player>;
  /** The bytes of one message of the game. */
  message(payload: Uint8Array): Buffer;
  /** Lets a player take a step within a square, where players walk. */
  readonly step?: (player: Player, side: number) => void;
  /** How many entities the first player sees now, as the server's own client library makes it out, where somebody looks. */
  readonly seen?: () => number;
  /** How often {@link attend} has to be called for each player; `undefined`: never. */
  readonly attendMs: number | undefined;
  /** Lets a player say what its protocol asks for by the clock, such as that it still lives. */
  attend(player: Player): void;
  /** What a player says before it hangs up. */
  readonly goodbye: Uint8Array | undefined;
}
