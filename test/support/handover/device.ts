import { localError } from "../../../clients/typescript/error.ts";
import {
  type Fetch,
  nodeTlsTransport,
  type Transport,
  type TransportConnection,
} from "../../../clients/typescript/index.ts";

/** What a player plays on. Nothing comes from it or gets to it any more once it is off. */
export class Device {
  readonly #onTicket: () => void;
  readonly #connections = new Set<TransportConnection>();
  #isOff = false;

  /** @param onTicket told of each ticket that it is given */
  constructor(onTicket: () => void) {
    this.#onTicket = onTicket;
  }

  readonly fetch: Fetch = async (url, init) => {
    this.#check();
    const response = await fetch(url, init);
    this.#check();
    if (response.status === 200 && url.endsWith("/v1/allocate")) this.#onTicket();
    return response;
  };

  readonly transport: Transport = {
    connect: async (cluster, handlers, signal) => {
      this.#check();
      let opened: TransportConnection | undefined;
      const onClose = (cause?: unknown): void => {
        if (opened !== undefined) this.#connections.delete(opened);
        handlers.onClose(cause);
      };
      opened = await nodeTlsTransport.connect(cluster, { onData: (bytes) => handlers.onData(bytes), onClose }, signal);
      this.#connections.add(opened);
      if (this.#isOff) opened.abort();
      return opened;
    },
  };

  /** Without a word to anybody. */
  turnOff(): void {
    this.#isOff = true;
    for (const connection of this.#connections) connection.abort();
  }

  #check(): void {
    if (this.#isOff) throw localError("NETWORK", "The device is off.");
  }
}
