import type { AllocateRequest, AllocationSelector } from "../../../protocol/index.ts";
import { canonical } from "../allocation/operations.ts";
import { toBase64Url } from "../clusters/sharding.ts";

/** Which clusters those who wait in one queue want. */
export interface QueueWish {
  readonly clusterId?: string | undefined;
  readonly region?: string | undefined;
  readonly fragment?: string | undefined;
  readonly selector?: AllocationSelector | undefined;
}

/** One line for all who want the same, however they say it. */
export interface WaitingQueue {
  /** Of its object: `<region>~<22 characters>`, or `*` for any region. */
  readonly name: string;
  readonly wish: QueueWish;
}

/**
 * The queue of a request. How to choose (policy, latencies, what to avoid) does not matter to it, nor do the order of fields and tags, nor
 * the region beside a cluster id, which says it already.
 */
export async function queueOf(request: AllocateRequest): Promise<WaitingQueue> {
  const { clusterId, fragment } = request;
  const region = clusterId === undefined ? request.region : undefined;
  const selector = normalSelector(request.selector ?? {});
  const wish: QueueWish = {
    ...(clusterId === undefined ? {} : { clusterId }),
    ...(region === undefined ? {} : { region }),
    ...(fragment === undefined ? {} : { fragment }),
    ...(Object.keys(selector).length === 0 ? {} : { selector }),
  };
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical(wish)));
  return { name: `${region ?? "*"}~${toBase64Url(new Uint8Array(digest).subarray(0, 16))}`, wish };
}

function normalSelector({ labels, tags, counters, gameBuild }: AllocationSelector): AllocationSelector {
  return {
    ...(Object.keys(labels ?? {}).length === 0 ? {} : { labels }),
    ...(tags === undefined || tags.length === 0 ? {} : { tags: [...new Set(tags)].toSorted() }),
    ...(Object.keys(counters ?? {}).length === 0 ? {} : { counters }),
    ...(gameBuild === undefined ? {} : { gameBuild }),
  };
}
