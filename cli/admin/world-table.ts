import { formatTable } from "./table.ts";

/** A world as the master shows it to operators, as far as it is shown here. */
export interface World {
  readonly world: string;
  readonly fragments: readonly { readonly name: string; readonly clusterId: string }[];
  /** Fragments whose cluster only stands in. */
  readonly provisional: readonly string[];
  /** Pairs of fragments of different clusters that have a place in common. */
  readonly overlaps: readonly (readonly [string, string])[];
  /** There may be other such pairs. A master of an earlier version shows all of them. */
  readonly moreOverlaps?: boolean;
  /** Fragments about whose bounds clusters disagree. A master of an earlier version looks for none. */
  readonly disagreements?: readonly { readonly fragment: string; readonly clusterIds: readonly [string, string] }[];
  readonly assigned: readonly { readonly fragment: string; readonly clusterId: string }[];
  readonly announced: readonly {
    readonly clusterId: string;
    readonly fragments: readonly string[];
    /** Why it takes nothing over. */
    readonly reasons: readonly string[];
  }[];
}

/** Who carries what and why, who could, and what is wrong with it. */
export function describeWorld(world: World): string {
  const more = world.moreOverlaps === true ? "there may be more that have a place in common" : "";
  const disagreements = (world.disagreements ?? []).map(describeDisagreement);
  const overlaps = world.overlaps.map(describeOverlap);
  const parts = [fragmentTable(world), clusterTable(world), ...disagreements, ...overlaps, more];
  return parts.filter((part) => part !== "").join("\n\n");
}

function fragmentTable({ world, fragments, provisional, assigned }: World): string {
  const assignedTo = new Map(assigned.map(({ fragment, clusterId }) => [fragment, clusterId]));
  const carried = fragments.map(({ name, clusterId }) => [name, clusterId, whyThere(name, clusterId)]);
  const names = new Set(fragments.map(({ name }) => name));
  const waiting = assigned.filter(({ fragment }) => !names.has(fragment));
  const rows = [...carried, ...waiting.map(({ fragment, clusterId }) => [fragment, "–", `assigned to ${clusterId}`])];
  return rows.length === 0
    ? `nobody carries anything of the world ${world}`
    : formatTable(["FRAGMENT", "CLUSTER", "WHY THERE"], rows);

  function whyThere(fragment: string, clusterId: string): string {
    if (assignedTo.get(fragment) === clusterId) return "assigned";
    const standsIn = provisional.includes(fragment) ? "stands in" : "by the rules";
    const wanted = assignedTo.get(fragment);
    return wanted === undefined ? standsIn : `${standsIn}; assigned to ${wanted}`;
  }
}

function clusterTable({ announced }: World): string {
  if (announced.length === 0) return "";
  return formatTable(
    ["CLUSTER", "TAKES OVER", "CAN CARRY"],
    announced.map(({ clusterId, fragments, reasons }) => [clusterId, takesOver(reasons), fragments.join(" ")]),
  );
}

function takesOver(reasons: readonly string[]): string {
  if (reasons.length === 0) return "yes";
  const isOnlyFull = reasons.every((reason) => reason === "full");
  return isOnlyFull ? "what no other can: full" : `no: ${reasons.join(", ")}`;
}

function describeOverlap([one, other]: readonly [string, string]): string {
  return `${one} and ${other} have a place in common, and different clusters carry them: mend their layouts`;
}

function describeDisagreement({
  fragment,
  clusterIds: [one, other],
}: NonNullable<World["disagreements"]>[number]): string {
  return `${one} and ${other} have ${fragment} with different bounds: give both the same file`;
}
