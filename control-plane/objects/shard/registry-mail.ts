import type { LinkTell, MailOutcome } from "../../../protocol/index.ts";
import { MailBudget } from "../../domain/clusters/mail-budget.ts";
import { Tally } from "../../domain/metrics/tally.ts";
import { logEvent } from "../../log.ts";
import { withDeadline } from "../deadline.ts";
import { playerSession, registryShard } from "../remote.ts";
import type { ShardParts } from "./shard-parts.ts";

/** Longest wait for a player's session, and again for the shard of its cluster. */
const mailTimeoutMs = 3_000;

/** Where a player's mail goes to: the session that has authority. */
export interface MailAddress {
  readonly shard: string;
  readonly clusterId: string;
  readonly generation: number;
}

/** A message for a player, and the cluster that it comes from. */
export interface Mail extends Pick<LinkTell, "playerId" | "command" | "payload"> {
  readonly from: string;
}

/**
 * Passes messages of clusters on to players of others. Nothing of it is stored or tried again: what is lost with an object or a link
 * is lost.
 */
export class RegistryMail {
  readonly #parts: ShardParts;
  readonly #env: Env;
  readonly #budget = new MailBudget();
  readonly #refused = new Tally();

  constructor(parts: ShardParts, env: Env) {
    this.#parts = parts;
    this.#env = env;
  }

  /** What has become of a cluster's message; `flooded` when the cluster has to be cut off. Never rejects. */
  async pass(from: string, tell: LinkTell, nowMs: number): Promise<MailOutcome | "flooded"> {
    const verdict = this.#budget.send(from, nowMs);
    if (verdict !== "allowed") {
      const count = this.#refused.add(from, 1, nowMs);
      if (count !== undefined) logEvent("warn", "registry.mail_refused", { clusterId: from, count });
      return verdict;
    }
    try {
      return await this.#deliver({ from, playerId: tell.playerId, command: tell.command, payload: tell.payload });
    } finally {
      this.#budget.arrived();
    }
  }

  async #deliver(mail: Mail): Promise<MailOutcome> {
    try {
      const asked = playerSession(this.#env, mail.playerId).takeMail();
      const address = await withDeadline(asked, mailTimeoutMs, "a player's session");
      if (typeof address === "string") return address;
      const handed = registryShard(this.#env, address.shard).handMail(address, mail);
      return await withDeadline(handed, mailTimeoutMs, "a registry shard");
    } catch (error) {
      logEvent("warn", "registry.mail_lost", { clusterId: mail.from, error });
      return "lost";
    }
  }

  /** Hands a message to a cluster of this shard, if the player is in the game there. */
  hand({ clusterId, generation }: MailAddress, mail: Mail, nowMs: number): MailOutcome {
    const { tables, seats, links } = this.#parts;
    const row = tables.cluster(clusterId);
    if (row === undefined || row.state === "gone") return "unknown";
    if (seats.at(clusterId, mail.playerId)?.joined === undefined) return "unknown";
    if (!links.isOpen(clusterId) || !this.#budget.receive(clusterId, nowMs)) return "refused";
    const { from, playerId, command, payload } = mail;
    links.send(clusterId, [{ type: "mail", from, playerId, generation, command, payload }]);
    return "sent";
  }
}
