import type { SessionDesk } from "../authority/session-desk.ts";
import type { JoinedPlayer } from "../session/joined-player.ts";

/** Knows which players' sessions have this cluster as their holder: only they can be handed over. Asks when that is wanted for the first time. */
export class EnteredPlayers {
  readonly #desk: Pick<SessionDesk, "ask" | "listen">;
  readonly #entered = new WeakMap<JoinedPlayer, number>();
  readonly #asked = new WeakSet<JoinedPlayer>();
  readonly #byId: (playerId: string) => JoinedPlayer | undefined;

  constructor(desk: Pick<SessionDesk, "ask" | "listen">, byId: (playerId: string) => JoinedPlayer | undefined) {
    this.#desk = desk;
    this.#byId = byId;
    desk.listen((playerId, message) => {
      if (message.type !== "entered") return;
      const player = this.#byId(playerId);
      if (player?.seat.generation === message.generation) this.take(player);
    });
  }

  savedOf(_player: JoinedPlayer): undefined {
    return undefined;
  }

  take(player: JoinedPlayer): void {
    this.#entered.set(player, player.seat.generation);
  }

  enteringOf(_playerId: string): undefined {
    return undefined;
  }

  isEntered(player: JoinedPlayer): boolean {
    const { id, seat } = player;
    if (this.#entered.get(player) !== undefined) return true;
    if (!this.#asked.has(player)) {
      this.#asked.add(player);
      this.#desk.ask(id, { type: "enter", generation: seat.generation });
    }
    return false;
  }
}
