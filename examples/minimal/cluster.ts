import { type ByteReader, type Cluster, type Player, type ServerPlugin, start } from "../../data-plane/index.ts";

/** The original's minimal example: receive a command, reply `20`, read a length-prefixed passphrase. */
class Reia implements ServerPlugin {
  readonly name = "reia";
  #cluster: Cluster | undefined;

  onStart(cluster: Cluster): void {
    this.#cluster = cluster;
  }

  onMessage(player: Player, command: number, reader: ByteReader): void {
    this.#cluster?.log.info({ command }, "received a new command");
    player.send(20);
    const length = reader.u8();
    const passphrase = reader.bytes(length);
    this.#cluster?.log.info({ bytes: passphrase.length }, "received a passphrase");
  }
}

await start(new Reia());
