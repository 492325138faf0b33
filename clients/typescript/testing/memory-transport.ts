import { type ClientMessage, decodeClientMessage, FrameParser, limits } from "../../../protocol/index.ts";
import type { ClusterAddress, Transport, TransportConnection, TransportHandlers } from "../transport.ts";

/** The other end of a connection that is made of nothing but calls. */
export class MemoryLink {
  readonly cluster: ClusterAddress;
  readonly handlers: TransportHandlers;
  /** Each write, as its messages. */
  readonly writes: ClientMessage[][] = [];
  /** What the "operating system" has not taken yet. */
  queuedBytes = 0;
  /** Called in the turn after JOIN, RESUME or ARRIVE came. */
  onJoin: () => void = () => undefined;
  state: "open" | "closing" | "aborted" = "open";

  constructor(cluster: ClusterAddress, handlers: TransportHandlers) {
    this.cluster = cluster;
    this.handlers = handlers;
  }

  get messages(): ClientMessage[] {
    return this.writes.flat();
  }

  send(...frames: readonly Uint8Array[]): void {
    this.handlers.onData(new Uint8Array(Buffer.concat(frames)));
  }

  end(): void {
    this.handlers.onClose();
  }

  write(bytes: Uint8Array): void {
    const messages: ClientMessage[] = [];
    const parser = new FrameParser(limits.maxFrameBytes);
    parser.push(bytes, (frame) => messages.push(decodeClientMessage(frame.slice())) > 0);
    this.writes.push(messages);
    if (messages.some(({ type }) => type === "join" || type === "resume" || type === "arrive"))
      queueMicrotask(() => this.onJoin());
  }
}

/** A transport in memory: `links` are the connections that were opened. */
export class MemoryTransport implements Transport {
  readonly links: MemoryLink[] = [];
  /** Plays each new connection; by default it just stands open. */
  onConnect: (link: MemoryLink, index: number) => Promise<undefined> | void = () => undefined;

  async connect(cluster: ClusterAddress, handlers: TransportHandlers): Promise<TransportConnection> {
    const link = new MemoryLink(cluster, handlers);
    try {
      await this.onConnect(link, this.links.push(link) - 1);
    } catch (error) {
      link.state = "aborted";
      throw error;
    }
    return {
      get queuedBytes() {
        return link.queuedBytes;
      },
      write: (bytes) => link.write(bytes),
      close: () => {
        if (link.state === "open") link.state = "closing";
      },
      abort: () => {
        if (link.state === "aborted") return;
        link.state = "aborted";
        handlers.onClose();
      },
    };
  }

  /** The connection opened last. */
  get last(): MemoryLink {
    const link = this.links.at(-1);
    if (link === undefined) throw new Error("nothing was connected");
    return link;
  }
}
