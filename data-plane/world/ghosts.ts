import { ProtocolError } from "../../protocol/index.ts";
import type { ClusterRef } from "../../protocol/handover/parties.ts";
import { EntityView, type SeenEntity } from "../../protocol/entities/view.ts";
import { type KindTable } from "../../protocol/entities/kind-table.ts";
import { maskBits } from "../../protocol/entities/wire.ts";
import type { World } from "../fragments/world.ts";
import { type NamedKinds, playerFields, playerKind } from "./entity-kinds.ts";
import { decodeGhostFrame } from "./ghost-frame.ts";

/** Every bit of a mask. */
const everything = -1;

/** How the kinds of another cluster's game are shown here. */
interface SharedKind {
  readonly id: number;
  /** Index here by index there; -1 for a field that is not shown. */
  readonly fields: readonly number[];
}

/** An entity that another cluster tells of, or (without a teller) a body that its player has left for another cluster. */
interface Ghost {
  readonly teller: Teller | undefined;
  readonly number: number;
  readonly kind: SharedKind | undefined;
  /** Of a player. */
  readonly identity: string | undefined;
  /** Where it is shown; -1 while it is not, since another of its identity is. */
  slot: number;
}

/** A link, and what was told over it. */
interface Teller {
  readonly peer: ClusterRef;
  view: EntityView | undefined;
  kinds: ReadonlyMap<number, SharedKind>;
  readonly ghosts: Map<number, Ghost>;
  readonly identities: Set<string>;
  /** What the link before it to the same process left behind, as far as it has not been told again. */
  before: Teller | undefined;
}

/**
 * What other clusters tell of their entities, as ghosts in this one's world. [GHOST-5] [GHOST-7] [GHOST-8]
 *
 * One identity is shown once: as the player that is in the game here, or else as the newest ghost; where one takes the place of
 * another the entity stays the same.
 */
export class Ghosts {
  readonly #world: World;
  readonly #kinds: NamedKinds;
  readonly #lingerTicks: number;
  readonly #tellers = new Map<string, Teller>();
  /** By identity: all ghosts of it, the newest last. */
  readonly #byIdentity = new Map<string, Ghost[]>();
  /** Told of, and not shown for want of room. */
  readonly #waiting = new Set<Ghost>();
  /** Players in the game here. */
  readonly #players = new Set<string>();
  /** What ends by itself, by the tick; in their order. */
  #ends: { readonly tick: number; readonly end: () => void }[] = [];
  #tick = 0;

  constructor(world: World, kinds: NamedKinds, lingerTicks: number) {
    this.#world = world;
    this.#kinds = kinds;
    this.#lingerTicks = lingerTicks;
  }

  /** A link is up. */
  open(peer: ClusterRef): void {
    const old = this.#tellers.get(peer.clusterId);
    if (old?.before !== undefined) this.#forget(old.before);
    const isSame = old?.peer.boot === peer.boot;
    if (old !== undefined && !isSame) this.#forget(old);
    const before = isSame ? old : undefined;
    this.#tellers.set(peer.clusterId, {
      peer,
      view: undefined,
      kinds: new Map(),
      ghosts: new Map(),
      identities: new Set(),
      before,
    });
  }

  /** A link has broken: what was told stays as it was for a while. */
  close(clusterId: string): void {
    const teller = this.#tellers.get(clusterId);
    if (teller === undefined) return;
    const { before } = teller;
    if (before !== undefined) {
      // It has told nothing: what the one before has told stays for as long as it would have stayed.
      if (teller.view === undefined) return void this.#tellers.set(clusterId, before);
      this.#forget(before);
    }
    teller.before = undefined;
    this.#later(() => this.#end(clusterId, teller));
  }

  /**
   * Takes over what a cluster tells.
   *
   * @throws ProtocolError when it is malformed: then the link is of no use any more
   */
  hear(clusterId: string, bytes: Uint8Array): void {
    const teller = this.#tellers.get(clusterId);
    if (teller === undefined) return;
    const frame = decodeGhostFrame(bytes);
    if (frame.type === "kinds") {
      if (teller.view !== undefined) throw new ProtocolError("BAD_VALUE", "kinds twice");
      teller.view = new EntityView(frame.kinds);
      teller.kinds = shareKinds(frame.kinds, this.#kinds);
      return;
    }
    if (teller.view === undefined) throw new ProtocolError("BAD_VALUE", "ghosts before their kinds");
    teller.view.apply(frame.entities, {
      onEnter: (entity) => this.#enter(teller, entity, frame.identities.get(entity.number)),
      onUpdate: (entity, changed) => {
        const ghost = teller.ghosts.get(entity.number);
        if (ghost !== undefined) this.#show(ghost, entity, changed);
      },
      onLeave: ({ number }) => this.#leave(teller, number),
    });
  }

  /** A player comes into the game: the slot of its ghost, for its body; -1 without one. */
  claim(identity: string): number {
    this.#players.add(identity);
    const all = this.#byIdentity.get(identity) ?? [];
    const shown = all.find(({ slot }) => slot !== -1);
    if (shown === undefined) return -1;
    const { slot } = shown;
    shown.slot = -1;
    if (shown.teller === undefined) this.#drop(shown);
    return slot;
  }

  /** Whether another cluster tells of this player: then its body stays when it leaves. */
  isTold(identity: string): boolean {
    return this.#byIdentity.has(identity);
  }

  /** A player is not in the game here any more, or could not come into it. @param slot where its ghost may be shown; -1 for none */
  left(identity: string, slot: number): void {
    this.#players.delete(identity);
    this.#bequeath(identity, slot);
  }

  /** A body that its player has left for another cluster: it stays until that one tells of it, or for a while. */
  leaveBehind(identity: string, slot: number): void {
    if (slot === -1 || this.isTold(identity)) return this.left(identity, slot);
    this.#players.delete(identity);
    const body: Ghost = { teller: undefined, number: 0, kind: undefined, identity, slot };
    this.#byIdentity.set(identity, [body]);
    this.#later(() => {
      if (body.slot !== -1) this.#drop(body);
    });
  }

  /** Ends what has been without a teller for long enough. */
  tick(tick: number): void {
    this.#tick = tick;
    while ((this.#ends[0]?.tick ?? Infinity) <= tick) this.#ends.shift()?.end();
    for (const ghost of this.#waiting) {
      if (!this.#world.hasGhostRoom) return;
      const seen = ghost.teller?.view?.find(ghost.number);
      if (seen !== undefined) this.#show(ghost, seen, everything);
    }
  }

  #enter(teller: Teller, entity: SeenEntity, identity: string | undefined): void {
    const kind = teller.kinds.get(entity.kind.id);
    const isPlayer = kind?.id === playerKind;
    if (isPlayer && identity !== undefined) {
      // Each would make those before it costlier.
      if (teller.identities.has(identity)) throw new ProtocolError("BAD_VALUE", "one player twice");
      teller.identities.add(identity);
    }
    const ghost: Ghost = { teller, number: entity.number, kind, identity: isPlayer ? identity : undefined, slot: -1 };
    teller.ghosts.set(entity.number, ghost);
    const former = this.#formerOf(teller, ghost);
    if (ghost.identity !== undefined) {
      const all = this.#byIdentity.get(ghost.identity);
      if (all === undefined) this.#byIdentity.set(ghost.identity, [ghost]);
      else all.push(ghost);
      if (this.#players.has(ghost.identity)) return;
    }
    if (former !== undefined) this.#succeed(former, ghost);
    if (former?.teller !== undefined && former.teller === teller.before) this.#leave(former.teller, former.number);
    this.#show(ghost, entity, everything);
  }

  /** Who is shown now for what has just been told of. */
  #formerOf(teller: Teller, { number, identity, kind }: Ghost): Ghost | undefined {
    if (identity !== undefined) return this.#byIdentity.get(identity)?.find(({ slot }) => slot !== -1);
    const former = teller.before?.ghosts.get(number);
    return former?.kind?.id === kind?.id ? former : undefined;
  }

  #succeed(former: Ghost, ghost: Ghost): void {
    ghost.slot = former.slot;
    former.slot = -1;
    if (ghost.slot !== -1) this.#world.adoptGhost(ghost.slot);
    if (former.teller === undefined) this.#drop(former);
  }

  #leave(teller: Teller, number: number): void {
    const ghost = teller.ghosts.get(number);
    if (ghost === undefined) return;
    teller.ghosts.delete(number);
    if (ghost.identity !== undefined) teller.identities.delete(ghost.identity);
    this.#drop(ghost);
  }

  /** A ghost is no more: its place goes to the next of its identity. */
  #drop(ghost: Ghost): void {
    const { identity, slot } = ghost;
    ghost.slot = -1;
    this.#waiting.delete(ghost);
    if (identity !== undefined) {
      const all = (this.#byIdentity.get(identity) ?? []).filter((one) => one !== ghost);
      if (all.length === 0) this.#byIdentity.delete(identity);
      else this.#byIdentity.set(identity, all);
    }
    if (slot === -1) return;
    if (identity === undefined) this.#world.removeGhost(slot);
    else this.#bequeath(identity, slot);
  }

  /** Those who see it must not see it leave and enter again as it goes from one teller to the next: whoever tells of it now takes its slot. [GHOST-8] */
  #bequeath(identity: string, slot: number): void {
    const heir = this.#byIdentity.get(identity)?.findLast(({ teller }) => teller !== undefined);
    const seen = heir?.teller?.view?.find(heir.number);
    if (heir !== undefined && seen !== undefined) {
      heir.slot = slot;
      if (slot !== -1) this.#world.adoptGhost(slot);
      this.#show(heir, seen, everything);
    } else if (slot !== -1) {
      this.#world.removeGhost(slot);
    }
  }

  /** Shows what has changed of a ghost; where it is not shown yet, if there is room. */
  #show(ghost: Ghost, entity: SeenEntity, changed: number): void {
    const { kind, identity } = ghost;
    if (kind === undefined) return;
    if (identity !== undefined && this.#isShadowed(ghost, identity)) return void this.#waiting.delete(ghost);
    const { x, y, z } = entity;
    const isNew = ghost.slot === -1;
    if (isNew) ghost.slot = this.#world.spawnGhost(kind.id, x, y, z);
    if (ghost.slot === -1) return void this.#waiting.add(ghost);
    if (this.#waiting.size > 0) this.#waiting.delete(ghost);
    const { entities } = this.#world;
    const moved = maskBits.plane | maskBits.height | maskBits.place;
    if (!isNew && (changed & moved) !== 0) entities.move(ghost.slot, x, y, z);
    for (const [index, field] of kind.fields.entries()) {
      if (field === -1 || (!isNew && (changed & (1 << (maskBits.firstField + index))) === 0)) continue;
      const value = entity.values[index] ?? 0;
      if (typeof value === "number") entities.set(ghost.slot, field, value);
      else entities.setBytes(ghost.slot, field, value);
    }
    // A body that was left behind had one. [GHOST-7]
    if (kind.id === playerKind && changed === everything) entities.set(ghost.slot, playerFields.number, 0);
  }

  /** Whether another of its identity is shown in its place. */
  #isShadowed(ghost: Ghost, identity: string): boolean {
    if (this.#players.has(identity)) return true;
    return ghost.slot === -1 && (this.#byIdentity.get(identity) ?? []).some(({ slot }) => slot !== -1);
  }

  #forget(teller: Teller): void {
    for (const ghost of teller.ghosts.values()) this.#drop(ghost);
    teller.ghosts.clear();
    teller.identities.clear();
    teller.view = undefined;
  }

  /** A link has been away for long enough. */
  #end(clusterId: string, teller: Teller): void {
    const present = this.#tellers.get(clusterId);
    if (present?.before === teller) present.before = undefined;
    if (present === teller) this.#tellers.delete(clusterId);
    this.#forget(teller);
  }

  #later(end: () => void): void {
    this.#ends.push({ tick: this.#tick + this.#lingerTicks, end });
  }
}

/** What of another game's kinds this one has: kinds by name, fields by name and type. [GHOST-5] */
function shareKinds(theirs: KindTable, ours: NamedKinds): ReadonlyMap<number, SharedKind> {
  const shared = new Map<number, SharedKind>();
  for (const { id, name, fields } of theirs.kinds) {
    const kind = ours.find(name);
    const specs = ours.table.find(kind?.id ?? -1)?.fields;
    if (kind === undefined || specs === undefined) continue;
    const indices = fields.map((field) => {
      const index = kind.fields.get(field.name) ?? -1;
      const spec = specs[index];
      const fits =
        spec?.type === "bytes" ? field.type === "bytes" && field.maxBytes <= spec.maxBytes : spec?.type === field.type;
      return !fits || (kind.id === playerKind && index === playerFields.number) ? -1 : index;
    });
    shared.set(id, { id: kind.id, fields: indices });
  }
  return shared;
}
