import { DurableObject } from "cloudflare:workers";
import { EventRing, type MasterEvent, type NumberedEvent } from "../../domain/operators/master-event.ts";
import { logEvent } from "../../log.ts";

/** How many past events a subscriber can catch up with. */
const keptEvents = 1_000;
/** Stops operators' tools that never hang up from piling up. */
const maxSubscribers = 64;
/** Events that may wait for one subscriber. Past this it is dropped. */
const maxWaiting = 256;
/** Most events of one call. */
const maxPublished = 256;
/** Proxies close streams that are silent. */
const heartbeatMs = 15_000;

interface Subscriber {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly untilMs: number;
}

const encoder = new TextEncoder();

/**
 * Passes on to operators what happens, as server-sent events. Best effort, at most once: events are in memory alone, an object that
 * cannot reach the hub goes on without, and whoever needs to know for certain asks for the state, or reads the audit log.
 */
export class EventHub extends DurableObject<Env> {
  readonly #ring = new EventRing(Date.now().toString(36), keptEvents);
  readonly #subscribers = new Set<Subscriber>();
  #heartbeat: ReturnType<typeof setInterval> | undefined;

  publish(events: readonly MasterEvent[]): void {
    const nowMs = Date.now();
    for (const event of events.slice(0, maxPublished)) this.#send(encodeEvent(this.#ring.add(event, nowMs)));
  }

  /** The stream of a subscriber. `x-last-event-id`: the last event that it has; `x-until-ms`: when its token expires. */
  override fetch(request: Request): Response {
    if (this.#subscribers.size >= maxSubscribers) return new Response(null, { status: 503 });
    const resume = this.#ring.resume(request.headers.get("x-last-event-id") ?? undefined);
    const untilMs = Number(request.headers.get("x-until-ms"));
    let subscriber: Subscriber | undefined;
    const stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          subscriber = { controller, untilMs };
          this.#subscribers.add(subscriber);
          controller.enqueue(encoder.encode("retry: 2000\n\n"));
          if (resume.kind === "gap") controller.enqueue(encodeNote("gap", "Events before these are lost."));
          const missed = resume.kind === "start" ? [] : resume.events;
          if (missed.length > 0) controller.enqueue(concat(missed.map(encodeEvent)));
        },
        cancel: () => this.#forget(subscriber),
      },
      new CountQueuingStrategy({ highWaterMark: maxWaiting }),
    );
    this.#heartbeat ??= setInterval(() => this.#beat(), heartbeatMs);
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  }

  #beat(): void {
    const nowMs = Date.now();
    for (const subscriber of this.#subscribers) {
      if (subscriber.untilMs <= nowMs)
        this.#end(subscriber, "expired", "The access token has expired. Come again with another.");
    }
    this.#send(encoder.encode(": still here\n\n"));
  }

  #send(bytes: Uint8Array): void {
    for (const subscriber of this.#subscribers) {
      const { controller } = subscriber;
      // One place is left for the note.
      if ((controller.desiredSize ?? 0) <= 1) {
        logEvent("warn", "events.slow_subscriber", {});
        this.#end(subscriber, "slow", "Too many events waited for you. Come again with the last event id.");
      } else {
        controller.enqueue(bytes);
      }
    }
  }

  #end(subscriber: Subscriber, event: "slow" | "expired", text: string): void {
    subscriber.controller.enqueue(encodeNote(event, text));
    subscriber.controller.close();
    this.#forget(subscriber);
  }

  #forget(subscriber: Subscriber | undefined): void {
    if (subscriber !== undefined) this.#subscribers.delete(subscriber);
    if (this.#subscribers.size > 0) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }
}

function encodeEvent(event: NumberedEvent): Uint8Array {
  return encoder.encode(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

/** What the hub itself has to say. It has no id: it is no event to resume after. */
function encodeNote(kind: "gap" | "slow" | "expired", text: string): Uint8Array {
  return encoder.encode(`event: hub.${kind}\ndata: ${JSON.stringify({ text })}\n\n`);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
