import { afterEach } from "vitest";
import { type ClientOptions, createClient, type SustenetClient } from "../index.ts";
import { type Peer, type ScriptedCluster, startScriptedCluster } from "./scripted-cluster.ts";
import {
  type Answer,
  sampleAllocation,
  sampleTokens,
  type ScriptedMaster,
  type SeenRequest,
  startScriptedMaster,
} from "./scripted-master.ts";

/** The whole library against a master and clusters that speak real HTTP and TLS, and do what each test says. All of them end with the test. */
export function useScriptedGame() {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  });

  async function startMaster(...args: Parameters<typeof startScriptedMaster>): Promise<ScriptedMaster> {
    const master = await startScriptedMaster(...args);
    closers.push(() => master.close());
    return master;
  }

  async function startCluster(...args: Parameters<typeof startScriptedCluster>): Promise<ScriptedCluster> {
    const cluster = await startScriptedCluster(...args);
    closers.push(() => cluster.close());
    return cluster;
  }

  /** A client that waits for nothing, at a master that logs in and answers allocations as told. */
  async function setUp(
    allocate: (request: SeenRequest, index: number) => Answer,
    options: Partial<ClientOptions> = {},
  ): Promise<{ client: SustenetClient; master: ScriptedMaster }> {
    const master = await startMaster((request, index) => {
      if (request.route === "POST /v1/allocate") return allocate(request, index);
      return { status: 200, body: sampleTokens("1") };
    });
    const client = createClient({ masterUrl: master.url, random: () => 0, ...options });
    await client.login({ anonymous: true });
    return { client, master };
  }

  /** The same, with a cluster behind it: each allocation leads there. */
  async function setUpGame(
    script: (peer: Peer, index: number) => Promise<void> | void,
    options: Partial<ClientOptions> = {},
  ): Promise<{ client: SustenetClient; master: ScriptedMaster; cluster: ScriptedCluster }> {
    const cluster = await startCluster(script);
    const allocate = (_: SeenRequest, index: number): Answer => ({
      status: 200,
      body: sampleAllocation(cluster.address, `ticket-${index}`),
    });
    return { ...(await setUp(allocate, options)), cluster };
  }

  return { startMaster, startCluster, setUp, setUpGame };
}

export function nextEvent<T>(subscribe: (handler: (event: T) => void) => () => void): Promise<T> {
  return new Promise((resolve) => {
    const off = subscribe((event) => {
      off();
      resolve(event);
    });
  });
}
