/** Where a cluster stands. `draining` is ordered by an operator and kept apart from the rest: see {@link shownState}. */
export const clusterStates = ["starting", "ready", "draining", "suspect", "gone"] as const;
export type ClusterState = (typeof clusterStates)[number];

/** A state as it is kept. That a cluster drains is a fact of its own, which outlives its being suspect. */
export type KeptState = Exclude<ClusterState, "draining">;

/** What happens to a cluster. */
export const clusterTriggers = ["registered", "reached", "silent", "sign", "given-up", "left"] as const;
export type ClusterTrigger = (typeof clusterTriggers)[number];

/** `home` is where a cluster belongs that gives signs of life: `ready` once its address was reached, until then `starting`. */
type Target = KeptState | "home";

/** What an event changes; from any other state it changes nothing. docs/adr/0014-states-of-a-cluster.md has it as a picture. */
const transitions: Readonly<Record<ClusterTrigger, Readonly<Partial<Record<KeptState, Target>>>>> = {
  registered: { starting: "home", ready: "home", suspect: "home", gone: "home" },
  reached: { starting: "ready" },
  silent: { starting: "suspect", ready: "suspect" },
  sign: { suspect: "home" },
  "given-up": { starting: "gone", ready: "gone", suspect: "gone" },
  left: { starting: "gone", ready: "gone", suspect: "gone" },
};

/** The state after an event. `isReached` is whether players can reach its address, as far as the master knows. */
export function stateAfter(state: KeptState, event: ClusterTrigger, isReached: boolean): KeptState {
  const target = transitions[event][state];
  if (target === undefined) return state;
  if (target !== "home") return target;
  return isReached ? "ready" : "starting";
}

/** The state as operators see it. */
export function shownState(state: KeptState, draining: boolean): ClusterState {
  return draining && state !== "gone" && state !== "suspect" ? "draining" : state;
}
