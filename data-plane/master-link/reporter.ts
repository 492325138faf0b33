import type { LinkReport } from "../../protocol/index.ts";
import type { SeatJournal } from "./seat-journal.ts";

export interface ReporterOptions {
  readonly journal: SeatJournal;
  readonly send: (report: LinkReport) => void;
  /** The master did not acknowledge in time: its link is of no use. */
  readonly onStuck: () => void;
  readonly reportIntervalMs: number;
  readonly ackTimeoutMs: number;
}

/** A change waits for others at least this long, and at most this part of the interval that the master asks for. */
const leastGapMs = 20;
const newsPart = 0.1;

/**
 * Sends reports over one link: a complete one first, then one every interval, and sooner when something has changed. One at
 * a time: the next is made after the one before was acknowledged, so that the master knows what each one can know.
 */
export class Reporter {
  readonly #options: ReporterOptions;
  #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;
  #awaited: number | undefined;
  #dueSoon = false;

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
    if (this.#awaited !== undefined || this.#dueSoon) return;
    this.#dueSoon = true;
    this.#arm(Math.max(leastGapMs, this.#intervalMs * newsPart), () => this.#report(false));
  }

  acknowledged(sequence: number, reportIntervalMs: number): void {
    this.#options.journal.acknowledge(sequence);
    this.#intervalMs = reportIntervalMs;
    if (this.#awaited === undefined || sequence < this.#awaited) return;
    this.#awaited = undefined;
    this.#arm(this.#intervalMs, () => this.#report(false));
    if (this.#options.journal.hasNews) this.news();
  }

  #report(complete: boolean): void {
    this.#dueSoon = false;
    const report = this.#options.journal.report(complete);
    this.#awaited = report.sequence;
    this.#arm(this.#options.ackTimeoutMs, this.#options.onStuck);
    this.#options.send(report);
  }

  #arm(delayMs: number, run: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(run, delayMs);
  }
}
