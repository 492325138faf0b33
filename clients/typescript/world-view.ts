import {
  type Entities,
  EntityView,
  type Fragment,
  type Kinds,
  KindTable,
  ProtocolError,
  type SeenEntity,
  type ViewListener,
} from "../../protocol/index.ts";
import { Emitter } from "./emitter.ts";
import { ShownTime, type Timeline } from "./shown-time.ts";
import { WorldEntity } from "./world-entity.ts";

/** What happens in the player's view. */
export interface WorldEvents {
  /** An entity has come into view. */
  enter: WorldEntity;
  /** The state of one in view has changed. */
  update: WorldEntity;
  /** One has gone out of view, or is gone; what it last was can still be read. */
  leave: WorldEntity;
  /** The player is in another fragment, or other rules hold in it. */
  fragment: Fragment;
}

const frozen: Timeline = { tick: () => 0, tickHz: 1 };

/** What the cluster shows the player: its surroundings, rebuilt frame by frame. Spec: docs/PROTOCOL.md, section 5.11. */
export class WorldView {
  /**
   * How far {@link WorldEntity.shown} is behind the cluster at least, in milliseconds. `undefined` for two frames of the fragment's
   * rate; more hides more of a bad line.
   */
  delayMs: number | undefined;
  readonly #emitter = new Emitter<WorldEvents>();
  readonly #entities = new Map<number, WorldEntity>();
  #shownTime = new ShownTime(frozen);
  /** What is in view was shown by the cluster before. */
  #isOutdated = false;
  #kinds: KindTable | undefined;
  #view: EntityView | undefined;
  #fragment: Fragment | undefined;
  #ended = false;
  readonly #listener: ViewListener = {
    onEnter: (seen) => this.#enter(seen),
    onUpdate: (seen) => this.#update(seen),
    onLeave: ({ number }) => this.#leave(number),
  };

  /** The fragment that the player is in; `undefined` before the cluster has told, and where it has no world. */
  get fragment(): Fragment | undefined {
    return this.#fragment;
  }

  /** Tick of the last frame. */
  get tick(): number {
    return this.#view?.tick ?? 0;
  }

  /** How many entities are in view. */
  get size(): number {
    return this.#entities.size;
  }

  /** The entities in view. */
  entities(): IterableIterator<WorldEntity> {
    return this.#entities.values();
  }

  find(number: number): WorldEntity | undefined {
    return this.#entities.get(number);
  }

  /** Adds a handler; the returned function takes it away. */
  on<Name extends keyof WorldEvents>(name: Name, handler: (event: WorldEvents[Name]) => void): () => void {
    return this.#emitter.on(name, handler);
  }

  /**
   * A connection begins: the view is empty. Kinds are told anew only in a new session, and at another cluster; there, what was in view stays until the first
   * frame has come. [ENTITIES-6] [KINDS-2]
   */
  begin(timeline: Timeline, session: "new" | "resumed" | "moved"): void {
    if (session === "moved") this.#isOutdated = this.#entities.size > 0;
    else this.#clear();
    this.#shownTime = new ShownTime(timeline);
    if (session !== "resumed") this.#kinds = undefined;
    if (session === "new") this.#fragment = undefined;
    this.#view = this.#kinds === undefined ? undefined : new EntityView(this.#kinds);
  }

  /** The session is over: nothing is told any more. What was in view last can still be read. */
  end(): void {
    this.#ended = true;
  }

  /** @throws ProtocolError for what is malformed */
  receive(message: Kinds | Entities | Fragment): void {
    switch (message.type) {
      case "kinds":
        if (this.#kinds !== undefined) throw new ProtocolError("UNEXPECTED_TYPE", "KINDS twice in a session");
        this.#kinds = new KindTable(message.kinds);
        this.#view = new EntityView(this.#kinds);
        return;
      case "entities":
        if (this.#view === undefined) throw new ProtocolError("UNEXPECTED_TYPE", "ENTITIES before KINDS");
        if (this.#isOutdated) this.#clear();
        return this.#view.apply(message, this.#listener);
      case "fragment":
        this.#fragment = message;
        this.#shownTime.follow(message.updateHz);
        this.#emitter.emit("fragment", message);
    }
  }

  #clear(): void {
    this.#isOutdated = false;
    for (const number of Array.from(this.#entities.keys())) this.#leave(number);
  }

  #enter(seen: SeenEntity): void {
    if (this.#ended) return;
    // Its own: one that stays in view while the player moves on belongs to the cluster before.
    const shownTime = this.#shownTime;
    const entity = new WorldEntity(
      seen,
      () => shownTime.tick(this.delayMs),
      () => shownTime.mostTicks,
    );
    this.#entities.set(seen.number, entity);
    this.#emitter.emit("enter", entity);
  }

  #update(seen: SeenEntity): void {
    const entity = this.#entities.get(seen.number);
    if (entity === undefined || this.#ended) return;
    entity.advance();
    this.#emitter.emit("update", entity);
  }

  #leave(number: number): void {
    const entity = this.#entities.get(number);
    if (entity === undefined || this.#ended) return;
    this.#entities.delete(number);
    this.#emitter.emit("leave", entity);
  }
}
