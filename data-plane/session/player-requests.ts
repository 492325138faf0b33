import {
  type After,
  type ClientMessage,
  IncomingRequests,
  OutgoingRequests,
  type RequestHandler,
} from "../../protocol/index.ts";

/** What a player's requests need of it. */
export interface RequestParty {
  /** Queues a frame; false when it cannot. */
  sendFrame(frame: Uint8Array): boolean;
  /** Handles the player's requests; `undefined` while nobody does. */
  requestHandler(): RequestHandler | undefined;
}

/** The host has counted and logged it. */
const countedElsewhere = (): void => undefined;

const afterAWhile: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/** The requests of one player, in both directions. Made with the first one: most players never have any. */
export class PlayerRequests {
  readonly #toClient: OutgoingRequests;
  readonly #ofClient: IncomingRequests;

  /** @param lastId where the ids of requests to the client go on */
  constructor(party: RequestParty, lastId: number) {
    const wiring = { send: (frame: Uint8Array) => party.sendFrame(frame), after: afterAWhile };
    this.#toClient = new OutgoingRequests({ ...wiring, lastId });
    this.#ofClient = new IncomingRequests({
      ...wiring,
      handler: () => party.requestHandler(),
      onError: countedElsewhere,
    });
  }

  /** Id of the last request to the client. */
  get lastId(): number {
    return this.#toClient.lastId;
  }

  /** How many of the client wait for an answer. */
  get open(): number {
    return this.#ofClient.open;
  }

  /** As {@link OutgoingRequests.request}. */
  request(command: number, payload: Uint8Array, timeoutMs: number, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#toClient.request(command, payload, timeoutMs, signal);
  }

  /** REQUEST, RESPONSE or CANCEL has come. @throws ProtocolError */
  receive(message: Extract<ClientMessage, { type: "request" | "response" | "cancel" }>): void {
    if (message.type === "request") this.#ofClient.receive(message);
    else if (message.type === "response") this.#toClient.receive(message);
    else this.#ofClient.cancel(message.id);
  }

  /** Those of the client that wait are told that it came to nothing. */
  giveUp(): void {
    this.#ofClient.giveUp();
  }

  /** Nothing is answered any more, in either direction, unless {@link begin} is called. */
  end(code?: "MOVED"): void {
    this.#toClient.end(code);
    this.#ofClient.end();
  }

  /** Requests to the client are possible again. */
  begin(): void {
    this.#toClient.begin();
  }
}
