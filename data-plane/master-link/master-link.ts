import { setTimeout as sleep } from "node:timers/promises";
import type { FromSession } from "../../protocol/handover/messages.ts";
import { signClusterAssertion } from "../../auth/cluster-assertion.ts";
import type {
  LinkCancel,
  LinkKeys,
  LinkMail,
  LinkOrders,
  LinkReach,
  LinkReport,
  MailOutcome,
  RegisterRequest,
  RevokedPlayer,
  SeatRef,
} from "../../protocol/index.ts";
import { maxDrainMs } from "../../protocol/index.ts";
import type { Clock } from "../clock.ts";
import type { ClusterKey } from "../keys/cluster-key.ts";
import type { Logger } from "../log.ts";
import { Backoff } from "../backoff.ts";
import type { Fence } from "./fence.ts";
import { endForProblem, Link, type LinkEnd } from "./link.ts";
import { MailDesk } from "./mail-desk.ts";
import type { KnownCommand, Registration } from "./master-answers.ts";
import { type MasterClient, MasterError } from "./master-client.ts";
import { explainReach } from "./reach-notice.ts";
import { explainRefusal } from "./register-refusal.ts";
import { Reporter, type ReportFacts } from "./reporter.ts";
import { isSelfNews } from "./self-report.ts";
import { decodeFromSession } from "./session-wire.ts";
import { SeatJournal } from "./seat-journal.ts";
import { HeldVersions } from "./held-versions.ts";
import type { TicketDesk } from "./ticket-desk.ts";

export interface MasterLinkOptions {
  readonly client: MasterClient;
  readonly masterUrl: string;
  readonly key: Pick<ClusterKey, "keyId" | "privateKey">;
  readonly publicKeyFile: string;
  /** What the cluster says of itself, read anew for each registration. */
  readonly request: () => RegisterRequest;
  /** The same of what changes all the time, read anew for each report. */
  readonly facts: () => ReportFacts;
  /** Learns what good tickets look like. */
  readonly desk: Pick<TicketDesk, "learn" | "changeKeys" | "cancel">;
  readonly clock: Clock;
  /** From 0 to 1; for jitter. */
  readonly random: () => number;
  readonly log: Logger;
  readonly pace: LinkPace;
  /** Registered, for the first time or again, with this request. */
  readonly onRegistered: (registration: Registration, request: RegisterRequest) => void;
  /** A newer session of this player has authority. */
  readonly onFence: (playerId: string, generation: number) => void;
  /** What operators have ordered; older orders may follow newer ones. */
  readonly onOrders: (orders: LinkOrders) => void;
  /** The master has ended these players' sessions below a generation. */
  readonly onRevoke: (players: readonly RevokedPlayer[]) => void;
  /** Another cluster's message for a player here. */
  readonly onMail: (mail: LinkMail) => void;
  /** A player's session says something about authority. */
  readonly onSession: (playerId: string, message: FromSession<Uint8Array>) => void;
  /** The link is up (again): the master is there. */
  readonly onUp: () => void;
  /** The map of the cluster's world has this version, as far as the master has told. */
  readonly onWorldVersion: (version: number) => void;
  /** A newer process with our key and instance has taken over, or the key has ended: this one has to stop. */
  readonly onSuperseded: (fence: Fence) => void;
}

/** Waiting times of the link, in ms. */
export interface LinkPace {
  /** First and longest wait between attempts while the master is away. */
  readonly retryMs: readonly [number, number];
  /** The same after a refusal that somebody has to do something about. */
  readonly refusedRetryMs: readonly [number, number];
  readonly connectTimeoutMs: number;
  readonly ackTimeoutMs: number;
}

export const defaultPace: LinkPace = {
  retryMs: [500, 15_000],
  refusedRetryMs: [5_000, 60_000],
  connectTimeoutMs: 5_000,
  ackTimeoutMs: 10_000,
};

/** Longest wait for the master to hear once more that this process is about to end. */
const tellEndTimeoutMs = 2_500;

/**
 * The cluster's side of its tie to the master: registers, holds the link, reports seats, takes commands; and goes on trying
 * for as long as the process lives. Players never wait for it.
 */
export class MasterLink {
  readonly #options: MasterLinkOptions;
  readonly #journal = new SeatJournal();
  readonly #held = new HeldVersions();
  readonly #mail: MailDesk;
  readonly #stopping = new AbortController();
  #registration: Registration | undefined;
  #link: Link | undefined;
  /** What the next report says of the orders that have come over this link. */
  #ordersTold: Pick<LinkReport, "ordersVersion"> = {};
  /** Whether this registration's master takes mail. */
  #mailTaken = false;
  #superseded = false;
  /** When this process ends at the latest, once it is about to. */
  #endsAtMs: number | undefined;
  #outdated = false;
  #reachNotice = "";
  #reporter: Reporter | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: MasterLinkOptions) {
    this.#options = options;
    this.#mail = new MailDesk(options.clock.monotonicMs);
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) {
        this.#options.log.error({ event: "link-failed", err: error }, "the link to the master has failed for good");
      }
    });
  }

  /** Whether the link is up now. */
  get up(): boolean {
    return this.#reporter !== undefined;
  }

  joined(seat: SeatRef): void {
    this.#journal.joined(seat);
    this.#reporter?.news();
  }

  left(seat: SeatRef): void {
    this.#journal.left(seat);
    this.#reporter?.news();
  }

  /** Has the master pass a message on to a player elsewhere: now, or not at all. Never rejects. */
  tell(playerId: string, command: number, payload: Uint8Array): Promise<MailOutcome> {
    return this.#mail.tell(playerId, command, payload);
  }

  /** What the cluster says of itself has changed: registers again. Players do not notice. */
  registerAgain(): void {
    this.#outdated = true;
    this.#link?.end();
  }

  /**
   * Tells the master that this process ends within so long, so that others take over what it carries; again by itself when it has to
   * register again. Waits so long for the answer at most, and never rejects.
   *
   * @returns whether the master has heard it
   */
  async depart(deadlineMs: number, timeoutMs: number): Promise<boolean> {
    this.#endsAtMs = this.#options.clock.monotonicMs() + deadlineMs;
    if (this.#registration === undefined || this.#superseded) return false;
    return this.#tellEnd(this.#registration, this.#endsAtMs, timeoutMs);
  }

  async #tellEnd(registration: Registration, endsAtMs: number, timeoutMs: number): Promise<boolean> {
    const { client, clock, log } = this.#options;
    const deadlineMs = Math.min(maxDrainMs, Math.max(0, Math.round(endsAtMs - clock.monotonicMs())));
    try {
      await client.drain(registration, { deadlineMs }, timeoutMs);
      log.info(
        { event: "departing", deadlineMs },
        "told the master that this process is about to end: players go on elsewhere",
      );
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : "it failed";
      log.warn(
        { event: "depart-failed" },
        `could not tell the master that this process is about to end: ${reason}; players will have to rejoin`,
      );
      return false;
    }
  }

  /** Takes the cluster off the master's list, if the master can be reached in time, and hangs up. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping.abort();
    if (this.#registration !== undefined && !this.#superseded) {
      try {
        await this.#options.client.deregister(this.#registration, timeoutMs);
      } catch (error) {
        const reason = error instanceof Error ? error.message : "it failed";
        this.#options.log.warn({ event: "deregister-failed" }, `could not deregister at the master: ${reason}`);
      }
    }
    this.#link?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const pause = this.#createBackoff(this.#options.pace.retryMs);
    while (!this.#stopping.signal.aborted) {
      const registration = await this.#register();
      const end = await this.#serve(registration, () => pause.reset());
      if (this.#stopping.signal.aborted) return;
      if (typeof end === "object") {
        this.#superseded = true;
        this.#options.onSuperseded(end);
        return;
      }
      if (!this.#outdated) {
        this.#options.log.warn(
          { event: "session-ended" },
          "the master has ended this cluster's session: registering again",
        );
      }
      await this.#sleep(pause.next());
    }
  }

  /** Registers, however long it takes. */
  async #register(): Promise<Registration> {
    const { client, key, clock, log, masterUrl, pace } = this.#options;
    const away = this.#createBackoff(pace.retryMs);
    const refused = this.#createBackoff(pace.refusedRetryMs);
    for (;;) {
      this.#stopping.signal.throwIfAborted();
      this.#outdated = false;
      const request = this.#options.request();
      try {
        const assertion = await signClusterAssertion({
          key: key.privateKey,
          keyId: key.keyId,
          instance: request.instance,
          masterUrl,
          now: Math.floor(clock.wallMs() / 1_000),
        });
        const registration = await client.register(assertion, request);
        await this.#options.desk.learn(registration);
        this.#registration = registration;
        this.#journal.tellAll();
        this.#held.reset();
        this.#mailTaken = registration.takesMail === true;
        this.#options.onRegistered(registration, request);
        if (this.#endsAtMs !== undefined) await this.#tellEnd(registration, this.#endsAtMs, tellEndTimeoutMs);
        return registration;
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        const { text, permanent } = explainRefusal(error, {
          masterUrl,
          keyId: key.keyId,
          publicKeyFile: this.#options.publicKeyFile,
        });
        const delayMs = (permanent ? refused : away).next();
        const fields = { event: "register-failed", code: error instanceof MasterError ? error.code : undefined };
        log[permanent ? "error" : "warn"](fields, `${text}; next try in ${seconds(delayMs)} s`);
        await this.#sleep(delayMs);
      }
    }
  }

  /** Keeps the session alive, by link or else by heartbeats, until it is over. */
  async #serve(registration: Registration, onHealthy: () => void): Promise<LinkEnd> {
    const { retryMs } = this.#options.pace;
    // Never so long that the lease runs out between two heartbeats.
    const retry = this.#createBackoff([retryMs[0], Math.min(retryMs[1], registration.leaseMs / 3)]);
    // What is new may have come while there was no link.
    while (!this.#outdated) {
      let opened = false;
      const end = await this.#holdLink(
        registration,
        () => (opened = true),
        () => {
          retry.reset();
          onHealthy();
        },
      );
      if (end !== "lost" || this.#stopping.signal.aborted) return end;
      if (this.#outdated) break;
      const delayMs = retry.next();
      if (opened) {
        this.#options.log.warn(
          { event: "link-lost" },
          `lost the link to the master; next try in ${seconds(delayMs)} s`,
        );
      } else {
        const beat = await this.#heartbeat(registration, delayMs);
        if (beat !== "lost") return beat;
      }
      await this.#sleep(delayMs);
    }
    return "register-again";
  }

  async #holdLink(registration: Registration, onOpen: () => void, onHealthy: () => void): Promise<LinkEnd> {
    const { client, log, pace } = this.#options;
    this.#stopping.signal.throwIfAborted();
    const link = new Link({
      url: client.linkUrl(registration),
      sessionToken: registration.sessionToken,
      pingIntervalMs: registration.pingIntervalMs,
      connectTimeoutMs: pace.connectTimeoutMs,
      onOpen: () => {
        onOpen();
        // A master that has sent no orders may be of an earlier version, which does not know the field.
        this.#ordersTold = {};
        log.info({ event: "link-up" }, "the link to the master is up");
        this.#reporter = new Reporter({
          journal: this.#journal,
          send: (report) => link.send({ ...report, ...this.#ordersTold, ...this.#held.told() }),
          onStuck: () => link.abandon(),
          reportIntervalMs: registration.reportIntervalMs,
          ackTimeoutMs: pace.ackTimeoutMs,
          takesParts: registration.takesParts === true,
          facts: this.#options.facts,
          isNews: isSelfNews,
        });
        this.#reporter.start();
        if (this.#mailTaken) this.#mail.open((tell) => link.send(tell));
        this.#options.onUp();
      },
      onCommand: (command) => {
        if (command.type === "ack") onHealthy();
        this.#obey(command);
      },
    });
    this.#link = link;
    const end = await link.ended;
    this.#reporter?.stop();
    this.#reporter = undefined;
    // A master that was put back to an earlier version does not know what a message is: then the next ones would end links, too.
    if (this.#mail.close() > 0 && link.endedOverMessage) this.#mailTaken = false;
    return end;
  }

  /** One sign of life over HTTPS, with the same report; `lost` if the session may go on. */
  async #heartbeat(registration: Registration, delayMs: number): Promise<LinkEnd> {
    const { client, log, masterUrl } = this.#options;
    try {
      const { commands } = await client.heartbeat(registration, {
        ...this.#journal.report(true),
        ...this.#held.told(),
        ...this.#options.facts(),
      });
      for (const command of commands) this.#obey(command);
      const text = "no link to the master, a heartbeat took its place";
      log.warn({ event: "link-down" }, `${text}; next try in ${seconds(delayMs)} s`);
      return "lost";
    } catch (error) {
      const reason = error instanceof Error ? error.message : "it failed";
      const text = `master unreachable at ${masterUrl}: ${reason}; players play on`;
      log.warn({ event: "master-away" }, `${text}; next try in ${seconds(delayMs)} s`);
      return error instanceof MasterError ? endForProblem(error.status, error.problem) : "lost";
    }
  }

  #obey(command: KnownCommand): void {
    switch (command.type) {
      case "ack":
        this.#journal.acknowledge(command.sequence);
        this.#reporter?.acknowledged(command);
        if (command.worldVersion !== undefined) this.#options.onWorldVersion(command.worldVersion);
        return;
      case "world":
        this.#options.onWorldVersion(command.version);
        return;
      case "cancel":
        this.#cancel(command);
        return;
      case "told":
        this.#mail.told(command);
        return;
      case "mail":
        this.#options.onMail(command);
        return;
      case "later":
        this.#reporter?.putOff(command);
        return;
      case "fence":
        this.#options.onFence(command.playerId, command.generation);
        return;
      case "session":
        this.#options.onSession(command.playerId, decodeFromSession(command.message));
        return;
      case "reach":
        this.#noteReach(command);
        return;
      case "orders":
        this.#ordersTold = { ordersVersion: command.version };
        this.#options.onOrders(command);
        this.#reporter?.news();
        return;
      case "revoke":
        this.#options.onRevoke(command.players);
        this.#held.noteRevocations(command);
        this.#reporter?.news();
        return;
      case "keys":
        void this.#changeKeys(command);
        return;
    }
  }

  #cancel({ reservationId, playerId, generation, expiresAt }: LinkCancel): void {
    // Who has joined with it is told to the master anyway.
    if (this.#journal.knows({ reservationId, playerId }) || !this.#options.desk.cancel(reservationId, expiresAt))
      return;
    this.#journal.cancelled({ reservationId, playerId, generation });
    this.#reporter?.news();
  }

  /** The master repeats itself with every link and heartbeat. */
  #noteReach(reach: LinkReach): void {
    const { log, masterUrl } = this.#options;
    const text = explainReach(reach, masterUrl);
    if (text === this.#reachNotice) return;
    this.#reachNotice = text;
    const { host, port, fault } = reach;
    if (fault === undefined) log.info({ event: "reached", host, port }, text);
    else log.error({ event: "unreachable", host, port, fault }, text);
  }

  /** The keys of a set are held once they are all dropped and the set has been asked for; if it does not come, the master repeats. */
  async #changeKeys(command: LinkKeys): Promise<void> {
    const changed = await this.#options.desk.changeKeys(command.revoked);
    if (!changed) return;
    const { revoked } = command;
    const text = `the master's key set has changed (keys-changed)${revoked.length === 0 ? "" : `; revoked: ${revoked.slice(0, 8).join(", ")}`}`;
    this.#options.log.info({ event: "keys-changed", version: command.version, revoked: revoked.length }, text);
    this.#held.noteKeys(command.version);
    this.#reporter?.news();
  }

  #createBackoff([leastMs, greatestMs]: readonly [number, number]): Backoff {
    return new Backoff(Math.min(leastMs, greatestMs), greatestMs, this.#options.random);
  }

  async #sleep(delayMs: number): Promise<void> {
    await sleep(delayMs, undefined, { signal: this.#stopping.signal });
  }
}

function seconds(ms: number): string {
  return ms < 10_000 ? (ms / 1_000).toFixed(1) : String(Math.round(ms / 1_000));
}
