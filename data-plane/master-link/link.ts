import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { linkCloseCodes } from "../../protocol/index.ts";
import { type Fence, parseFenceClose } from "./fence.ts";
import { type ClusterProblem, type KnownCommand, parseLinkCommand, parseProblem } from "./master-answers.ts";

/** Why a link is over. */
export type LinkEnd = Fence | "register-again" | "lost" | "closed";

export interface LinkOptions {
  readonly url: string;
  readonly sessionToken: string;
  readonly pingIntervalMs: number;
  readonly connectTimeoutMs: number;
  readonly onOpen: (link: Link) => void;
  readonly onCommand: (command: KnownCommand) => void;
}

/** A player's save with its streams, that a session tells on its own, is the longest. */
const maxMessageBytes = 2_097_152;
const maxProblemBytes = 16_384;

/** One WebSocket to the master, from its opening to its end. The lease lives by its pings. */
export class Link {
  readonly #options: LinkOptions;
  readonly #socket: WebSocket;
  readonly #ended: Promise<LinkEnd>;
  #pinger: NodeJS.Timeout | undefined;
  #awaitingPong = false;
  #closing = false;
  #ending = false;
  #refusal: LinkEnd | undefined;
  #closeCode = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#socket = new WebSocket(options.url, {
      headers: { authorization: `Bearer ${options.sessionToken}` },
      handshakeTimeout: options.connectTimeoutMs,
      maxPayload: maxMessageBytes,
      perMessageDeflate: false,
      followRedirects: false,
    });
    const { promise, resolve } = Promise.withResolvers<LinkEnd>();
    this.#ended = promise;
    this.#socket.on("open", () => this.#open());
    this.#socket.on("message", (data, isBinary) => this.#receive(data, isBinary));
    this.#socket.on("unexpected-response", (_request, response) => this.#refused(response));
    // What went wrong shows in how it closes, which always follows.
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", (code, reason) => {
      clearInterval(this.#pinger);
      this.#closeCode = code;
      resolve(this.#endOf(code, reason.toString("utf8")));
    });
  }

  /** Resolves when the link is over; never rejects. */
  get ended(): Promise<LinkEnd> {
    return this.#ended;
  }

  /** Whether the master has ended it over a message that it could not take. */
  get endedOverMessage(): boolean {
    return this.#closeCode === linkCloseCodes.BAD_MESSAGE;
  }

  /** Sends a JSON message; one that cannot leave is lost with its link. */
  send(message: object): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Hangs up. */
  close(): void {
    this.#closing = true;
    this.#socket.terminate();
  }

  /** Ends it in order, so that the master does not take this process for dead; one that does not answer that in time is cut. It ends as lost. */
  end(): void {
    this.#ending = true;
    // Cut now, one that is being made would have broken for a master that has taken it already.
    if (this.#socket.readyState !== WebSocket.CONNECTING) this.#socket.close(1000);
    setTimeout(() => this.#socket.terminate(), this.#options.connectTimeoutMs).unref();
  }

  /** Gives up a link that does not answer; it ends as lost. */
  abandon(): void {
    this.#socket.terminate();
  }

  #open(): void {
    if (this.#ending) {
      this.#socket.close(1000);
      return;
    }
    this.#ping();
    this.#pinger = setInterval(() => this.#ping(), this.#options.pingIntervalMs);
    this.#options.onOpen(this);
  }

  #ping(): void {
    if (this.#awaitingPong) {
      this.abandon();
      return;
    }
    this.#awaitingPong = true;
    this.#socket.send("ping");
  }

  #receive(data: WebSocket.RawData, isBinary: boolean): void {
    if (isBinary || !Buffer.isBuffer(data)) return;
    const text = data.toString("utf8");
    if (text === "pong") {
      this.#awaitingPong = false;
      return;
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return;
    }
    const command = parseLinkCommand(value);
    if (command !== undefined) this.#options.onCommand(command);
  }

  /** The master answered the upgrade with a problem. */
  #refused(response: IncomingMessage): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxProblemBytes) chunks.push(chunk);
    });
    response.on("error", () => this.#socket.terminate());
    response.on("end", () => {
      this.#refusal = endForProblem(response.statusCode ?? 0, problemIn(Buffer.concat(chunks).toString("utf8")));
      this.#socket.terminate();
    });
    setTimeout(() => response.destroy(), this.#options.connectTimeoutMs).unref();
  }

  #endOf(code: number, reason: string): LinkEnd {
    if (this.#closing) return "closed";
    if (code === linkCloseCodes.FENCED) return parseFenceClose(reason);
    if (code === linkCloseCodes.REGISTER_AGAIN) return "register-again";
    return this.#refusal ?? "lost";
  }
}

/** What a problem in answer to a call with the session token means. */
export function endForProblem(status: number, problem: ClusterProblem | undefined): LinkEnd {
  if (problem?.code === "CLUSTER_FENCED") return { fencedBy: problem.fencedBy };
  // Whatever the reason, this session is of no use any more; registering tells why.
  return status === 401 || status === 403 || status === 404 ? "register-again" : "lost";
}

function problemIn(text: string): ClusterProblem | undefined {
  try {
    return parseProblem(JSON.parse(text));
  } catch {
    return undefined;
  }
}
