/** A player's client whose connection is cut, whose sessions come back and move, and that checks all that its view is told. */
import assert from "node:assert/strict";
import type { WorldEntity } from "../../../clients/typescript/world-entity.ts";
import { WorldView } from "../../../clients/typescript/world-view.ts";
import { decodeClusterMessage, frameHeaderBytes } from "../../../protocol/index.ts";
import { type Random, randomInteger } from "../../../protocol/testing/seeded-random.ts";
import { Body, pick, type RestlessSide, tickHz, toldOf } from "./restless-side.ts";

/** A player's client, and what it is told. */
export class FollowedClient {
  readonly view = new WorldView();
  readonly #known = new Map<number, WorldEntity>();
  readonly #random: Random;
  readonly #timeline = { tick: () => this.side.tick, tickHz };
  #events: { readonly name: "leave" | "enter" | "update"; readonly entity: WorldEntity }[] = [];
  #isCut = false;
  side: RestlessSide;
  body: Body;
  events = 0;

  constructor(random: Random, side: RestlessSide) {
    this.#random = random;
    for (const name of ["leave", "enter", "update"] as const) {
      this.view.on(name, (entity) => this.#note(name, entity));
    }
    this.side = side;
    this.body = this.#enter(side);
    this.view.begin(this.#timeline, "new");
    side.world.tellKinds(this.body);
  }

  #enter(side: RestlessSide): Body {
    const near = (): number => (this.#random() - 0.5) * 100;
    const body = new Body(randomInteger(this.#random, 1, 1e9), near(), near(), (frame) => this.#receive(body, frame));
    assert(side.world.enter(body));
    side.bodies.add(body);
    return body;
  }

  /** Before a tick: what happens to its player. */
  act(sides: readonly RestlessSide[]): void {
    const { body, side } = this;
    const roll = this.#random();
    body.viewWaits = this.#random() < 0.3;
    if (body.dropped) {
      if (roll < 0.2) this.#comeBack(body, side);
    } else if (roll < 0.02) this.#isCut = true;
    else if (this.#isCut && roll < 0.5) body.dropped = true;
    else if (roll < 0.03) this.#rejoin(pick(this.#random, sides));
    else if (roll < 0.05) this.#move(sides.find((other) => other !== side) ?? side);
  }

  /** The connection works again, for good. */
  settle(): void {
    this.body.viewWaits = false;
    if (this.body.dropped || this.#isCut) this.#comeBack(this.body, this.side);
  }

  #comeBack(body: Body, side: RestlessSide): void {
    body.dropped = false;
    this.#begin("resumed");
    side.world.returned(body);
  }

  #rejoin(side: RestlessSide): void {
    this.#leave();
    this.body = this.#enter(side);
    this.side = side;
    this.#begin("new");
    assert.deepEqual([this.view.size, this.#known.size, this.view.fragment], [0, 0, undefined]);
    side.world.tellKinds(this.body);
  }

  #move(side: RestlessSide): void {
    const before = Array.from(this.view.entities());
    this.#leave();
    this.body = this.#enter(side);
    this.side = side;
    this.#begin("moved");
    assertSame(this.view.entities(), before);
    side.world.arrived(this.body);
  }

  #begin(session: "new" | "resumed" | "moved"): void {
    this.#isCut = false;
    this.#events = [];
    this.view.begin(this.#timeline, session);
    assert(this.#events.every(({ name }) => name === "leave"));
  }

  #leave(): void {
    this.side.world.leave(this.body);
    this.side.bodies.delete(this.body);
  }

  #note(name: "leave" | "enter" | "update", entity: WorldEntity): void {
    this.#events.push({ name, entity });
    this.events += 1;
    assert.equal(this.#known.get(entity.number), name === "enter" ? undefined : entity);
    if (name === "leave") this.#known.delete(entity.number);
    else this.#known.set(entity.number, entity);
    assert.equal(this.view.find(entity.number), name === "leave" ? undefined : entity);
  }

  #receive(body: Body, frame: Uint8Array): void {
    if (body !== this.body || this.#isCut) return;
    const message = decodeClusterMessage(frame.subarray(frameHeaderBytes));
    if (message.type !== "kinds" && message.type !== "entities" && message.type !== "fragment")
      throw new Error(message.type);
    const before = new Map(Array.from(this.#known.values(), (entity) => [entity, JSON.stringify(toldOf(entity))]));
    this.#events = [];
    this.view.receive(message);
    if (message.type === "entities") this.#check(before);
    else assert.equal(this.#events.length, 0);
  }

  #check(before: ReadonlyMap<WorldEntity, string>): void {
    const order = this.#events.map(({ name }) => ["leave", "enter", "update"].indexOf(name));
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(this.#events.map(({ name, entity }) => `${name} ${entity.number}`)).size, order.length);
    const updated = new Set(this.#events.flatMap(({ name, entity }) => (name === "update" ? entity : [])));
    assertSame(this.view.entities(), this.#known.values());
    for (const entity of this.#known.values()) {
      const told = toldOf(entity);
      const was = before.get(entity);
      assert(was === undefined || was === JSON.stringify(told) || updated.has(entity));
      if (was !== undefined && !updated.has(entity)) continue;
      assert.equal(entity.tick, this.view.tick);
      this.side.assertTrue(entity, entity.tick);
    }
  }
}

/** The very same entities, in the same order. */
function assertSame(one: Iterable<WorldEntity>, other: Iterable<WorldEntity>): void {
  const others = [...other];
  const ones = [...one];
  assert(ones.length === others.length && ones.every((entity, index) => entity === others[index]));
}
