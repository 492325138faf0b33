import type { ClusterSettings } from "../config/settings.ts";
import type { ClusterLimits } from "../limits.ts";
import { Admission } from "./admission.ts";
import { createListener, type ListenerOptions } from "./listener.ts";
import { TrustedProxies } from "./proxy-header.ts";
import type { Credentials, Listener } from "./tls-server.ts";
import { createWebSocketListener } from "./websocket-listener.ts";

export interface PlayerListenersOptions extends Pick<
  ListenerOptions,
  "credentials" | "onRefused" | "onHandshake" | "onConnection"
> {
  readonly settings: Pick<
    ClusterSettings,
    | "host"
    | "port"
    | "wsPort"
    | "wsOrigins"
    | "tls12"
    | "proxyProtocolFrom"
    | "maxUnauthenticated"
    | "maxUnauthenticatedPerIp"
  >;
  readonly limits: Pick<ClusterLimits, "handshakeTimeoutMs" | "penaltyHalfLifeMs">;
  readonly nowMs: () => number;
}

/** Where players come in: over TLS, and over WebSocket if there is a port for it. Strangers are counted for both together. */
export class PlayerListeners {
  readonly port: number;
  readonly webSocketPort: number | undefined;
  readonly #listeners: readonly Listener[];

  private constructor(tls: Listener, webSocket: Listener | undefined) {
    this.port = tls.port;
    this.webSocketPort = webSocket?.port;
    this.#listeners = webSocket === undefined ? [tls] : [tls, webSocket];
  }

  /** @throws ListenError */
  static async open({ settings, limits, nowMs, ...handed }: PlayerListenersOptions): Promise<PlayerListeners> {
    const { host, port, wsPort, wsOrigins, tls12, proxyProtocolFrom } = settings;
    const { maxUnauthenticated: maxTotal, maxUnauthenticatedPerIp: maxPerGroup } = settings;
    const { handshakeTimeoutMs, penaltyHalfLifeMs } = limits;
    const shared = {
      ...handed,
      host,
      tls12,
      handshakeTimeoutMs,
      proxies: proxyProtocolFrom.length === 0 ? undefined : new TrustedProxies(proxyProtocolFrom),
      admission: new Admission({ maxTotal, maxPerGroup, penaltyHalfLifeMs }, nowMs),
    };
    const tls = await createListener({ ...shared, port, portSetting: "[all] port" });
    if (wsPort === undefined) return new PlayerListeners(tls, undefined);
    try {
      const options = { ...shared, port: wsPort, portSetting: "[cluster] ws_port", origins: wsOrigins };
      return new PlayerListeners(tls, await createWebSocketListener(options));
    } catch (error) {
      tls.close();
      throw error;
    }
  }

  /** Another certificate is shown from the next handshake on. */
  show(credentials: Credentials): void {
    for (const listener of this.#listeners) listener.show(credentials);
  }

  /** Lets nobody in any more. */
  close(): void {
    for (const listener of this.#listeners) listener.close();
  }
}
