import { Client, type Room } from "@colyseus/sdk";
import { roomName } from "../contenders/contender.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Player, Wire } from "./wire.ts";

/** Players who join with Colyseus's own SDK: shows that the thin load costs a server the same. They only join. */
export function createSdkWire(endpoint: Endpoint): Wire {
  // The SDK leaves no way to name the certificate of a server that stands at a bare address.
  process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
  const client = new Client(`${endpoint.encrypted ? "wss" : "ws"}://127.0.0.1:${endpoint.port}`);
  return {
    prepare: async () => {},
    join: async () => new SdkPlayer(await client.joinOrCreate(roomName)),
    message: () => Buffer.alloc(0),
    attendMs: undefined,
    attend: () => {},
    goodbye: undefined,
  };
}

class SdkPlayer implements Player {
  readonly #room: Room;
  expected: Uint8Array | undefined;
  readonly received = 0;
  readonly wrong = 0;
  readonly updates = 0;
  roundTrips: number[] | undefined;
  fault: string | undefined;

  constructor(room: Room) {
    this.#room = room;
    room.onError((_code, message) => (this.fault ??= message ?? "error"));
  }

  write(): void {
    throw new Error("a player of the SDK only joins");
  }

  send(): void {
    this.write();
  }

  async leave(): Promise<void> {
    await this.#room.leave();
  }
}
