import { messageKinds } from "../contenders/contender.ts";
import { codes, createColyseusWire, gameMessage } from "./colyseus-wire.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Link } from "./link.ts";
import { PatchCounter } from "./patch-counter.ts";
import { StateWatcher } from "./state-watcher.ts";
import { Walk } from "./walk.ts";
import type { Player, Wire } from "./wire.ts";

/** Players who walk about in a room of Colyseus: each patch of its state counts as a frame, and the bodies in it as updates. */
export function createColyseusWorldWire(endpoint: Endpoint): Wire {
  const walks = new WeakMap<Player, Walk>();
  const counter = new PatchCounter();
  const watcher = new StateWatcher();
  let watched: Link | undefined;
  let sequence = 0;
  const wire = createColyseusWire(endpoint, (link, bytes, start, end) => {
    watched ??= link;
    if (link === watched) watcher.hear(bytes, start, end);
    const code = bytes[start];
    if (code === codes.roomStatePatch) {
      link.count(bytes, start, end);
      link.updates += counter.count(bytes, start + 1, end);
    } else if (code === codes.roomDataBytes && bytes[start + 1] === messageKinds.place) {
      walks.set(link, new Walk(bytes.readFloatLE(start + 2), bytes.readFloatLE(start + 6)));
    }
  });
  return {
    ...wire,
    seen: () => watcher.seen,
    step: (player, side) => {
      const walk = walks.get(player);
      if (walk === undefined) return;
      walk.step(side);
      sequence = (sequence + 1) & 0xffff;
      const move = Buffer.alloc(12);
      move.writeUInt16LE(sequence, 0);
      move.writeFloatLE(walk.x, 2);
      move.writeFloatLE(walk.z, 6);
      move.writeUInt16LE(walk.heading, 10);
      player.write(gameMessage(move));
    },
  };
}
