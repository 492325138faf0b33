import type { JoinedPlayer } from "./joined-player.ts";
import type { SessionContext } from "./session-context.ts";

/**
 * How long a client that is to come after its player is waited for at least: whoever wants to keep nobody whose connection is lost has yet to let
 * those in who are on their way. As long as the source goes on telling clients where to go. [ARRIVE-9]
 */
const leastArrivalMs = 10_000;

/** Whether a player's client is here, how long it is waited for, and what plugins have still to be told of its going and coming. */
export class ClientPresence {
  /** Set while there is no connection. */
  #grace: NodeJS.Timeout | undefined;
  /** The player came from another cluster, and its client has not come yet. */
  #arriving = false;
  /** The connection went, or came back: plugins have not been told, as a handover has the player. */
  #untoldDrop = false;
  #untoldReturn = false;
  readonly #player: JoinedPlayer;
  readonly #context: SessionContext;

  constructor(player: JoinedPlayer, context: SessionContext) {
    this.#player = player;
    this.#context = context;
  }

  /** Whether the client is waited for. */
  get dropped(): boolean {
    return this.#grace !== undefined;
  }

  get arriving(): boolean {
    return this.#arriving;
  }

  /** How long the client has to come is counted from now on. */
  wait(graceMs = this.#context.settings.resumeGraceMs): void {
    this.#grace = setTimeout(() => this.#player.end("DROPPED"), graceMs);
  }

  /** The player came from another cluster: its client is to come after it. */
  awaitArrival(): void {
    this.#arriving = true;
    this.wait(Math.max(this.#context.settings.resumeGraceMs, leastArrivalMs));
  }

  /** The client is there, or is not needed any more. @returns whether it was waited for */
  stopWaiting(): boolean {
    const { dropped } = this;
    clearTimeout(this.#grace);
    this.#grace = undefined;
    return dropped;
  }

  /** The connection has gone without a word, and the client may come back. */
  noteDrop(): void {
    this.wait();
    this.#context.metrics.drops += 1;
    this.#untoldDrop = true;
  }

  /**
   * The client has come.
   *
   * @param wasDropped whether it was waited for
   * @returns whether it has come back, of which plugins have to hear; not when it has only come after its player
   */
  noteReturn(wasDropped: boolean): boolean {
    if (this.#arriving) {
      this.#arriving = false;
      return false;
    }
    const { metrics } = this.#context;
    metrics.resumes += 1;
    // The plugin hears of a drop before it hears of the return, also where the old connection had not gone yet.
    if (!wasDropped) {
      metrics.drops += 1;
      this.#untoldDrop = true;
    }
    this.#untoldReturn = true;
    return true;
  }

  /** Tells plugins what they have not been told. */
  tell(): void {
    const { host } = this.#context;
    const dropped = this.#untoldDrop;
    const resumed = this.#untoldReturn;
    this.#untoldDrop = false;
    this.#untoldReturn = false;
    if (dropped) host.dropped(this.#player.lane, this.#player);
    if (resumed) host.resumed(this.#player.lane, this.#player);
  }
}
