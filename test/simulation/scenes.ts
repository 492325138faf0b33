/** Worlds to begin with, and those that are explored. */
import { openSession } from "../../protocol/handover/session-state.ts";
import { issueGeneration } from "./issued-generation.ts";
import { openStreams } from "../../protocol/handover/streams.ts";
import { startHandover } from "./environment.ts";
import { type Exploration, explore } from "./explore.ts";
import type { Scope } from "./move.ts";
import type { Parts } from "./parts.ts";
import { openShell } from "./shell.ts";
import { type Budget, connectionName, noBudget, peerName, type Player, put, type World } from "./world.ts";

export interface Opening {
  readonly clusters: readonly string[];
  readonly players: readonly string[];
  /** Without clients a world is much smaller; games still make outputs. */
  readonly clients: boolean;
  readonly budget: Partial<Budget>;
}

/** Players in the game on the first cluster, every link up. */
export function openWorld(scene: Opening): World {
  const [first = ""] = scene.clusters;
  const world: World = {
    clusters: {},
    players: {},
    peers: {},
    connections: {},
    mail: [],
    handovers: 0,
    budget: { ...noBudget, ...scene.budget },
  };
  for (const name of scene.clusters) {
    for (const other of Object.keys(world.clusters)) {
      world.peers[peerName(other, name)] = { up: true, queues: { [`${other}>${name}`]: [], [`${name}>${other}`]: [] } };
    }
    world.clusters[name] = {
      name,
      boot: 1,
      alive: true,
      full: false,
      copies: {},
      sources: {},
      destinations: {},
      entering: {},
      keys: {},
    };
  }
  for (const playerId of scene.players) {
    const { state: session, generation } = issueGeneration<string>(openSession(playerId));
    const cluster = { clusterId: first, boot: 1 };
    const player: Player = {
      session: { ...session, generation, holder: first },
      client: {
        phase: "playing",
        at: { cluster, tenure: generation },
        streams: { tenure: generation, received: 0, acknowledged: 0, unacknowledged: [] },
        sent: 0,
        move: undefined,
        connecting: false,
        failures: 0,
        // Enough to fail and try again.
        maxFailures: 2,
      },
      gone: !scene.clients,
      allocating: false,
      delivered: "",
      inputs: 0,
      outputs: 0,
      mayLose: false,
    };
    put(world.players, playerId, player);
    const copies = world.clusters[first]?.copies ?? {};
    put(copies, playerId, { generation, history: "", streams: openStreams(generation), frozen: false, saves: 0 });
    if (!scene.clients) continue;
    put(world.connections, connectionName(playerId, first), {
      to: cluster,
      broken: false,
      attached: true,
      waiting: undefined,
      toCluster: [],
      toClient: [],
    });
  }
  return world;
}

/** A world to explore: two clusters, a handover from A to B that has just begun, and what may happen to it. */
export interface Scene {
  readonly name: string;
  readonly players: readonly string[];
  readonly clients: boolean;
  readonly budget: Partial<Budget>;
  /** A second handover, back to where the players came from. */
  readonly back?: true;
  /** Explored in the long mode only. */
  readonly long?: true;
}

const one = { players: ["p"], clients: true };
/** A group. Its clients do what one player's does; what is explored here is how its members are kept together. */
const two = { players: ["p", "q"], clients: false };

export const scenes: readonly Scene[] = [
  { ...one, name: "nothing else", budget: {} },
  { ...one, name: "an input and an output", budget: { inputs: 1, outputs: 1 } },
  { ...one, name: "two inputs", budget: { inputs: 2 } },
  { ...one, name: "two outputs", budget: { outputs: 2 } },
  { ...one, name: "a save", budget: { saves: 1 } },
  { ...one, name: "a kill and an input", budget: { crashes: 1, inputs: 1 } },
  { ...one, name: "a kill and an output", budget: { crashes: 1, outputs: 1 } },
  { ...one, clients: false, name: "a kill, a save and an output", budget: { crashes: 1, saves: 1, outputs: 1 } },
  { ...one, name: "a broken connection and an output", budget: { breaks: 1, outputs: 1 } },
  { ...one, name: "a lost letter and an output", budget: { lostMail: 1, outputs: 1 } },
  { ...one, name: "a doubled letter and an input", budget: { doubledMail: 1, inputs: 1 } },
  { ...one, name: "a client that vanishes", budget: { goneClients: 1, inputs: 1 } },
  { ...one, name: "another device", budget: { devices: 1 } },
  { ...one, name: "a commit that is too large, and an output", budget: { tooLarge: 1, outputs: 1 } },
  { ...one, name: "there and back", budget: {}, back: true },
  { ...two, name: "a group and an output for each", budget: { outputs: 1 } },
  { ...two, name: "a group and a kill", budget: { crashes: 1 } },
  { ...two, name: "a group and a broken link", budget: { breaks: 1 } },
  { ...two, name: "a group and a lost letter", budget: { lostMail: 1 } },
  { ...two, name: "a group and a doubled letter", budget: { doubledMail: 1 } },
  { ...two, name: "a group that is too large", budget: { tooLarge: 1 } },

  { ...one, name: "two inputs and two outputs", budget: { inputs: 2, outputs: 2 }, long: true },
  { ...one, name: "a kill, an input and an output", budget: { crashes: 1, inputs: 1, outputs: 1 }, long: true },
  { ...one, name: "a kill and a save", budget: { crashes: 1, saves: 1 }, long: true },
  { ...one, name: "a broken connection and an input", budget: { breaks: 1, inputs: 1 }, long: true },
  { ...one, name: "another device, and a save", budget: { devices: 1, saves: 1 }, long: true },
  { ...one, name: "another device, and a kill", budget: { devices: 1, crashes: 1 }, long: true },
  { ...one, name: "two kills", budget: { crashes: 2 }, long: true },
  { ...one, name: "a kill and a broken connection", budget: { crashes: 1, breaks: 1 }, long: true },
  { ...one, name: "there and back with an output", budget: { outputs: 1 }, back: true, long: true },
  { ...one, name: "there and back with a broken connection", budget: { breaks: 1 }, back: true, long: true },
  { ...two, name: "a group, there and back", budget: {}, back: true, long: true },
  { ...two, name: "a group, a kill and a save", budget: { crashes: 1, saves: 1 }, long: true },
  { ...two, name: "a group that is too large, and a kill", budget: { tooLarge: 1, crashes: 1 }, long: true },
  { ...two, name: "a group that is too large, and a lost letter", budget: { tooLarge: 1, lostMail: 1 }, long: true },
  { ...two, name: "a group, a kill and a lost letter", budget: { crashes: 1, lostMail: 1 }, long: true },
];

export function exploreScene(scene: Scene, parts: Parts, maxWorlds: number): Exploration {
  const { players, clients, budget } = scene;
  const handovers = scene.back === true ? 2 : 1;
  const world = openWorld({ clusters: ["A", "B"], players, clients, budget: { ...budget, handovers } });
  startHandover(openShell(world, parts), players, "A", "B");
  const scope: Scope = {
    handovers: scene.back === true ? [{ playerIds: players, from: "B", to: "A" }] : [],
    mortals: ["A", "B"],
    promptLinks: scene.long !== true,
  };
  return explore(world, { scope, parts, maxWorlds });
}
