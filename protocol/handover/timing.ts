import type { ClientRoute } from "./client-route.ts";
import type { DestinationState } from "./destination.ts";
import { isDelivered, type SourceState } from "./source-state.ts";

/**
 * How long a party stays in a phase before it is given `timeout`. The next ones in the same phase follow after twice the time each,
 * up to `mostMs`, with jitter; any other change of phase starts over. Times decide only how soon somebody tries again or stops
 * waiting, never what has happened. [HAND-5]
 */
export interface Patience {
  readonly firstMs: number;
  readonly mostMs: number;
  /** The time runs, but what happens at its end has to wait for something else. */
  readonly heldBack?: true;
}

/** After this long in `released` or `active` a party may be given `abandon`, where there is nothing that it could try again. */
export const abandonAfterMs = 600_000;

/**
 * The player stands still in `transferring` and `committing`: together 3 s at most.
 *
 * @param arrivals handovers of which the same cluster is the destination: while an earlier one of a member may still bring something
 * for it, this one has to remember where the member has gone. Its time runs all the same: of a player that goes to and fro each handover
 * waits for the one before, and they have to end as fast as they begin.
 */
export function sourceTimeout(
  state: SourceState<unknown>,
  arrivals: Iterable<DestinationState<unknown>>,
): Patience | undefined {
  switch (state.phase) {
    case "preparing":
      return once(5_000);
    case "freezing":
      return once(1_000);
    case "transferring":
      return once(1_000);
    case "committing":
      return once(2_000);
    case "released":
      if (!isDelivered(state)) return undefined;
      return [...arrivals].some((arrival) => precedes(arrival, state))
        ? { ...once(10_000), heldBack: true }
        : once(10_000);
    case "doubt":
    case "reclaiming":
      return { firstMs: 1_000, mostMs: 30_000 };
    case "ended":
      return undefined;
  }
}

/** Longer than the source can take from `prepare` to the commit, so that a reservation seldom ends under a handover that lives. */
export function destinationTimeout(state: DestinationState<unknown>): Patience | undefined {
  switch (state.phase) {
    case "reserving":
    case "reserved":
    case "admitting":
    case "holding":
      return once(15_000);
    case "active":
      return state.members.every((member) => member.superseded || member.settled)
        ? undefined
        : { firstMs: 2_000, mostMs: 30_000 };
    case "ended":
      return undefined;
  }
}

export function clientTimeout(state: Pick<ClientRoute, "phase" | "connecting">): Patience | undefined {
  switch (state.phase) {
    case "returning":
    case "moving":
      return state.connecting ? undefined : { firstMs: 250, mostMs: 4_000 };
    case "allocating":
      return { firstMs: 1_000, mostMs: 30_000 };
    case "joining":
    case "playing":
    case "ended":
      return undefined;
  }
}

function precedes(arrival: DestinationState<unknown>, state: SourceState<unknown>): boolean {
  return arrival.members.some(
    ({ playerId, generation, superseded }) =>
      !superseded && state.members.some((one) => one.playerId === playerId && generation < one.generation),
  );
}

function once(ms: number): Patience {
  return { firstMs: ms, mostMs: ms };
}
