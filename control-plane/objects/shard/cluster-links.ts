import { type FenceReason, linkCloseCodes, type LinkMessage } from "../../../protocol/index.ts";

/** What a link remembers through hibernation. */
export interface LinkIdentity {
  readonly clusterId: string;
  readonly boot: number;
}

type LinkCloseReason = Exclude<keyof typeof linkCloseCodes, "FENCED"> | "NORMAL";

/** The WebSockets of a shard's clusters. Pings are answered by the platform, without waking the object. */
export class ClusterLinks {
  readonly #context: DurableObjectState;

  constructor(context: DurableObjectState) {
    this.#context = context;
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  /** Takes the cluster's one link; an older one is closed. Returns the answer to its upgrade request. */
  accept(identity: LinkIdentity): Response {
    this.close(identity.clusterId, "NORMAL");
    const [client, server] = Object.values(new WebSocketPair());
    if (client === undefined || server === undefined) throw new Error("a WebSocket pair has two ends");
    this.#context.acceptWebSocket(server, [identity.clusterId]);
    server.serializeAttachment(identity);
    return new Response(null, { status: 101, webSocket: client });
  }

  identityOf(socket: WebSocket): LinkIdentity | undefined {
    const attachment: unknown = socket.deserializeAttachment();
    if (typeof attachment !== "object" || attachment === null) return undefined;
    const { clusterId, boot }: { clusterId?: unknown; boot?: unknown } = attachment;
    return typeof clusterId === "string" && typeof boot === "number" ? { clusterId, boot } : undefined;
  }

  isOpen(clusterId: string): boolean {
    return this.#context.getWebSockets(clusterId).some((socket) => socket.readyState === WebSocket.OPEN);
  }

  /** When the cluster's last ping was answered, in ms; 0 when none was. */
  lastPingAtMs(clusterId: string): number {
    let latest = 0;
    for (const socket of this.#context.getWebSockets(clusterId)) latest = Math.max(latest, this.pingAtMs(socket));
    return latest;
  }

  pingAtMs(socket: WebSocket): number {
    return this.#context.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
  }

  /** Sends to the cluster if it is linked; what matters is sent again with its next acknowledgement. */
  send(clusterId: string, commands: readonly LinkMessage[]): void {
    for (const socket of this.#context.getWebSockets(clusterId)) {
      if (socket.readyState !== WebSocket.OPEN) continue;
      for (const command of commands) socket.send(JSON.stringify(command));
    }
  }

  close(clusterId: string, reason: LinkCloseReason): void {
    for (const socket of this.#context.getWebSockets(clusterId)) this.closeSocket(socket, reason);
  }

  closeSocket(socket: WebSocket, reason: LinkCloseReason, detail = ""): void {
    this.#end(socket, reason, detail);
  }

  /** The cluster's process has to stop. */
  fence(clusterId: string, by: FenceReason): void {
    for (const socket of this.#context.getWebSockets(clusterId)) this.fenceSocket(socket, by);
  }

  fenceSocket(socket: WebSocket, by: FenceReason): void {
    this.#end(socket, "FENCED", by);
  }

  #end(socket: WebSocket, reason: LinkCloseReason | "FENCED", detail: string): void {
    const code = reason === "NORMAL" ? 1000 : linkCloseCodes[reason];
    try {
      // 123 bytes of UTF-8 is what a close frame holds.
      socket.close(code, `${reason} ${detail}`.trim().slice(0, 100));
    } catch {
      // It was closed from the other side in the meantime: that will do.
    }
  }
}

/** Whether one of the two sides has ended a link on purpose. A process that is killed leaves without a word. */
export function isOrderlyEnd(code: number, wasClean: boolean): boolean {
  return wasClean && (code === 1000 || Object.values<number>(linkCloseCodes).includes(code));
}
