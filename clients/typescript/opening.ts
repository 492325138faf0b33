import type { Redirect, Welcome } from "../../protocol/index.ts";
import type { Admittance } from "./admission.ts";
import { withDeadline } from "./clock.ts";
import { ClusterConnection, type ConnectionContext, type Entry } from "./connection.ts";
import type { ConnectionAhead } from "./connection-ahead.ts";
import { localError, SustenetError } from "./error.ts";
import type { SessionMemory } from "./session-memory.ts";
import type { ClusterAddress } from "./transport.ts";

/** A joined connection, and what its session remembers. */
export interface Joined {
  readonly connection: ClusterConnection;
  readonly memory: SessionMemory;
  readonly welcome: Welcome;
  /** The numbered streams began with it; otherwise those of the session before go on. */
  readonly fresh: boolean;
}

/** The player has been handed on meanwhile; the connection stays for what that cluster may have to say about it. */
export interface SentOn {
  readonly connection: ClusterConnection;
  readonly redirect: Redirect;
}

/**
 * Connects to the cluster and joins with the ticket, each within its deadline. `earlier` is a session that went before: where the cluster can,
 * its streams go on.
 *
 * @throws SustenetError `NETWORK`, `TIMEOUT`, `CERTIFICATE_MISMATCH`, `CONNECTION_LOST`, `BAD_FRAME`, `CLOSED` or REJECT's code.
 */
export async function openConnection(
  { cluster, ticket }: { readonly cluster: ClusterAddress; readonly ticket: string },
  context: ConnectionContext,
  parent?: AbortSignal,
  earlier?: SessionMemory,
): Promise<Joined> {
  const opened = await open(cluster, { type: "join", ticket, earlier }, context, parent);
  if ("redirect" in opened) throw localError("BAD_FRAME");
  return opened;
}

/**
 * Connects to the cluster again and takes the session up where it was. Throws as {@link openConnection}; after `RESUME_UNKNOWN`
 * there is nothing to take up.
 */
export async function resumeConnection(
  memory: SessionMemory,
  context: ConnectionContext,
  parent?: AbortSignal,
): Promise<Joined | SentOn> {
  return open(memory.cluster, { type: "resume", memory }, context, parent);
}

/**
 * Connects to where a session is sent on to, and goes on there. Throws as {@link openConnection}.
 *
 * @param ahead a connection there that was opened before; it is this call's from now on. One that is of no use is no failure. [AHEAD-2]
 */
export async function arriveConnection(
  memory: SessionMemory,
  redirect: Redirect,
  context: ConnectionContext,
  parent?: AbortSignal,
  ahead?: ConnectionAhead,
): Promise<Joined | SentOn> {
  const admittance = { type: "arrive", memory, redirect } as const;
  const standing = ahead === undefined ? undefined : await ahead.take(parent);
  if (standing !== undefined) {
    try {
      return await enter(standing, admittance, context, parent);
    } catch (error) {
      if (!(error instanceof SustenetError) || error.code !== "CONNECTION_LOST") throw error;
    }
  }
  return open(redirect.cluster, admittance, context, parent);
}

async function open(
  cluster: ClusterAddress,
  admittance: Admittance,
  context: ConnectionContext,
  parent: AbortSignal | undefined,
): Promise<Joined | SentOn> {
  const connection = new ClusterConnection(context);
  await connect(connection, cluster, context, parent);
  return enter(connection, admittance, context, parent);
}

/** Opens the connection, or ends it and throws. */
export async function connect(
  connection: ClusterConnection,
  cluster: ClusterAddress,
  { clock, connectTimeoutMs }: ConnectionContext,
  parent: AbortSignal | undefined,
): Promise<void> {
  try {
    const run = (signal: AbortSignal): Promise<void> => connection.connect(cluster, signal);
    await withDeadline(clock, connectTimeoutMs, "connecting to the cluster", run, parent);
  } catch (error) {
    connection.abort();
    throw error;
  }
}

async function enter(
  connection: ClusterConnection,
  admittance: Admittance,
  { clock, joinTimeoutMs }: ConnectionContext,
  parent: AbortSignal | undefined,
): Promise<Joined | SentOn> {
  try {
    const run = (): Promise<Entry> => connection.enter(admittance);
    const entry = await withDeadline(clock, joinTimeoutMs, "joining the cluster", run, parent);
    if (entry.type === "redirect") return { connection, redirect: entry.redirect };
    const { memory, fresh } = entry;
    return { connection, memory, welcome: memory.welcome, fresh };
  } catch (error) {
    connection.abort();
    throw error;
  }
}
