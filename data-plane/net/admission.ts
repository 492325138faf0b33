/** How many connections that have not joined are let in. */
export interface AdmissionLimits {
  /** In all. Stops a crowd of half-open sockets from taking all memory. */
  readonly maxTotal: number;
  /** From one address group. Stops one machine from taking all places. */
  readonly maxPerGroup: number;
  /** Half-life of what a group is charged for failed attempts. */
  readonly penaltyHalfLifeMs: number;
}

export type AdmissionRefusal = "TOO_MANY_UNAUTHENTICATED" | "TOO_MANY_FROM_ADDRESS";

/** A place among the unauthenticated; given back once, when its connection has joined or ended. */
export interface AdmissionPass {
  /** @param failed whether the peer broke the rules: its group is charged for it for a while */
  release(failed: boolean): void;
}

interface Group {
  open: number;
  penalty: number;
  penaltyAtMs: number;
}

/** Groups that are remembered for their failures alone; past this, newer failures go unremembered. */
export const maxRememberedGroups = 65_536;
const forgottenPenalty = 0.5;
/** Least time between two goes at forgetting: each looks at all groups, which failures must not be able to cause at will. */
const forgetIntervalMs = 1_000;

/**
 * Counts connections from before the TLS handshake until they have joined. A failed attempt goes on taking a part of its
 * group's places, which halves every half-life: nobody is shut out for good, as many may share one address.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #nowMs: () => number;
  readonly #groups = new Map<string, Group>();
  #open = 0;
  #forgotAtMs = Number.NEGATIVE_INFINITY;

  constructor(limits: AdmissionLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** Connections that hold a place now. */
  get open(): number {
    return this.#open;
  }

  /** Address groups that something is remembered of. */
  get groups(): number {
    return this.#groups.size;
  }

  admit(groupName: string): AdmissionPass | AdmissionRefusal {
    if (this.#open >= this.#limits.maxTotal) return "TOO_MANY_UNAUTHENTICATED";
    const group = this.#groups.get(groupName) ?? { open: 0, penalty: 0, penaltyAtMs: 0 };
    // However much a group has failed, a tenth of its places stays open to others behind the same address.
    const charged = Math.min(Math.floor(this.#penalty(group)), Math.floor(this.#limits.maxPerGroup * 0.9));
    if (group.open + charged >= this.#limits.maxPerGroup) return "TOO_MANY_FROM_ADDRESS";
    this.#groups.set(groupName, group);
    group.open += 1;
    this.#open += 1;
    let held = true;
    return {
      release: (failed) => {
        if (!held) return;
        held = false;
        this.#open -= 1;
        group.open -= 1;
        if (failed) this.#charge(group);
        if (group.open === 0 && group.penalty < forgottenPenalty) this.#groups.delete(groupName);
      },
    };
  }

  /** A place in all, for a connection whose address is not known yet: one that a proxy opened. */
  admitUnknown(): AdmissionPass | AdmissionRefusal {
    if (this.#open >= this.#limits.maxTotal) return "TOO_MANY_UNAUTHENTICATED";
    this.#open += 1;
    let held = true;
    return {
      release: () => {
        if (held) this.#open -= 1;
        held = false;
      },
    };
  }

  #penalty(group: Group): number {
    return group.penalty * 0.5 ** ((this.#nowMs() - group.penaltyAtMs) / this.#limits.penaltyHalfLifeMs);
  }

  #charge(group: Group): void {
    if (this.#groups.size >= maxRememberedGroups) this.#forget();
    if (this.#groups.size >= maxRememberedGroups && group.penalty === 0) return;
    group.penalty = Math.min(this.#penalty(group) + 1, this.#limits.maxPerGroup);
    group.penaltyAtMs = this.#nowMs();
  }

  /** Drops the groups whose failures are long past. */
  #forget(): void {
    const now = this.#nowMs();
    if (now - this.#forgotAtMs < forgetIntervalMs) return;
    this.#forgotAtMs = now;
    for (const [name, group] of this.#groups) {
      if (group.open === 0 && this.#penalty(group) < forgottenPenalty) this.#groups.delete(name);
    }
  }
}
