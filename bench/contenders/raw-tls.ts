import { createServer, type TLSSocket } from "node:tls";
import { Histogram, tickBounds } from "../../data-plane/ops/histogram.ts";
import { type Contender, type ServerOptions, stamp, startTicking, type TickWork, tlsOptions } from "./contender.ts";
import { listen } from "./listen.ts";

/**
 * The floor: sockets of node:tls with nothing on top. No framing, no limits, nobody is known.
 *
 * @param echoes whether what comes is sent back, or only read
 * @param oneWrite whether the messages of a tick go out in one write, as clever hands would do it, or in one each
 */
export async function startRawTls(options: ServerOptions, oneWrite: boolean, echoes = true): Promise<Contender> {
  const players = new Set<TLSSocket>();
  const server = createServer({ ...tlsOptions(options), noDelay: true }, (socket) => {
    players.add(socket);
    socket.on("data", (bytes: Buffer) => void (echoes && socket.write(bytes)));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => players.delete(socket));
  });
  let work: TickWork | undefined;
  const ticks = new Histogram(tickBounds);
  startTicking(options.tickHz, (tick) => {
    const startMs = performance.now();
    if (work !== undefined) send(players, work, tick, oneWrite);
    ticks.observe((performance.now() - startMs) / 1_000);
  });
  return {
    port: await listen(server),
    players: () => players.size,
    setWork: (next) => (work = next),
    world: () => ({ frames: 0, bytes: 0, crossings: 0, held: 0, ticks: ticks.cumulative().map(({ count }) => count) }),
  };
}

function send(players: Iterable<TLSSocket>, work: TickWork, tick: number, oneWrite: boolean): void {
  const { messages, payloadBytes } = work;
  let player = 0;
  for (const socket of players) {
    player += 1;
    if (oneWrite) {
      const bytes = Buffer.allocUnsafe(messages * payloadBytes);
      for (let message = 0; message < messages; message++) stamp(bytes, message * payloadBytes, tick, player, message);
      socket.write(bytes);
    } else {
      for (let message = 0; message < messages; message++) {
        const bytes = Buffer.allocUnsafe(payloadBytes);
        stamp(bytes, 0, tick, player, message);
        socket.write(bytes);
      }
    }
  }
}
