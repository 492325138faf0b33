import { connect, createServer, type Server, type Socket } from "node:net";

/** A port that leads to another one, with so much delay each way. It can cut what goes through it. */
export class DelayProxy {
  /** Where it leads to; until it is set connections end at once. */
  targetPort = 0;
  readonly #delayMs: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(delayMs: number) {
    this.#delayMs = delayMs;
    this.#server = createServer((socket) => this.#lead(socket));
  }

  static async open(delayMs: number): Promise<DelayProxy> {
    const proxy = new DelayProxy(delayMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    proxy.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy does not listen");
    return address.port;
  }

  /** Ends every connection without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #lead(socket: Socket): void {
    this.#watch(socket);
    if (this.targetPort === 0) return void socket.destroy();
    const target = connect(this.targetPort, "127.0.0.1");
    this.#watch(target);
    this.#carry(socket, target);
    this.#carry(target, socket);
  }

  #carry(from: Socket, to: Socket): void {
    // Timers of one length keep their order.
    const later = (run: () => void): void => void setTimeout(run, this.#delayMs);
    from.setNoDelay(true);
    from.on("data", (bytes) => later(() => !to.destroyed && to.write(bytes)));
    from.on("end", () => later(() => to.end()));
    from.on("close", () => later(() => to.destroy()));
  }

  #watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
