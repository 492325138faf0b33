import type { LinkCommand } from "./link.ts";

/*
 * Messages of the game to players on other clusters: over the links, by way of the master. At most once, in no order, kept
 * nowhere, and outside the count of reports.
 */

/** How much a cluster may tell players elsewhere through the master; more is refused. */
export const mailsPerSecond = 20;
/** How many at once, after a while without. */
export const maxMailBurst = 100;
/** The longest payload of one, in bytes. */
export const maxMailBytes = 4_096;

/** To the master: a message for a player who is not here. Only to one whose registration says that it {@link RegisterResponse.takesMail}. */
export interface LinkTell {
  readonly type: "tell";
  /** Chosen by the cluster, to know the answer by. */
  readonly id: number;
  readonly playerId: string;
  /** 0 to 255. */
  readonly command: number;
  /** Base64, of at most {@link maxMailBytes}. */
  readonly payload: string;
}

/**
 * What has become of a message to a player. `sent`: handed on, which it may still not survive; `unknown`: nobody of that id is in
 * the game; `refused`: not handed on, since there are too many, or the way is not open; `lost`: no answer came, so it may have
 * arrived or not.
 */
export const mailOutcomes = ["sent", "unknown", "refused", "lost"] as const;
export type MailOutcome = (typeof mailOutcomes)[number];

/** From the master: what has become of a {@link LinkTell}. */
export interface LinkTold {
  readonly type: "told";
  readonly id: number;
  readonly outcome: MailOutcome;
}

/** From the master: another cluster's message for a player who is here, in a session of this generation or a newer one. */
export interface LinkMail {
  readonly type: "mail";
  /** The cluster that says it: by the master's word, not the sender's. */
  readonly from: string;
  readonly playerId: string;
  readonly generation: number;
  readonly command: number;
  readonly payload: string;
}

/** Everything that comes down a link: mail is in no answer to a heartbeat. */
export type LinkMessage = LinkCommand | LinkTold | LinkMail;
