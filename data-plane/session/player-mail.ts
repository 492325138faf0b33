import type { MailOutcome } from "../../protocol/index.ts";
import type { Metrics } from "../metrics.ts";
import { isPlayerId, type Mail, type MailSender } from "../plugin/mail.ts";
import type { PluginHost } from "../plugin/plugin-host.ts";
import type { PlayerTable } from "./player-table.ts";

export interface PlayerMailOptions {
  readonly players: Pick<PlayerTable, "byId">;
  readonly host: Pick<PluginHost, "mail">;
  readonly metrics: Pick<Metrics, "countMailSent" | "countMailReceived">;
  /** Has the master pass a message on to a player elsewhere. */
  readonly passOn: MailSender;
}

/** The messages of plugins for players, who may be here or elsewhere, and those that come from elsewhere. */
export class PlayerMail {
  readonly #options: PlayerMailOptions;

  constructor(options: PlayerMailOptions) {
    this.#options = options;
  }

  /** Now, or not at all. Never rejects. */
  async tell(playerId: string, command: number, payload: Uint8Array): Promise<MailOutcome> {
    const { players, metrics, passOn } = this.#options;
    const outcome = players.byId(playerId)
      ? this.take(playerId, 0, { from: undefined, command, payload: Uint8Array.from(payload) })
      : isPlayerId(playerId)
        ? await passOn(playerId, command, payload)
        : "unknown";
    metrics.countMailSent(outcome);
    return outcome;
  }

  /** For a player here. Never to a session that a newer one has left behind. [MAIL-4] */
  take(playerId: string, generation: number, mail: Mail): MailOutcome {
    const { players, host, metrics } = this.#options;
    const player = players.byId(playerId);
    if (player === undefined || player.seat.generation < generation || player.held) {
      metrics.countMailReceived("stray");
      return "unknown";
    }
    const passed = host.mail(player, mail) && player.send(mail.command, mail.payload);
    metrics.countMailReceived(passed ? "passed" : "kept");
    return "sent";
  }
}
