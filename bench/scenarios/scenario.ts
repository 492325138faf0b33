import type { ContenderName } from "../contenders/contender.ts";
import type { Row } from "../row.ts";
import type { Setup } from "../setup.ts";

export interface Scenario {
  readonly name: string;
  /** Whether it measures peers that have to be installed. Default true. */
  readonly needsPeers?: boolean;
  /** Measures those of its contenders that are wanted. */
  run(setup: Setup, wanted: (contender: ContenderName) => boolean): Promise<Row[]>;
}
