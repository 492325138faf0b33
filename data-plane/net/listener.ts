import type { AdmissionPass } from "./admission.ts";
import type { PlayerSocket } from "./player-socket.ts";
import { TlsPlayerSocket } from "./tls-player-socket.ts";
import { createTlsServer, type Listener, type TlsServerOptions } from "./tls-server.ts";

export { ListenError } from "./gate.ts";

export interface ListenerOptions extends TlsServerOptions {
  /** A connection whose handshake is done; whoever takes it listens at once, and releases the pass. */
  readonly onConnection: (socket: PlayerSocket, pass: AdmissionPass) => void;
}

/**
 * Starts to listen for players over TLS and TCP.
 *
 * @throws ListenError
 */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  return createTlsServer(options, (socket, handshake) => {
    const pass = handshake.succeed();
    if (pass === undefined) socket.destroy();
    else options.onConnection(new TlsPlayerSocket(socket, handshake.address), pass);
  });
}
