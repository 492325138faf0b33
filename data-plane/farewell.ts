import type { ClusterHandovers } from "./handover/cluster-handovers.ts";
import { Departure } from "./handover/departure.ts";
import type { MasterLink } from "./master-link/master-link.ts";
import type { PluginHost } from "./plugin/plugin-host.ts";
import type { JoinedPlayer } from "./session/joined-player.ts";
import type { Session } from "./session/session.ts";
import { within } from "./within.ts";

export interface FarewellOptions {
  /** How long the game may take to come to its end. */
  readonly drainMs: number;
  /** How long saying goodbye may take. */
  readonly stopTimeoutMs: number;
  /** How long others have to take over what this cluster carries. */
  readonly takeOverMs: number;
  readonly nowMs: () => number;
  readonly host: Pick<PluginHost, "drain" | "stop">;
  readonly players: Iterable<JoinedPlayer>;
  readonly sessions: Iterable<Session>;
  readonly link: Pick<MasterLink, "depart" | "stop"> | undefined;
  /** `undefined` where there is nobody to hand players over to. */
  readonly handovers: ClusterHandovers | undefined;
  readonly closeListeners: () => void;
  /** Resolves when what players leave with, and what plugins keep, is saved. */
  readonly settled: () => Promise<void>;
}

/** How long the master has to acknowledge that this process is about to end. */
const departTimeoutMs = 2_500;
/** What deregistering may take, and with it the end of the link. */
const deregisterTimeoutMs = 2_500;

/**
 * How a cluster parts from its players when its process is told to stop. Nobody is let in any more when it begins. The order matters: the
 * master stops sending players here before those who are here go elsewhere.
 */
export class Farewell {
  readonly #options: FarewellOptions;
  #departure: Departure<JoinedPlayer> | undefined;

  constructor(options: FarewellOptions) {
    this.#options = options;
  }

  /** Resolves when nobody is here any more, or the time for it is over. */
  async say(): Promise<void> {
    await this.#drain();
    const { stopTimeoutMs, nowMs } = this.#options;
    await within(stopTimeoutMs, this.#leave(nowMs() + stopTimeoutMs));
  }

  /** To be called regularly. */
  beat(): void {
    this.#departure?.beat();
  }

  async #drain(): Promise<void> {
    const { drainMs, nowMs, host, link } = this.#options;
    const endsAtMs = nowMs() + drainMs;
    const pluginsReady = within(drainMs, host.drain(drainMs));
    if (await this.#departs()) await Promise.all([pluginsReady, this.#depart(endsAtMs - nowMs())]);
    // What it has under way besides, as another registration, comes to its end by itself.
    await Promise.all([pluginsReady, within(deregisterTimeoutMs, link?.stop(deregisterTimeoutMs))]);
  }

  /** Whether others may take over what is carried here, and the master knows that they have to. [WORLD-8] */
  async #departs(): Promise<boolean> {
    const { drainMs, link, handovers } = this.#options;
    if (handovers === undefined || drainMs === 0) return false;
    return (await link?.depart(drainMs, Math.min(departTimeoutMs, drainMs))) === true;
  }

  /** Off the list of those who are given players, and with the authority to hand over those who are here. */
  async #depart(deadlineMs: number): Promise<void> {
    const { players, nowMs, takeOverMs, handovers } = this.#options;
    if (handovers === undefined) return;
    this.#departure = new Departure({
      players,
      nowMs,
      deadlineMs,
      settleMs: takeOverMs,
      mightStillMove: (player) => handovers.mightStillMove(player),
      isMoving: (player) => player.arriving || handovers.isMoving(player),
      isBusy: () => handovers.undelivered > 0 || handovers.reservedSeats > 0,
    });
    this.#departure.beat();
    await within(deadlineMs, this.#departure.over);
  }

  /** Tells everybody who is left to go, and waits until they have. */
  async #leave(endsAtMs: number): Promise<void> {
    const { host, players, sessions, handovers, closeListeners, settled, nowMs } = this.#options;
    handovers?.handovers.cancelAll();
    for (const session of sessions) session.shutDown();
    // Those that are away, too: there is nothing to come back to.
    for (const player of players) player.close("SHUTTING_DOWN");
    closeListeners();
    await Promise.all(Array.from(sessions, (session) => session.ended));
    await host.stop(Math.max(0, endsAtMs - nowMs()));
    await settled();
  }
}
