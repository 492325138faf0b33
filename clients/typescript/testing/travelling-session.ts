import {
  allFeatures,
  type CloseCode,
  encodeRedirect,
  encodeReject,
  encodeResumed,
  encodeResumeToken,
  encodeStreams,
  encodeWelcome,
  features as featureBits,
  type Redirect,
} from "../../../protocol/index.ts";
import { ConnectionAhead } from "../connection-ahead.ts";
import { GameSession } from "../game-session.ts";
import { arriveConnection, openConnection, resumeConnection } from "../opening.ts";
import type { SessionContext } from "../session-context.ts";
import type { ClusterAddress } from "../transport.ts";
import { contextOf } from "./connection-context.ts";
import { ManualClock, settle } from "./manual-clock.ts";
import { type MemoryLink, MemoryTransport } from "./memory-transport.ts";
import { sampleWelcome } from "./scripted-cluster.ts";

/** Tenures of the first cluster and, after a handover, of the next. */
export const firstTenure = 1_048_576;

export function clusterNamed(id: string): ClusterAddress {
  const tls = { serverName: `${id}.invalid`, caPem: "PEM", sha256: "ab".repeat(32) };
  return { id, name: `Cluster ${id}`, host: "127.0.0.1", port: 1, tls };
}

export function redirectTo(cluster: string, id = "01".repeat(16), boot = 1): Omit<Redirect, "type"> {
  return { id, key: "0b".repeat(16), boot, cluster: clusterNamed(cluster), token: "h.t.s" };
}

export const tokenFrame = (value: number): Uint8Array =>
  encodeResumeToken({ graceMs: 10_000, token: Uint8Array.of(value) });

/** All that there is, at a cluster that has no world to show. */
export const worldless = allFeatures & ~featureBits.world;

/** What a cluster says to who arrives, whose inputs it has taken up to `received`. */
export function welcomeFrames(
  received: number,
  tenure = firstTenure + 1,
  cluster = "there",
  features = worldless,
): Uint8Array[] {
  return [
    encodeWelcome({ ...sampleWelcome, features, playerNumber: 9, cluster }),
    encodeStreams({ tenure, received, fresh: false }),
    tokenFrame(7),
  ];
}

export function resumedFrames(received: number, tenure = firstTenure): Uint8Array[] {
  return [
    encodeResumed({ received, timeMs: 5_000, tick: 1, tickHz: 30 }),
    encodeStreams({ tenure, received, fresh: false }),
    tokenFrame(8),
  ];
}

/** How a connection is answered after the first: by frames, by REJECT, or by one of these ways to fail. */
export type Answer = readonly Uint8Array[] | CloseCode | "silence" | "no network" | "cut";

export interface Travelling {
  readonly clock: ManualClock;
  readonly transport: MemoryTransport;
  readonly session: GameSession;
  readonly events: string[];
  /** The link to the cluster where it began. */
  readonly home: MemoryLink;
  /** The next connections are answered so, in this order; then there is no network. */
  readonly answers: Answer[];
}

/** A session on cluster `a`, with all features in force but that of a world. What it is told is noted as `events`. */
export async function travelling(
  answers: Answer[] = [],
  features: number = worldless,
  rejoins = true,
  changes: Partial<SessionContext> = {},
): Promise<Travelling> {
  const clock = new ManualClock();
  const transport = new MemoryTransport();
  transport.onConnect = (link, index) => {
    const first = [
      encodeWelcome({ ...sampleWelcome, features }),
      ...((features & featureBits.handover) === 0
        ? []
        : [encodeStreams({ tenure: firstTenure, received: 0, fresh: true })]),
      tokenFrame(0),
    ];
    const answer = index === 0 ? first : (answers.shift() ?? "no network");
    if (answer === "no network") return Promise.reject(new Error("no network"));
    link.onJoin = () => {
      if (answer === "cut") link.end();
      else if (answer === "silence") return;
      else if (typeof answer === "string") link.send(encodeReject(answer));
      else link.send(...answer);
    };
    return undefined;
  };
  const context = contextOf(transport, clock);
  const joining = openConnection({ cluster: clusterNamed("a"), ticket: "t" }, context);
  await settle();
  const events: string[] = [];
  const session = new GameSession(await joining, {
    clock,
    stableMs: 0,
    rejoin: rejoins
      ? (failure, _attempt, signal, _onAttempt, earlier) => {
          events.push(`allocate after ${failure.code}`);
          return openConnection({ cluster: clusterNamed("z"), ticket: "again" }, context, signal, earlier);
        }
      : undefined,
    resumption: { open: (memory, signal) => resumeConnection(memory, context, signal), clock, random: () => 0 },
    arrive: (memory, redirect, signal, ahead) => arriveConnection(memory, redirect, context, signal, ahead),
    openAhead: (cluster) => new ConnectionAhead(cluster, context),
    ...changes,
  });
  session.on("message", ({ command }) => events.push(`message ${command}`));
  session.on("resuming", ({ attempt }) => events.push(`resuming ${attempt}`));
  session.on("resumed", () => events.push("resumed"));
  session.on("moving", ({ cluster }) => events.push(`moving ${cluster.id}`));
  session.on("moved", ({ cluster }) => events.push(`moved ${cluster.id}`));
  session.on("rejoined", ({ fresh, lost }) =>
    events.push(`rejoined ${fresh ? "fresh" : "on"} lost ${lost.map(({ command }) => command).join()}`),
  );
  session.on("close", ({ code }) => events.push(`close ${code}`));
  await settle();
  return { clock, transport, session, events, home: transport.last, answers };
}

/** Tells the client to go to another cluster. */
export async function sendOn(link: MemoryLink, redirect: Omit<Redirect, "type">): Promise<void> {
  link.send(encodeRedirect(redirect));
  await settle();
}

/** What a link was sent, without PING. */
export function saidTo(link: MemoryLink): string[] {
  return link.messages
    .filter(({ type }) => type !== "ping")
    .map((one) => ("command" in one ? `${one.type} ${one.command}` : one.type));
}
