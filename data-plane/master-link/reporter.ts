import type { LinkAck, LinkLater, LinkReport } from "../../protocol/index.ts";
import type { SeatJournal } from "./seat-journal.ts";

export interface ReporterOptions {
  readonly journal: SeatJournal;
  readonly send: (report: LinkReport) => void;
  /** The master did not acknowledge in time: its link is of no use. */
  readonly onStuck: () => void;
  readonly reportIntervalMs: number;
  readonly ackTimeoutMs: number;
  /** Whether the master takes full reports in parts. */
  readonly takesParts: boolean;
  /** What the cluster says of itself, to be sent with a report. */
  readonly facts: () => ReportFacts;
  /** Whether that differs enough from what was sent last to be news. */
  readonly isNews: (facts: ReportFacts, last: ReportFacts) => boolean;
}

/** What a cluster says of itself beside its seats. */
export type ReportFacts = Pick<LinkReport, "tickMs" | "counters">;

/** A change waits for others at least this long, and this part of the interval unless the master says how long. */
const leastGapMs = 20;
const newsPart = 0.1;

/**
 * Sends reports over one link, at the pace that the master dictates: a complete one first, in parts where they are many, then one
 * every interval, and sooner when something has changed; none while nothing has, once the master says that it need not be told.
 * One at a time: the next is made after the one before was acknowledged, so that the master knows what each one can know.
 */
export class Reporter {
  readonly #options: ReporterOptions;
  #intervalMs: number;
  #gapMs: number | undefined;
  #quiet = false;
  #timer: NodeJS.Timeout | undefined;
  #awaited: number | undefined;
  /** What is awaited is a report that lists everyone, or should. */
  #awaitsList = false;
  #dueSoon = false;
  /** There was news while an acknowledgement was awaited. */
  #missed = false;
  #told: ReportFacts = {};

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#intervalMs = options.reportIntervalMs;
  }

  start(): void {
    this.#report(true);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Something has been noted in the journal. */
  news(): void {
    this.#missed ||= this.#awaited !== undefined;
    if (this.#awaited !== undefined || this.#dueSoon) return;
    this.#dueSoon = true;
    this.#arm(Math.max(leastGapMs, this.#gapMs ?? this.#intervalMs * newsPart), () => this.#report(false));
  }

  acknowledged(ack: Pick<LinkAck, "sequence" | "reportIntervalMs" | "gapMs" | "quiet">): void {
    const { journal } = this.#options;
    journal.acknowledge(ack.sequence);
    this.#intervalMs = ack.reportIntervalMs;
    this.#gapMs = ack.gapMs;
    this.#quiet = ack.quiet === true;
    if (this.#awaited === undefined || ack.sequence < this.#awaited) return;
    this.#awaited = undefined;
    if (journal.isListing) {
      this.#report(false);
      return;
    }
    this.#wait();
    const isNews = journal.hasNews || this.#missed;
    this.#missed = false;
    if (isNews) this.news();
  }

  /** The master will take it later: all of it, though a list in parts goes on where it was. */
  putOff({ sequence, retryAfterMs }: LinkLater): void {
    if (sequence !== this.#awaited) return;
    this.#arm(retryAfterMs, () => this.#report(this.#awaitsList && !this.#options.journal.isListing));
  }

  /** Until the next report is due that nothing calls for. */
  #wait(): void {
    this.#arm(this.#intervalMs, () => {
      const { facts, isNews } = this.#options;
      if (this.#quiet && !isNews(facts(), this.#told)) this.#wait();
      else this.#report(false);
    });
  }

  #report(complete: boolean): void {
    this.#dueSoon = false;
    const { journal, takesParts, facts } = this.#options;
    this.#told = facts();
    const report = { ...journal.report(complete, takesParts), ...this.#told };
    this.#awaited = report.sequence;
    this.#awaitsList = complete;
    this.#arm(this.#options.ackTimeoutMs, this.#options.onStuck);
    this.#options.send(report);
  }

  #arm(delayMs: number, run: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(run, delayMs);
  }
}
