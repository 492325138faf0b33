import type { ToDestination, ToSource } from "../../protocol/handover/messages.ts";
import type { ClusterRef, CommitClaims } from "../../protocol/handover/parties.ts";
import type { Body } from "./stage.ts";

/** What clusters say to each other about handovers. */
export type PeerMessage = ToDestination<Body> | ToSource;

export interface PeerInboxOptions {
  /** What a token says, if its signature holds and it is for this cluster. */
  readonly verify: (token: string) => Promise<CommitClaims | undefined>;
  /** Called with each message, in order; with what the token says, where it has one that is good. */
  readonly deal: (from: ClusterRef, message: PeerMessage, claims: CommitClaims | undefined) => void;
}

interface Letter {
  readonly from: ClusterRef;
  readonly message: PeerMessage;
}

/** What waits behind a signature that is being checked, from one cluster. More than an honest source has under way. */
const maxWaiting = 65_536;
const maxWaitingBytes = 64 * 1_024 * 1_024;

/** What waits for one check. */
interface Line {
  readonly letters: Letter[];
  bytes: number;
}

/**
 * Keeps the order of each cluster's messages while a signature is being checked: what is forwarded comes behind the commit. When a link
 * ends, what is left unread of it is thrown away. [HAND-12]
 */
export class PeerInbox {
  readonly #options: PeerInboxOptions;
  /** By cluster: what waits; there is an entry while a check is under way. */
  readonly #waiting = new Map<string, Line>();
  /** By cluster: what has waited, while it is dealt. */
  readonly #dealing = new Map<string, Line>();
  /** What was wrong with a letter that had waited, by cluster, until its link has ended. */
  readonly #faults = new Map<string, Error>();

  constructor(options: PeerInboxOptions) {
    this.#options = options;
  }

  /**
   * @throws what `deal` throws, also for what waited before; and when too much waits. The caller ends the link, so that nothing is
   * missing in the middle. [HAND-12]
   */
  receive(from: ClusterRef, message: PeerMessage): void {
    const fault = this.#faults.get(from.clusterId);
    if (fault !== undefined) throw fault;
    const waiting = this.#waiting.get(from.clusterId);
    if (waiting === undefined) return this.#deal({ from, message });
    waiting.bytes += sizeOf(message);
    if (waiting.letters.length >= maxWaiting || waiting.bytes > maxWaitingBytes) {
      throw new Error("too much waits behind a token that is being checked");
    }
    waiting.letters.push({ from, message });
  }

  /** The link with this cluster has ended. */
  forget(clusterId: string): void {
    this.#waiting.delete(clusterId);
    this.#dealing.delete(clusterId);
    this.#faults.delete(clusterId);
  }

  #deal(letter: Letter): void {
    const { from, message } = letter;
    if (message.type !== "commit") return this.#options.deal(from, message, undefined);
    const waiting: Line = { letters: [], bytes: 0 };
    this.#waiting.set(from.clusterId, waiting);
    void this.#options
      .verify(message.token)
      .catch(() => undefined)
      .then((claims) => {
        // Another link has come in between: the source says it again.
        if (this.#waiting.get(from.clusterId) !== waiting) return;
        this.#waiting.delete(from.clusterId);
        this.#dealAll(waiting, letter, claims);
      });
  }

  /** Deals a commit and what has waited behind it, for as long as the link stands: what is dealt may end it. */
  #dealAll(line: Line, { from, message }: Letter, claims: CommitClaims | undefined): void {
    const { clusterId } = from;
    this.#dealing.set(clusterId, line);
    try {
      this.#options.deal(from, message, claims);
      for (const next of line.letters) {
        if (this.#dealing.get(clusterId) !== line) return;
        this.receive(next.from, next.message);
      }
    } catch (error) {
      if (this.#dealing.get(clusterId) !== line) return;
      // The rest is not dealt: the next message of this cluster ends the link, and the source says it all again.
      this.#faults.set(clusterId, error instanceof Error ? error : new Error("it failed", { cause: error }));
    }
    if (this.#dealing.get(clusterId) === line) this.#dealing.delete(clusterId);
  }
}

/** Bytes that a message holds, but for what all of them have. */
function sizeOf(message: PeerMessage): number {
  if (message.type === "forward") return "body" in message.item ? message.item.body.byteLength : 0;
  if (message.type === "commit") return message.token.length;
  if (message.type !== "transfer") return 0;
  return message.members.reduce((sum, { snapshot: { state, streams } }) => {
    return streams.unacknowledged.reduce((bytes, each) => bytes + each.byteLength, sum + state.byteLength);
  }, 0);
}
