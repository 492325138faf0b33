import type { HeldItem, ToClient } from "../../../protocol/handover/messages.ts";
import type { ClusterRef, MemberRef, MemberTransfer, Snapshot } from "../../../protocol/handover/parties.ts";
import { judgeInput, openStreams, type Streams } from "../../../protocol/handover/streams.ts";
import { withInput, withOutput } from "../../../test/simulation/model-streams.ts";
import type { Body, Stage } from "../stage.ts";

interface Copy {
  generation: number;
  history: string;
  streams: Streams<Body>;
  frozen: boolean;
}

/** A game of text: what was applied to a player, in order. It stands where a cluster's players would. */
export class StageCopies implements Stage {
  readonly copies = new Map<string, Copy>();
  readonly departed = new Map<string, Copy>();
  /** What clients were told of where they may be sent. */
  readonly hints: string[] = [];
  readonly told: { readonly playerId: string; readonly message: ToClient }[] = [];
  readonly keys = new Map<string, string>();
  readonly reserved = new Map<string, readonly MemberRef[]>();
  readonly dropped: { readonly playerId: string; readonly outcome: string }[] = [];
  isFull = false;
  /** Whether states can be taken over. */
  admits = true;
  /** Freezes that wait for the end of the tick. */
  #freezes: (() => void)[] = [];

  enter(playerId: string, generation: number): void {
    this.copies.set(playerId, { generation, history: "", streams: openStreams(generation), frozen: false });
  }

  historyOf(playerId: string): string | undefined {
    return this.copies.get(playerId)?.history;
  }

  endTick(): void {
    const freezes = this.#freezes;
    this.#freezes = [];
    for (const freeze of freezes) freeze();
  }

  generationOf(playerId: string): number | undefined {
    return this.copies.get(playerId)?.generation;
  }

  newestOf(playerId: string): number | undefined {
    return this.generationOf(playerId);
  }

  isConnected(playerId: string): boolean {
    return this.copies.has(playerId);
  }

  freeze(playerIds: readonly string[], done: (snapshots: Readonly<Record<string, Snapshot<Body>>>) => void): void {
    this.#freezes.push(() => {
      const snapshots: Record<string, Snapshot<Body>> = {};
      for (const playerId of playerIds) {
        const copy = this.copies.get(playerId);
        if (copy === undefined) continue;
        copy.frozen = true;
        snapshots[playerId] = { state: bytesOf(copy.history), streams: copy.streams };
      }
      done(snapshots);
    });
  }

  depart(playerId: string): void {
    const copy = this.copies.get(playerId);
    if (copy === undefined) return;
    this.copies.delete(playerId);
    this.departed.set(playerId, copy);
  }

  play(playerId: string, generation: number, items: readonly HeldItem<Body>[]): void {
    const departed = this.departed.get(playerId);
    if (departed !== undefined) {
      this.departed.delete(playerId);
      this.copies.set(playerId, { ...departed, generation });
    }
    const copy = this.copies.get(playerId);
    if (copy === undefined) return;
    copy.frozen = false;
    for (const item of items) this.deliver(playerId, item);
  }

  adopt(playerId: string, from: number, generation: number): void {
    const copy = this.copies.get(playerId);
    if (copy?.generation === from) copy.generation = generation;
  }

  drop(playerId: string, generation: number, outcome: "moved" | "superseded"): void {
    this.dropped.push({ playerId, outcome });
    this.departed.delete(playerId);
    if (this.copies.get(playerId)?.generation === generation) this.copies.delete(playerId);
  }

  announce(playerId: string, _id: string, { clusterId }: ClusterRef): void {
    this.hints.push(`${playerId} may go to ${clusterId}`);
  }

  callOff(playerId: string): void {
    this.hints.push(`${playerId} stays`);
  }

  tellClient(playerId: string, message: ToClient): void {
    this.told.push({ playerId, message });
  }

  reserve(id: string, members: readonly MemberRef[]): "full" | "invalid" | undefined {
    if (members.some(({ playerId }) => this.copies.has(playerId))) return "invalid";
    if (this.isFull) return "full";
    this.reserved.set(id, members);
    return undefined;
  }

  unreserve(id: string): void {
    this.reserved.delete(id);
  }

  admit(_id: string, _members: readonly MemberTransfer<Body>[]): "invalid" | undefined {
    return this.admits ? undefined : "invalid";
  }

  activate(playerId: string, generation: number, key: string, { state, streams }: Snapshot<Body>): void {
    this.keys.set(playerId, key);
    this.copies.set(playerId, { generation, history: textOf(state), streams, frozen: false });
  }

  deliver(playerId: string, item: HeldItem<Body>): void {
    const copy = this.copies.get(playerId);
    if (copy === undefined) return;
    if (item.kind === "leave") {
      this.copies.delete(playerId);
    } else if (item.kind === "output") {
      copy.streams = withOutput(copy.streams, item.body);
      copy.history += `>${textOf(item.body)}`;
    } else if (judgeInput(copy.streams, item.sequence) === "next") {
      copy.streams = withInput(copy.streams);
      copy.history += `<${textOf(item.body)}`;
    }
  }
}

export function bytesOf(text: string): Body {
  return new TextEncoder().encode(text);
}

function textOf(bytes: Body): string {
  return new TextDecoder().decode(bytes);
}
