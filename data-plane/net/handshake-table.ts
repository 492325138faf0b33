/** The two ends of a connection, as a socket has them. */
export interface Ends {
  readonly remotePort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly localAddress?: string | undefined;
}

/**
 * Handshakes under way, to be found again by the socket that comes of them: a TLS socket does not tell which TCP socket it runs
 * over, but has the same ends.
 */
export class HandshakeTable<H extends { readonly socket: Ends }> {
  /** By the peer's port. Several where other machines have the same one, or where one connects to several addresses from it. */
  readonly #byPort = new Map<number | undefined, H[]>();

  add(handshake: H): void {
    const { remotePort } = handshake.socket;
    const others = this.#byPort.get(remotePort);
    if (others === undefined) this.#byPort.set(remotePort, [handshake]);
    else others.push(handshake);
  }

  /** Without effect on one that is not there. */
  delete(handshake: H): void {
    const { remotePort } = handshake.socket;
    const all = this.#byPort.get(remotePort);
    const place = all?.indexOf(handshake) ?? -1;
    if (all === undefined || place < 0) return;
    if (all.length === 1) this.#byPort.delete(remotePort);
    else all.splice(place, 1);
  }

  /** The handshake of this connection. */
  find(socket: Ends): H | undefined {
    const all = this.#byPort.get(socket.remotePort);
    return all?.find(
      ({ socket: tcp }) =>
        tcp.remoteAddress === socket.remoteAddress &&
        // Each of the two has to ask the system for it: only where the rest does not tell.
        (all.length === 1 || tcp.localAddress === socket.localAddress),
    );
  }
}
