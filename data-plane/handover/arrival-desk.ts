import { type Arrival, type Arrivals, type Arrived, isSameKey } from "../session/arrivals.ts";
import type { SessionContext } from "../session/session-context.ts";
import type { Handovers } from "./handovers.ts";
import type { PlayerStage } from "./player-stage.ts";

/** Lets the clients in whose players other clusters hand over to this one. [HAND-4] [HAND-14] */
export class ArrivalDesk implements Arrivals {
  readonly #handovers: Handovers;
  readonly #stage: PlayerStage;
  readonly #revocations: SessionContext["revocations"];

  constructor(handovers: Handovers, stage: PlayerStage, revocations: SessionContext["revocations"]) {
    this.#handovers = handovers;
    this.#stage = stage;
    this.#revocations = revocations;
  }

  async arrive({ id, key, token }: Arrival): Promise<Arrived | undefined> {
    if (this.#stage.keys.find(key) === undefined) {
      // The client may be faster than the source's word: then it brings the commit itself.
      const members = this.#handovers.incoming(id)?.members ?? [];
      const isExpected = members.map((member) => member.key !== undefined && isSameKey(key, member.key)).includes(true);
      if (!isExpected) return undefined;
      await this.#handovers.bring(token);
    }
    const player = this.#stage.keys.find(key);
    if (player === undefined) return undefined;
    if (player.connected) return { player };
    const refused = this.#revocations.codeFor(player.id, player.seat.generation);
    if (refused !== undefined) return { refused };
    const redirect = this.#stage.redirectOf(player);
    return redirect === undefined ? undefined : { redirect };
  }
}
