import { connect, type TLSSocket } from "node:tls";
import {
  decodeClusterMessage,
  encodeAck,
  encodeHello,
  encodeJoin,
  encodeMove,
  encodePong,
  encodeResume,
  EntityView,
  features,
  type Fragment,
  FrameParser,
  KindTable,
  limits,
  type Welcome,
} from "../../../protocol/index.ts";
import type { TestTarget } from "../../testing/test-client.ts";

/** Called after each ENTITIES frame. */
export type OnFrame = (client: ViewClient, tick: number) => void;

/** A client over a real TLS socket that rebuilds its view and can be cut, slowed and resumed. */
export class ViewClient {
  readonly #target: TestTarget;
  readonly #onFrame: OnFrame;
  view: EntityView | undefined;
  kinds: KindTable | undefined;
  welcome: Welcome | undefined;
  /** Every FRAGMENT, oldest first. */
  readonly fragments: Fragment[] = [];
  /** Where it stands, as far as it knows. */
  position = { x: 0, y: 0, z: 0 };
  /** Numbers that entered or left since the connection began. */
  frames = 0;
  resumes = 0;
  corrections = 0;
  closed: string | undefined;
  #socket: TLSSocket | undefined;
  #token: Uint8Array | undefined;
  #resuming = false;
  #sequence = 0;
  #received = 0;

  constructor(target: TestTarget, onFrame: OnFrame) {
    this.#target = target;
    this.#onFrame = onFrame;
  }

  /** Whether it is in the game and has a token to come back with. */
  get isReady(): boolean {
    return this.#token !== undefined && !this.#resuming;
  }

  join(ticket: string): void {
    this.#open(encodeJoin({ ticket }));
  }

  /** Cuts the connection, wherever in a frame it is, and takes the session up again. */
  cut(): void {
    if (this.#token === undefined) throw new Error("nothing to come back with");
    this.#socket?.destroy();
    this.#resuming = true;
    this.#open(encodeResume({ received: this.#received, token: this.#token }));
  }

  /** Stops and goes on reading: then what is sent fills the buffers on the way. */
  hold(held: boolean): void {
    if (held) this.#socket?.pause();
    else this.#socket?.resume();
  }

  move(x: number, z: number, heading: number): void {
    if (!this.isReady) return;
    this.#sequence = (this.#sequence + 1) % 65_536;
    this.position = { x, y: 0, z };
    this.#socket?.write(encodeMove({ sequence: this.#sequence, x, y: 0, z, heading }));
  }

  leave(): void {
    this.#socket?.destroy();
  }

  /** The fragment that held at a tick. */
  fragmentAt(tick: number): Fragment | undefined {
    return this.fragments.findLast((fragment) => fragment.tick <= tick);
  }

  #open(admittance: Uint8Array): void {
    const { port, serverName, caPem } = this.#target;
    const socket = connect({ host: "127.0.0.1", port, servername: serverName, ca: caPem });
    const parser = new FrameParser(limits.maxFrameBytes);
    const offered = features.world | features.state | features.resume;
    this.#socket = socket;
    socket.write(
      Buffer.concat([encodeHello({ minVersion: 1, maxVersion: 1, features: offered, client: "view" }), admittance]),
    );
    socket.on("error", () => undefined);
    socket.on("data", (piece: Buffer) => {
      if (this.#socket !== socket) return;
      parser.push(piece, (frame) => this.#receive(frame));
    });
  }

  #receive(frame: Uint8Array): boolean {
    const message = decodeClusterMessage(frame);
    switch (message.type) {
      case "welcome":
        this.welcome = message;
        this.position = { x: message.x, y: message.y, z: message.z };
        break;
      case "resumed":
        if (this.kinds !== undefined) this.view = new EntityView(this.kinds);
        this.resumes += 1;
        break;
      case "resumeToken":
        this.#token = new Uint8Array(message.token);
        this.#resuming = false;
        this.#acknowledge();
        break;
      case "message":
        this.#received += 1;
        if (this.#received % 4 === 0) this.#acknowledge();
        break;
      case "kinds":
        this.kinds = new KindTable(message.kinds);
        this.view = new EntityView(this.kinds);
        break;
      case "fragment":
        this.fragments.push(message);
        break;
      case "position":
        this.position = { x: message.x, y: message.y, z: message.z };
        this.corrections += 1;
        break;
      case "entities":
        if (this.view === undefined) throw new Error("ENTITIES before KINDS");
        this.view.apply(message);
        this.frames += 1;
        this.#onFrame(this, message.tick);
        break;
      case "ping":
        this.#socket?.write(encodePong({ echoMs: message.timeMs, timeMs: 0 }));
        break;
      case "close":
      case "reject":
        this.closed = `${message.type} ${message.code.toString(16)}`;
        break;
      case "state":
      case "redirect":
      case "stay":
      case "ahead":
      case "streams":
      case "request":
      case "response":
      case "cancel":
      case "ack":
      case "pong":
        break;
    }
    return true;
  }

  #acknowledge(): void {
    this.#socket?.write(encodeAck({ received: this.#received }));
  }
}
