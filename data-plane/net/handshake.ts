import type { Socket } from "node:net";
import type { AdmissionPass, AdmissionRefusal } from "./admission.ts";

export interface HandshakeOptions {
  readonly socket: Socket;
  readonly address: string;
  readonly pass: AdmissionPass;
  /** When it began; any origin. */
  readonly startedAtMs: number;
  /** It is over; `fault` says why if the peer is to blame. */
  readonly onEnd: (fault: string | undefined, address: string) => void;
}

/**
 * A connection from its accept to the moment when a session takes it over: the header of a proxy, TLS, the upgrade to a
 * WebSocket. It holds one place among the unauthenticated, and has one deadline for all of that.
 */
export class Handshake {
  readonly socket: Socket;
  readonly startedAtMs: number;
  readonly #onEnd: HandshakeOptions["onEnd"];
  #address: string;
  #pass: AdmissionPass;
  #open = true;

  constructor({ socket, address, pass, startedAtMs, onEnd }: HandshakeOptions) {
    this.socket = socket;
    this.#address = address;
    this.#pass = pass;
    this.#onEnd = onEnd;
    this.startedAtMs = startedAtMs;
    socket.on("error", destroy);
    socket.on("close", this.#onClose);
  }

  // Somebody who only measures the latency connects and closes without a byte: that is no fault.
  readonly #onClose = (): void => this.fail(this.socket.bytesRead > 0 ? "HANDSHAKE_FAILED" : undefined);

  /** The peer's own address, as far as it is known. */
  get address(): string {
    return this.#address;
  }

  get open(): boolean {
    return this.#open;
  }

  /** A proxy has said for whom it speaks: from here on that one is counted, if it may come in. */
  become(address: string, admit: () => AdmissionPass | AdmissionRefusal): AdmissionRefusal | undefined {
    this.#pass.release(false);
    this.#address = address;
    const pass = admit();
    if (typeof pass === "string") return pass;
    this.#pass = pass;
    return undefined;
  }

  /** The pass goes over to the caller; `undefined` when it is too late. */
  succeed(): AdmissionPass | undefined {
    return this.#finish(undefined) ? this.#pass : undefined;
  }

  /** Ends it. Whoever broke the rules is charged for it; without `fault` nobody is. */
  fail(fault: string | undefined, charged = fault !== undefined): void {
    if (!this.#finish(fault)) return;
    this.#pass.release(charged);
    this.socket.destroy();
  }

  #finish(fault: string | undefined): boolean {
    if (!this.#open) return false;
    this.#open = false;
    // The socket may stay for hours: nothing of its handshake does.
    this.socket.off("close", this.#onClose);
    this.#onEnd(fault, this.#address);
    return true;
  }
}

/** Shared by all sockets, so that none keeps more than itself. */
function destroy(this: Socket): void {
  this.destroy();
}
