import type { JoinedPlayer } from "./joined-player.ts";
import type { SessionContext } from "./session-context.ts";

/**
 * How long a client that is to come after its player is waited for at least: whoever wants to keep nobody whose connection is lost has yet to let
 * those in who are on their way. As long as the source goes on telling clients where to go. [ARRIVE-9]
 */
const leastArrivalMs = 10_000;

/**
 * Whether a player's client is here, how long it is waited for, and what plugins have still to be told of its going and coming: they hear of both
 * by turns, whatever a handover makes of it in between.
 */
export class ClientPresence {
  /** Set while the client is waited for. */
  #grace: NodeJS.Timeout | undefined;
  /** The player came from another cluster, and its client has not come yet. */
  #arriving = false;
  /** The client has gone and has not come back, also where a handover has the player, and nobody waits for it here. */
  #away = false;
  /** What plugins were told last. */
  #toldAway = false;
  /** The client has been away since, and is back. */
  #wasAway = false;
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

  /** The player came from another cluster: its client is to come after it. */
  awaitArrival(): void {
    this.#arriving = true;
    this.#wait();
  }

  /** The client has gone without a word, and may come back: how long it has is counted from now on. */
  noteDrop(): void {
    this.#wait();
    // One that has not come yet cannot go; and one that was away already as its player went on elsewhere has not gone again.
    if (!this.#arriving) this.#leave();
  }

  /** The client is not needed any more, or is there. */
  stopWaiting(): void {
    clearTimeout(this.#grace);
    this.#grace = undefined;
  }

  /** The client has come, and is not waited for any more. @returns whether it has come back, of which plugins have to hear; not when it has only come after its player */
  noteReturn(): boolean {
    if (this.#arriving) {
      this.#arriving = false;
      return false;
    }
    // Plugins hear of a drop before they hear of the return, also where the old connection had not gone yet.
    this.#leave();
    this.#away = false;
    this.#wasAway = true;
    this.#context.metrics.resumes += 1;
    return true;
  }

  /** Tells plugins what they have not been told; as they hear it, that is how things stand. */
  tell(): void {
    const { host } = this.#context;
    const { lane } = this.#player;
    const isNews = this.#away !== this.#toldAway || (this.#wasAway && !this.#away);
    const mustGo = isNews && !this.#toldAway;
    const mustCome = isNews && !this.#away;
    this.#toldAway = this.#away;
    this.#wasAway = false;
    if (mustGo) host.dropped(lane, this.#player);
    // Who heard the one may have had it leave.
    if (mustCome && this.#player.connected) host.resumed(lane, this.#player);
  }

  #leave(): void {
    if (this.#away) return;
    this.#away = true;
    this.#context.metrics.drops += 1;
  }

  #wait(): void {
    const { resumeGraceMs } = this.#context.settings;
    const graceMs = this.#arriving ? Math.max(resumeGraceMs, leastArrivalMs) : resumeGraceMs;
    this.#grace = setTimeout(() => this.#player.end("DROPPED"), graceMs);
  }
}
