import type { JoinedPlayer } from "./joined-player.ts";

/** Who has a player while a handover stands between the last tick that played it and the next one, here or elsewhere. [HAND-6] */
export interface PlayerHolder {
  /**
   * A numbered frame of its client.
   *
   * @param sequence its number among the client's
   * @param frame type and body; good only for the call
   */
  input(player: JoinedPlayer, sequence: number, frame: Uint8Array): void;
  /** A frame that somebody here has for the client, with its length. */
  output(player: JoinedPlayer, frame: Uint8Array): void;
  /** It is to leave the game. */
  leave(player: JoinedPlayer): void;
  clientGone(player: JoinedPlayer): void;
  clientBack(player: JoinedPlayer): void;
}
