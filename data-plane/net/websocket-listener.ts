import { createServer, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { limits } from "../../protocol/index.ts";
import type { Handshake } from "./handshake.ts";
import type { ListenerOptions } from "./listener.ts";
import { createTlsServer, type Listener } from "./tls-server.ts";
import { WebSocketPlayerSocket } from "./websocket-player-socket.ts";

export interface WebSocketListenerOptions extends ListenerOptions {
  /** Origins of the pages that may connect; empty for all. Who is no browser sends none, and may. */
  readonly origins: readonly string[];
}

/** [WS-1] */
const subprotocol = "sustenet.v1";
/** Bounds the request for the upgrade. Cookies of the page's site may be in it. [WS-2] */
const maxRequestBytes = 8_192;
/** Pieces that one message may come in. Bounds count as well as bytes: tiny ones cost far more than they carry. [WS-5] */
const maxFragments = 64;
const maxBufferedChunks = 1_024;

/**
 * Starts to listen for players over WebSocket. The deadline of the handshake, and the place among the unauthenticated,
 * cover TLS and the upgrade together.
 *
 * @throws ListenError
 */
export async function createWebSocketListener(options: WebSocketListenerOptions): Promise<Listener> {
  const handshakes = new WeakMap<object, Handshake>();
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: limits.maxHelloBytes,
    maxFragments,
    maxBufferedChunks,
    handleProtocols: () => subprotocol,
  });
  const http = createServer({ maxHeaderSize: maxRequestBytes });
  http.on("clientError", (_error, socket) => socket.destroy());
  http.on("request", (request, response) => {
    const handshake = handshakes.get(request.socket);
    response.writeHead(426, { connection: "close", upgrade: "websocket", "content-length": 0 });
    response.end(() => handshake?.fail("NO_UPGRADE"));
  });
  http.on("upgrade", (request, socket: Duplex, head) => {
    const handshake = handshakes.get(socket);
    if (handshake === undefined) {
      socket.destroy();
      return;
    }
    const refusal = refusalOf(request, options.origins);
    if (refusal !== undefined) {
      const [status, reason] = refusal;
      socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => handshake.fail(reason));
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const pass = handshake.succeed();
      if (pass === undefined) webSocket.terminate();
      else options.onConnection(new WebSocketPlayerSocket(webSocket, socket, handshake.address), pass);
    });
  });
  return createTlsServer(options, (socket, handshake) => {
    handshakes.set(socket, handshake);
    http.emit("connection", socket);
  });
}

/** Status line and reason, when the upgrade must not be. */
function refusalOf(request: IncomingMessage, origins: readonly string[]): readonly [string, string] | undefined {
  const { origin } = request.headers;
  if (origin !== undefined && origins.length > 0 && !origins.includes(origin)) {
    return ["403 Forbidden", "ORIGIN_NOT_ALLOWED"];
  }
  const offered = request.headers["sec-websocket-protocol"]?.split(",").map((name) => name.trim());
  return offered?.includes(subprotocol) === true ? undefined : ["400 Bad Request", "NO_SUBPROTOCOL"];
}
