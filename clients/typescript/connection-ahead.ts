import { ClusterConnection, type ConnectionContext } from "./connection.ts";
import { localError, SustenetError } from "./error.ts";
import { connect } from "./opening.ts";
import { type ClusterAddress, doorOf } from "./transport.ts";

/** Dropped by then: before the cluster does it, and later than any REDIRECT that is still to come. [AHEAD-3] */
const keptMs = 4_000;

/** A connection to where the player may be sent in a moment, over which nothing has been said. Spec: docs/PROTOCOL.md, section 5.12. */
export class ConnectionAhead {
  readonly #cluster: ClusterAddress;
  readonly #connection: ClusterConnection;
  readonly #abort = new AbortController();
  /** Whether it stands; what kept it from that is nobody's concern yet. */
  readonly #opened: Promise<boolean>;
  readonly #cancelDrop: () => void;

  /** Connects at once. */
  constructor(cluster: ClusterAddress, context: ConnectionContext) {
    this.#cluster = cluster;
    this.#connection = new ClusterConnection(context);
    this.#cancelDrop = context.clock.after(keptMs, () => this.drop());
    this.#opened = connect(this.#connection, cluster, context, this.#abort.signal).then(
      () => true,
      (error: unknown) => {
        if (error instanceof SustenetError) return false;
        throw error;
      },
    );
    // A fault of a transport shows where the connection is taken, or not at all.
    this.#opened.catch(() => undefined);
  }

  /** Whether it leads there: to that very address, to be known by that very certificate. */
  leadsTo(cluster: ClusterAddress): boolean {
    return doorOf(this.#cluster) === doorOf(cluster);
  }

  /**
   * The connection, once it stands; `undefined` when that did not come about. It belongs to the caller, and is no longer dropped.
   *
   * @throws SustenetError `CLOSED` when the signal aborts
   */
  async take(signal: AbortSignal | undefined): Promise<ClusterConnection | undefined> {
    this.#cancelDrop();
    const drop = (): void => this.drop();
    signal?.addEventListener("abort", drop, { once: true });
    if (signal?.aborted === true) drop();
    try {
      const isOpen = await this.#opened;
      if (signal?.aborted === true) throw localError("CLOSED");
      return isOpen ? this.#connection : undefined;
    } finally {
      signal?.removeEventListener("abort", drop);
    }
  }

  /** Ends it, without a word. */
  drop(): void {
    this.#cancelDrop();
    this.#abort.abort();
    this.#connection.abort();
  }
}
