import type { ClusterTls } from "../../protocol/index.ts";
import type { Certificate } from "./certificate.ts";

/** Longest `caPem` that the master takes. */
const maxCaPemBytes = 8_192;

export interface CertificateRotationOptions {
  /** The certificate to begin with. */
  readonly shown: Certificate;
  /** How long an allocation may be used: so long both certificates are announced before the next one is shown. */
  readonly overlapMs: number;
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  /** What the master has to be told has changed. */
  readonly onAnnounce: () => void;
  /** From now on this one is to be shown. */
  readonly onShow: (certificate: Certificate) => void;
}

/**
 * Changes a cluster's certificate under way. A player trusts what the allocation named, which may be as old as a ticket
 * lives. So the next certificate is first announced beside the one that is shown; only when the master has had it for
 * as long as an allocation may be used, and every allocation in use thus names both, is it shown. [TLS-6]
 */
export class CertificateRotation {
  readonly #options: CertificateRotationOptions;
  #shown: Certificate;
  #next: Certificate | undefined;
  /** When the next one may be shown; `undefined` while the master has not been told. */
  #showAtMs: number | undefined;

  constructor(options: CertificateRotationOptions) {
    this.#options = options;
    this.#shown = options.shown;
  }

  get shown(): Certificate {
    return this.#shown;
  }

  get next(): Certificate | undefined {
    return this.#next;
  }

  /** What players are told: how to recognise the one that is shown, and the one that follows. */
  get announcement(): ClusterTls {
    const { serverName, sha256 } = this.#shown;
    const shown = pemBlocks(this.#shown);
    const next = this.#next === undefined ? [] : pemBlocks(this.#next);
    // The certificates themselves come first; what they chain to follows for as long as it fits.
    const blocks = [...shown.slice(0, 1), ...next.slice(0, 1), ...shown.slice(1), ...next.slice(1)];
    let caPem = "";
    for (const block of new Set(blocks)) {
      if (caPem.length + block.length + 1 > maxCaPemBytes) break;
      caPem += `${block}\n`;
    }
    return { serverName, caPem, sha256 };
  }

  /** A certificate that should be shown: the one that is, the one that is awaited, or a newer one. */
  offer(certificate: Certificate): "known" | "new" {
    if (certificate.sha256 === (this.#next ?? this.#shown).sha256) return "known";
    if (certificate.sha256 === this.#shown.sha256) {
      this.#next = undefined;
    } else {
      this.#next = certificate;
    }
    this.#showAtMs = undefined;
    this.#options.onAnnounce();
    return "new";
  }

  /** The master holds this, which is what {@link announcement} said when it was told: another certificate may have come since. */
  announced({ caPem }: ClusterTls): void {
    if (this.#next === undefined || caPem !== this.announcement.caPem) return;
    this.#showAtMs ??= this.#options.monotonicMs() + this.#options.overlapMs;
  }

  /** Called now and then: shows the next one when its time has come, or when the one before has expired anyway. */
  check(): void {
    const next = this.#next;
    if (next === undefined) return;
    const due = this.#showAtMs !== undefined && this.#options.monotonicMs() >= this.#showAtMs;
    if (!due && this.#shown.expiresAt.getTime() > this.#options.wallMs()) return;
    this.#shown = next;
    this.#next = undefined;
    this.#showAtMs = undefined;
    this.#options.onShow(next);
    this.#options.onAnnounce();
  }
}

function pemBlocks({ certificatePem }: Certificate): string[] {
  return certificatePem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}
