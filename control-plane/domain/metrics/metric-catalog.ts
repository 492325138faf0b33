/** A metric whose samples differ by these labels. Names and meanings are in docs/OPERATIONS.md; a test holds the two together. */
export interface MetricDescription {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** What is counted where it happens. Every label takes its values from a closed list: codes, ways to log in, kinds of faults. */
export const counters = {
  requests: {
    name: "sustenet_master_requests_total",
    help: "Requests answered, by class of status.",
    labels: ["status"],
  },
  problems: { name: "sustenet_master_problems_total", help: "Requests refused or failed, by code.", labels: ["code"] },
  allocations: {
    name: "sustenet_master_allocations_total",
    help: "Allocations by outcome: ticket, waiting, or the code of the problem.",
    labels: ["outcome"],
  },
  logins: {
    name: "sustenet_master_logins_total",
    help: "Logins, sign-ups and refreshes by way and outcome: ok, or the code of the problem.",
    labels: ["way", "outcome"],
  },
  registrations: {
    name: "sustenet_master_registrations_total",
    help: "Registrations of clusters by outcome: ok, or the code of the problem.",
    labels: ["outcome"],
  },
  joins: { name: "sustenet_master_joins_total", help: "Tickets that clusters reported as used.", labels: [] },
  mails: {
    name: "sustenet_master_mails_total",
    help: "Messages of clusters to players elsewhere: sent, unknown, refused, lost; flooded, when the link was closed.",
    labels: ["outcome"],
  },
  objectErrors: {
    name: "sustenet_master_object_errors_total",
    help: "Faults in and between Durable Objects: alarm, call, outbox, given-up, records.",
    labels: ["where"],
  },
  waiting: {
    name: "sustenet_master_waiting_total",
    help: "Places in the waiting room: entered, served, left, expired; and full, when there was none.",
    labels: ["event"],
  },
} as const satisfies Record<string, MetricDescription>;

const waitBounds = [0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Durations in seconds. */
export const histograms = {
  allocation: {
    name: "sustenet_master_allocation_seconds",
    help: "Time that allocations took, whatever came of them.",
    labels: [],
    bounds: waitBounds,
  },
  revocation: {
    name: "sustenet_master_revocation_seconds",
    help: "Time from a revocation until its cluster has acknowledged it.",
    labels: [],
    bounds: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300],
  },
} as const satisfies Record<string, MetricDescription & { readonly bounds: readonly number[] }>;

/** What is looked up when somebody asks. */
export const gauges = {
  clusters: { name: "sustenet_master_clusters", help: "Clusters by state.", labels: ["region", "state"] },
  locked: { name: "sustenet_master_clusters_locked", help: "Clusters that operators have locked.", labels: ["region"] },
  links: { name: "sustenet_master_links", help: "Clusters whose link is up.", labels: ["region"] },
  seats: {
    name: "sustenet_master_seats",
    help: "Seats that are taken: held by a ticket, or joined.",
    labels: ["region", "state"],
  },
  capacity: {
    name: "sustenet_master_capacity",
    help: "Places on clusters with a limit that can be offered.",
    labels: ["region"],
  },
  players: { name: "sustenet_master_players", help: "Players by the clusters' own count.", labels: ["region"] },
  outboxMessages: {
    name: "sustenet_master_outbox_messages",
    help: "Messages of shards to other objects that have not arrived.",
    labels: ["region"],
  },
  outboxAge: {
    name: "sustenet_master_outbox_age_seconds",
    help: "Age of the oldest of them.",
    labels: ["region"],
  },
  recordsWaiting: {
    name: "sustenet_master_records_waiting",
    help: "Records that the database does not have yet.",
    labels: ["of"],
  },
  recordsAge: { name: "sustenet_master_records_age_seconds", help: "Age of the oldest of them.", labels: ["of"] },
  recordsLost: {
    name: "sustenet_master_records_lost",
    help: "Records not taken because too many waited, ever.",
    labels: ["of"],
  },
  recordsRefused: {
    name: "sustenet_master_records_refused",
    help: "Records given up because the database refuses them, ever.",
    labels: ["of"],
  },
  auditPending: {
    name: "sustenet_master_audit_pending",
    help: "Rows of the audit log that the database does not have yet.",
    labels: [],
  },
  sources: {
    name: "sustenet_master_scrape_sources",
    help: "Objects that were asked for this answer, and whether they answered in time.",
    labels: ["of", "answered"],
  },
  complete: {
    name: "sustenet_master_scrape_complete",
    help: "1 when all of them did: 0 means that sums are too low.",
    labels: [],
  },
} as const satisfies Record<string, MetricDescription>;

export type CounterKey = keyof typeof counters;
export type HistogramKey = keyof typeof histograms;
export type GaugeKey = keyof typeof gauges;
/** One value for each label, in order. */
export type LabelValues<L extends readonly string[]> = { readonly [I in keyof L]: string };
