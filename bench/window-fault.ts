/** A core that is busier than this is saturated. */
const saturation = 0.9;

/** Share of the server's core that may go to others. More of it, and they take turns and caches from the server. */
export const foreignShare = 0.15;

/** Least share of what is offered that has to be done: the edges of a window may cut a tick in two. */
const leastDone = 0.96;

/** Shares of a core, 0 to 1: the server, the load, and both cores with whatever else ran there. */
export interface Shares {
  readonly server: number;
  readonly load: number;
  readonly serverCore: number;
  readonly loadCore: number;
}

/**
 * Why a window does not count; `undefined` when it does. It says who is to blame: a load's core that is busy with others needs a quieter
 * machine, and a server that is too slow on a core of its own has reached its limit.
 */
export function windowFault(done: number, offered: number, shares: Shares): string | undefined {
  const { server, load, serverCore, loadCore } = shares;
  if (loadCore > saturation) return `the load's core was ${percent(loadCore)} busy, ${percent(load)} with the load`;
  if (serverCore - server > foreignShare) return `others used ${percent(serverCore - server)} of the server's core`;
  if (done < offered * leastDone) {
    return `only ${done} of ${Math.round(offered)} were done in time, by a server that used ${percent(server)} of its core`;
  }
  return undefined;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
