import { stepsPerSession } from "../../../protocol/handover/generation.ts";
import type { StreamPosition } from "../../../protocol/handover/streams.ts";
import {
  allFeatures,
  encodeArrive,
  encodeHello,
  encodeJoin,
  encodeMessage,
  encodeMove,
  type Redirect,
} from "../../../protocol/index.ts";
import type { ClusterSettings } from "../../config/settings.ts";
import { assertLayout } from "../../fragments/testing/random-world.ts";
import type { ClusterLimits } from "../../limits.ts";
import type { ServerPlugin } from "../../plugin/server-plugin.ts";
import { FakeMaster } from "../../testing/fake-master.ts";
import { TestClient } from "../../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../../testing/test-cluster.ts";
import { until } from "../../testing/until.ts";

/** The generation of everybody's first session. */
export const generation = stepsPerSession;

/** A cluster, and the game that it runs. */
export interface Side<Game> {
  readonly cluster: TestCluster;
  readonly game: Game;
}

export interface BorderOptions<Game> {
  readonly createGame: () => Game;
  /** What there is of the world beside the halves `west` and `east`. */
  readonly fragments?: readonly {
    readonly name: string;
    readonly min: number[];
    readonly max: number[];
    readonly capacity?: number;
  }[];
  /** What holds in all of the world. */
  readonly rules?: object;
  /** What a cluster is the carrier of; all, unless it says. */
  readonly carries: (instance: string) => readonly string[] | undefined;
  readonly settings?: (instance: string) => Partial<ClusterSettings>;
  readonly limits?: Partial<ClusterLimits>;
}

/**
 * Two clusters over TLS that carry one world, with a border at x = 0 between them, and a master whose sessions are the production's
 * steps: `a` is in the west, `b` in the east.
 */
export class Border<Game extends ServerPlugin> {
  readonly master: FakeMaster;
  readonly #options: BorderOptions<Game>;
  readonly #sides: Side<Game>[] = [];
  readonly #clients: TestClient[] = [];
  #moves = 0;

  private constructor(master: FakeMaster, options: BorderOptions<Game>) {
    this.master = master;
    this.#options = options;
  }

  static async open<Game extends ServerPlugin>(
    options: BorderOptions<Game>,
  ): Promise<{ readonly border: Border<Game>; readonly west: Side<Game>; readonly east: Side<Game> }> {
    const master = await new FakeMaster().start();
    master.manyClusters = true;
    const border = new Border(master, options);
    const west = await border.start("a");
    const east = await border.start("b");
    const linked = ({ cluster }: Side<Game>): boolean => cluster.server.peers?.linked.length === 1;
    await until("the link", () => linked(west) && linked(east));
    return { border, west, east };
  }

  async start(instance: string): Promise<Side<Game>> {
    const { createGame, fragments = [], rules, carries, settings, limits = {} } = this.#options;
    const game = createGame();
    const carried = carries(instance);
    const world = assertLayout({
      world: { ...(carried === undefined ? {} : { carries: carried }), swap_dwell_ticks: 2, ...rules },
      fragment: [
        { name: "west", min: [-50, -50], max: [0, 50] },
        { name: "east", min: [0, -50], max: [50, 50] },
        ...fragments,
      ],
    });
    const spawn = { x: instance === "a" ? -2 : 2, y: 0, z: 0 };
    const shared = { instance, world, worldName: "main", drainSeconds: 0, spawn };
    const cluster = await startTestCluster({
      master: this.master,
      plugin: game,
      settings: { ...shared, ...settings?.(instance) },
      limits,
    });
    const side = { cluster, game };
    this.#sides.push(side);
    return side;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    for (const { cluster } of this.#sides.toReversed()) await cluster.stop();
  }

  /** Joins with a ticket of the first session, unless another is named. */
  async join(side: Side<Game>, options: JoinOptions = {}): Promise<TestClient> {
    const client = await this.ask(side, options);
    await client.next("welcome");
    return client;
  }

  /** The same, without waiting for the answer. */
  async ask(
    { cluster }: Side<Game>,
    { sub = "ann", gen = generation, claims = {}, offered = allFeatures, position }: JoinOptions = {},
  ): Promise<TestClient> {
    const client = await cluster.connected();
    const { clusterId: aud = "", boot = 0 } = cluster.server.peers?.self ?? {};
    const ticket = await this.master.ticket({ aud, boot, gen, sub, ...claims });
    client.send(helloOf(offered), encodeJoin({ ticket, ...(position === undefined ? {} : { position }) }));
    return client;
  }

  /** The next MOVE: by itself over the border. */
  step(x = 2): Uint8Array {
    this.#moves += 1;
    return encodeMove({ sequence: this.#moves, x, y: 0, z: 0, heading: 0 });
  }

  /** Stands still beyond the border until it is sent on. */
  async walkOver(client: TestClient, x = 2): Promise<Redirect> {
    client.send(this.step(x));
    return client.next("redirect");
  }

  /** From now on the master answers nobody, until it is let. What was asked before is let through by itself. */
  holdMaster(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.master.holdSessions = promise;
    return resolve;
  }

  /** A destination looks at the tokens that come now until it is let, and then does not take them. */
  async refuseLate(): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.master.holdKeySet = promise;
    await this.master.addKey("later");
    this.master.changeCommit = (claims) => ({ ...claims, members: [{ playerId: "bob", generation }] });
    return resolve;
  }

  /** Comes to the cluster to which it was sent on. */
  async arrive(
    { cluster, id, key, token }: Redirect,
    position: StreamPosition,
    offered = allFeatures,
  ): Promise<TestClient> {
    const { port, tls } = cluster;
    const client = await TestClient.open({ port, serverName: tls.serverName, caPem: tls.caPem });
    this.#clients.push(client);
    client.send(helloOf(offered), encodeArrive({ id, key, token, position }));
    return client;
  }
}

export interface JoinOptions {
  readonly sub?: string;
  /** Generation of the ticket. */
  readonly gen?: number;
  /** What else the ticket says. */
  readonly claims?: object;
  /** The features that the client says it has. */
  readonly offered?: number;
  readonly position?: StreamPosition;
}

export function helloOf(offered = allFeatures): Uint8Array {
  return encodeHello({ minVersion: 1, maxVersion: 1, features: offered, client: "walker" });
}

/** A message of the game without anything in it. */
export function message(command: number): Uint8Array {
  return encodeMessage({ command, payload: new Uint8Array(0) });
}
