import type { TicketClaims } from "../../auth/ticket.ts";
import type { PlayerRecord } from "../authority/player-record.ts";
import { allFeatures, type CloseCode, features, type Join, type SeatRef, versions } from "../../protocol/index.ts";
import type { StreamPosition } from "../../protocol/handover/streams.ts";
import type { Placement } from "../plugin/player.ts";
import { JoinedPlayer } from "./joined-player.ts";
import type { Session } from "./session.ts";
import type { SessionContext } from "./session-context.ts";
import { copyOf, type InForce, returnOf } from "./session-return.ts";
import { takeOver } from "./take-over.ts";
import { encodeWelcomeOf } from "./welcome-frame.ts";

/** How soon to come back after BUSY. */
const busyRetryMs = 1_000;

/** Why a join goes no further: what REJECT says. */
interface JoinRefusal {
  readonly code: CloseCode;
  readonly retryAfterMs?: number;
  /** The ticket has not been used up: it may be tried again. */
  readonly ticketStaysGood?: boolean;
  /** For the log: the fragment in which there is no room. */
  readonly fragment?: string | undefined;
}

/** A join whose ticket holds so far. */
interface Joining {
  readonly session: Session;
  readonly claims: TicketClaims;
  /** Where the client is in the streams of an earlier session. [JOIN-5] */
  readonly position: StreamPosition | undefined;
  /** What is known of the player's authority and saves, once that has been asked. */
  record: PlayerRecord<JoinedPlayer> | undefined;
  /** The player with which it goes on, as it is. [HAND-20] */
  copy: ReturnType<typeof copyOf>;
}

interface JoinStep {
  readonly name: string;
  /** A promise only where the game or the master takes its time. */
  readonly run: (joining: Joining) => JoinRefusal | undefined | Promise<JoinRefusal | undefined>;
}

/**
 * What happens with a genuine ticket, in this order. They run in one go, with nothing in between: so no other join can slip
 * past a check that this one has made. Where the game or the master takes its time, the checks before it are made again after.
 */
export const joinSteps: readonly JoinStep[] = [
  { name: "claim the ticket's id", run: claimTicketId }, // [TICKET-8]
  { name: "not be revoked", run: checkRevoked }, // [TICKET-20]
  { name: "be newer than the live session", run: checkGeneration }, // [TICKET-9]
  { name: "find room", run: checkRoom }, // [TICKET-10]
  { name: "ask the game", run: askGame }, // [TICKET-11]
  { name: "ask what was saved", run: askWhatWasSaved }, // [HAND-3]
  { name: "find a place", run: checkPlace }, // [TICKET-10]
  { name: "take the place of the older session", run: replaceOlder },
  { name: "enter the game", run: enter },
];

/** Takes a connection from JOIN to WELCOME, or to its end. */
export async function runJoin(session: Session, { ticket, position }: Join): Promise<void> {
  const { context, hello } = session;
  if (hello === undefined) throw new Error("JOIN without HELLO");
  const verdict = await context.verifyTicket(ticket, hello);
  if (session.state !== "verifying") return;
  if (verdict === undefined) {
    session.refuse("NOT_REGISTERED", false);
  } else if (!verdict.ok) {
    if (verdict.silent) session.refuse(`TICKET_${verdict.fault}`);
    else session.reject(verdict.fault);
  } else {
    const joining: Joining = { session, claims: verdict.claims, position, record: undefined, copy: undefined };
    try {
      await takeSteps(joining);
    } finally {
      if (joining.record !== undefined && joining.record.player === undefined) giveUp(joining, joining.record);
    }
  }
}

/** It came to nothing. The player's session before, if it is here, may have to go on under this ticket's generation. [HAND-23] */
function giveUp({ session, claims }: Joining, record: PlayerRecord<JoinedPlayer>): void {
  const { saves, players } = session.context;
  saves.abandon(record, (player) => {
    if (player.connected) return player.change(seatOf(claims));
    // What it has left is saved under this generation: nobody else can use it any more.
    player.adopt(claims.gen);
    players.fence(claims.sub, claims.gen + 1);
  });
}

function seatOf({ rsv, sub, gen }: TicketClaims): SeatRef {
  return { reservationId: rsv, playerId: sub, generation: gen };
}

async function takeSteps(joining: Joining): Promise<void> {
  const { session, claims } = joining;
  const { replays } = session.context;
  for (const step of joinSteps) {
    const outcome = step.run(joining);
    let refusal: JoinRefusal | undefined;
    if (outcome instanceof Promise) {
      refusal = await outcome;
      if (session.state !== "verifying") {
        replays.release(claims.jti, session);
        return;
      }
      refusal ??= checkRevoked(joining) ?? checkGeneration(joining) ?? checkRoom(joining);
    } else {
      refusal = outcome;
    }
    if (refusal === undefined) continue;
    if (refusal.ticketStaysGood === true) replays.release(claims.jti, session);
    else replays.consume(claims.jti, session);
    session.reject(refusal.code, refusal.retryAfterMs, refusal.fragment);
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

function checkRevoked({ session, claims }: Joining): JoinRefusal | undefined {
  return session.context.revocations.covers(claims.sub, claims.gen) ? { code: "REVOKED" } : undefined;
}

function checkGeneration({ session, claims }: Joining): JoinRefusal | undefined {
  return session.context.players.admits(claims.sub, claims.gen) ? undefined : { code: "STALE_GENERATION" };
}

function checkRoom(joining: Joining): JoinRefusal | undefined {
  const { session, claims, record } = joining;
  const { players, maxPlayers, seatsKeptFrom, stopping, world } = session.context;
  // First, as one that leaves may carry no place any more.
  if (stopping()) return { code: "SHUTTING_DOWN", ticketStaysGood: true };
  // Whoever replaces an older session of their own takes its place.
  const isHere = players.byId(claims.sub) !== undefined;
  const kept = seatsKeptFrom(claims.sub);
  const most = maxPlayers();
  const isCrowded = most > 0 && players.size + kept - (isHere ? 1 : 0) >= most;
  if (isCrowded || (!isHere && world !== undefined && kept >= world.freePlaces)) return full();
  // Where who names no fragment starts is not known before that.
  return claims.frag === "" && record === undefined ? undefined : checkPlace(joining);
}

function checkPlace(joining: Joining): JoinRefusal | undefined {
  const start = place(joining);
  return "code" in start ? start : undefined;
}

function full(fragment?: string): JoinRefusal {
  return { code: "FULL", ticketStaysGood: true, fragment };
}

/**
 * Where the player starts: where its ticket says, else where it was saved; and there as well in the fragment that the ticket names, if its session
 * comes back by itself. A refusal when there is no room for it.
 */
function place({ session, claims: { sub, frag }, position, record }: Joining): Placement | JoinRefusal {
  const { settings, world, players } = session.context;
  const left = record?.placement;
  const isThere = position !== undefined && left !== undefined && world?.fragmentAt(left) === frag;
  const saved = frag === "" || isThere ? left : undefined;
  if (world === undefined) return saved ?? { ...settings.spawn, heading: 0 };
  const found = world.findPlace(sub, frag, players.byId(sub), saved);
  return "fullFragment" in found ? full(found.fullFragment) : found;
}

function askGame({ session, claims }: Joining): JoinRefusal | undefined | Promise<JoinRefusal | undefined> {
  const { sub: id, name, gen: generation, frag: fragment } = claims;
  const verdict = session.context.host.auth({ id, name, generation, fragment });
  return verdict instanceof Promise ? verdict.then(refusalWith) : refusalWith(verdict);
}

function refusalWith(code: CloseCode | undefined): JoinRefusal | undefined {
  return code === undefined ? undefined : { code };
}

/**
 * As a rule the answer is there before the player is in the game. It never has to be: with the master away players join without, and
 * what was saved comes later. [HAND-10]
 */
function askWhatWasSaved(joining: Joining): Promise<JoinRefusal | undefined> | undefined {
  const { session, claims, position } = joining;
  const { saves, settings, metrics, arrivals } = session.context;
  const record = saves.begin(claims.sub, claims.gen);
  joining.record = record;
  // Only with the answer can the streams of an earlier session go on. [JOIN-5]
  const isReturning = position !== undefined && arrivals() !== undefined;
  return saves.ready(record, settings.loadTimeoutMs, isReturning)?.then(() => {
    if (record.phase === "entering") metrics.lateLoads += 1;
    return record.phase === "superseded" ? { code: "STALE_GENERATION" } : undefined;
  });
}

/** The newcomer wins; the older connection is told, and nobody waits for it to hear. [WELCOME-2] */
function replaceOlder(joining: Joining): undefined {
  const { session, claims, position, record } = joining;
  const older = session.context.players.byId(claims.sub);
  // A ticket that says where to start means to begin there, unless the player is there.
  const mayGoOn = claims.frag === "" || claims.frag === older?.fragment;
  joining.copy = mayGoOn ? copyOf(record?.start, older, position, inForceFor(joining)) : undefined;
  if (joining.copy === undefined) older?.close("REPLACED");
}

function enter(joining: Joining): JoinRefusal | undefined {
  const { session, claims, position: at, record, copy } = joining;
  const { context } = session;
  if (copy !== undefined && record !== undefined) return goOn(joining, copy, record);
  const { players, world } = context;
  const position = place(joining);
  if ("code" in position) return position;
  if (record === undefined) return full();
  const seat = seatOf(claims);
  const inForce = inForceFor(joining);
  const back = returnOf(record.start, at, inForce);
  const player = new JoinedPlayer({
    context,
    seat,
    name: claims.name,
    position,
    ticketFragment: claims.frag,
    ...inForce,
    line: session,
    ...(back === undefined ? {} : { carried: back.carried }),
  });
  if (world?.enter(player, record.values) === false) return full();
  world?.tellKinds(player);
  context.replays.consume(claims.jti, session);
  players.add(player);
  context.seats.joined(seat);
  const { rsv: reservation, req: request } = claims;
  context.log.info({ event: "joined", player: player.number, reservation, request }, `player ${player.number} joined`);
  session.welcome(player, record, () => encodeWelcomeOf(context, player), back);
  return undefined;
}

/** The player stays in the game as it is; what was its connection is let go. [HAND-20] */
function goOn(
  { session, claims }: Joining,
  { player, again, position }: NonNullable<Joining["copy"]>,
  record: PlayerRecord<JoinedPlayer>,
): undefined {
  const { replays, saves, log, metrics } = session.context;
  const { rsv: reservation, req: request } = claims;
  replays.consume(claims.jti, session);
  player.change(seatOf(claims));
  saves.succeeds(record, player);
  metrics.joins += 1;
  log.info({ event: "joined", player: player.number, reservation, request }, `player ${player.number} goes on`);
  takeOver(session, player, position, again);
}

function inForceFor({ session, claims }: Joining): InForce {
  return {
    version: Math.min(versions.max, claims.proto.max, session.hello?.maxVersion ?? versions.max),
    features: featuresInForce(session.hello?.features ?? 0, session.context),
  };
}

/**
 * What both sides have. Without STATE there would be MESSAGEs that are not numbered: no resuming then, and without that no handover.
 * [HELLO-4] [RESUME-1] [ARRIVE-2] [AHEAD-1]
 */
function featuresInForce(offered: number, { settings, world, arrivals }: SessionContext): number {
  const hasResume = settings.resumeGraceMs > 0 && (offered & features.state) !== 0 && (offered & features.resume) !== 0;
  const hasHandover = hasResume && arrivals() !== undefined && (offered & features.handover) !== 0;
  const here =
    (world === undefined ? 0 : features.world) |
    (hasResume ? features.resume : 0) |
    (hasHandover ? features.handover | features.ahead : 0) |
    (allFeatures & ~(features.world | features.resume | features.handover | features.ahead));
  return (offered & here) >>> 0;
}
