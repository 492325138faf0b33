import type { AllocateRequest } from "../../../protocol/index.ts";
import { refuse, type Refusal } from "../refusal.ts";

/** Where a seat is wanted. */
type Wish = Pick<AllocateRequest, "clusterId" | "region">;

/**
 * Asks one shard after the other until one has given, and returns what the last has said. That a shard has nothing sends whoever asks on to the
 * next; any other refusal is about the one cluster that was asked for, or about the operation, as that it has ended: no other shard would say better.
 *
 * @param ask notes which shard it asks ahead, as that may have something for the operation ever after
 */
export async function askInTurn<Question, Given extends { readonly ok: true }>(
  questions: Iterable<Question>,
  wish: Wish,
  ask: (question: Question) => Promise<Given | Refusal>,
): Promise<Given | Refusal> {
  const goesOn = wish.clusterId === undefined ? "NO_CLUSTER_AVAILABLE" : "CLUSTER_NOT_FOUND";
  let answer: Given | Refusal = refusalOfNone(wish);
  for (const question of questions) {
    answer = await ask(question);
    if (answer.ok || answer.code !== goesOn) break;
  }
  return answer;
}

/** What to say where there is no shard to ask. */
export function refusalOfNone({ clusterId, region }: Wish): Refusal {
  if (clusterId !== undefined) {
    return refuse("CLUSTER_NOT_FOUND", "There is no such cluster. GET /v1/clusters lists those that there are.");
  }
  if (region !== undefined) {
    return refuse("REGION_NOT_FOUND", `There is no region ${region}. GET /v1/clusters shows those that there are.`);
  }
  return refuse("NO_CLUSTER_AVAILABLE", "No cluster has room now. Try again shortly.", 5);
}
