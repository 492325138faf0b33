import {
  type ByteReader,
  type Cluster,
  defineMessage,
  type Mail,
  type Player,
  type ServerPlugin,
} from "../../data-plane/index.ts";

/** A player's request: say this to that account. The answer is what has become of it, as text. */
export const whisper = defineMessage(40, { to: "str8", text: "str8" });
/** What the other player gets. */
export const heard = defineMessage(41, { from: "str8", text: "str8" });

/** Players whisper to each other, on whichever clusters of the game they are. */
export class Whispers implements ServerPlugin {
  readonly name = "whispers";
  #cluster: Cluster | undefined;

  onStart(cluster: Cluster): void {
    this.#cluster = cluster;
  }

  async onRequest(player: Player, command: number, reader: ByteReader): Promise<Uint8Array | undefined> {
    if (command !== whisper.command) return undefined;
    const { to, text } = whisper.decode(reader);
    const outcome = await this.#cluster?.tell(to, heard.command, heard.encode({ from: player.id, text }));
    return new TextEncoder().encode(outcome);
  }

  /** Whispers are all that clusters may send to players here. */
  onMail(_player: Player, mail: Mail): boolean {
    return mail.command === heard.command;
  }
}
