import { createServer as createHttpsServer } from "node:https";
import { type Client, Room, Server } from "@colyseus/core";
import { Encoder, type SchemaType, schema, StateView, t } from "@colyseus/schema";
import { WebSocketTransport } from "@colyseus/ws-transport";
import { Histogram, tickBounds } from "../../data-plane/ops/histogram.ts";
import { placeSteps, sideOf } from "../world-plan.ts";
import { type Contender, messageKinds, roomName, type ServerOptions, tlsOptions } from "./contender.ts";
import { NearestViews } from "./nearest-views.ts";

/** What players see of each other: the smallest types that hold it. */
const Body = schema({ x: t.uint16(), z: t.uint16(), heading: t.uint16() }, "Body");
type Body = SchemaType<typeof Body>;

const WorldState = schema({ bodies: t.map(Body).view() }, "WorldState");
type WorldState = SchemaType<typeof WorldState>;

interface Member {
  readonly client: Client;
  readonly slot: number;
  readonly body: Body;
  readonly view: StateView;
}

/** A tick's patches of all players lie behind each other in one buffer: with room for them it never has to grow. */
Encoder.BUFFER_SIZE = 2 * 1024 * 1024;

/**
 * Colyseus from npm over its own WebSocket transport: one room, each player with a StateView of the nearest, which is touched only where they change.
 * Who they are is found by the cluster's own code, as Colyseus has none for that. Its cost is the room's, as it is the cluster's.
 */
export async function startColyseusWorld(options: ServerOptions): Promise<Contender> {
  const { tickHz, players = 0 } = options;
  const side = sideOf(players);
  const views = new NearestViews(players);
  const ticks = new Histogram(tickBounds);
  const members = new Map<string, Member>();
  const bySlot: (Member | undefined)[] = [];

  class WorldRoom extends Room<{ state: WorldState }> {
    override state = new WorldState();
    override patchRate = 1_000 / tickHz;
    override autoDispose = false;

    override onCreate(): void {
      this.onMessageBytes(messageKinds.game, (client: Client, bytes: Uint8Array) => {
        const member = members.get(client.sessionId);
        if (member !== undefined) walk(member, bytes);
      });
    }

    override onJoin(client: Client): void {
      const x = Math.random() * side;
      const z = Math.random() * side;
      const body = new Body();
      place(body, x, z, 0);
      const slot = views.add(x, z);
      if (slot === -1) throw new Error("the world is full");
      // The shortest key that there is.
      this.state.bodies.set(String(slot), body);
      const view = new StateView();
      client.view = view;
      const member: Member = { client, slot, body, view };
      members.set(client.sessionId, member);
      bySlot[slot] = member;
      const told = Buffer.alloc(8);
      told.writeFloatLE(x, 0);
      told.writeFloatLE(z, 4);
      client.sendBytes(messageKinds.place, told);
    }

    override onLeave(client: Client): void {
      const member = members.get(client.sessionId);
      if (member === undefined) return;
      members.delete(client.sessionId);
      bySlot[member.slot] = undefined;
      views.remove(member.slot);
      member.view.dispose();
      this.state.bodies.delete(String(member.slot));
    }

    override onBeforePatch(): void {
      views.begin();
      for (const { slot, view } of members.values()) {
        views.refresh(slot, {
          leave: (other) => {
            const left = bySlot[other];
            if (left !== undefined) view.remove(left.body);
          },
          enter: (other) => {
            const entered = bySlot[other];
            if (entered !== undefined) view.add(entered.body);
          },
        });
      }
    }

    override broadcastPatch(): boolean {
      const startMs = performance.now();
      const hadChanges = super.broadcastPatch();
      ticks.observe((performance.now() - startMs) / 1_000);
      return hadChanges;
    }
  }

  function walk({ slot, body }: Member, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const x = view.getFloat32(2, true);
    const z = view.getFloat32(6, true);
    place(body, x, z, view.getUint16(10, true));
    views.move(slot, x, z);
  }

  const httpServer = createHttpsServer(tlsOptions(options));
  const server = new Server({
    greet: false,
    gracefullyShutdown: false,
    transport: new WebSocketTransport({ server: httpServer }),
  });
  server.define(roomName, WorldRoom);
  await server.listen(0, "127.0.0.1", 4_096);
  const address = httpServer.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    port: address.port,
    players: () => members.size,
    setWork: () => undefined,
    world: () => ({ frames: 0, bytes: 0, crossings: 0, held: 0, ticks: ticks.cumulative().map(({ count }) => count) }),
  };
}

function place(body: Body, x: number, z: number, heading: number): void {
  body.x = Math.round(x * placeSteps);
  body.z = Math.round(z * placeSteps);
  body.heading = heading;
}
