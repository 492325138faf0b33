import type { ClusterRef } from "../../protocol/handover/parties.ts";
import type { Border } from "../fragments/border.ts";
import { bordersOf, type BorderSides } from "../fragments/border-sides.ts";
import { FrameTarget } from "../fragments/view-writer.ts";
import type { ClusterWorld } from "../world/cluster-world.ts";
import { encodeGhostKinds, encodeGhostView } from "../world/ghost-frame.ts";
import type { Peers } from "./peers.ts";

/** What of the world the exchange needs. */
export type GhostWorld = Pick<
  ClusterWorld,
  "layout" | "peopled" | "createBorder" | "identitiesOf" | "kindTable" | "ghosts"
>;

export interface GhostExchangeOptions {
  readonly peers: Pick<Peers, "listen" | "sendGhosts" | "queuedBytes" | "isCarriedBy">;
  readonly world: GhostWorld;
  readonly nowMs: () => number;
  /** A link has ended over what it told. */
  readonly onRefused: () => void;
}

/** Nothing is told while more than this many bytes wait for a link. [GHOST-3] */
const maxWaitingBytes = 1_048_576;
/** What may come over a link, on average and at a time, in bytes. [GHOST-6] */
const bytesPerSecond = 2 * 1_048_576;
const maxBurstBytes = 8 * 1_048_576;

interface Neighbour {
  readonly peer: ClusterRef;
  readonly border: Border;
  /** Whether it knows our kinds. */
  greeted: boolean;
}

/** Tells each neighbour what stands near its border, and shows what they tell. Spec: docs/HANDOVER.md, section 16. */
export class GhostExchange {
  readonly #options: GhostExchangeOptions;
  readonly #neighbours = new Map<string, Neighbour>();
  /** When what has come of each neighbour would have come at the average rate. It outlives the link, as long as it is to come. */
  readonly #paidUntilMs = new Map<string, number>();
  #target = new FrameTarget(new Uint8Array(0));

  constructor(options: GhostExchangeOptions) {
    this.#options = options;
    options.peers.listen({
      onUp: (peer) => this.#meet(peer),
      onDown: ({ clusterId }) => {
        this.#neighbours.delete(clusterId);
        options.world.ghosts?.close(clusterId);
      },
      onGhosts: ({ clusterId }, body) => this.#hear(clusterId, body),
      onMap: () => this.layBorders(),
    });
  }

  /** A tick has ended: tells what has changed. */
  tick(tick: number): void {
    const { peers, world } = this.#options;
    for (const neighbour of this.#neighbours.values()) {
      const { peer, border } = neighbour;
      if (!border.isDue(tick) || peers.queuedBytes(peer.clusterId) > maxWaitingBytes) continue;
      if (this.#target.bytes.length < border.frameRoom)
        this.#target = new FrameTarget(new Uint8Array(border.frameRoom));
      const { end, entered } = border.write(tick, this.#target, 0);
      if (end === 0) continue;
      if (!neighbour.greeted) peers.sendGhosts(peer.clusterId, encodeGhostKinds(world.kindTable));
      neighbour.greeted = true;
      const view = this.#target.bytes.subarray(0, end);
      peers.sendGhosts(peer.clusterId, encodeGhostView(world.identitiesOf(entered), view));
    }
  }

  /** The world is laid out anew, or others carry what of it. */
  layBorders(): void {
    const { layout, peopled } = this.#options.world;
    for (const { peer, border } of this.#neighbours.values())
      border.lay(layout.rules, this.#sidesOf(peer.clusterId, peopled));
  }

  #meet(peer: ClusterRef): void {
    const { world, nowMs } = this.#options;
    for (const [clusterId, paidUntilMs] of this.#paidUntilMs) {
      if (paidUntilMs <= nowMs()) this.#paidUntilMs.delete(clusterId);
    }
    const border = world.createBorder(this.#sidesOf(peer.clusterId, world.peopled));
    this.#neighbours.set(peer.clusterId, { peer, border, greeted: false });
    world.ghosts?.open(peer);
  }

  #sidesOf(clusterId: string, peopled: ReadonlySet<string>): BorderSides {
    const { peers, world } = this.#options;
    return bordersOf(world.layout, (name) => peers.isCarriedBy(clusterId, name), peopled);
  }

  /** @throws ProtocolError, RangeError: then the link ends */
  #hear(clusterId: string, body: Uint8Array): void {
    if (!this.#neighbours.has(clusterId)) return;
    try {
      this.#pay(clusterId, body.length);
      this.#options.world.ghosts?.hear(clusterId, body);
    } catch (error) {
      this.#options.onRefused();
      throw error;
    }
  }

  #pay(clusterId: string, bytes: number): void {
    const now = this.#options.nowMs();
    const paidUntilMs = Math.max(this.#paidUntilMs.get(clusterId) ?? now, now) + (bytes * 1_000) / bytesPerSecond;
    this.#paidUntilMs.set(clusterId, paidUntilMs);
    if (paidUntilMs - now > (maxBurstBytes * 1_000) / bytesPerSecond) throw new RangeError("too many ghosts");
  }
}
