import { createServer } from "node:https";
import { WebSocketServer } from "ws";
import { type Contender, type ServerOptions, stamp, startTicking, type TickWork, tlsOptions } from "./contender.ts";
import { listen } from "./listen.ts";

/** The `ws` package over node:https, with nothing on top. */
export async function startRawWss(options: ServerOptions): Promise<Contender> {
  const server = createServer(tlsOptions(options));
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on("connection", (socket) => {
    socket.on("message", (bytes) => socket.send(bytes, { binary: true }));
    socket.on("error", () => socket.terminate());
  });
  let work: TickWork | undefined;
  startTicking(options.tickHz, (tick) => {
    if (work === undefined) return;
    let player = 0;
    for (const socket of sockets.clients) {
      player += 1;
      for (let message = 0; message < work.messages; message++) {
        const bytes = Buffer.allocUnsafe(work.payloadBytes);
        stamp(bytes, 0, tick, player, message);
        socket.send(bytes, { binary: true });
      }
    }
  });
  return {
    port: await listen(server),
    players: () => sockets.clients.size,
    setWork: (next) => (work = next),
  };
}
