import { randomUUID } from "node:crypto";
import { acknowledged } from "./acknowledged.ts";

interface Call {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: object;
}

/** Gives orders at a master that may be away, each until it is acknowledged. */
export class Operator {
  readonly #masterUrl: () => string;
  readonly #logIn: () => Promise<string>;
  #token: Promise<string> | undefined;

  /** @param logIn gets an access token with the operators' role */
  constructor(masterUrl: () => string, logIn: () => Promise<string>) {
    this.#masterUrl = masterUrl;
    this.#logIn = logIn;
  }

  /** The newest generation that the player was given. */
  async generationOf(playerId: string): Promise<number> {
    const state: { generation: number } = JSON.parse(
      await this.#say({ method: "GET", path: `/v1/admin/players/${playerId}` }),
    );
    return state.generation;
  }

  async kick(playerId: string): Promise<void> {
    await this.#say({ method: "POST", path: `/v1/admin/players/${playerId}/kick` });
  }

  async signOut(playerId: string): Promise<void> {
    await this.#say({ method: "POST", path: `/v1/admin/players/${playerId}/sign-out` });
  }

  /** For so long from the order that counts on. @returns when it ends, in ms since 1970 */
  async ban(playerId: string, forMs: number): Promise<number> {
    const path = `/v1/admin/players/${playerId}/ban`;
    const answer: { until: string } = JSON.parse(
      await this.#sayAnew(() => {
        const until = new Date(Date.now() + forMs).toISOString();
        return { method: "POST", path, body: { reason: "testing", until } };
      }),
    );
    return Date.parse(answer.until);
  }

  async lock(clusterId: string): Promise<void> {
    await this.#say({ method: "PUT", path: `/v1/admin/clusters/${clusterId}/lock`, body: {} });
  }

  async unlock(clusterId: string): Promise<void> {
    await this.#say({ method: "DELETE", path: `/v1/admin/clusters/${clusterId}/lock` });
  }

  /** Has a cluster leave, and its players go on where others carry its part of the world. */
  async drain(clusterId: string): Promise<void> {
    const body = { deadlineSeconds: 60, movePlayers: true };
    await this.#say({ method: "PUT", path: `/v1/admin/clusters/${clusterId}/drain`, body });
  }

  /** One order, however often it is said. */
  async #say(call: Call): Promise<string> {
    const key = randomUUID();
    return this.#repeat(call, () => this.#ask(call, key));
  }

  /** Another order each time, as one that names a time has to be. */
  async #sayAnew(callNow: () => Call): Promise<string> {
    return this.#repeat(callNow(), () => this.#ask(callNow(), randomUUID()));
  }

  async #repeat({ method, path }: Call, ask: () => (signal: AbortSignal) => Promise<Response>): Promise<string> {
    const answer = await acknowledged(`${method} ${path}`, (signal) => ask()(signal));
    return answer.text();
  }

  #ask({ method, path, body }: Call, key: string): (signal: AbortSignal) => Promise<Response> {
    return async (signal) => {
      this.#token ??= this.#logIn();
      const token = await this.#token.catch((error: unknown) => {
        this.#token = undefined;
        throw error;
      });
      return fetch(new URL(path, this.#masterUrl()), {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          "idempotency-key": key,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal,
      });
    };
  }
}
