import { type ClusterMessage, decodeClusterMessage, FrameParser, limits, ProtocolError } from "../../protocol/index.ts";
import type { TransportConnection } from "./transport.ts";

/** What a wire tells. */
export interface WireHandlers {
  /** A message from the cluster. May throw ProtocolError: it ends up in `onMalformed`. */
  onMessage(message: ClusterMessage, byteLength: number): void;
  /** The cluster sent something malformed; nothing more is read. */
  onMalformed(error: ProtocolError): void;
}

/** A transport connection as messages: cuts and decodes what comes, and gathers what is sent in one turn into one write. */
export class Wire {
  readonly #handlers: WireHandlers;
  readonly #maxQueuedBytes: number;
  readonly #parser = new FrameParser(limits.maxFrameBytes);
  #transport: TransportConnection | undefined;
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #ended = false;

  constructor(handlers: WireHandlers, maxQueuedBytes: number) {
    this.#handlers = handlers;
    this.#maxQueuedBytes = maxQueuedBytes;
  }

  attach(transport: TransportConnection): void {
    this.#transport = transport;
  }

  get attached(): boolean {
    return this.#transport !== undefined;
  }

  get queuedBytes(): number {
    return this.#batchBytes + (this.#transport?.queuedBytes ?? 0);
  }

  receive(bytes: Uint8Array): void {
    if (this.#ended) return;
    try {
      this.#parser.push(bytes, (frame) => {
        this.#handlers.onMessage(decodeClusterMessage(frame), frame.length);
        return !this.#ended;
      });
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#handlers.onMalformed(error);
    }
  }

  /** Queues frames; false, and nothing is queued, when the wire has ended or too much waits already. */
  send(bytes: Uint8Array): boolean {
    if (this.#ended || this.queuedBytes + bytes.length > this.#maxQueuedBytes) return false;
    this.#queue(bytes);
    return true;
  }

  /** Queues frames whatever the bound: they have been counted before. */
  sendAgain(frames: readonly Uint8Array[]): void {
    if (this.#ended) return;
    for (const frame of frames) this.#queue(frame);
  }

  /** Reads nothing more; sends what is queued and then `lastFrame`, and ends the connection. */
  end(lastFrame?: Uint8Array): void {
    if (this.#ended) return;
    if (lastFrame !== undefined) this.#queue(lastFrame);
    this.#ended = true;
    this.#flush();
    this.#transport?.close();
  }

  /** Ends the connection at once. */
  abort(): void {
    this.#ended = true;
    this.#batch = [];
    this.#transport?.abort();
  }

  #queue(bytes: Uint8Array): void {
    if (this.#batch.length === 0) queueMicrotask(() => this.#flush());
    this.#batch.push(bytes);
    this.#batchBytes += bytes.length;
  }

  #flush(): void {
    const batch = this.#batch;
    const bytes = batch.length === 1 ? batch[0] : concatenate(batch, this.#batchBytes);
    this.#batch = [];
    this.#batchBytes = 0;
    if (bytes !== undefined && bytes.length > 0) this.#transport?.write(bytes);
  }
}

function concatenate(parts: readonly Uint8Array[], byteLength: number): Uint8Array {
  const whole = new Uint8Array(byteLength);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
