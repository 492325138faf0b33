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

/**
 * Keeps the order of each cluster's messages while a signature is being checked: what is forwarded comes behind the commit. When a link
 * ends, what is left unread of it is thrown away. [HAND-12]
 */
export class PeerInbox {
  readonly #options: PeerInboxOptions;
  /** By cluster: what waits; there is an entry while a check is under way. */
  readonly #waiting = new Map<string, Letter[]>();

  constructor(options: PeerInboxOptions) {
    this.#options = options;
  }

  receive(from: ClusterRef, message: PeerMessage): void {
    const waiting = this.#waiting.get(from.clusterId);
    if (waiting !== undefined) {
      if (waiting.length < maxWaiting) waiting.push({ from, message });
      return;
    }
    this.#deal({ from, message });
  }

  /** The link with this cluster has ended. */
  forget(clusterId: string): void {
    this.#waiting.delete(clusterId);
  }

  #deal(letter: Letter): void {
    const { from, message } = letter;
    if (message.type !== "commit") return this.#options.deal(from, message, undefined);
    const waiting: Letter[] = [];
    this.#waiting.set(from.clusterId, waiting);
    void this.#options
      .verify(message.token)
      .catch(() => undefined)
      .then((claims) => {
        // Another link has come in between: the source says it again.
        if (this.#waiting.get(from.clusterId) !== waiting) return;
        this.#waiting.delete(from.clusterId);
        this.#options.deal(from, message, claims);
        for (const next of waiting) this.receive(next.from, next.message);
      });
  }
}
