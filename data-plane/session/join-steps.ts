import type { TicketClaims } from "../../auth/ticket.ts";
import { type CloseCode, encodeWelcome, type SeatRef, versions } from "../../protocol/index.ts";
import { JoinedPlayer } from "./joined-player.ts";
import { MoveBudget } from "./movement.ts";
import type { Session } from "./session.ts";

/** How soon to come back after BUSY. */
const busyRetryMs = 1_000;

/** Why a join goes no further: what REJECT says. */
interface JoinRefusal {
  readonly code: CloseCode;
  readonly retryAfterMs?: number;
  /** The ticket has not been used up: it may be tried again. */
  readonly ticketStaysGood?: boolean;
}

/** A join whose ticket holds so far. */
interface Joining {
  readonly session: Session;
  readonly claims: TicketClaims;
}

interface JoinStep {
  readonly name: string;
  readonly run: (joining: Joining) => JoinRefusal | undefined;
}

/**
 * What happens with a genuine ticket, in this order. They run in one go, with nothing in between: so no other join can slip
 * past a check that this one has made.
 */
export const joinSteps: readonly JoinStep[] = [
  { name: "claim the ticket's id", run: claimTicketId }, // [TICKET-8]
  { name: "be newer than the live session", run: checkGeneration }, // [TICKET-9]
  { name: "find room", run: checkRoom }, // [TICKET-10]
  { name: "take the place of the older session", run: replaceOlder },
  { name: "enter the game", run: enter },
];

/** Takes a connection from JOIN to WELCOME, or to its end. */
export async function runJoin(session: Session, ticket: string): Promise<void> {
  const { context, hello } = session;
  if (hello === undefined) throw new Error("JOIN without HELLO");
  const verdict = await context.verifyTicket(ticket, hello);
  if (session.state !== "verifying") return;
  if (verdict === undefined) {
    session.refuse("NOT_REGISTERED");
  } else if (!verdict.ok) {
    if (verdict.silent) session.refuse(`TICKET_${verdict.fault}`);
    else session.reject(verdict.fault);
  } else {
    takeSteps({ session, claims: verdict.claims });
  }
}

function takeSteps(joining: Joining): void {
  const { session, claims } = joining;
  for (const step of joinSteps) {
    const refusal = step.run(joining);
    if (refusal === undefined) continue;
    if (refusal.ticketStaysGood === true) session.context.replays.release(claims.jti, session);
    session.reject(refusal.code, refusal.retryAfterMs);
    return;
  }
}

function claimTicketId({ session, claims }: Joining): JoinRefusal | undefined {
  const { replays, clock } = session.context;
  const claim = replays.claim(claims.jti, session, claims.exp, clock.wallMs() / 1_000);
  if (claim === "seen") return { code: "REPLAYED" };
  if (claim === "full") return { code: "BUSY", retryAfterMs: busyRetryMs };
  return undefined;
}

function checkGeneration({ session, claims }: Joining): JoinRefusal | undefined {
  return session.context.players.admits(claims.sub, claims.gen) ? undefined : { code: "STALE_GENERATION" };
}

function checkRoom({ session, claims }: Joining): JoinRefusal | undefined {
  const { players, settings, stopping } = session.context;
  // Whoever replaces an older session of their own takes its place.
  const others = players.size - (players.byId(claims.sub) === undefined ? 0 : 1);
  if (settings.maxConnections > 0 && others >= settings.maxConnections) {
    return { code: "FULL", ticketStaysGood: true };
  }
  return stopping() ? { code: "SHUTTING_DOWN", ticketStaysGood: true } : undefined;
}

/** The newcomer wins; the older connection is told, and nobody waits for it to hear. [WELCOME-2] */
function replaceOlder({ session, claims }: Joining): undefined {
  session.context.players.byId(claims.sub)?.close("REPLACED");
}

function enter({ session, claims }: Joining): undefined {
  const { context } = session;
  const { players, settings, clock } = context;
  const seat: SeatRef = { reservationId: claims.rsv, playerId: claims.sub, generation: claims.gen };
  const player = new JoinedPlayer({
    seat,
    name: claims.name,
    number: players.takeNumber(),
    position: { ...settings.spawn, heading: 0 },
    moveBudget: new MoveBudget(settings.maxSpeed, clock.monotonicMs()),
    lane: session.createLane(claims.sub),
    line: session,
  });
  context.replays.consume(claims.jti, session);
  players.add(player);
  context.seats.joined(seat);
  session.welcome(player, () =>
    encodeWelcome({
      version: Math.min(versions.max, claims.proto.max, session.hello?.maxVersion ?? versions.max),
      features: 0,
      playerNumber: player.number,
      timeMs: clock.monotonicMs(),
      tick: context.tick() >>> 0,
      tickHz: settings.tickHz,
      pingIntervalMs: settings.pingIntervalMs,
      idleTimeoutMs: settings.idleTimeoutMs,
      maxFrameBytes: settings.maxFrameBytes,
      ...player.position,
      fragment: claims.frag,
      cluster: settings.serverName,
    }),
  );
}
