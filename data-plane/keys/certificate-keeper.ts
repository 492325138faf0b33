import type { ClusterTls } from "../../protocol/index.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../log.ts";
import type { Certificate } from "./certificate.ts";
import { CertificateRotation } from "./certificate-rotation.ts";

export interface CertificateKeeperOptions {
  /** The certificate that should be shown now: read from files, or made when the one before is about to expire. */
  readonly load: () => Promise<Certificate>;
  readonly overlapMs: number;
  /** How often to look whether there is another. */
  readonly checkMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onAnnounce: () => void;
  readonly onShow: (certificate: Certificate) => void;
}

/** Keeps an eye on where a cluster's certificate comes from, and changes it without dropping anyone. */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #rotation: CertificateRotation;
  #timer: NodeJS.Timeout | undefined;
  #lastFault = "";

  private constructor(options: CertificateKeeperOptions, shown: Certificate) {
    this.#options = options;
    const { overlapMs, clock, onAnnounce } = options;
    this.#rotation = new CertificateRotation({
      shown,
      overlapMs,
      ...clock,
      onAnnounce,
      onShow: (certificate) => {
        this.#options.log.info({ event: "certificate-shown" }, "the next certificate is shown from now on");
        options.onShow(certificate);
      },
    });
  }

  /** @throws KeyError when there is none that can be used */
  static async create(options: CertificateKeeperOptions): Promise<CertificateKeeper> {
    return new CertificateKeeper(options, await options.load());
  }

  get shown(): Certificate {
    return this.#rotation.shown;
  }

  get announcement(): ClusterTls {
    return this.#rotation.announcement;
  }

  start(): void {
    this.#timer = setInterval(() => void this.reload(), this.#options.checkMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The master has taken this announcement. */
  announced(told: ClusterTls): void {
    this.#rotation.announced(told);
  }

  /** Looks at once. What cannot be used is logged, and changes nothing. */
  async reload(): Promise<void> {
    const { load, log, overlapMs } = this.#options;
    try {
      const news = this.#rotation.offer(await load());
      this.#lastFault = "";
      if (news === "new") {
        const waitSeconds = Math.ceil(overlapMs / 1_000);
        log.info(
          { event: "certificate-announced", waitSeconds },
          `there is another certificate: it is announced now, and shown in ${waitSeconds} s`,
        );
      }
    } catch (error) {
      const fault = error instanceof Error ? error.message : "it cannot be read";
      if (fault !== this.#lastFault) {
        log.warn({ event: "certificate-unusable" }, `the certificate is not changed: ${fault}`);
      }
      this.#lastFault = fault;
    }
    this.#rotation.check();
  }
}
