import type { Waiting } from "../../../protocol/index.ts";
import type { QueuePass } from "../../domain/waiting/waiting-gate.ts";
import type { Visit } from "../../domain/waiting/waiting-line.ts";
import type { WaitingQueue } from "../../domain/waiting/waiting-queue.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { refuse, type Refusal } from "../refusal.ts";
import { waitingRoom } from "../remote.ts";
import { signPlace } from "./waiting-place.ts";
import type { VisitAnswer } from "./waiting-room.ts";

/** Comes to a queue, for the first time or again: what the player is told, and whether it is its turn. */
export async function visitQueue(
  env: Env,
  visit: Visit,
  queue: WaitingQueue,
  idempotencyKey: string,
): Promise<{ readonly ok: true; readonly waiting: Waiting; readonly pass: QueuePass | undefined } | Refusal> {
  const answer: VisitAnswer = await withDeadline(
    waitingRoom(env, queue.name).visit(visit, queue),
    objectCallTimeoutMs,
    "the waiting room",
  );
  if (answer.kind === "full") {
    return refuse("WAITING_ROOM_FULL", "Too many wait already. Try again later.", answer.retryAfterSeconds);
  }
  if (answer.kind === "closed") {
    const { code, detail, retryAfterSeconds } = answer;
    return refuse(code, detail, retryAfterSeconds);
  }
  const { sequence, position, estimateSeconds, retryAfterSeconds, pass } = answer;
  const place = await signPlace(env, { playerId: visit.visitor, queue: queue.name, idempotencyKey }, sequence);
  const { reservationId } = visit;
  return {
    ok: true,
    waiting: { status: "waiting", reservationId, place, position, estimateSeconds, retryAfterSeconds },
    pass,
  };
}
