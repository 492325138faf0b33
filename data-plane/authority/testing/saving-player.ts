/** A player's session as the master steps it, and a cluster that saves that player: without a clock, sockets, or a game. */
import { vi } from "vitest";
import { stepSession } from "../../../protocol/handover/session.ts";
import { openSession, type SessionState } from "../../../protocol/handover/session-state.ts";
import type { FromSession, ToSession } from "../../../protocol/handover/messages.ts";
import { LogBook } from "../../testing/test-cluster.ts";
import type { KeptPlayer, PlayerRecord } from "../player-record.ts";
import { PlayerSaves, type SavesOptions } from "../player-saves.ts";
import { decodePlayerState, encodePlayerState } from "../player-state.ts";

export const here = "here";
export const elsewhere = "elsewhere";
export const playerId = "p";

/** A player's session as the master steps it, and the way there: what is asked waits until the test lets it through. */
export class Master {
  state: SessionState<Uint8Array> = { ...openSession<Uint8Array>(playerId), issued: 1_000 };
  readonly waiting: { readonly message: ToSession<Uint8Array>; dropped: boolean; readonly onGivenUp: () => void }[] =
    [];
  readonly #listeners: ((playerId: string, message: FromSession<Uint8Array>) => void)[] = [];

  readonly desk: SavesOptions<Body>["desk"] = {
    listen: (listener) => void this.#listeners.push(listener),
    ask: (_playerId, message, onGivenUp = () => undefined) => {
      const waiting = { message, dropped: false, onGivenUp };
      this.waiting.push(waiting);
      return { drop: () => void (waiting.dropped = true) };
    },
  };

  /** Everything that waits is asked, and answered. */
  answer(): void {
    for (const { message, dropped } of this.waiting.splice(0)) if (!dropped) this.say(here, message);
  }

  /** A cluster asks; if it is this one, it hears the answer. */
  say(clusterId: string, message: ToSession<Uint8Array>): void {
    if (message.type === "commit") throw new Error("not asked here");
    const { state, effects } = stepSession(this.state, { type: "request", clusterId, message });
    this.state = state;
    for (const effect of effects) {
      if (effect.type === "toCluster" && effect.clusterId === here) this.tell(effect.message);
    }
  }

  tell(message: FromSession<Uint8Array>): void {
    for (const listen of this.#listeners) listen(playerId, message);
  }

  get asked(): string[] {
    return this.waiting.filter(({ dropped }) => !dropped).map(({ message }) => message.type);
  }

  get saved(): string | undefined {
    const { save } = this.state;
    return save === undefined ? undefined : textOf(decodePlayerState(save.state).saved);
  }
}

export class Body implements KeptPlayer {
  readonly id = playerId;
  seat: { generation: number };
  position = { x: 1, y: 2, z: 3, heading: 4 };
  connected = true;
  lane = { idle: async () => undefined };

  constructor(generation: number) {
    this.seat = { generation };
  }
}

export function savesWith(options: Partial<SavesOptions<Body>> = {}) {
  const master = new Master();
  const log = new LogBook();
  const told: string[] = [];
  const counted: string[] = [];
  const bodies: Body[] = [];
  const saves = new PlayerSaves<Body>({
    desk: master.desk,
    nowMs: () => Date.now(),
    log,
    limits: { intervalMs: 1_000, lateMs: 60_000, maxLateBytes: 1_000_000 },
    entersAll: () => true,
    load: (body, read) => void told.push(`${body.seat.generation} loads ${textOf(read())}`),
    snapshot: ({ position }) => ({ placement: position, fragment: "north", values: {} }),
    fence: (_playerId, generation) => {
      for (const body of bodies) {
        if (!body.connected || body.seat.generation >= generation) continue;
        told.push(`${body.seat.generation} is closed`);
        leave(body);
      }
    },
    count: (outcome) => void counted.push(outcome),
    handovers: () => undefined,
    ...options,
  });
  /** Leaves, with what its last hook saves. */
  const leave = (body: Body, last?: string): void => {
    body.connected = false;
    saves.leaving(body);
    if (last !== undefined) keep(body, last);
    saves.left(body);
  };
  const keep = (body: Body, text: string): void => {
    void saves.save(body, Buffer.from(text)).then((outcome) => told.push(`${text} ${outcome}`));
  };
  const join = (record: PlayerRecord<Body>): Body => {
    const body = new Body(record.generation);
    bodies.push(body);
    saves.joined(record, body);
    return body;
  };
  return { master, log, told, counted, saves, join, leave, keep };
}

export const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString();
export const turn = async (): Promise<void> => void (await vi.advanceTimersByTimeAsync(0));

export function requestOf(message: ToSession<Uint8Array>) {
  if (message.type === "commit") throw new Error("not asked here");
  return { type: "request", clusterId: here, message } as const;
}

export function stateOf(text: string): Uint8Array {
  const placement = { x: 0, y: 0, z: 0, heading: 0 };
  const rest = { fragment: "", values: {}, carried: new Uint8Array(0), parts: new Map<string, Uint8Array>() };
  return encodePlayerState({ placement, saved: Buffer.from(text), ...rest });
}
